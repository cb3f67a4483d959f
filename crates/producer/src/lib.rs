//! The one-shot delivery behind `trailseal deliver`: events in; log files and a chain of signed
//! digests for every account × region out.
//!
//! The way of the data: [`Input`]s are split into records (`split`), parsed, filed by account ×
//! region and gathered into log files (`batch`); each log file is compressed, sealed into the
//! spool (`spool`) and then put and confirmed (`bucket`). When all are in, every chain of the
//! trail is carried on to one common end (`window`, `chain`), and the spool is emptied.
//!
//! Two facts make a stop at any line harmless. A log file is in the spool, with its key, before
//! it is in the bucket, and stays there until a published digest names it. And a digest becomes
//! part of its chain by one compare-and-swap of the chain's head object, which holds the digest
//! whole, so that whoever comes next can publish it.
//!
//! This crate knows the format and the ports of `trail`, never an adapter.

mod batch;
mod bucket;
mod chain;
mod check;
mod config;
mod context;
mod error;
mod input;
mod log;
mod rejects;
mod run;
mod split;
mod spool;
mod summary;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod window;

pub use config::{Config, Cutting, Destination, Ports, Retry, Sse};
pub use error::DeliverError;
pub use input::Input;
pub use run::Delivery;
pub use summary::{ChainSummary, Observer, Summary};
