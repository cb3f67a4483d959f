//! The store's key service: KMS keys with their policies, grants, states and aliases, per region.
//!
//! Everything is asked of a [`KmsClient`], which acts for one caller, and is decided by key
//! policy, identity policies and grants. The store itself asks in the name of a request to S3
//! (`s3`), and as the account's root for the port [`KeyService`].

mod access;
mod aliases;
mod crypto;
mod grants;
mod import;
mod keys;
mod lifecycle;
mod policies;
mod record;
mod replicas;
mod rotation;
mod s3;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use policy::Caller;
use trail::Region;
use trail::error::KeyError;
use trail::name::{KeyArn, partition_of};
use trail::ports::{DataKey, KeyInfo, KeyService, Pairs};
use zeroize::Zeroizing;

pub use aliases::Alias;
pub use crypto::{Decrypted, Encrypted, KeyAndContext, Message, PublicHalf};
pub use grants::CreateGrant;
pub use lifecycle::{CreateKey, KeyMetadata, MultiRegionKeys};
pub use record::{KeyManager, KeySpec, KeyState, KeyUsage, Origin, RotationType};
pub use replicas::ReplicateKey;
pub use rotation::{Rotation, RotationStatus};

pub(crate) use access::Use;
pub(crate) use s3::s3_service;

use crate::cache::FileCache;
use crate::files::blocking;
use crate::store::{Inner, Store};

/// Calls of the key service since the store was opened, by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmsCalls {
    /// `kms:GenerateDataKey`.
    pub generate_data_key: u64,
    /// `kms:Decrypt`.
    pub decrypt: u64,
}

/// What the key service keeps in memory.
#[derive(Default)]
pub(crate) struct Kms {
    keys: FileCache<keys::KeyFile>,
    aliases: FileCache<BTreeMap<String, String>>,
    generated: AtomicU64,
    decrypted: AtomicU64,
}

/// The key service of one region, as one caller sees it. Cheap to clone.
///
/// The calls are KMS's own (KMS API reference); `key` is a key id, key ARN, alias name or alias
/// ARN, and for a caller of another account an ARN. Every call can fail with
///
/// - [`KeyError::Malformed`], [`KeyError::NotFound`] or [`KeyError::WrongRegion`] for the name,
/// - [`KeyError::AccessDenied`],
/// - [`KeyError::Disabled`] or [`KeyError::InvalidState`] for the key's state, and
///   `UnsupportedOperationException` or [`KeyError::InvalidUsage`] for its kind,
/// - [`KeyError::Internal`] when the store cannot be read or written.
#[derive(Clone)]
pub struct KmsClient {
    inner: Arc<Inner>,
    caller: Arc<Caller>,
    region: Region,
}

impl KmsClient {
    fn who(&self) -> Use<'_> {
        Use::direct(&self.caller)
    }

    fn find(&self, key: &str) -> Result<keys::KmsKey, KeyError> {
        self.inner.find_key(self.who(), &self.region, key)
    }

    fn permitted(
        &self,
        key: &str,
        action: &str,
        context: policy::Context,
    ) -> Result<keys::KmsKey, KeyError> {
        self.inner.permitted(self.who(), &self.region, key, action, context)
    }
}

impl Store {
    /// The key service of a region, asked by `caller`.
    #[must_use]
    pub fn kms(&self, caller: Arc<Caller>, region: &Region) -> KmsClient {
        KmsClient { inner: Arc::clone(&self.inner), caller, region: region.clone() }
    }

    /// The key service as the account's root sees it.
    #[must_use]
    pub fn kms_as_root(&self, region: &Region) -> KmsClient {
        self.kms(Arc::new(self.inner.root(region)), region)
    }

    /// Makes an enabled symmetric key with the default policy, as the account's root. Blocks on
    /// file I/O.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create_key(&self, region: &Region) -> Result<KeyArn, KeyError> {
        Ok(self.kms_as_root(region).create_key(&CreateKey::default())?.arn)
    }

    /// The key behind `alias/NAME`; made with its alias when there is none, and then true. Of
    /// several processes that do so at once, one makes it. Blocks on file I/O.
    ///
    /// # Errors
    /// When the name is not an alias's, or the key cannot be written.
    pub fn key_behind_alias(
        &self,
        region: &Region,
        alias: &str,
    ) -> Result<(KeyArn, bool), KeyError> {
        match aliases::alias_name(alias)?.as_str() {
            s3::ALIAS => self.inner.s3_key(region),
            _ => {
                let name = aliases::new_alias_name(alias)?;
                self.inner.key_behind(region, &name, || self.create_key(region))
            }
        }
    }

    /// How often the key service was called.
    #[must_use]
    pub fn kms_calls(&self) -> KmsCalls {
        KmsCalls {
            generate_data_key: self.inner.kms.generated.load(Ordering::Relaxed),
            decrypt: self.inner.kms.decrypted.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    pub(crate) fn root(&self, region: &Region) -> Caller {
        Caller::root(partition_of(region), self.account.clone())
    }
}

/// Every call is made as the account's root.
#[async_trait]
impl KeyService for Store {
    async fn describe_key(&self, region: &Region, key: &str) -> Result<KeyInfo, KeyError> {
        let (kms, key) = (self.kms_as_root(region), key.to_owned());
        blocking(move || {
            let about = kms.describe_key(&key)?;
            let arn = about.arn.to_string();
            Ok(KeyInfo {
                state: about.state.as_str().to_owned(),
                rotation: readable(kms.key_rotation_status(&arn))?.map(|s| s.period_days.is_some()),
                policy: readable(kms.get_key_policy(&arn))?,
                arn: about.arn,
            })
        })
        .await
    }

    async fn generate_data_key(
        &self,
        region: &Region,
        key: &str,
        context: &Pairs,
    ) -> Result<DataKey, KeyError> {
        let (kms, key, context) = (self.kms_as_root(region), key.to_owned(), context.clone());
        blocking(move || kms.generate_data_key(&key, &context)).await
    }

    async fn decrypt(
        &self,
        key: &KeyArn,
        wrapped: &[u8],
        context: &Pairs,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let (kms, key) = (self.kms_as_root(&key.region), key.to_string());
        let (wrapped, context) = (wrapped.to_vec(), context.clone());
        blocking(move || {
            Ok(kms.decrypt(Some(&key), &wrapped, &context)?.data_key()?.bytes().clone())
        })
        .await
    }
}

/// None where root may not look, or where the key's kind leaves nothing to say.
fn readable<T>(answer: Result<T, KeyError>) -> Result<Option<T>, KeyError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(KeyError::AccessDenied { .. } | KeyError::Refused { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}
