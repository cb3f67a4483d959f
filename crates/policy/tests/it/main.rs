//! The crate from outside: documents as they are found, requests, and what AWS would decide.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may panic as tests may")]

mod buckets;
mod conditions;
mod keys;
mod open;
mod refusals;
mod support;
