//! A store in a temporary directory, under a clock that the test sets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use local::{KmsClient, OpenOptions, Store};
use policy::Caller;
use tempfile::TempDir;
use trail::ports::{Clock, Pairs, Precondition, PutRequest, SseRequest};
use trail::{Region, Timestamp};

pub(crate) const BUCKET: &str = "audit-logs";
pub(crate) const BOUND: u64 = 1 << 20;

pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }

    async fn wait_until(&self, _until: Timestamp) {}
}

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Store,
}

impl Fixture {
    /// A store with one bucket in us-east-1.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_700_000_000)));
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let store = Store::open(dir.path(), &options, clock.clone()).unwrap();
        assert!(store.create_bucket(BUCKET, &region("us-east-1")).unwrap());
        Self { dir, clock, store }
    }

    /// The account's root.
    pub(crate) fn root(&self) -> Arc<Caller> {
        Arc::new(Caller::root("aws", self.store.account().clone()))
    }

    /// The key service of us-east-1, as the account's root sees it.
    pub(crate) fn kms(&self) -> KmsClient {
        self.store.kms(self.root(), &region("us-east-1"))
    }

    /// The store as another process sees it.
    pub(crate) fn reopen(&self) -> Store {
        Store::open(self.dir.path(), &OpenOptions::default(), self.clock.clone()).unwrap()
    }
}

pub(crate) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

pub(crate) fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

pub(crate) fn put_of(body: &[u8], sse: SseRequest) -> PutRequest {
    PutRequest {
        body: Bytes::copy_from_slice(body),
        precondition: Precondition::Absent,
        sse,
        metadata: pairs(&[("Signature", "ab")]),
        content_type: "application/json",
        content_encoding: Some("gzip"),
    }
}

pub(crate) fn kms(key: &str, bucket_key: bool) -> SseRequest {
    SseRequest::Kms { key: key.to_owned(), context: pairs(&[("trail", "main")]), bucket_key }
}

/// All regular files below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
