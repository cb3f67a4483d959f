//! A bucket's settings: default encryption, blocked encryption types, policy.

use std::sync::Arc;

use policy::{Kind, Policy};
use serde::{Deserialize, Serialize};
use trail::Region;
use trail::error::StoreError;

use crate::files::{FileError, read_json};
use crate::store::Inner;

/// What objects are encrypted with when a put does not say (PutBucketEncryption). As in S3, the
/// key is not looked at before an object is written with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sse")]
pub enum DefaultSse {
    /// SSE-S3.
    #[default]
    #[serde(rename = "AES256")]
    S3,
    /// SSE-KMS.
    #[serde(rename = "aws:kms")]
    Kms {
        /// Key id, ARN or alias; None: the account's `aws/s3` key.
        key: Option<String>,
        /// Whether a Bucket Key is used.
        bucket_key: bool,
    },
    /// DSSE-KMS.
    #[serde(rename = "aws:kms:dsse")]
    Dsse {
        /// As for SSE-KMS.
        key: Option<String>,
    },
}

/// A bucket's encryption setting (GetBucketEncryption).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEncryption {
    /// What objects are encrypted with when a put does not say.
    pub default: DefaultSse,
    /// Whether writes with SSE-C are refused (`BlockedEncryptionTypes`: `SSE-C`), as on new
    /// buckets since April 2026.
    pub customer_keys_blocked: bool,
}

impl Default for BucketEncryption {
    fn default() -> Self {
        Self { default: DefaultSse::S3, customer_keys_blocked: true }
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct SettingsFile {
    #[serde(default)]
    pub(crate) encryption: BucketEncryption,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
}

/// Settings as they are used: the policy is read once for each change.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) encryption: BucketEncryption,
    pub(crate) policy: Option<Policy>,
}

/// A bucket as one request sees it.
pub(crate) struct Bucket<'a> {
    pub(crate) name: &'a str,
    pub(crate) region: Region,
    pub(crate) settings: Arc<Settings>,
}

impl Inner {
    pub(crate) fn bucket<'a>(&self, name: &'a str) -> Result<Bucket<'a>, StoreError> {
        let region = self.region_of(name)?;
        let path = self.settings_path(name)?;
        let settings = self.settings.get(&path, |bytes| {
            let content = |e: &dyn std::fmt::Display| FileError::content(&path, e);
            let file: SettingsFile = serde_json::from_slice(bytes).map_err(|e| content(&e))?;
            let read = |json: String| Policy::parse(&json, Kind::Bucket);
            let policy = file.policy.map(read).transpose().map_err(|e| content(&e))?;
            Ok::<_, FileError>(Settings { encryption: file.encryption, policy })
        })?;
        Ok(Bucket { name, region, settings: settings.unwrap_or_default() })
    }

    /// Changes a bucket's settings; one writer at a time.
    pub(crate) fn edit_settings(
        &self,
        bucket: &str,
        edit: impl FnOnce(&mut SettingsFile),
    ) -> Result<(), StoreError> {
        let path = self.settings_path(bucket)?;
        let _lock = self.files.lock(&format!("bucket-{bucket}"))?;
        let mut file: SettingsFile = read_json(&path)?.unwrap_or_default();
        edit(&mut file);
        Ok(self.files.replace_json(&path, &file)?)
    }
}
