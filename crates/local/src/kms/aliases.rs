//! Aliases: names for keys, which can be pointed at other keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use policy::Context;
use trail::Region;
use trail::error::KeyError;
use trail::name::{KeyArn, KeyRef, partition_of};

use super::KmsClient;
use super::access::{invalid, refused};
use super::keys::{KmsKey, not_found};
use crate::files::FileError;
use crate::store::Inner;

/// Aliases of one region, so that their file stays one that can be read.
const ALIASES_MAX: usize = 10_000;

type Aliases = BTreeMap<String, String>;

/// An alias as ListAliases gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// With `alias/`.
    pub name: String,
    /// The key it points at.
    pub key_id: String,
}

impl KmsClient {
    /// CreateAlias: `alias/NAME` for a key of the region. Blocks on file I/O.
    ///
    /// # Errors
    /// When the alias exists or its name is not one, and as every call.
    pub fn create_alias(&self, alias: &str, key: &str) -> Result<(), KeyError> {
        let name = new_alias_name(alias)?;
        let key = self.find(key)?;
        self.permit_alias("kms:CreateAlias", &name, &[&key])?;
        key.record().not_pending_deletion()?;
        self.inner.edit_aliases(&self.region, |all| {
            if all.contains_key(&name) {
                let reason = "it exists; update it, or choose another name";
                return Err(refused("AlreadyExistsException", alias, reason));
            }
            if all.len() >= ALIASES_MAX {
                let reason = format!("{} has {ALIASES_MAX} aliases already", self.region);
                return Err(refused("LimitExceededException", alias, reason));
            }
            all.insert(name, key.arn().id.clone());
            Ok(())
        })
    }

    /// UpdateAlias: points an alias at another key of the same kind. Blocks on file I/O.
    ///
    /// # Errors
    /// When the alias does not exist, or the keys differ in kind or usage, and as every call.
    pub fn update_alias(&self, alias: &str, key: &str) -> Result<(), KeyError> {
        let name = new_alias_name(alias)?;
        let (old, new) = (self.find(&format!("alias/{name}"))?, self.find(key)?);
        self.permit_alias("kms:UpdateAlias", &name, &[&old, &new])?;
        new.record().not_pending_deletion()?;
        let kind = |k: &KmsKey| (k.record().spec.rsa_bits().is_some(), k.record().usage);
        if kind(&old) != kind(&new) {
            let reason = format!("{} and {} differ in kind or usage", old.arn(), new.arn());
            return Err(invalid(alias, reason));
        }
        self.inner.edit_aliases(&self.region, |all| match all.get_mut(&name) {
            Some(id) => {
                new.arn().id.clone_into(id);
                Ok(())
            }
            None => Err(not_found(alias, &self.region)),
        })
    }

    /// DeleteAlias; the key stays. Blocks on file I/O.
    ///
    /// # Errors
    /// When the alias does not exist, and as every call.
    pub fn delete_alias(&self, alias: &str) -> Result<(), KeyError> {
        let name = new_alias_name(alias)?;
        let key = self.find(&format!("alias/{name}"))?;
        self.permit_alias("kms:DeleteAlias", &name, &[&key])?;
        self.inner.edit_aliases(&self.region, |all| match all.remove(&name) {
            Some(_) => Ok(()),
            None => Err(not_found(alias, &self.region)),
        })
    }

    /// ListAliases, by name: of the region, or of one key. Blocks on file I/O.
    ///
    /// # Errors
    /// As every call.
    pub fn list_aliases(&self, key: Option<&str>) -> Result<Vec<Alias>, KeyError> {
        let (who, region) = (self.who(), &self.region);
        self.inner.permit_in_account(who, region, "*", "kms:ListAliases", Context::default())?;
        let only = key.map(|key| self.find(key)).transpose()?;
        let all = self.inner.aliases(region)?;
        let wanted = |id: &str| only.as_ref().is_none_or(|key| key.arn().id == id);
        let alias = |(name, id): (&String, &String)| {
            let name = format!("alias/{name}");
            wanted(id).then(|| Alias { name, key_id: id.clone() })
        };
        Ok(all.iter().flat_map(|all| all.iter()).filter_map(alias).collect())
    }

    /// An alias needs permission on itself, by identity policy, and on every key concerned.
    fn permit_alias(&self, action: &str, name: &str, keys: &[&KmsKey]) -> Result<(), KeyError> {
        let (inner, who, region) = (&self.inner, self.who(), &self.region);
        let partition = partition_of(region);
        let arn = format!("arn:{partition}:kms:{region}:{}:alias/{name}", inner.account);
        inner.permit_in_account(who, region, &arn, action, Context::default())?;
        keys.iter().try_for_each(|key| inner.permit(who, key, action, Context::default()))
    }
}

impl Inner {
    fn aliases_path(&self, region: &Region) -> PathBuf {
        self.keys_dir(region).join("aliases.json")
    }

    pub(super) fn aliases(&self, region: &Region) -> Result<Option<Arc<Aliases>>, KeyError> {
        let path = self.aliases_path(region);
        self.kms.aliases.get(&path, |bytes| {
            serde_json::from_slice(bytes).map_err(|e| FileError::content(&path, e).into())
        })
    }

    /// The names, without `alias/`, that point at a key.
    pub(super) fn aliases_of(&self, key: &KeyArn) -> Result<Vec<String>, KeyError> {
        let all = self.aliases(&key.region)?;
        let of_key = |(name, id): (&String, &String)| (*id == key.id).then(|| name.clone());
        Ok(all.iter().flat_map(|all| all.iter()).filter_map(of_key).collect())
    }

    fn edit_aliases<T>(
        &self,
        region: &Region,
        edit: impl FnOnce(&mut Aliases) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let _lock = self.files.lock(&format!("aliases-{region}"))?;
        let mut all = self.aliases(region)?.map(|all| (*all).clone()).unwrap_or_default();
        let result = edit(&mut all)?;
        self.files.replace_json(&self.aliases_path(region), &all)?;
        Ok(result)
    }

    pub(super) fn forget_aliases_of(&self, region: &Region, id: &str) -> Result<(), KeyError> {
        if self.aliases_of(&self.key_arn(region, id.to_owned()))?.is_empty() {
            return Ok(());
        }
        self.edit_aliases(region, |all| {
            all.retain(|_, of| of != id);
            Ok(())
        })
    }

    /// The key behind an alias (without `alias/`), made by `make` when there is none, and then
    /// true. Of several processes that do so at once, one makes it.
    pub(super) fn key_behind(
        &self,
        region: &Region,
        name: &str,
        make: impl FnOnce() -> Result<KeyArn, KeyError>,
    ) -> Result<(KeyArn, bool), KeyError> {
        let existing = || match self.aliases(region)?.and_then(|all| all.get(name).cloned()) {
            Some(id) => match self.key(region, &id)? {
                Some(key) => Ok(Some(key.arn().clone())),
                // Only damage takes a key away and leaves its alias.
                None if self.aliases(region)?.is_some_and(|all| all.contains_key(name)) => {
                    Err(not_found(&id, region))
                }
                None => Ok(None),
            },
            None => Ok(None),
        };
        // Before the lock, which a key whose date has passed must be able to take.
        if let Some(arn) = existing()? {
            return Ok((arn, false));
        }
        let _lock = self.files.lock(&format!("aliases-{region}"))?;
        let mut all = self.aliases(region)?.map(|all| (*all).clone()).unwrap_or_default();
        if let Some(id) = all.get(name) {
            return Ok((self.key_arn(region, id.clone()), false));
        }
        let made = make()?;
        all.insert(name.to_owned(), made.id.clone());
        // If we stop here: a key that nobody knows of.
        self.files.replace_json(&self.aliases_path(region), &all)?;
        Ok((made, true))
    }
}

/// The name after `alias/`; nothing else will do where an alias is made.
pub(super) fn alias_name(alias: &str) -> Result<String, KeyError> {
    match alias.parse().map_err(KeyError::Malformed)? {
        KeyRef::Alias { name, region: None, account: None } => Ok(name),
        _ => Err(KeyError::Malformed(trail::ParseError::new("alias", alias, "alias/NAME"))),
    }
}

pub(super) fn new_alias_name(alias: &str) -> Result<String, KeyError> {
    let name = alias_name(alias)?;
    if name.starts_with("aws/") {
        let reason = "alias/aws/ is reserved for keys that AWS services make";
        return Err(refused("NotAuthorizedException", alias, reason));
    }
    Ok(name)
}
