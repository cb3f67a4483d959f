//! What a delivery did, and whom it tells while doing it.

use std::path::PathBuf;

use serde::Serialize;
use trail::{AccountId, Region};

/// What a delivery did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The run's name.
    pub run: String,
    /// Events accepted: `delivered` + `already_delivered`.
    pub accepted: u64,
    /// Events in log files that this run made.
    pub delivered: u64,
    /// Events that an interrupted run had delivered; not delivered again.
    pub already_delivered: u64,
    /// Pieces of the input that were no events.
    pub rejected: u64,
    /// Log files that this run made.
    pub logs: u64,
    /// Log files of interrupted runs that this run put or named in digests.
    pub recovered_logs: u64,
    /// Digests that this run made.
    pub digests: u64,
    /// Every chain of the trail.
    pub chains: Vec<ChainSummary>,
    /// Where the rejected pieces are, when there are any.
    pub rejects: Option<PathBuf>,
}

/// What a delivery did in one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainSummary {
    /// The account.
    pub account: AccountId,
    /// The source region.
    pub region: Region,
    /// Log files that this run's digests name.
    pub logs: u64,
    /// Digests that this run made.
    pub digests: u64,
    /// The chain's newest digest.
    pub last_digest: Option<String>,
}

/// Told while a delivery goes on; for a progress bar. Calls come from many threads.
pub trait Observer: Send + Sync {
    /// `count` more events were read; rejected pieces count too.
    fn events_read(&self, count: u64) {
        let _ = count;
    }
    /// A log file with so many events is in the bucket and confirmed.
    fn log_delivered(&self, events: u64) {
        let _ = events;
    }
    /// So many digests will be published.
    fn digests_planned(&self, count: u64) {
        let _ = count;
    }
    /// A digest is in the bucket and confirmed.
    fn digest_published(&self) {}
}

/// Nobody is told.
impl Observer for () {}
