//! What users rely on, driven through the real binary; see `support` for how.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may panic as tests may")]

#[macro_use]
mod support;

mod aws_vectors;
mod bad_input;
mod damage;
mod demo;
mod encryption;
mod flaky;
mod gaps;
mod offline;
mod pipeline;
mod readme;
mod reports;
mod secrets;
mod stratus;
mod tamper;
mod tidy;
