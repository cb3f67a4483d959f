//! The store's key service: KMS keys with their policies, states and aliases, per region.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use encryptor::envelope::HexBytes;
use encryptor::keyring::{Ciphertext, Material, MaterialId};
use encryptor::keys::{SecretKey, random};
use serde::{Deserialize, Serialize};
use trail::error::KeyError;
use trail::name::{KeyArn, KeyRef, partition_of};
use trail::ports::{DataKey, KeyInfo, KeyService, Pairs};
use trail::{Region, Timestamp};
use zeroize::Zeroizing;

use crate::cache::FileCache;
use crate::files::{FileError, blocking};
use crate::store::{Inner, Store};

/// The state of a KMS key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// Usable.
    Enabled,
    /// Refuses to encrypt and to decrypt until it is enabled again.
    Disabled,
    /// To be deleted; refuses as when disabled.
    PendingDeletion,
}

impl KeyState {
    /// As DescribeKey prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

/// Calls of the key service since the store was opened, by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmsCalls {
    /// `kms:GenerateDataKey`.
    pub generate_data_key: u64,
    /// `kms:Decrypt`.
    pub decrypt: u64,
}

#[derive(Default)]
pub(crate) struct Kms {
    keys: FileCache<KmsKey>,
    aliases: FileCache<BTreeMap<String, String>>,
    generated: AtomicU64,
    decrypted: AtomicU64,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    arn: String,
    state: KeyState,
    created: Timestamp,
    rotation: bool,
    policy: String,
    /// Oldest first; the last one encrypts.
    materials: Vec<MaterialFile>,
}

#[derive(Serialize, Deserialize)]
struct MaterialFile {
    id: HexBytes,
    sealed: HexBytes,
}

pub(crate) struct KmsKey {
    pub(crate) arn: KeyArn,
    state: KeyState,
    rotation: bool,
    policy: String,
    materials: Vec<Material>,
}

impl KmsKey {
    /// Refused unless enabled, with the error that KMS gives for the state.
    pub(crate) fn usable(&self) -> Result<(), KeyError> {
        let key = self.arn.to_string();
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KeyError::Disabled { key }),
            KeyState::PendingDeletion => {
                Err(KeyError::InvalidState { key, state: "pending deletion".to_owned() })
            }
        }
    }
}

impl Store {
    /// Makes an enabled symmetric key with the default policy. Blocks on file I/O.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create_key(&self, region: &Region) -> Result<KeyArn, KeyError> {
        let inner = &self.inner;
        let arn = KeyArn {
            partition: partition_of(region).to_owned(),
            region: region.clone(),
            account: inner.account.clone(),
            id: uuid()?,
        };
        let material = Material::generate()?;
        let text = arn.to_string();
        let sealed = inner
            .secrets
            .kms_wrap
            .seal(&material_aad(&text, &material.id), material.key.bytes().as_slice())?;
        let file = KeyFile {
            state: KeyState::Enabled,
            created: inner.clock.now(),
            rotation: false,
            policy: default_policy(&arn),
            materials: vec![MaterialFile {
                id: HexBytes(material.id.to_vec()),
                sealed: HexBytes(sealed),
            }],
            arn: text,
        };
        // If we stop here: no key, or one that nobody knows of.
        inner.files.create_json(&inner.key_path(region, &arn.id)?, &file)?;
        Ok(arn)
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
        let name = alias_name(alias)?;
        let inner = &self.inner;
        let _lock = inner.files.lock(&format!("aliases-{region}"))?;
        let mut aliases = inner.aliases(region)?.map(|a| (*a).clone()).unwrap_or_default();
        if let Some(id) = aliases.get(&name) {
            return Ok((inner.kms_key(region, id)?.arn.clone(), false));
        }
        let made = self.create_key(region)?;
        aliases.insert(name, made.id.clone());
        // If we stop here: a key that nobody knows of.
        inner.files.replace_json(&inner.aliases_path(region), &aliases)?;
        Ok((made, true))
    }

    /// Points `alias/NAME` at a key of the region; moves it when it exists. Blocks on file I/O.
    ///
    /// # Errors
    /// When the name is not an alias's or the key does not exist.
    pub fn create_alias(&self, region: &Region, alias: &str, key_id: &str) -> Result<(), KeyError> {
        let name = alias_name(alias)?;
        let inner = &self.inner;
        let key = inner.kms_key(region, key_id)?;
        let _lock = inner.files.lock(&format!("aliases-{region}"))?;
        let mut aliases = inner.aliases(region)?.map(|a| (*a).clone()).unwrap_or_default();
        aliases.insert(name, key.arn.id.clone());
        Ok(inner.files.replace_json(&inner.aliases_path(region), &aliases)?)
    }

    /// Enables or disables a key, or schedules its deletion. Blocks on file I/O.
    ///
    /// # Errors
    /// When the key does not exist.
    pub fn set_key_state(
        &self,
        region: &Region,
        key_id: &str,
        state: KeyState,
    ) -> Result<(), KeyError> {
        self.inner.edit_key(region, key_id, |key| key.state = state)
    }

    /// Replaces a key's policy, which is kept and shown but not enforced. Blocks on file I/O.
    ///
    /// # Errors
    /// When the key does not exist.
    pub fn set_key_policy(
        &self,
        region: &Region,
        key_id: &str,
        policy: &str,
    ) -> Result<(), KeyError> {
        self.inner.edit_key(region, key_id, |key| policy.clone_into(&mut key.policy))
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
    fn key_path(&self, region: &Region, id: &str) -> Result<PathBuf, KeyError> {
        // An id becomes a file name; only the parsed form is known to be harmless as one.
        match parse(id)? {
            KeyRef::Id(id) => Ok(self.files.path("kms").join(region.as_str()).join(id + ".json")),
            _ => Err(not_found(id, region)),
        }
    }

    fn aliases_path(&self, region: &Region) -> PathBuf {
        self.files.path("kms").join(region.as_str()).join("aliases.json")
    }

    fn aliases(&self, region: &Region) -> Result<Option<Arc<BTreeMap<String, String>>>, KeyError> {
        let path = self.aliases_path(region);
        self.kms.aliases.get(&path, |bytes| {
            serde_json::from_slice(bytes).map_err(|e| FileError::content(&path, e).into())
        })
    }

    /// The key that `key` (id, ARN, alias) means in `region`, as it is on disk now.
    pub(crate) fn kms_key(&self, region: &Region, key: &str) -> Result<Arc<KmsKey>, KeyError> {
        let elsewhere = |of: &Region| {
            let wrong = KeyError::WrongRegion { key: key.to_owned(), region: region.to_string() };
            if of == region { Ok(()) } else { Err(wrong) }
        };
        let id = match parse(key)? {
            KeyRef::Id(id) => id,
            KeyRef::Arn(arn) => {
                elsewhere(&arn.region)?;
                if arn.account != self.account {
                    return Err(not_found(key, region));
                }
                arn.id
            }
            KeyRef::Alias { name, region: of } => {
                of.as_ref().map_or(Ok(()), elsewhere)?;
                let aliases = self.aliases(region)?;
                let id = aliases.and_then(|a| a.get(&name).cloned());
                id.ok_or_else(|| not_found(key, region))?
            }
        };
        let path = self.key_path(region, &id)?;
        let read = self.kms.keys.get(&path, |bytes| self.open_key(&path, bytes))?;
        read.ok_or_else(|| not_found(key, region))
    }

    fn open_key(&self, path: &std::path::Path, bytes: &[u8]) -> Result<KmsKey, KeyError> {
        let file: KeyFile =
            serde_json::from_slice(bytes).map_err(|e| FileError::content(path, e))?;
        let open = |m: MaterialFile| {
            let id: MaterialId = m.id.0.try_into().map_err(|_| "a material id has 16 bytes")?;
            self.secrets
                .kms_wrap
                .open(&material_aad(&file.arn, &id), &m.sealed.0)
                .and_then(|key| Ok(Material { id, key: SecretKey::from_slice(&key)? }))
                .map_err(|_| "its material was not sealed by this store, or changed")
        };
        let materials: Result<Vec<_>, &str> = file.materials.into_iter().map(open).collect();
        let (state, rotation, policy) = (file.state, file.rotation, file.policy);
        let arn = file.arn.parse().map_err(KeyError::Malformed)?;
        let materials = materials.map_err(|e| FileError::content(path, e))?;
        Ok(KmsKey { arn, state, rotation, policy, materials })
    }

    fn edit_key(
        &self,
        region: &Region,
        key_id: &str,
        edit: impl FnOnce(&mut KeyFile),
    ) -> Result<(), KeyError> {
        let id = self.kms_key(region, key_id)?.arn.id.clone();
        let path = self.key_path(region, &id)?;
        let _lock = self.files.lock(&format!("key-{id}"))?;
        let mut file: KeyFile =
            crate::files::read_json(&path)?.ok_or_else(|| not_found(&id, region))?;
        edit(&mut file);
        Ok(self.files.replace_json(&path, &file)?)
    }

    /// GenerateDataKey.
    pub(crate) fn generate_data_key(
        &self,
        key: &KmsKey,
        context: &Pairs,
    ) -> Result<DataKey, KeyError> {
        self.kms.generated.fetch_add(1, Ordering::Relaxed);
        key.usable()?;
        let no_material = || KeyError::Internal { reason: format!("{} has no material", key.arn) };
        let material = key.materials.last().ok_or_else(no_material)?;
        let data_key = SecretKey::generate()?;
        let wrapped =
            material.encrypt(&key.arn.to_string(), context, data_key.bytes().as_slice())?;
        Ok(DataKey { plaintext: data_key.bytes().clone(), wrapped, key: key.arn.clone() })
    }

    /// Decrypt.
    pub(crate) fn decrypt_data_key(
        &self,
        key: &KmsKey,
        wrapped: &[u8],
        context: &Pairs,
    ) -> Result<SecretKey, KeyError> {
        self.kms.decrypted.fetch_add(1, Ordering::Relaxed);
        key.usable()?;
        let ciphertext = Ciphertext::parse(wrapped)?;
        let material = key.materials.iter().find(|m| m.id == ciphertext.material);
        let opened = material.ok_or(KeyError::InvalidCiphertext)?.decrypt(
            &key.arn.to_string(),
            context,
            &ciphertext,
        )?;
        Ok(SecretKey::from_slice(&opened)?)
    }
}

/// The name after `alias/`; nothing else will do where an alias is made.
fn alias_name(alias: &str) -> Result<String, KeyError> {
    match parse(alias)? {
        KeyRef::Alias { name, region: None } => Ok(name),
        _ => {
            let expected = "alias/NAME";
            Err(KeyError::Malformed(trail::ParseError::new("alias", alias, expected)))
        }
    }
}

#[async_trait]
impl KeyService for Store {
    async fn describe_key(&self, region: &Region, key: &str) -> Result<KeyInfo, KeyError> {
        let (inner, region, key) = (Arc::clone(&self.inner), region.clone(), key.to_owned());
        blocking(move || {
            let key = inner.kms_key(&region, &key)?;
            Ok(KeyInfo {
                arn: key.arn.clone(),
                state: key.state.as_str().to_owned(),
                // Keys of this store cannot be rotated yet; a state nobody can change is no news.
                rotation: key.rotation.then_some(true),
                policy: Some(key.policy.clone()),
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
        let (inner, region, key) = (Arc::clone(&self.inner), region.clone(), key.to_owned());
        let context = context.clone();
        blocking(move || inner.generate_data_key(&*inner.kms_key(&region, &key)?, &context)).await
    }

    async fn decrypt(
        &self,
        key: &KeyArn,
        wrapped: &[u8],
        context: &Pairs,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        let (wrapped, context) = (wrapped.to_vec(), context.clone());
        blocking(move || {
            let key = inner.kms_key(&key.region, &key.to_string())?;
            Ok(inner.decrypt_data_key(&key, &wrapped, &context)?.bytes().clone())
        })
        .await
    }
}

fn parse(key: &str) -> Result<KeyRef, KeyError> {
    key.parse().map_err(KeyError::Malformed)
}

fn not_found(key: &str, region: &Region) -> KeyError {
    KeyError::NotFound { key: key.to_owned(), region: region.to_string() }
}

fn material_aad<'a>(arn: &'a str, id: &'a MaterialId) -> [&'a [u8]; 3] {
    [b"kms-material", arn.as_bytes(), id]
}

/// UUID version 4 (RFC 9562, section 5.4).
fn uuid() -> Result<String, KeyError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{b:02x}"); // writing to a String cannot fail
    }
    Ok(text)
}

/// What KMS gives a key made without a policy: the account's root may do everything.
fn default_policy(arn: &KeyArn) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:{}:iam::{}:root", arn.partition, arn.account)},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}
