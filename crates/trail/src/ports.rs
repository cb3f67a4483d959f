//! What trailseal needs from outside, as traits; adapters implement them.
//!
//! No port deletes or overwrites unconditionally: a trail only grows. The stores' differences
//! (headers of S3, files of the embedded store) end behind these traits.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{KeyError, StoreError};
use crate::name::{KeyArn, Region};
use crate::public_key::PublicKey;
use crate::{Sha256, Timestamp};

/// Names and values; for encryption contexts and user metadata.
pub type Pairs = BTreeMap<String, String>;

/// An opaque version of an object's content, as the store gives it (without quotes). Never a
/// hash to rely on: under SSE-KMS it is not the content's MD5.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ETag(pub String);

/// What must hold for a put to take place; there is no put without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// No object under the key (`If-None-Match: *`).
    Absent,
    /// The object under the key is this version (`If-Match`).
    Matches(ETag),
}

/// Server-side encryption asked of a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseRequest {
    /// SSE-S3: a key per object, wrapped by a key that the store owns.
    S3,
    /// SSE-KMS: a data key of this KMS key, under an encryption context.
    Kms {
        /// Key id, key ARN, alias name or alias ARN; must be in the bucket's region.
        key: String,
        /// Pairs that join the default `aws:s3:arn` in the encryption context.
        context: Pairs,
        /// Whether one data key per bucket serves many objects.
        bucket_key: bool,
    },
}

/// An S3 server-side encryption algorithm, as the response header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SseAlgorithm {
    /// SSE-S3.
    #[serde(rename = "AES256")]
    Aes256,
    /// SSE-KMS.
    #[serde(rename = "aws:kms")]
    Kms,
    /// DSSE-KMS.
    #[serde(rename = "aws:kms:dsse")]
    KmsDsse,
}

impl SseAlgorithm {
    /// The value of `x-amz-server-side-encryption`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms => "aws:kms",
            Self::KmsDsse => "aws:kms:dsse",
        }
    }
}

/// How an object is encrypted, as the store says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SseState {
    /// None: not encrypted, with a customer's key, or unknown; see `known`.
    pub algorithm: Option<SseAlgorithm>,
    /// The full ARN of the KMS key.
    pub kms_key: Option<String>,
    /// Whether a Bucket Key was used.
    pub bucket_key: Option<bool>,
    /// Encrypted with a key that the client keeps (SSE-C).
    pub customer_key: bool,
    /// Whether the store could say at all; a plain copy cannot.
    pub known: bool,
}

/// A put.
#[derive(Debug, Clone)]
pub struct PutRequest {
    /// The object's bytes.
    pub body: Bytes,
    /// When it may take place.
    pub precondition: Precondition,
    /// How it is to be encrypted.
    pub sse: SseRequest,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: Pairs,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'static str>,
}

/// What the store answered to a put; the writer confirms it before relying on the object.
#[derive(Debug, Clone)]
pub struct PutReceipt {
    /// The new object's version.
    pub etag: ETag,
    /// How it was in fact encrypted.
    pub sse: SseState,
    /// SHA-256 of the body as the store received it.
    pub sha256: Option<Sha256>,
    /// The version id, on a versioned bucket.
    pub version_id: Option<String>,
}

/// An object's properties. Absent means that the store cannot say, not that there is none.
#[derive(Debug, Clone)]
pub struct ObjectMeta {
    /// Stored size in bytes, as a reader gets them.
    pub size: u64,
    /// Its version.
    pub etag: Option<ETag>,
    /// When it was last written.
    pub last_modified: Option<Timestamp>,
    /// The version id, on a versioned bucket.
    pub version_id: Option<String>,
    /// User metadata, names in lower case without `x-amz-meta-`.
    pub metadata: Option<Pairs>,
    /// How it is encrypted.
    pub sse: SseState,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
}

/// An object read.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its properties.
    pub meta: ObjectMeta,
    /// Its bytes as stored by the writer: compressed ones stay compressed.
    pub body: Bytes,
}

/// A page of a listing, in order of the keys' UTF-8 bytes.
#[derive(Debug, Clone)]
pub struct ListRequest<'a> {
    /// Only keys that begin so.
    pub prefix: &'a str,
    /// Only keys after this one; it need not exist.
    pub start_after: Option<&'a str>,
    /// Whether keys with a further `/` after the prefix are folded into `prefixes`.
    pub delimiter: bool,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub struct ListEntry {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub last_modified: Option<Timestamp>,
    /// Whether it lies in an archive class and cannot be read at once.
    pub archived: bool,
}

/// What a listing gave.
#[derive(Debug, Clone, Default)]
pub struct ListPage {
    /// Objects.
    pub entries: Vec<ListEntry>,
    /// Folded prefixes, each ending in `/`.
    pub prefixes: Vec<String>,
    /// Where to go on: the next request's `start_after`. None: that was all.
    pub next: Option<String>,
}

/// An object store: S3, the embedded store, or an offline copy (which refuses puts).
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// The region that a bucket is in; None when it cannot be known (an offline copy).
    async fn bucket_region(&self, bucket: &str) -> Result<Option<Region>, StoreError>;

    /// One page of at most [`crate::limits::LIST_PAGE_KEYS`] keys and prefixes.
    async fn list(&self, bucket: &str, request: ListRequest<'_>) -> Result<ListPage, StoreError>;

    /// An object's properties.
    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectMeta, StoreError>;

    /// An object, refused when it is longer than `bound` bytes.
    async fn get(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError>;

    /// Writes an object, durably, if the precondition holds.
    async fn put(&self, bucket: &str, key: &str, put: PutRequest)
    -> Result<PutReceipt, StoreError>;

    /// The same reads without leaving the calling thread, where there is no network to wait for.
    /// Whoever reads many small objects and may block saves two changes of thread for each.
    fn blocking(&self) -> Option<&dyn BlockingRead> {
        None
    }
}

/// Reads that block the calling thread, which must be one that may.
pub trait BlockingRead {
    /// As [`ObjectStore::get`].
    ///
    /// # Errors
    /// As [`ObjectStore::get`].
    fn get_blocking(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError>;
}

/// A data key, fresh from the key service.
pub struct DataKey {
    /// 256 bits to encrypt with; forgotten when dropped.
    pub plaintext: Zeroizing<[u8; 32]>,
    /// The same under the KMS key, to keep beside the object.
    pub wrapped: Vec<u8>,
    /// The full ARN of the KMS key used.
    pub key: KeyArn,
}

/// What DescribeKey tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The full ARN.
    pub arn: KeyArn,
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// Whether automatic rotation is on; None when that could not be asked.
    pub rotation: Option<bool>,
    /// The key policy's JSON; None when it could not be read.
    pub policy: Option<String>,
}

/// A key management service (KMS), addressed by region.
#[async_trait]
pub trait KeyService: Send + Sync {
    /// Resolves `key` (id, ARN, alias) in `region` and describes it.
    async fn describe_key(&self, region: &Region, key: &str) -> Result<KeyInfo, KeyError>;

    /// Makes a data key under `context`.
    async fn generate_data_key(
        &self,
        region: &Region,
        key: &str,
        context: &Pairs,
    ) -> Result<DataKey, KeyError>;

    /// Unwraps a data key; `context` must be the one it was made under.
    async fn decrypt(
        &self,
        key: &KeyArn,
        wrapped: &[u8],
        context: &Pairs,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError>;
}

/// One signing key: RSA, PKCS#1 v1.5, SHA-256.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The public half, with the fingerprint that digests carry.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message`; the signature has as many bytes as the modulus.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// The signing keys of one signer; as on AWS, each source region has its own.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// The key that signs for `region` at `now`; made when it does not exist and may be.
    async fn signer(&self, region: &Region, now: Timestamp) -> Result<Arc<dyn Signer>, KeyError>;

    /// Whether a key with this fingerprint is or was this signer's in `region`.
    async fn owns(&self, region: &Region, fingerprint: &str) -> Result<bool, KeyError>;
}

/// Where public keys are asked for (CloudTrail ListPublicKeys).
#[async_trait]
pub trait PublicKeys: Send + Sync {
    /// All keys of `region` whose validity meets [`from`, `to`].
    async fn list_public_keys(
        &self,
        region: &Region,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<PublicKey>, KeyError>;
}

/// An entry of DescribeTrails, with the names AWS gives its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrailInfo {
    /// The trail's name.
    pub name: String,
    /// Where it delivers.
    #[serde(rename = "S3BucketName")]
    pub s3_bucket_name: String,
    /// Prefix before `AWSLogs`.
    #[serde(rename = "S3KeyPrefix", default, skip_serializing_if = "Option::is_none")]
    pub s3_key_prefix: Option<String>,
    /// Whether it takes in events of global services.
    #[serde(default)]
    pub include_global_service_events: bool,
    /// Whether it records all regions.
    #[serde(default)]
    pub is_multi_region_trail: bool,
    /// The region it was made in.
    pub home_region: String,
    /// Its ARN.
    #[serde(rename = "TrailARN")]
    pub trail_arn: String,
    /// Whether digests are written.
    #[serde(default)]
    pub log_file_validation_enabled: bool,
    /// The KMS key that logs are encrypted with, as ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Whether it records all accounts of an organization.
    #[serde(default)]
    pub is_organization_trail: bool,
}

/// Where trails are asked for (CloudTrail DescribeTrails).
#[async_trait]
pub trait Trails: Send + Sync {
    /// All trails.
    async fn describe_trails(&self) -> Result<Vec<TrailInfo>, KeyError>;
}

/// The time, and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, to the second, rounded down.
    fn now(&self) -> Timestamp;

    /// Returns when `now()` is `until` or later.
    async fn wait_until(&self, until: Timestamp);
}

/// Encrypts what the producer keeps on its own disk (the spool).
pub trait Sealer: Send + Sync {
    /// Seals `plaintext`; `name` says what it is and must be the same on opening.
    ///
    /// # Errors
    /// When the random source fails.
    fn seal(&self, name: &str, plaintext: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// Opens what [`Sealer::seal`] gave.
    ///
    /// # Errors
    /// When it was changed, or sealed under another key or name.
    fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError>;
}
