//! New material for a key: every so many days, or on demand. Older material still decrypts.

use policy::Context;
use trail::Timestamp;
use trail::error::KeyError;

use super::KmsClient;
use super::access::{invalid, refused};
use super::record::{DAY, Origin, Record, Rotated, RotationType, Schedule};

/// The period of automatic rotation in days (KMS API, EnableKeyRotation).
const PERIOD_DAYS: std::ops::RangeInclusive<u32> = 90..=2560;
pub(super) const PERIOD_DAYS_DEFAULT: u32 = 365;
/// Rotations on demand in the life of a key (KMS developer guide, "Rotate keys on demand").
const ON_DEMAND_MAX: usize = 25;

/// What GetKeyRotationStatus tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationStatus {
    /// The period in days; None: automatic rotation is off.
    pub period_days: Option<u32>,
    /// When the key is rotated next, if it is used then or later.
    pub next: Option<Timestamp>,
}

/// A rotation that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// When.
    pub date: Timestamp,
    /// Why.
    pub why: RotationType,
    /// The id of the new material, 32 hex digits.
    pub material: String,
}

impl KmsClient {
    /// EnableKeyRotation every 90 to 2560 days, 365 when None. A period other than the present one
    /// begins now. Blocks on file I/O, as every call here.
    ///
    /// # Errors
    /// For another number of days, and as every call.
    pub fn enable_key_rotation(&self, key: &str, period_days: Option<u32>) -> Result<(), KeyError> {
        let period_days = period_days.unwrap_or(PERIOD_DAYS_DEFAULT);
        if !PERIOD_DAYS.contains(&period_days) {
            let reason = format!("{period_days} days; rotate every 90 to 2560 days");
            return Err(invalid(key, reason));
        }
        let key = self.permitted(key, "kms:EnableKeyRotation", Context::default())?;
        self.inner.edit_key(key.arn(), |record, now| {
            record.may_rotate()?;
            if record.rotates.is_none_or(|schedule| schedule.period_days != period_days) {
                record.rotates = Some(Schedule { period_days, next: now + DAY * period_days });
            }
            Ok(())
        })
    }

    /// DisableKeyRotation.
    ///
    /// # Errors
    /// As every call.
    pub fn disable_key_rotation(&self, key: &str) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:DisableKeyRotation", Context::default())?;
        self.inner.edit_key(key.arn(), |record, _| {
            record.may_rotate()?;
            record.rotates = None;
            Ok(())
        })
    }

    /// GetKeyRotationStatus; of a replica its primary's. A key to be deleted does not rotate.
    ///
    /// # Errors
    /// As every call.
    pub fn key_rotation_status(&self, key: &str) -> Result<RotationStatus, KeyError> {
        let key = self.permitted(key, "kms:GetKeyRotationStatus", Context::default())?;
        key.record().has_rotating_kind()?;
        let pending = key.record().pending_deletion();
        let schedule = key.holder().record.rotates.filter(|_| !pending);
        Ok(RotationStatus {
            period_days: schedule.map(|s| s.period_days),
            next: schedule.map(|s| s.next),
        })
    }

    /// RotateKeyOnDemand, at most 25 times; automatic rotation keeps its dates.
    ///
    /// # Errors
    /// `LimitExceededException` after that, and as every call.
    pub fn rotate_key_on_demand(&self, key: &str) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:RotateKeyOnDemand", Context::default())?;
        self.inner.edit_key(key.arn(), |record, now| {
            record.may_rotate()?;
            let why = RotationType::OnDemand;
            let of_this_kind = |r: &&Rotated| r.why == why;
            let rotated = record.materials.iter().filter_map(|m| m.rotated.as_ref());
            if rotated.filter(of_this_kind).count() >= ON_DEMAND_MAX {
                let reason = format!("it was rotated on demand {ON_DEMAND_MAX} times already");
                return Err(refused("LimitExceededException", record.arn.clone(), reason));
            }
            let rotated = Some(Rotated { date: now, why });
            record.materials.push(self.inner.new_material(&record.arn, rotated)?);
            Ok(())
        })
    }

    /// ListKeyRotations, oldest first.
    ///
    /// # Errors
    /// As every call.
    pub fn list_key_rotations(&self, key: &str) -> Result<Vec<Rotation>, KeyError> {
        let key = self.permitted(key, "kms:ListKeyRotations", Context::default())?;
        key.record().has_rotating_kind()?;
        let materials = key.holder().record.materials.iter();
        let rotation = materials.filter_map(|m| {
            let Rotated { date, why } = m.rotated?;
            Some(Rotation { date, why, material: hex::encode(&m.id.0) })
        });
        Ok(rotation.collect())
    }
}

impl Record {
    fn has_rotating_kind(&self) -> Result<(), KeyError> {
        if self.spec.rsa_bits().is_some() {
            return Err(self.unsupported("asymmetric keys are not rotated; make a new key"));
        }
        if self.origin == Origin::External {
            return Err(self.unsupported("imported material is not rotated; make a new key"));
        }
        Ok(())
    }

    fn may_rotate(&self) -> Result<(), KeyError> {
        self.has_rotating_kind()?;
        if let Some(primary) = self.primary() {
            return Err(self.unsupported(format!("it rotates with its primary key in {primary}")));
        }
        self.usable()
    }
}
