//! What stands beside an offline copy's objects, in `.trailseal/`: written by the mirror, read
//! by [`crate::OfflineCopy`].

use serde::{Deserialize, Deserializer, Serialize};
use trail::Timestamp;
use trail::ports::{ETag, ObjectMeta, Pairs, SseAlgorithm, SseState, TrailInfo};

pub(crate) const FOLDER: &str = ".trailseal/";
pub(crate) const OBJECTS: &str = ".trailseal/objects.ndjson";
pub(crate) const PUBLIC_KEYS: &str = ".trailseal/public-keys.json";
pub(crate) const SOURCE: &str = ".trailseal/source.json";

/// Bytes of one line; a key, its metadata and the rest stay far below.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;

/// `source.json`: where a copy was taken from. An absent field is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceInfo {
    /// The bucket.
    pub bucket: Option<String>,
    /// What stood before the keys that the copy has.
    pub prefix: Option<String>,
    /// The bucket's region.
    pub bucket_region: Option<String>,
    /// When the copy was complete.
    pub taken_at: Option<Timestamp>,
    /// DescribeTrails, as it answered then.
    pub trails: Option<Vec<TrailInfo>>,
}

/// A line of `objects.ndjson`. An absent or null field is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidecarLine {
    /// The key, relative to the copy.
    pub key: String,
    /// Size in bytes.
    pub size: Option<u64>,
    /// When it was last written.
    pub last_modified: Option<Timestamp>,
    /// Its version tag, without quotes.
    pub etag: Option<String>,
    /// Its version id.
    pub version_id: Option<String>,
    /// User metadata.
    pub metadata: Option<Pairs>,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`; any other name reads as unknown.
    #[serde(deserialize_with = "known_algorithm")]
    pub server_side_encryption: Option<SseAlgorithm>,
    /// The KMS key's ARN.
    pub ssekms_key_id: Option<String>,
    /// Whether a Bucket Key was used.
    pub bucket_key_enabled: Option<bool>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
}

/// S3 may name further algorithms; the rest of the line is good all the same.
fn known_algorithm<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SseAlgorithm>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(d)?).ok())
}

impl SidecarLine {
    /// The line of an object that lies in the copy under `key`.
    #[must_use]
    pub fn of(key: &str, meta: &ObjectMeta) -> Self {
        Self {
            key: key.to_owned(),
            size: Some(meta.size),
            last_modified: meta.last_modified,
            etag: meta.etag.as_ref().map(|e| e.0.clone()),
            version_id: meta.version_id.clone(),
            metadata: meta.metadata.clone(),
            server_side_encryption: meta.sse.algorithm,
            ssekms_key_id: meta.sse.kms_key.clone(),
            bucket_key_enabled: meta.sse.bucket_key,
            content_type: meta.content_type.clone(),
            content_encoding: meta.content_encoding.clone(),
        }
    }

    /// The properties of an object of `size` bytes.
    pub(crate) fn into_meta(self, size: u64) -> ObjectMeta {
        let names_in_lower_case =
            |m: Pairs| m.into_iter().map(|(n, v)| (n.to_lowercase(), v)).collect();
        ObjectMeta {
            size,
            etag: self.etag.map(|e| ETag(e.trim_matches('"').to_owned())),
            last_modified: self.last_modified,
            version_id: self.version_id,
            metadata: self.metadata.map(names_in_lower_case),
            sse: SseState {
                known: self.server_side_encryption.is_some(),
                algorithm: self.server_side_encryption,
                kms_key: self.ssekms_key_id,
                bucket_key: self.bucket_key_enabled,
                customer_key: false,
            },
            content_type: self.content_type,
            content_encoding: self.content_encoding,
        }
    }
}
