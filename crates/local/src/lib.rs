//! What trailseal keeps on a local disk: the embedded store, and offline copies.
//!
//! [`Store`] is one directory with buckets, KMS keys, signing keys and trails, all of it really
//! encrypted at rest under one root secret. [`OfflineCopy`] reads a directory or a tar of objects
//! as an object store; [`MirrorWriter`] writes such a directory. All of them do file I/O on
//! blocking threads, never on the runtime's own.
//!
//! Several processes may use one store at once: every file appears whole or not at all, objects
//! are created by hard link (which the file system decides), and what is read, changed and
//! written back is done under a lock file.

mod cache;
mod clock;
mod copy;
mod copy_index;
mod files;
mod key_path;
pub mod kms;
mod listing;
mod mirror;
mod object_keys;
mod objects;
pub mod s3;
mod s3_root;
mod sidecar;
mod signing;
mod spool;
mod store;
mod trails;

pub use clock::SystemClock;
pub use copy::OfflineCopy;
pub use files::FileError;
pub use kms::{KmsCalls, KmsClient};
pub use mirror::MirrorWriter;
pub use s3::S3Client;
pub use sidecar::{SidecarLine, SourceInfo};
pub use signing::{ListedSigningKey, PemSigner, StoreSigningKeys};
pub use spool::spool_key;
pub use store::{DEFAULT_ACCOUNT, OpenError, OpenOptions, Store};
