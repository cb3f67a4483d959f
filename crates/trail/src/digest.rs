//! Digests: what they say, how they are written, and the string that is signed.
//!
//! Source: CloudTrail user guide, "digest file structure" and "custom validation".

use serde::{Deserialize, Serialize};

use crate::{ParseError, Sha256, Timestamp};

/// The only signature algorithm there is.
pub const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";
/// The only hash algorithm there is.
pub const HASH_ALGORITHM: &str = "SHA-256";
/// User metadata of a digest object: the signature, lower-case hex.
pub const META_SIGNATURE: &str = "signature";
/// User metadata of a digest object: [`SIGNATURE_ALGORITHM`].
pub const META_SIGNATURE_ALGORITHM: &str = "signature-algorithm";
/// User metadata of a backfill digest: when it was made, RFC 3339.
pub const META_BACKFILL_TIME: &str = "backfill-generation-timestamp";

/// A digest's content. Field order is the order of the bytes that are written.
///
/// Fields that AWS may add later are ignored; a known field that occurs twice is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    /// The account whose logs these are.
    pub aws_account_id: String,
    /// Start of the window of delivery.
    pub digest_start_time: String,
    /// End of the window of delivery; equals the stamp in the key.
    pub digest_end_time: String,
    /// The bucket that this digest was written to.
    #[serde(rename = "digestS3Bucket")]
    pub digest_s3_bucket: String,
    /// The key that this digest was written to.
    #[serde(rename = "digestS3Object")]
    pub digest_s3_object: String,
    /// The fingerprint of the key that signs this digest.
    pub digest_public_key_fingerprint: String,
    /// [`SIGNATURE_ALGORITHM`].
    pub digest_signature_algorithm: String,
    /// Latest event time in all logs named; null when there are none.
    #[serde(deserialize_with = "present")]
    pub newest_event_time: Option<String>,
    /// Earliest event time in all logs named; null when there are none.
    #[serde(deserialize_with = "present")]
    pub oldest_event_time: Option<String>,
    /// The predecessor's bucket; null at the start of a chain.
    #[serde(rename = "previousDigestS3Bucket", deserialize_with = "present")]
    pub previous_digest_s3_bucket: Option<String>,
    /// The predecessor's key; null at the start of a chain.
    #[serde(rename = "previousDigestS3Object", deserialize_with = "present")]
    pub previous_digest_s3_object: Option<String>,
    /// SHA-256 of the predecessor's uncompressed bytes, lower-case hex.
    #[serde(deserialize_with = "present")]
    pub previous_digest_hash_value: Option<String>,
    /// [`HASH_ALGORITHM`].
    #[serde(deserialize_with = "present")]
    pub previous_digest_hash_algorithm: Option<String>,
    /// The predecessor's signature, lower-case hex.
    #[serde(deserialize_with = "present")]
    pub previous_digest_signature: Option<String>,
    /// The log files delivered in the window, in no order.
    pub log_files: Vec<LogEntry>,
}

/// A log file that a digest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Its bucket.
    #[serde(rename = "s3Bucket")]
    pub s3_bucket: String,
    /// Its key.
    #[serde(rename = "s3Object")]
    pub s3_object: String,
    /// SHA-256 of its uncompressed bytes, lower-case hex.
    pub hash_value: String,
    /// [`HASH_ALGORITHM`].
    pub hash_algorithm: String,
    /// Latest event time in it.
    pub newest_event_time: String,
    /// Earliest event time in it.
    pub oldest_event_time: String,
}

/// Null is a statement and must be written; an absent field is a malformed digest.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(d)
}

impl Digest {
    /// Reads a digest's uncompressed bytes.
    ///
    /// # Errors
    /// When they are not JSON, or a field is absent, twice there, or of another type.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Writes the uncompressed bytes: compact JSON in AWS's field order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and lists always serialize")
    }

    /// The window's start.
    ///
    /// # Errors
    /// When the text is not a time.
    pub fn start(&self) -> Result<Timestamp, ParseError> {
        Timestamp::parse_rfc3339(&self.digest_start_time)
    }

    /// The window's end.
    ///
    /// # Errors
    /// When the text is not a time.
    pub fn end(&self) -> Result<Timestamp, ParseError> {
        Timestamp::parse_rfc3339(&self.digest_end_time)
    }

    /// The predecessor's bucket and key, when both are there.
    #[must_use]
    pub fn previous(&self) -> Option<(&str, &str)> {
        Some((
            self.previous_digest_s3_bucket.as_deref()?,
            self.previous_digest_s3_object.as_deref()?,
        ))
    }
}

/// The bytes that are signed: end time, location, hash of the digest's uncompressed bytes and
/// the predecessor's signature (or `null`), joined by line feeds, none at the end.
#[must_use]
pub fn signing_string(digest: &Digest, hash: &Sha256) -> String {
    format!(
        "{}\n{}/{}\n{hash}\n{}",
        digest.digest_end_time,
        digest.digest_s3_bucket,
        digest.digest_s3_object,
        digest.previous_digest_signature.as_deref().unwrap_or("null"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Digest {
        let null = || None;
        Digest {
            aws_account_id: "111122223333".into(),
            digest_start_time: "2015-08-17T14:01:31Z".into(),
            digest_end_time: "2015-08-17T15:01:31Z".into(),
            digest_s3_bucket: "b".into(),
            digest_s3_object: "c".into(),
            digest_public_key_fingerprint: "31e8b5433410dfb61a9dc45cc65b22ff".into(),
            digest_signature_algorithm: SIGNATURE_ALGORITHM.into(),
            newest_event_time: null(),
            oldest_event_time: null(),
            previous_digest_s3_bucket: null(),
            previous_digest_s3_object: null(),
            previous_digest_hash_value: null(),
            previous_digest_hash_algorithm: null(),
            previous_digest_signature: null(),
            log_files: vec![],
        }
    }

    #[test]
    fn signing_string_as_the_aws_cli_tests_it() {
        let digest = Digest { digest_end_time: "a".into(), ..sample() };
        assert_eq!(
            signing_string(&digest, &Sha256::of(b"abc")),
            "a\nb/c\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nnull"
        );
    }

    #[test]
    fn bytes_are_compact_in_awss_order_and_read_back() {
        let bytes = sample().to_bytes();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with(
            r#"{"awsAccountId":"111122223333","digestStartTime":"2015-08-17T14:01:31Z","digestEndTime":"#
        ));
        assert!(text.ends_with(r#""previousDigestSignature":null,"logFiles":[]}"#));
        assert_eq!(Digest::parse(&bytes).unwrap(), sample());
    }

    #[test]
    fn absent_doubled_and_mistyped_fields_are_refused_and_new_ones_ignored() {
        let text = String::from_utf8(sample().to_bytes()).unwrap();
        let parse = |from: &str, to: &str| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            Digest::parse(changed.as_bytes())
        };
        assert!(parse(r#","previousDigestSignature":null"#, "").is_err());
        assert!(parse(r#","logFiles":[]"#, "").is_err());
        assert!(parse(r#""logFiles":[]"#, r#""logFiles":[],"logFiles":[]"#).is_err());
        assert!(parse(r#""logFiles":[]"#, r#""logFiles":[{}]"#).is_err());
        assert!(parse(r#""111122223333""#, "111122223333").is_err());
        assert!(parse("{", "{\"somethingNew\":{},").is_ok());
    }
}
