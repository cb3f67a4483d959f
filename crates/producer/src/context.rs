//! What every part of a running delivery needs: configuration, ports, and names made of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use tokio::task::JoinError;
use trail::event::Event;
use trail::key::AccountFolder;
use trail::limits::LOG_STORED_BYTES_MAX;
use trail::ports::Pairs;
use trail::{AccountId, Timestamp};

use crate::batch::ChainId;
use crate::bucket::{Bucket, Creation};
use crate::summary::Observer;
use crate::{Config, DeliverError, Ports};

/// What every part of a running delivery needs.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) bucket: Bucket,
    pub(crate) latest: AtomicI64,
}

/// A finished task's result; its panic, if it had one.
pub(crate) fn joined<T>(result: Result<T, JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

impl Context {
    /// Now; within a run it never goes back.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.ports.clock.now().unix();
        Timestamp::from_unix(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// The account's folder.
    pub(crate) fn folder(&self, account: &AccountId) -> AccountFolder {
        let prefix = self.config.destination.prefix.clone();
        AccountFolder { prefix, org: self.config.organization.clone(), account: account.clone() }
    }

    /// Where the heads of this trail's chains lie, with a trailing slash.
    pub(crate) fn head_folder(&self) -> String {
        let trail = &self.config.trail;
        let slashed = |s: String| if s.is_empty() { s } else { s + "/" };
        let prefix = slashed(self.config.destination.prefix.clone());
        let org = self.config.organization.as_ref().map_or_else(String::new, |o| format!("{o}/"));
        format!("{prefix}trailseal/{}/{}/{org}", trail.home_region, trail.name)
    }

    /// Bucket and head folder in one: what a spool entry belongs to.
    pub(crate) fn destination(&self) -> String {
        self.bucket.url(&self.head_folder())
    }

    /// Account × region under which an event is filed (contract section 2).
    pub(crate) fn file(&self, event: &mut Event) -> ChainId {
        let trail = &self.config.trail;
        let account = event.account.take().unwrap_or_else(|| trail.account.clone());
        let region = event.region.take().unwrap_or_else(|| trail.home_region.clone());
        ChainId { account, region }
    }

    /// Puts a log file and has it confirmed.
    pub(crate) async fn put_log(&self, key: &str, body: Bytes) -> Result<(), DeliverError> {
        let (sse, metadata) = (&self.config.logs, Pairs::new());
        self.bucket.create(Creation { key, body, sse, metadata, bound: LOG_STORED_BYTES_MAX }).await
    }
}

/// How many threads the machine runs at once.
pub(crate) fn cores() -> usize {
    // Asking reads cgroup files, and it is asked for every log file.
    static CORES: AtomicU64 = AtomicU64::new(0);
    let known = CORES.load(Ordering::Relaxed);
    if known > 0 {
        return known as usize;
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    CORES.store(cores as u64, Ordering::Relaxed);
    cores
}
