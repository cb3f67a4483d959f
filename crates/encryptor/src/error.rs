//! The errors of this crate's ciphers. They never carry key bytes or plaintext.

use std::io;

use trail::error::KeyError;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// A MAC or an authentication tag does not match.
    #[error("authentication failed: changed bytes, or another key, name or context")]
    Authentication,
    /// The bytes are not in the form that this crate writes.
    #[error("not in the sealed form: {0}")]
    Malformed(&'static str),
    /// Written by a newer version of this program.
    #[error("sealed form version {found}, but this program reads up to {supported}; upgrade it")]
    Newer {
        /// The version found.
        found: u32,
        /// The newest version that is understood.
        supported: u32,
    },
    /// The operating system's random source or the crypto library failed.
    #[error("{0} failed in the cryptographic library")]
    Library(&'static str),
}

/// Why a stream could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Reading or writing the sealed bytes failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// They could not be sealed or opened.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<CryptoError> for KeyError {
    fn from(e: CryptoError) -> Self {
        match e {
            CryptoError::Authentication | CryptoError::Malformed(_) => Self::InvalidCiphertext,
            other => Self::Internal { reason: other.to_string() },
        }
    }
}
