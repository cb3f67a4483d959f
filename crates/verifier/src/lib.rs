//! Proves trails: digest chains, signatures, log hashes, completeness, encryption.
//!
//! Reads only, through the ports of [`trail::ports`], and trusts nothing that a valid signature
//! does not vouch for. Findings are values ([`finding`]); a run goes on past every bad object
//! and says at the end what is proven, what is not, and why ([`report`]). It never touches a
//! private key, a clock or a file.
//!
//! A run goes: discover folders → read digests → gather keys → check each chain ([`chain`]) →
//! read and hash the logs that digests name → sweep for logs that none names → judge the
//! encryption of all that was read → report.

pub mod chain;
pub mod coverage;
mod discover;
mod encryption;
mod events;
pub mod explain;
pub mod finding;
mod key_facts;
pub mod keys;
mod logs;
mod read;
pub mod report;
mod report_run;
pub mod request;
mod run;
pub mod signature;
pub mod status;
mod unnamed;

use trail::error::StoreError;

pub use report::Report;
pub use request::{Ports, Request};

/// Why a run could not even begin: the target itself cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The target cannot be listed.
    #[error("{target} cannot be looked at: {source}")]
    Target {
        /// The target as asked.
        target: String,
        /// Why.
        source: StoreError,
    },
    /// The object to explain is neither a log nor a digest of the target.
    #[error("{object} is neither a log file nor a digest of {target}: {reason}")]
    NotExplainable {
        /// The object as asked.
        object: String,
        /// The target as asked.
        target: String,
        /// Why.
        reason: String,
    },
}

/// Runs a verification. Equal evidence gives equal reports, but for the time and version.
///
/// # Errors
/// When the target cannot be listed at all; everything else is in the report.
pub async fn verify(request: &Request, ports: &Ports) -> Result<Report, VerifyError> {
    let mut run = run::Run::new(request, ports).await?;
    run.tell_findings_of_digests();
    run.look().await;
    Ok(report_run::report(run).await)
}
