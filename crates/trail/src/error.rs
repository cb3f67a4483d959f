//! Errors of parsing, and of the ports.

use std::sync::Arc;

/// A string that is not what its type demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} is not valid: expected {expected}")]
pub struct ParseError {
    /// The type's name in the field's words, such as `region`.
    pub what: &'static str,
    /// The string as found, shortened to 200 characters.
    pub found: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

impl ParseError {
    /// A refusal of `found` where `expected` was needed.
    #[must_use]
    pub fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
        Self { what, found: found.chars().take(200).collect(), expected }
    }
}

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same call may succeed later.
    Retry,
    /// The call is refused as it stands; somebody must change something.
    Refuse,
    /// The state behind the port is not what it must be; stop and look.
    Halt,
}

/// Why an object store did not do as asked. Every variant names the object or bucket.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No object under this key.
    #[error("s3://{bucket}/{key} does not exist")]
    NotFound {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
    },
    /// No such bucket.
    #[error("bucket {bucket} does not exist")]
    NoSuchBucket {
        /// Bucket name.
        bucket: String,
    },
    /// A put's precondition did not hold (HTTP 412): the object exists, or is another one.
    #[error("s3://{bucket}/{key} is not in the state that the write demanded")]
    PreconditionFailed {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
    },
    /// The caller may not (HTTP 403). `action` is what is missing, as far as known.
    #[error("access to s3://{bucket}/{key} is denied: {action}")]
    AccessDenied {
        /// Bucket name.
        bucket: String,
        /// Object key, empty for the bucket itself.
        key: String,
        /// The action that the caller lacks.
        action: String,
    },
    /// In an archive storage class; must be restored before it can be read.
    #[error("s3://{bucket}/{key} is archived; restore it before reading")]
    Archived {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
    },
    /// Longer than the reader's bound.
    #[error("s3://{bucket}/{key} has {size} bytes, more than the {bound} that are read")]
    TooLarge {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
        /// Stored size in bytes.
        size: u64,
        /// The bound in bytes.
        bound: u64,
    },
    /// What is stored fails its authentication: it was changed on disk.
    #[error("s3://{bucket}/{key} is damaged at rest: {reason}")]
    Damaged {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
        /// What failed.
        reason: String,
    },
    /// The key service refused (KMS error code in `source`).
    #[error("s3://{bucket}/{key}: {source}")]
    Key {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
        /// The key service's error.
        source: KeyError,
    },
    /// A name, header or option the store does not accept.
    #[error("{what}: {reason}")]
    Invalid {
        /// The thing refused.
        what: String,
        /// Why, and what would be accepted.
        reason: String,
    },
    /// The store could not be asked, or gave up (network, disk).
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the object or path.
        what: String,
        /// The cause.
        source: Arc<std::io::Error>,
    },
}

impl StoreError {
    /// An I/O failure while doing `what`.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source: Arc::new(source) }
    }

    /// What the caller can do.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::ReadOnlyFilesystem => ErrorClass::Refuse,
                _ => ErrorClass::Retry,
            },
            Self::Damaged { .. } | Self::PreconditionFailed { .. } => ErrorClass::Halt,
            _ => ErrorClass::Refuse,
        }
    }
}

/// Why a key service refused, with the names KMS gives its errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// `NotFoundException`: no such key or alias in that region.
    #[error("KMS key {key} does not exist in {region}")]
    NotFound {
        /// The key id, ARN or alias asked for.
        key: String,
        /// The region asked.
        region: String,
    },
    /// The key lives in another region than the bucket.
    #[error("KMS key {key} is not in {region}, the bucket's region; use a key of that region")]
    WrongRegion {
        /// The key's ARN.
        key: String,
        /// The region it must be in.
        region: String,
    },
    /// `DisabledException`.
    #[error("KMS key {key} is disabled")]
    Disabled {
        /// The key's ARN.
        key: String,
    },
    /// `KMSInvalidStateException`.
    #[error("KMS key {key} is {state}")]
    InvalidState {
        /// The key's ARN.
        key: String,
        /// Its state, as DescribeKey prints it.
        state: String,
    },
    /// `InvalidKeyUsageException`: not a symmetric encryption key.
    #[error("KMS key {key} cannot encrypt: its usage is {usage}")]
    InvalidUsage {
        /// The key's ARN.
        key: String,
        /// Its usage, as DescribeKey prints it.
        usage: String,
    },
    /// `InvalidCiphertextException`: wrong encryption context, or bytes that were changed.
    #[error("KMS could not decrypt the data key: wrong encryption context, or changed bytes")]
    InvalidCiphertext,
    /// `AccessDeniedException`.
    #[error("KMS denies {action} on {key}")]
    AccessDenied {
        /// The key's ARN.
        key: String,
        /// The action, such as `kms:Decrypt`.
        action: String,
    },
    /// Not a key id, key ARN, alias name or alias ARN.
    #[error("{0}")]
    Malformed(ParseError),
    /// The key service itself failed or could not be asked.
    #[error("the key service failed: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}
