//! A KMS key as its file holds it, and the states it can be in.

use std::collections::BTreeSet;
use std::time::Duration;

use encryptor::envelope::HexBytes;
use policy::Grant;
use serde::{Deserialize, Serialize};
use trail::error::KeyError;
use trail::{Region, Timestamp};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Enumerations that AWS has fixed names for.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$of])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// As DescribeKey prints it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    )+};
}

names! {
    /// The state of a KMS key (KMS developer guide, "Key states of AWS KMS keys").
    KeyState {
        /// Usable.
        #[default]
        Enabled = "Enabled",
        /// Refuses every cryptographic call until it is enabled again.
        Disabled = "Disabled",
        /// To be deleted on a date.
        PendingDeletion = "PendingDeletion",
        /// Its material was not imported yet, expired, or was deleted.
        PendingImport = "PendingImport",
        /// A multi-Region primary key to be deleted once its replicas are.
        PendingReplicaDeletion = "PendingReplicaDeletion",
    }
    /// What kind of material a key has.
    KeySpec {
        /// AES-256-GCM.
        #[default]
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// RSA, 2048 bits.
        Rsa2048 = "RSA_2048",
        /// RSA, 3072 bits.
        Rsa3072 = "RSA_3072",
        /// RSA, 4096 bits.
        Rsa4096 = "RSA_4096",
    }
    /// What a key is for.
    KeyUsage {
        /// Encrypt, Decrypt, GenerateDataKey and ReEncrypt.
        #[default]
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        /// Sign and Verify.
        SignVerify = "SIGN_VERIFY",
    }
    /// Where a key's material comes from.
    Origin {
        /// The key service made it.
        #[default]
        AwsKms = "AWS_KMS",
        /// It is imported.
        External = "EXTERNAL",
    }
    /// Who manages a key.
    KeyManager {
        /// The account.
        #[default]
        Customer = "CUSTOMER",
        /// The service that it was made for, such as `aws/s3`.
        Aws = "AWS",
    }
    /// Why a key got new material.
    RotationType {
        /// Its period was over.
        #[default]
        Automatic = "AUTOMATIC",
        /// RotateKeyOnDemand.
        OnDemand = "ON_DEMAND",
    }
}

impl KeySpec {
    /// The modulus of an RSA key.
    pub(super) fn rsa_bits(self) -> Option<usize> {
        match self {
            Self::SymmetricDefault => None,
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
        }
    }
}

/// A KMS key's file. What a store of the first version did not write has a default.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    pub(super) arn: String,
    pub(super) state: KeyState,
    pub(super) created: Timestamp,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) manager: KeyManager,
    #[serde(default)]
    pub(super) spec: KeySpec,
    #[serde(default)]
    pub(super) usage: KeyUsage,
    #[serde(default)]
    pub(super) origin: Origin,
    pub(super) policy: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) grants: Vec<Grant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deletion: Option<Deletion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotates: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) multi_region: Option<MultiRegion>,
    /// Symmetric material, oldest first; the last one encrypts. A replica has none: its primary
    /// has it, so that both rotate as one.
    pub(super) materials: Vec<MaterialRecord>,
    /// PKCS#8 of an asymmetric key, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) private_key: Option<HexBytes>,
}

/// A scheduled deletion.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Deletion {
    pub(super) window_days: u32,
    /// None: the window begins when the last replica is deleted.
    pub(super) date: Option<Timestamp>,
}

/// Automatic rotation.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub(super) period_days: u32,
    pub(super) next: Timestamp,
}

/// How a multi-Region key is related to those that share its id.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MultiRegion {
    Primary { replicas: BTreeSet<Region> },
    Replica { primary: Region },
}

/// One generation of symmetric material.
#[derive(Serialize, Deserialize)]
pub(super) struct MaterialRecord {
    pub(super) id: HexBytes,
    /// None: imported material that expired or was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<HexBytes>,
    /// When and why a rotation made it; None for a key's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotated: Option<Rotated>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) imported: Option<Imported>,
}

/// When and why a key got new material.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Rotated {
    pub(super) date: Timestamp,
    pub(super) why: RotationType,
}

/// What is known of imported material, also when it is gone; see
/// [`encryptor::keyring::MaterialCheck`].
#[derive(Serialize, Deserialize)]
pub(super) struct Imported {
    pub(super) salt: HexBytes,
    pub(super) check: HexBytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) valid_to: Option<Timestamp>,
}

impl Record {
    /// The state, once what is due was done.
    pub(super) fn state(&self) -> KeyState {
        let imported = self.materials.iter().any(|m| m.sealed.is_some());
        match self.state {
            KeyState::Enabled | KeyState::Disabled
                if self.origin == Origin::External && !imported =>
            {
                KeyState::PendingImport
            }
            state => state,
        }
    }

    /// Whether its waiting period is over.
    pub(super) fn gone(&self, now: Timestamp) -> bool {
        self.deletion.and_then(|d| d.date).is_some_and(|date| date <= now)
    }

    pub(super) fn pending_deletion(&self) -> bool {
        matches!(self.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion)
    }

    /// Whether it must get new material. A key that is not enabled waits until it is.
    pub(super) fn rotation_due(&self, now: Timestamp) -> bool {
        let due = self.rotates.is_some_and(|schedule| schedule.next <= now);
        due && self.state() == KeyState::Enabled
    }

    /// Whether a date has passed that changes the file.
    pub(super) fn due(&self, now: Timestamp) -> bool {
        let expired = |m: &MaterialRecord| m.sealed.is_some() && m.expired(now);
        self.gone(now)
            || self.rotation_due(now)
            || self.materials.iter().any(expired)
            // Its replicas' dates are its own.
            || self.state == KeyState::PendingReplicaDeletion
    }

    /// Cryptographic calls, and what else needs an enabled key.
    pub(super) fn usable(&self) -> Result<(), KeyError> {
        match self.state() {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KeyError::Disabled { key: self.arn.clone() }),
            state => Err(self.invalid(state)),
        }
    }

    /// Calls that a key to be deleted refuses.
    pub(super) fn not_pending_deletion(&self) -> Result<(), KeyError> {
        if self.pending_deletion() { Err(self.invalid(self.state)) } else { Ok(()) }
    }

    /// EnableKey and DisableKey.
    pub(super) fn switchable(&self) -> Result<(), KeyError> {
        match self.state() {
            KeyState::Enabled | KeyState::Disabled => Ok(()),
            state => Err(self.invalid(state)),
        }
    }

    pub(super) fn is_for(&self, usage: KeyUsage) -> Result<(), KeyError> {
        if self.usage == usage {
            return Ok(());
        }
        let (key, usage) = (self.arn.clone(), self.usage.as_str().to_owned());
        Err(KeyError::InvalidUsage { key, usage })
    }

    pub(super) fn invalid(&self, state: KeyState) -> KeyError {
        KeyError::InvalidState { key: self.arn.clone(), state: state.as_str().to_owned() }
    }

    pub(super) fn unsupported(&self, reason: impl Into<String>) -> KeyError {
        let (what, reason) = (self.arn.clone(), reason.into());
        KeyError::Refused { code: "UnsupportedOperationException", what, reason }
    }

    pub(super) fn replicas(&self) -> Option<&BTreeSet<Region>> {
        match &self.multi_region {
            Some(MultiRegion::Primary { replicas }) => Some(replicas),
            _ => None,
        }
    }

    pub(super) fn replicas_mut(&mut self) -> Option<&mut BTreeSet<Region>> {
        match &mut self.multi_region {
            Some(MultiRegion::Primary { replicas }) => Some(replicas),
            _ => None,
        }
    }

    /// The primary's region, of a replica.
    pub(super) fn primary(&self) -> Option<&Region> {
        match &self.multi_region {
            Some(MultiRegion::Replica { primary }) => Some(primary),
            _ => None,
        }
    }
}

impl MaterialRecord {
    fn expired(&self, now: Timestamp) -> bool {
        self.imported.as_ref().and_then(|i| i.valid_to).is_some_and(|end| end <= now)
    }

    /// Forgets material whose time is over; true when it did.
    pub(super) fn expire(&mut self, now: Timestamp) -> bool {
        self.expired(now) && self.sealed.take().is_some()
    }
}
