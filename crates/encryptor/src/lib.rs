//! Encryption at rest and signing: the cryptography of the embedded store, without its files.
//!
//! The keys stand in a tree. A [`keys::RootSecret`] gives, by HKDF, one key per purpose; those
//! wrap the store's SSE-S3 root keys, KMS key material and private signing keys ([`keyring`]);
//! these in turn wrap one data key per object; a data key encrypts the object's bytes
//! ([`envelope`]). [`signing`] holds digest signing keys, [`spool_key`] seals the producer's
//! spool.
//!
//! Everything is pure: no file I/O and no clock. Randomness comes from the operating system
//! through aws-lc. Key types have neither `Debug` nor `Clone` nor `Serialize`, and forget their
//! bytes when dropped.

pub mod envelope;
pub mod error;
pub mod keyring;
pub mod keys;
pub mod signing;
pub mod spool_key;

pub use error::CryptoError;
