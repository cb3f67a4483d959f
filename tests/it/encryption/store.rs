//! A store under a clock that the test sets, and callers with policies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use local::s3::{GetObject, ObjectReader, PutObject, Sse};
use local::{KmsClient, OpenOptions, S3Client, Store};
use policy::{Caller, Kind, Policy, Principal};
use serde_json::{Value, json};
use tempfile::TempDir;
use trail::error::StoreError;
use trail::ports::{Clock, Pairs, PutReceipt};
use trail::{Region, Timestamp};

pub(super) const ACCOUNT: &str = "111122223333";
pub(super) const OTHER_ACCOUNT: &str = "444455556666";
pub(super) const BUCKET: &str = "audit-logs";
pub(super) const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
pub(super) const KEY: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/23/log.json.gz";
pub(super) const BODY: &[u8] = b"what nobody may read without the key";
pub(super) const DAY: i64 = 86_400;
const BOUND: u64 = 1 << 30;

pub(super) struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }

    async fn wait_until(&self, _until: Timestamp) {}
}

pub(super) struct Fixture {
    pub(super) dir: TempDir,
    clock: Arc<TestClock>,
    pub(super) store: Store,
    pub(super) home: Region,
}

impl Fixture {
    /// A store with one bucket in us-east-1.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_790_000_000)));
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let store = Store::open(dir.path(), &options, clock.clone()).unwrap();
        let home = region("us-east-1");
        assert!(store.create_bucket(BUCKET, &home).unwrap());
        Self { dir, clock, store, home }
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn root(&self) -> S3Client {
        self.store.s3_as_root()
    }

    /// The key service as the account's root sees it.
    pub(super) fn kms(&self) -> KmsClient {
        self.store.kms_as_root(&self.home)
    }

    pub(super) fn kms_of(&self, caller: &Arc<Caller>) -> KmsClient {
        self.store.kms(Arc::clone(caller), &self.home)
    }

    pub(super) fn s3_of(&self, caller: &Arc<Caller>) -> S3Client {
        self.store.s3(Arc::clone(caller))
    }

    /// A new key with the default policy; its ARN.
    pub(super) fn key(&self) -> String {
        self.store.create_key(&self.home).unwrap().to_string()
    }

    /// Every file of the store, with its path.
    pub(super) fn files(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        fn walk(dir: &Path, found: &mut Vec<(std::path::PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.dir.path(), &mut found);
        found
    }

    /// Whether any file of the store holds `bytes`.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        self.files().iter().any(|(_, file)| file.windows(bytes.len()).any(|w| w == bytes))
    }
}

pub(super) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

pub(super) fn pairs(of: &[(&str, &str)]) -> Pairs {
    of.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn principal(text: &str) -> Principal {
    text.parse().unwrap()
}

/// A user of `account` whose identity policy has these statements.
pub(super) fn user_of(account: &str, name: &str, statements: &Value) -> Arc<Caller> {
    Arc::new(Caller {
        principal: principal(&format!("arn:aws:iam::{account}:user/{name}")),
        policies: vec![identity(statements)],
        organization: None,
    })
}

pub(super) fn user(name: &str, statements: &Value) -> Arc<Caller> {
    user_of(ACCOUNT, name, statements)
}

/// A service, which no identity policy speaks for.
pub(super) fn service(name: &str) -> Arc<Caller> {
    Arc::new(Caller { principal: principal(name), policies: Vec::new(), organization: None })
}

fn identity(statements: &Value) -> Policy {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    Policy::parse(&document.to_string(), Kind::Identity).unwrap()
}

/// An identity statement that allows `actions` on everything.
pub(super) fn allow(actions: &[&str]) -> Value {
    json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}])
}

pub(super) fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// The statement that lets the account decide by its identity policies, as the default does.
pub(super) fn account_decides() -> Value {
    json!({
        "Sid": "account", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
    })
}

pub(super) fn kms(key: &str) -> Sse {
    Sse::Kms { key: Some(key.to_owned()), context: Pairs::new(), bucket_key: Some(false) }
}

pub(super) fn bucket_key(key: &str) -> Sse {
    Sse::Kms { key: Some(key.to_owned()), context: Pairs::new(), bucket_key: Some(true) }
}

/// Everything that a test does with objects, in one line each.
pub(super) trait Objects {
    fn write(&self, key: &str, sse: Sse) -> Result<PutReceipt, StoreError>;
    fn open(&self, key: &str) -> Result<ObjectReader, StoreError>;
    fn read(&self, key: &str) -> Result<Vec<u8>, StoreError>;
}

impl Objects for S3Client {
    fn write(&self, key: &str, sse: Sse) -> Result<PutReceipt, StoreError> {
        self.put_bytes(BUCKET, key, PutObject::new(sse), BODY)
    }

    fn open(&self, key: &str) -> Result<ObjectReader, StoreError> {
        self.get_object(BUCKET, key, &GetObject::default())
    }

    fn read(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        self.open(key)?.read_all(BOUND)
    }
}

/// The status and code that S3 answers with.
pub(super) fn answer<T>(result: Result<T, StoreError>) -> (u16, String) {
    match result {
        Ok(_) => (200, String::new()),
        Err(e) => (e.status(), e.code().into_owned()),
    }
}

pub(super) fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
