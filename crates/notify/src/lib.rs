//! Tells a webhook what a run concluded.
//!
//! A message is a summary, never the report: its size is bounded whatever was found. That it
//! could not be delivered is an error of its own and changes no verdict.

mod message;
mod retry;
mod webhook;

pub use crate::message::Kind;
pub use crate::webhook::{NotifyError, Webhook};
