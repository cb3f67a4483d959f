//! What a run is asked to prove, and through which ports it looks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::report::ReportedFinding;
use trail::name::{KeyArn, TrailArn};
use trail::ports::{KeyService, ObjectStore, PublicKeys, TrailInfo, Trails};
use trail::public_key::PublicKey;
use trail::{AccountId, Region, Timestamp, TrailName};

/// How deep a run looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Digests only.
    Digests,
    /// And every log's hash.
    Logs,
    /// And every event.
    Events,
}

/// What is demanded of an object's encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SseDemand {
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms,
    /// Whatever it is.
    Any,
}

/// A KMS key that logs may be encrypted with, and when.
#[derive(Debug, Clone)]
pub struct AllowedKey {
    /// The key.
    pub arn: KeyArn,
    /// From when on; None: always.
    pub from: Option<Timestamp>,
    /// Until when; None: for ever.
    pub to: Option<Timestamp>,
}

/// Public keys that the operator gave.
#[derive(Debug, Clone)]
pub struct GivenKey {
    /// The key.
    pub key: PublicKey,
    /// The file it came from.
    pub source: String,
}

/// What an offline copy says of itself.
#[derive(Debug, Clone, Default)]
pub struct CopyFacts {
    /// Bucket and prefix it was taken from.
    pub source: Option<(String, String)>,
    /// The bucket's region.
    pub bucket_region: Option<Region>,
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
    /// The trails that wrote there.
    pub trails: Vec<TrailInfo>,
    /// Public keys that lie beside it; not trusted.
    pub keys: Vec<PublicKey>,
    /// Whether it lists its objects. Then an object that it does not list was added, and one
    /// that it lists but does not hold was removed.
    pub sidecar: bool,
    /// Keys that it lists but does not hold.
    pub absent: BTreeSet<String>,
    /// What could not be read of it, one line each.
    pub warnings: Vec<String>,
}

/// A run's question.
#[derive(Debug, Clone)]
pub struct Request {
    /// The target as the user wrote it.
    pub target: String,
    /// The bucket asked; empty for an offline copy.
    pub bucket: String,
    /// What stands before the folders to verify; empty for all.
    pub prefix: String,
    /// Facts of an offline copy, when the target is one.
    pub copy: Option<CopyFacts>,
    /// Only this trail.
    pub trail_arn: Option<TrailArn>,
    /// Only trails of this name.
    pub trail_name: Option<TrailName>,
    /// Only these accounts, each of which must have a chain.
    pub accounts: BTreeSet<AccountId>,
    /// Only these regions, each of which must have a chain.
    pub regions: BTreeSet<Region>,
    /// Start of the time asked; None: each chain's own first digest.
    pub start: Option<Timestamp>,
    /// End of the time asked; None: now, or when a copy was taken.
    pub end: Option<Timestamp>,
    /// The newest stretch that may be undigested.
    pub grace: Duration,
    /// How long a late log may wait for a backfill digest.
    pub backfill_grace: Duration,
    /// Digests older than this may have expired.
    pub retention: Option<Duration>,
    /// Logs older than this may have expired.
    pub log_retention: Option<Duration>,
    /// Public keys given.
    pub keys: Vec<GivenKey>,
    /// KMS keys that logs must be encrypted with.
    pub kms_keys: Vec<AllowedKey>,
    /// What is demanded of logs.
    pub log_sse: SseDemand,
    /// What is demanded of digests.
    pub digest_sse: SseDemand,
    /// Accounts that may own KMS keys; empty: the trail's.
    pub key_accounts: BTreeSet<AccountId>,
    /// The bucket's region where it cannot be asked.
    pub bucket_region: Option<Region>,
    /// Bucket and prefix to which the objects were first delivered.
    pub original: Option<(String, String)>,
    /// How deep to look.
    pub depth: Depth,
    /// Whether to look for logs that no digest names.
    pub unreferenced: bool,
    /// Whether archived logs are left out.
    pub skip_archived: bool,
    /// Objects read at once; 0: as the machine suggests.
    pub concurrency: usize,
}

impl Request {
    /// A question with the contract's defaults.
    #[must_use]
    pub fn new(target: &str, bucket: &str, prefix: &str) -> Self {
        const HOUR: u64 = 3600;
        Self {
            target: target.to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            copy: None,
            trail_arn: None,
            trail_name: None,
            accounts: BTreeSet::new(),
            regions: BTreeSet::new(),
            start: None,
            end: None,
            grace: Duration::from_secs(2 * HOUR),
            backfill_grace: Duration::from_secs(72 * HOUR),
            retention: None,
            log_retention: None,
            keys: Vec::new(),
            kms_keys: Vec::new(),
            log_sse: SseDemand::Kms,
            digest_sse: SseDemand::Any,
            key_accounts: BTreeSet::new(),
            bucket_region: None,
            original: None,
            depth: Depth::Logs,
            unreferenced: true,
            skip_archived: false,
            concurrency: 0,
        }
    }

    /// Whether chains of this account and region are asked for.
    #[must_use]
    pub fn wants(&self, account: &AccountId, region: &Region) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(account))
            && (self.regions.is_empty() || self.regions.contains(region))
    }

    /// Whether this trail is asked for.
    #[must_use]
    pub fn wants_trail(&self, name: &TrailName, home_region: &Region) -> bool {
        self.trail_name.as_ref().is_none_or(|n| n == name)
            && self
                .trail_arn
                .as_ref()
                .is_none_or(|a| a.name == *name && a.home_region == *home_region)
    }
}

/// Sees a run's progress.
pub trait Progress: Send + Sync {
    /// A new kind of work begins, with this many objects.
    fn begin(&self, what: &'static str, objects: u64);
    /// An object of `bytes` stored bytes is done.
    fn done(&self, bytes: u64);
    /// A finding that stays: the report will have it too. What can be said only when all is
    /// known comes with the report alone.
    fn found(&self, _finding: &ReportedFinding) {}
}

/// Sees nothing.
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _: &'static str, _: u64) {}
    fn done(&self, _: u64) {}
}

/// The ports of a run. What is absent is noted in the report, not an error.
#[derive(Clone)]
pub struct Ports {
    /// Where the objects are.
    pub store: Arc<dyn ObjectStore>,
    /// Where public keys are asked for.
    pub public_keys: Option<Arc<dyn PublicKeys>>,
    /// Where trails are asked for.
    pub trails: Option<Arc<dyn Trails>>,
    /// Where KMS keys are asked for.
    pub kms: Option<Arc<dyn KeyService>>,
    /// The time of the run.
    pub now: Timestamp,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}
