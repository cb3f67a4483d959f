//! What a request says about itself: condition keys and their values.

use std::collections::BTreeMap;

use trail::ports::Pairs;

use crate::keys::ENCRYPTION_CONTEXT;

/// Condition keys with their values. Names of keys are compared without regard to case (IAM
/// user guide, "Condition keys").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// By name in lower case; never an empty list.
    keys: BTreeMap<String, Vec<String>>,
    /// As given: grants compare names with regard to case.
    encryption_context: Pairs,
}

impl Context {
    /// Sets a key to one value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.set_all(key, [value.into()]);
    }

    /// Sets a multivalued key, such as `kms:ResourceAliases`; without values, it is absent.
    pub fn set_all(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let key = key.to_ascii_lowercase();
        let values: Vec<String> = values.into_iter().collect();
        if values.is_empty() {
            self.keys.remove(&key);
        } else {
            self.keys.insert(key, values);
        }
    }

    /// Sets `kms:EncryptionContext:NAME` for every pair, and `kms:EncryptionContextKeys`.
    pub fn set_encryption_context(&mut self, pairs: &Pairs) {
        self.keys.retain(|key, _| !key.starts_with(ENCRYPTION_CONTEXT));
        for (name, value) in pairs {
            // Names that differ only in case are one key with several values.
            let key = format!("{ENCRYPTION_CONTEXT}{}", name.to_ascii_lowercase());
            self.keys.entry(key).or_default().push(value.clone());
        }
        self.set_all("kms:EncryptionContextKeys", pairs.keys().cloned());
        self.encryption_context.clone_from(pairs);
    }

    /// The values of a key; None when the request has none.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.keys.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }

    pub(crate) fn encryption_context(&self) -> &Pairs {
        &self.encryption_context
    }
}
