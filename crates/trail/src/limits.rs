//! Every bound on what is read from outside, in one place, each with its reason.

/// An event's bytes (contract section 2). AWS trims its own events at 256 KB.
pub const EVENT_BYTES_MAX: usize = 1_048_576;

/// One line or array element of an input. Longer ones end the file: it is no event stream.
pub const INPUT_RECORD_BYTES_MAX: usize = 64 << 20;

/// Nesting of JSON; `serde_json`'s own limit, restated because events rely on it.
pub const JSON_DEPTH_MAX: usize = 128;

/// A log file as stored. AWS cuts at 50 MB before compression, and gzip never gains more than
/// a few bytes, so this admits every one of them even if stored uncompressed.
pub const LOG_STORED_BYTES_MAX: u64 = 96 << 20;

/// A log file inflated: AWS's 50 MB, with room for its own overshoot.
pub const LOG_INFLATED_BYTES_MAX: u64 = 256 << 20;

/// A digest as stored.
pub const DIGEST_STORED_BYTES_MAX: u64 = 64 << 20;

/// A digest inflated: 100,000 entries of about 900 bytes with the longest keys and buckets S3
/// allows (1,024 and 63 bytes) stay below it.
pub const DIGEST_INFLATED_BYTES_MAX: u64 = 192 << 20;

/// Entries in one digest that the producer writes; the verifier is bounded by bytes alone.
pub const DIGEST_ENTRIES_MAX: usize = 100_000;

/// An object key, in bytes of UTF-8 (S3 user guide, "Naming objects").
pub const OBJECT_KEY_BYTES_MAX: usize = 1024;

/// An object of the embedded store; S3's own bound since December 2025.
pub const OBJECT_BYTES_MAX: u64 = 50 << 40;

/// `S3KeyPrefix` of a trail (CloudTrail API, CreateTrail).
pub const KEY_PREFIX_CHARS_MAX: usize = 200;

/// User metadata of one object, names and values together (S3 user guide).
pub const USER_METADATA_BYTES_MAX: usize = 2048;

/// A sidecar line, a key list, a configuration file: nothing legitimate comes near it.
pub const SMALL_FILE_BYTES_MAX: u64 = 16 << 20;

/// A sidecar of an offline copy: one line of about 700 bytes for each of a million objects.
pub const SIDECAR_BYTES_MAX: u64 = 2 << 30;

/// Keys of one page of a listing, as S3 gives them.
pub const LIST_PAGE_KEYS: usize = 1000;

/// A KMS encryption context, names and values together. What KMS takes is not documented in
/// bytes; an S3 object's ARN and a trail's stay below a fifth of this.
pub const ENCRYPTION_CONTEXT_BYTES_MAX: usize = 8192;

const _: () = assert!(EVENT_BYTES_MAX < INPUT_RECORD_BYTES_MAX);
const _: () = assert!(LOG_STORED_BYTES_MAX < LOG_INFLATED_BYTES_MAX);
const _: () = assert!(DIGEST_STORED_BYTES_MAX < DIGEST_INFLATED_BYTES_MAX);
const _: () = assert!(DIGEST_ENTRIES_MAX * 1800 < DIGEST_INFLATED_BYTES_MAX as usize);
