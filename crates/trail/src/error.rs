//! Errors of parsing, and of the ports.

use std::borrow::Cow;
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
    /// Any other refusal that S3 has a name for.
    #[error("{what}: {reason} ({code})")]
    Refused {
        /// S3's error code, such as `InvalidRequest`.
        code: &'static str,
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

    /// The code that S3 gives the error (S3 API reference, "Error responses"). What KMS refuses
    /// comes under its own name behind `KMS.`, a denial as S3's own.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotFound { .. } => "NoSuchKey",
            Self::NoSuchBucket { .. } => "NoSuchBucket",
            Self::PreconditionFailed { .. } => "PreconditionFailed",
            Self::AccessDenied { .. } | Self::Key { source: KeyError::AccessDenied { .. }, .. } => {
                "AccessDenied"
            }
            Self::Archived { .. } => "InvalidObjectState",
            Self::TooLarge { .. } => "EntityTooLarge",
            Self::Key { source: KeyError::Internal { .. }, .. }
            | Self::Damaged { .. }
            | Self::Io { .. } => "InternalError",
            Self::Key { source, .. } => return Cow::Owned(format!("KMS.{}", source.code())),
            Self::Invalid { .. } => "InvalidArgument",
            Self::Refused { code, .. } => code,
        })
    }

    /// The HTTP status that S3 answers with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code().as_ref() {
            "NoSuchKey" | "NoSuchBucket" | "NoSuchBucketPolicy" => 404,
            "PreconditionFailed" => 412,
            "AccessDenied" | "InvalidObjectState" => 403,
            "BucketAlreadyOwnedByYou" | "BucketNotEmpty" => 409,
            "InvalidRange" => 416,
            "InternalError" => 500,
            _ => 400,
        }
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
    /// The key lives in another region than the one asked, which for S3 is the bucket's.
    #[error("KMS key {key} is not in {region}; use a key of that region")]
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
    /// `InvalidKeyUsageException`: one that signs was to encrypt, or the other way round.
    #[error("KMS key {key} is refused: its usage is {usage}; use a key made for this")]
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
    #[error("KMS denies {action} on {key}: {reason}")]
    AccessDenied {
        /// The key's ARN.
        key: String,
        /// The action, such as `kms:Decrypt`.
        action: String,
        /// Which statement denies, or what would have had to allow.
        reason: String,
    },
    /// Any other refusal that KMS has a name for.
    #[error("{what}: {reason} ({code})")]
    Refused {
        /// KMS's error name, such as `AlreadyExistsException`.
        code: &'static str,
        /// The key, alias or grant.
        what: String,
        /// Why, and what would be accepted.
        reason: String,
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

impl KeyError {
    /// The name that KMS gives the error (KMS API reference, "Errors").
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            // KMS knows keys of its own region only.
            Self::NotFound { .. } | Self::WrongRegion { .. } => "NotFoundException",
            Self::Disabled { .. } => "DisabledException",
            Self::InvalidState { .. } => "KMSInvalidStateException",
            Self::InvalidUsage { .. } => "InvalidKeyUsageException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::Refused { code, .. } => code,
            Self::Malformed(_) => "ValidationException",
            Self::Internal { .. } => "KMSInternalException",
        }
    }
}
