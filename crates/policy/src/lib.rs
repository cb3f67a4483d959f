//! Who may do what: the JSON policies of IAM, S3 buckets and KMS keys, and KMS grants.
//!
//! Pure: a [`Caller`], documents and a [`Request`] go in, a [`Decision`] with its reason comes
//! out. What a document says and this crate does not know is refused when the document is read,
//! never skipped when it is used.

mod caller;
mod condition;
mod context;
mod decide;
mod document;
mod grant;
mod json;
mod keys;
mod party;
mod query;
mod statement;
mod wildcard;

pub use caller::{Caller, Principal};
pub use context::Context;
pub use decide::{Decision, Request, bucket_access, key_access};
pub use document::{Kind, Policy, PolicyError};
pub use grant::{Grant, GrantConstraint};
