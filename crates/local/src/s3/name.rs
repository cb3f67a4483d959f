//! An object's name, and the errors that name it.

use std::fmt;
use std::io;

use encryptor::CryptoError;
use encryptor::error::StreamError;
use trail::error::{KeyError, StoreError};

/// Names an object in errors.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
}

impl Name<'_> {
    fn owned(self) -> (String, String) {
        (self.bucket.to_owned(), self.key.to_owned())
    }

    pub(crate) fn not_found(self) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::NotFound { bucket, key }
    }

    pub(crate) fn denied(self, action: impl Into<String>) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::AccessDenied { bucket, key, action: action.into() }
    }

    pub(crate) fn damaged(self, reason: impl Into<String>) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::Damaged { bucket, key, reason: reason.into() }
    }

    pub(crate) fn too_large(self, size: u64, bound: u64) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::TooLarge { bucket, key, size, bound }
    }

    #[allow(clippy::needless_pass_by_value)] // for map_err
    pub(crate) fn crypto(self, e: CryptoError) -> StoreError {
        match e {
            CryptoError::Authentication | CryptoError::Malformed(_) => self.damaged(e.to_string()),
            CryptoError::Newer { .. } => self.invalid(e.to_string()),
            _ => StoreError::io(self.to_string(), io::Error::other(e)),
        }
    }

    pub(crate) fn sealing(self, e: StreamError) -> StoreError {
        match e {
            StreamError::Crypto(e) => self.crypto(e),
            StreamError::Io(e) => StoreError::io(self.to_string(), e),
            other => StoreError::io(self.to_string(), io::Error::other(other)),
        }
    }

    pub(crate) fn key_error(self, source: KeyError) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::Key { bucket, key, source }
    }

    pub(crate) fn precondition(self) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::PreconditionFailed { bucket, key }
    }

    pub(crate) fn invalid(self, reason: String) -> StoreError {
        StoreError::Invalid { what: self.to_string(), reason }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}
