//! Encryption at rest and signing: the cryptography of the embedded store, without its files.
//!
//! The keys stand in a tree. A [`keys::RootSecret`] gives, by HKDF, one key per purpose; those
//! wrap the store's SSE-S3 root keys, KMS key material and private signing keys ([`keyring`]);
//! these in turn wrap one data key per object, or two with DSSE; a data key encrypts the object's
//! bytes ([`envelope`]). A [`customer_key`] comes with each request instead (SSE-C).
//! [`signing`] holds digest signing keys, [`spool_key`] seals the producer's spool.
//! [`client_side`] stands apart: it seals what a store is never to read.
//!
//! Everything is pure: no file I/O and no clock. Randomness comes from the operating system
//! through aws-lc. Key types have neither `Debug` nor `Clone` nor `Serialize`, and forget their
//! bytes when dropped.
//!
//! # FIPS 140-3
//!
//! All ciphers, MACs, key derivations and signatures of this crate are aws-lc-rs's. Built with
//! its feature `fips` (in the workspace's `Cargo.toml`: `features = ["fips"]` instead of
//! `["aws-lc-sys"]`; the build then needs CMake and Go), they run in the validated AWS-LC module.
//! Two things are then still the operator's to judge: MD5, which is used where S3 names things
//! with it and protects nothing, is not the module's; and the nonces of chunks are counters under
//! a key of their own (SP 800-38D, section 8.2.1), which the module cannot know to be unique and
//! so does not count as an approved service.

pub mod client_side;
pub mod customer_key;
pub mod envelope;
pub mod error;
pub mod keyring;
pub mod keys;
pub mod signing;
pub mod spool_key;

pub use error::{CryptoError, StreamError};
