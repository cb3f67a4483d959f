//! Stores that answer late, partly or not at all: what a network store may do, on purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use local::{OpenOptions, Store, SystemClock};
use trail::Region;
use trail::error::StoreError;
use trail::ports::{
    Clock as _, ListPage, ListRequest, Object, ObjectMeta, ObjectStore, PutReceipt, PutRequest,
};
use verifier::finding::Code;
use verifier::report::Verdict;
use verifier::request::{NoProgress, Ports, Request};

use crate::support::*;

/// A store in front of another, as one behind a network: it has no blocking reads.
struct Flaky {
    inner: Store,
    /// Keys that listings leave out, as when they were written after their page was read.
    unlisted: Vec<String>,
    /// What a key's n-th read answers instead of the object.
    answer: fn(&str, usize) -> Option<StoreError>,
    reads: Mutex<HashMap<String, usize>>,
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn bucket_region(&self, bucket: &str) -> Result<Option<Region>, StoreError> {
        self.inner.bucket_region(bucket).await
    }

    async fn list(&self, bucket: &str, request: ListRequest<'_>) -> Result<ListPage, StoreError> {
        let mut page = self.inner.list(bucket, request).await?;
        page.entries.retain(|e| !self.unlisted.contains(&e.key));
        Ok(page)
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectMeta, StoreError> {
        self.inner.head(bucket, key).await
    }

    async fn get(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError> {
        let nth = {
            let mut reads = self.reads.lock().unwrap();
            let count = reads.entry(key.to_owned()).or_default();
            *count += 1;
            *count
        };
        match (self.answer)(key, nth) {
            Some(error) => Err(error),
            None => self.inner.get(bucket, key, bound).await,
        }
    }

    async fn put(&self, _: &str, key: &str, _: PutRequest) -> Result<PutReceipt, StoreError> {
        unreachable!("a verifier wrote {key}")
    }
}

fn verify(
    trail: &Trail,
    unlisted: Vec<String>,
    answer: fn(&str, usize) -> Option<StoreError>,
) -> verifier::Report {
    let options = OpenOptions::default();
    let inner = Store::open(&trail.site.store(), &options, Arc::new(SystemClock)).unwrap();
    let ports = Ports {
        public_keys: Some(Arc::new(inner.signing_keys())),
        trails: Some(Arc::new(inner.clone())),
        kms: None,
        store: Arc::new(Flaky { inner, unlisted, answer, reads: Mutex::default() }),
        now: SystemClock.now(),
        progress: Arc::new(NoProgress),
    };
    let request = Request { end: Some(trail.end), ..Request::new(TARGET, "audit-logs", "corp") };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    runtime.block_on(verifier::verify(&request, &ports)).unwrap()
}

fn broken() -> StoreError {
    StoreError::io("reading", std::io::ErrorKind::ConnectionReset.into())
}

#[test]
fn a_digest_that_was_written_while_the_bucket_was_listed_is_not_missing() {
    let trail = Trail::new();
    let (digests, _) = objects(&trail.site.mirror("copy"));
    let chain: Vec<_> = digests.iter().filter(|d| d.contains("/us-east-1/")).take(6).collect();
    let key = |name: &&String| format!("corp/{name}");
    for hidden in [&chain[2..3], &chain[1..4]] {
        let report = verify(&trail, hidden.iter().map(key).collect(), |_, _| None);
        assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
        assert_eq!(report.summary.digests.valid, 24);
    }
}

#[test]
fn a_read_that_breaks_is_tried_again_before_anything_is_said() {
    let trail = Trail::new();
    let report = verify(&trail, Vec::new(), |_, n| (n <= 2).then(broken));
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
}

#[test]
fn what_cannot_be_read_is_unverifiable_and_the_rest_is_still_checked() {
    let trail = Trail::new();
    let denied = |key: &str, _| {
        let refused = key.contains("/CloudTrail/us-east-1/") && key.contains("/111122223333_");
        refused.then(|| StoreError::AccessDenied {
            bucket: "audit-logs".into(),
            key: key.into(),
            action: "kms:Decrypt".into(),
        })
    };
    let report = verify(&trail, Vec::new(), denied);
    assert_eq!(report.verdict, Verdict::Unverifiable);
    let unreadable = Code::LogUnreadable.as_str();
    assert!(report.findings.iter().all(|f| f.code == unreadable), "{:?}", report.findings);
    assert!(report.findings.iter().all(|f| f.message.contains("kms:Decrypt")));
    let logs = report.summary.logs;
    assert_eq!(logs.unreadable, report.findings.len() as u64);
    assert_eq!((logs.checked, logs.valid), (48, 48 - logs.unreadable));
}
