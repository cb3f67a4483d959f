//! The CloudTrail log format and the ports through which the rest of trailseal meets the world.
//!
//! The way of the data, in this crate's words: an [`event::Event`] is appended to a
//! [`log_file::LogFileBuilder`]; the bytes become one gzip member ([`gzip`]) stored under a
//! [`key::LogKey`]; a [`digest::Digest`] names the log files of a window with their hashes and
//! is stored under a [`key::DigestKey`], signed over [`digest::signing_string`].
//!
//! Everything here is pure: no I/O, no clock, no randomness, no runtime. The traits in
//! [`ports`] say what is needed from outside; adapters live elsewhere.

pub mod digest;
pub mod error;
pub mod event;
pub mod gzip;
pub mod hash;
pub mod key;
pub mod limits;
pub mod log_file;
pub mod name;
pub mod ports;
pub mod public_key;
pub mod time;

pub use error::ParseError;
pub use hash::Sha256;
pub use name::{AccountId, OrgId, Region, TrailName};
pub use time::Timestamp;
