//! Making keys, describing them, switching them on and off, deleting them.

use policy::Context;
use trail::error::KeyError;
use trail::name::{KeyArn, KeyRef};
use trail::{Region, Timestamp};

use super::KmsClient;
use super::access::{facts, invalid, refused};
use super::keys::{KmsKey, new_key_id};
use super::record::{
    DAY, Deletion, KeyManager, KeySpec, KeyState, KeyUsage, MultiRegion, Origin, Record, Schedule,
};
use super::rotation::PERIOD_DAYS_DEFAULT;
use crate::store::{Inner, file_names};

/// Days between ScheduleKeyDeletion and the deletion (KMS API, ScheduleKeyDeletion).
const WINDOW_DAYS: std::ops::RangeInclusive<u32> = 7..=30;
const WINDOW_DAYS_DEFAULT: u32 = 30;
/// Characters of a description (KMS API, CreateKey).
const DESCRIPTION_CHARS_MAX: usize = 8192;

/// What CreateKey is asked for. The default is a symmetric key with the default policy.
#[derive(Debug, Clone, Default)]
pub struct CreateKey {
    /// The key policy; None: the account's root may do everything and delegate it.
    pub policy: Option<String>,
    /// Whether the caller may lose control of the key.
    pub bypass_policy_lockout_safety_check: bool,
    /// Free text.
    pub description: String,
    /// What kind of material.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Whether it can be replicated to other regions.
    pub multi_region: bool,
}

/// What DescribeKey tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMetadata {
    /// The key.
    pub arn: KeyArn,
    /// When it was made.
    pub created: Timestamp,
    /// Free text.
    pub description: String,
    /// Its state now.
    pub state: KeyState,
    /// Who manages it.
    pub manager: KeyManager,
    /// Its kind.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Of a multi-Region key: which it belongs to.
    pub multi_region: Option<MultiRegionKeys>,
    /// When it will be deleted, in state `PendingDeletion`.
    pub deletion_date: Option<Timestamp>,
    /// The window in days that begins when the last replica is deleted, in state
    /// `PendingReplicaDeletion`.
    pub pending_deletion_window_days: Option<u32>,
    /// When imported material expires.
    pub valid_to: Option<Timestamp>,
    /// The id of the material that encrypts, 32 hex digits; None of an asymmetric key, and while
    /// there is none.
    pub current_material: Option<String>,
}

/// The keys that share an id and material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRegionKeys {
    /// The one that the others are replicas of.
    pub primary: KeyArn,
    /// The others, by region.
    pub replicas: Vec<KeyArn>,
}

impl KmsClient {
    /// CreateKey. Blocks on file I/O, as every call here.
    ///
    /// # Errors
    /// For an unknown combination, `MalformedPolicyDocumentException` for a policy that is not
    /// understood or that locks the caller out, and as every call.
    pub fn create_key(&self, asked: &CreateKey) -> Result<KeyMetadata, KeyError> {
        let bypass = asked.bypass_policy_lockout_safety_check;
        let context = facts([
            ("kms:KeySpec", asked.spec.as_str()),
            ("kms:KeyUsage", asked.usage.as_str()),
            ("kms:KeyOrigin", asked.origin.as_str()),
            ("kms:MultiRegion", if asked.multi_region { "true" } else { "false" }),
            ("kms:BypassPolicyLockoutSafetyCheck", if bypass { "true" } else { "false" }),
        ]);
        let (inner, who, region) = (&self.inner, self.who(), &self.region);
        inner.permit_in_account(who, region, "*", "kms:CreateKey", context)?;
        let arn = inner.new_arn(region, asked)?;
        let policy = inner.policy_for_new(who, &arn, asked.policy.as_deref(), bypass)?;
        inner.make_key(&arn, asked, policy, KeyManager::Customer)?;
        Ok(inner.metadata(&inner.existing_key(&arn)?))
    }

    /// DescribeKey.
    ///
    /// # Errors
    /// As every call.
    pub fn describe_key(&self, key: &str) -> Result<KeyMetadata, KeyError> {
        let key = self.permitted(key, "kms:DescribeKey", Context::default())?;
        Ok(self.inner.metadata(&key))
    }

    /// ListKeys: all keys of the region, by id.
    ///
    /// # Errors
    /// As every call.
    pub fn list_keys(&self) -> Result<Vec<KeyArn>, KeyError> {
        let (inner, region) = (&self.inner, &self.region);
        inner.permit_in_account(self.who(), region, "*", "kms:ListKeys", Context::default())?;
        let mut ids: Vec<String> = file_names(&inner.keys_dir(region))?
            .iter()
            .filter_map(|name| name.strip_suffix(".json").filter(|id| *id != "aliases"))
            .filter(|id| matches!(id.parse(), Ok(KeyRef::Id(_))))
            .map(str::to_owned)
            .collect();
        ids.sort();
        let found = |id: String| Ok(inner.key(region, &id)?.map(|key| key.arn().clone()));
        ids.into_iter().filter_map(|id| found(id).transpose()).collect()
    }

    /// UpdateKeyDescription.
    ///
    /// # Errors
    /// When it is too long, and as every call.
    pub fn update_key_description(&self, key: &str, description: &str) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:UpdateKeyDescription", Context::default())?;
        check_description(description)?;
        self.inner.edit_key(key.arn(), |record, _| {
            record.not_pending_deletion()?;
            description.clone_into(&mut record.description);
            Ok(())
        })
    }

    /// EnableKey.
    ///
    /// # Errors
    /// As every call.
    pub fn enable_key(&self, key: &str) -> Result<(), KeyError> {
        self.switch(key, "kms:EnableKey", KeyState::Enabled)
    }

    /// DisableKey.
    ///
    /// # Errors
    /// As every call.
    pub fn disable_key(&self, key: &str) -> Result<(), KeyError> {
        self.switch(key, "kms:DisableKey", KeyState::Disabled)
    }

    fn switch(&self, key: &str, action: &str, state: KeyState) -> Result<(), KeyError> {
        let key = self.permitted(key, action, Context::default())?;
        self.inner.edit_key(key.arn(), |record, _| {
            record.switchable()?;
            record.state = state;
            Ok(())
        })
    }

    /// ScheduleKeyDeletion in 7 to 30 days, 30 when None. Gives the date; None for a multi-Region
    /// primary key, whose waiting period begins when its last replica is deleted.
    ///
    /// # Errors
    /// For another number of days, and as every call.
    pub fn schedule_key_deletion(
        &self,
        key: &str,
        window_days: Option<u32>,
    ) -> Result<Option<Timestamp>, KeyError> {
        let window_days = window_days.unwrap_or(WINDOW_DAYS_DEFAULT);
        if !WINDOW_DAYS.contains(&window_days) {
            return Err(invalid(key, format!("{window_days} days; wait 7 to 30 days")));
        }
        let days = window_days.to_string();
        let context = facts([("kms:ScheduleKeyDeletionPendingWindowInDays", days.as_str())]);
        let key = self.permitted(key, "kms:ScheduleKeyDeletion", context)?;
        self.inner.edit_key(key.arn(), |record, now| {
            record.not_pending_deletion()?;
            let waits = record.replicas().is_some_and(|replicas| !replicas.is_empty());
            let date = (!waits).then(|| now + DAY * window_days);
            record.deletion = Some(Deletion { window_days, date });
            record.state = match date {
                Some(_) => KeyState::PendingDeletion,
                None => KeyState::PendingReplicaDeletion,
            };
            Ok(date)
        })
    }

    /// CancelKeyDeletion; the key is disabled then.
    ///
    /// # Errors
    /// As every call.
    pub fn cancel_key_deletion(&self, key: &str) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:CancelKeyDeletion", Context::default())?;
        self.inner.edit_key(key.arn(), |record, _| {
            if !record.pending_deletion() {
                return Err(record.invalid(record.state()));
            }
            record.deletion = None;
            record.state = KeyState::Disabled;
            Ok(())
        })
    }
}

impl Inner {
    /// The ARN of a key to be made, when there can be one like this.
    pub(super) fn new_arn(&self, region: &Region, asked: &CreateKey) -> Result<KeyArn, KeyError> {
        check_description(&asked.description)?;
        let CreateKey { spec, usage, origin, multi_region, .. } = *asked;
        let refuse = |code, reason: &str| Err(refused(code, "the key to be made", reason));
        match (spec.rsa_bits(), usage, origin) {
            (None, KeyUsage::SignVerify, _) => {
                refuse("ValidationException", "a symmetric key encrypts; sign with an RSA key")
            }
            (Some(_), KeyUsage::EncryptDecrypt, _) => {
                refuse("UnsupportedOperationException", "RSA keys only sign here; use SIGN_VERIFY")
            }
            (Some(_), _, Origin::External) => refuse(
                "UnsupportedOperationException",
                "only symmetric material is imported here; let the store make the RSA key",
            ),
            (_, _, Origin::External) if multi_region => refuse(
                "UnsupportedOperationException",
                "material is imported into single-Region keys only here",
            ),
            _ => Ok(self.key_arn(region, new_key_id(multi_region)?)),
        }
    }

    /// Makes a key without asking whether anybody may.
    pub(super) fn make_key(
        &self,
        arn: &KeyArn,
        asked: &CreateKey,
        policy: String,
        manager: KeyManager,
    ) -> Result<(), KeyError> {
        let (text, now) = (arn.to_string(), self.clock.now());
        let next = |period_days| Schedule { period_days, next: now + DAY * period_days };
        let bits = asked.spec.rsa_bits();
        let record = Record {
            state: match asked.origin {
                Origin::AwsKms => KeyState::Enabled,
                Origin::External => KeyState::PendingImport,
            },
            created: now,
            description: asked.description.clone(),
            manager,
            spec: asked.spec,
            usage: asked.usage,
            origin: asked.origin,
            policy,
            grants: Vec::new(),
            deletion: None,
            // The keys of services are rotated every year (KMS developer guide).
            rotates: (manager == KeyManager::Aws).then(|| next(PERIOD_DAYS_DEFAULT)),
            multi_region: asked
                .multi_region
                .then(|| MultiRegion::Primary { replicas: Default::default() }),
            materials: match (bits, asked.origin) {
                (None, Origin::AwsKms) => vec![self.new_material(&text, None)?],
                _ => Vec::new(),
            },
            private_key: bits.map(|bits| self.new_private_key(&text, bits)).transpose()?,
            arn: text,
        };
        self.write_key(arn, &record)
    }

    pub(super) fn metadata(&self, key: &KmsKey) -> KeyMetadata {
        let record = key.record();
        let holder = &key.holder().record;
        let at = |region: &Region| self.key_arn(region, key.arn().id.clone());
        let replicas = holder.replicas().into_iter().flatten();
        let multi_region = record.multi_region.as_ref().map(|_| MultiRegionKeys {
            primary: key.holder().arn.clone(),
            replicas: replicas.map(at).collect(),
        });
        let imported = record.materials.iter().filter(|m| m.sealed.is_some());
        let pending = record.deletion.filter(|d| d.date.is_none());
        KeyMetadata {
            arn: key.arn().clone(),
            created: record.created,
            description: record.description.clone(),
            state: record.state(),
            manager: record.manager,
            spec: record.spec,
            usage: record.usage,
            origin: record.origin,
            multi_region,
            deletion_date: record.deletion.and_then(|d| d.date),
            pending_deletion_window_days: pending.map(|d| d.window_days),
            valid_to: imported.filter_map(|m| m.imported.as_ref()?.valid_to).next(),
            current_material: key.material().map(|m| hex::encode(m.id)),
        }
    }
}

pub(super) fn check_description(text: &str) -> Result<(), KeyError> {
    let chars = text.chars().count();
    if chars <= DESCRIPTION_CHARS_MAX {
        return Ok(());
    }
    Err(invalid("the description", format!("{chars} characters; at most {DESCRIPTION_CHARS_MAX}")))
}
