//! What a delivery is told: plain values; reading them from a file is the caller's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use trail::name::{BucketName, KeyArn, TrailArn};
use trail::ports::{Clock, ObjectStore, Pairs, Sealer, SigningKeys, SseRequest};
use trail::{OrgId, Region, limits};

use crate::DeliverError;

/// Everything a delivery is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The trail: account, home region, name.
    pub trail: TrailArn,
    /// The organization whose id the folders carry, for an organization's trail.
    pub organization: Option<OrgId>,
    /// Where to.
    pub destination: Destination,
    /// Encryption of log files.
    pub logs: Sse,
    /// Encryption of digests.
    pub digests: Sse,
    /// Where log files and digest windows are cut.
    pub cutting: Cutting,
    /// The spool directory; made when absent.
    pub spool: PathBuf,
    /// Whether the delivery clock follows the events' times.
    pub replay: bool,
    /// This run's name, never used before on this trail: 1 to 64 letters, digits, `-`, `_`.
    pub run: String,
    /// How often a failing store is asked again.
    pub retry: Retry,
}

/// Where a trail delivers.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The bucket.
    pub bucket: BucketName,
    /// What stands before `AWSLogs`, without the slash; empty for none.
    pub prefix: String,
    /// The bucket's region.
    pub region: Region,
}

/// Server-side encryption of one kind of object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sse {
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms {
        /// The key; in the bucket's region.
        key: KeyArn,
        /// Whether one data key of the bucket serves many objects.
        bucket_key: bool,
    },
}

impl Sse {
    /// The store's words for it, under CloudTrail's encryption context (user guide,
    /// "Encrypting CloudTrail log files with AWS KMS keys").
    pub(crate) fn request(&self, trail: &TrailArn) -> SseRequest {
        match self {
            Self::S3 => SseRequest::S3,
            Self::Kms { key, bucket_key } => SseRequest::Kms {
                key: key.to_string(),
                context: Pairs::from([("aws:cloudtrail:arn".into(), trail.to_string())]),
                bucket_key: *bucket_key,
            },
        }
    }
}

/// Where log files and digest windows are cut.
#[derive(Debug, Clone, Copy)]
pub struct Cutting {
    /// A log file is closed when its first event came so long ago; 1 s to 1 h.
    pub flush_interval: Duration,
    /// Size of a log file in bytes before compression; one larger event still makes a file.
    pub max_log_size: usize,
    /// Events in a log file.
    pub max_log_events: usize,
    /// Digest windows end at multiples of this since the epoch; 1 min to 1 h.
    pub digest_interval: Duration,
}

impl Default for Cutting {
    /// CloudTrail's own: 5 minutes, 50 MB, an hour.
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(300),
            max_log_size: 50_000_000,
            max_log_events: usize::MAX,
            digest_interval: Duration::from_secs(3600),
        }
    }
}

/// Repetition of calls that may succeed later.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Calls in all; at least 1.
    pub attempts: u32,
    /// Pause after the first failure; doubles with each further one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_millis(200) }
    }
}

/// What a delivery works with.
#[derive(Clone)]
pub struct Ports {
    /// The destination's store.
    pub store: Arc<dyn ObjectStore>,
    /// The keys that sign digests, one for each source region.
    pub keys: Arc<dyn SigningKeys>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Seals what lies in the spool.
    pub sealer: Arc<dyn Sealer>,
}

impl Config {
    /// Refuses values outside their ranges, as [`crate::Delivery::run`] does before anything else.
    ///
    /// # Errors
    /// [`DeliverError::Config`], with the value's name in the configuration file.
    pub fn check(&self) -> Result<(), DeliverError> {
        let refuse =
            |what: &str, reason: String| Err(DeliverError::Config { what: what.into(), reason });
        let valid_run = (1..=64).contains(&self.run.len())
            && self.run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !valid_run {
            return refuse("run", "expected 1 to 64 letters, digits, - and _".into());
        }
        let Cutting { flush_interval, max_log_size, max_log_events, digest_interval } =
            self.cutting;
        if !(60..=3600).contains(&digest_interval.as_secs()) {
            return refuse("delivery.digest_interval", "expected 1m to 1h".into());
        }
        if !(1..=3600).contains(&flush_interval.as_secs()) {
            return refuse("delivery.flush_interval", "expected 1s to 1h".into());
        }
        let max = limits::LOG_INFLATED_BYTES_MAX as usize - 2 * limits::EVENT_BYTES_MAX;
        if !(1..=max).contains(&max_log_size) {
            return refuse("delivery.max_log_size", format!("expected 1 to {max} bytes"));
        }
        if max_log_events == 0 {
            return refuse("delivery.max_log_events", "expected 1 or more".into());
        }
        let prefix = &self.destination.prefix;
        if prefix.chars().count() > limits::KEY_PREFIX_CHARS_MAX
            || prefix.starts_with('/')
            || prefix.ends_with('/')
        {
            return refuse(
                "destination.url",
                "expected a prefix of at most 200 characters without a slash at its ends".into(),
            );
        }
        for (what, sse) in [("logs", &self.logs), ("digests", &self.digests)] {
            if let Sse::Kms { key, .. } = sse
                && key.region != self.destination.region
            {
                let reason = format!(
                    "{key} encrypts {what} but is not in {}, the bucket's region; use a key of \
                     that region",
                    self.destination.region
                );
                return refuse("encryption.kms_key", reason);
            }
        }
        Ok(())
    }
}
