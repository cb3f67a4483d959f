//! Stand-ins for the ports: a store that can fail at any put, a clock set by hand, toy keys; and
//! an auditor that reads a whole bucket and demands what must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::Notify;
use trail::digest::Digest;
use trail::error::{KeyError, StoreError};
use trail::key::{DigestKey, LogKey};
use trail::name::TrailArn;
use trail::ports::*;
use trail::public_key::PublicKey;
use trail::{Region, Sha256, Timestamp, gzip, log_file};

use crate::{Config, Cutting, DeliverError, Delivery, Destination, Input, Observer, Ports};
use crate::{Retry, Sse, Summary};

pub(crate) const BUCKET: &str = "audit-logs";
pub(crate) const KMS_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd";

/// What happens at the put of a given number, counted from 1 since the fault was set.
#[derive(Clone)]
pub(crate) enum Fault {
    /// It has no effect, and nothing works from then on.
    DieBefore(u64),
    /// It takes effect, but fails; nothing works from then on.
    DieAfter(u64),
    /// It has no effect and fails, once.
    FlakyBefore(u64),
    /// It takes effect but fails, once.
    FlakyAfter(u64),
    /// The disk is full from then on.
    Full(u64),
    /// It never returns; the first notice says that it was reached.
    Hang(u64, Arc<Notify>),
    /// It waits for the second notice after giving the first.
    Pause(u64, Arc<Notify>, Arc<Notify>),
    /// The store encrypts with another algorithm, or another key, than was asked.
    WrongSse(u64, SseState),
    /// The store received other bytes.
    WrongHash(u64),
}

#[derive(Clone)]
struct Stored {
    body: Bytes,
    metadata: Pairs,
    sse: SseState,
    etag: ETag,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    versions: u64,
    puts: u64,
    fault: Option<Fault>,
    dead: bool,
}

#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<State>);

fn io(what: &str, kind: std::io::ErrorKind) -> StoreError {
    StoreError::io(format!("s3://{BUCKET}/{what}"), kind.into())
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.puts, state.fault, state.dead) = (0, fault, false);
    }

    pub(crate) fn puts(&self) -> u64 {
        self.state().puts
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    pub(crate) fn remove(&self, key: &str) {
        self.state().objects.remove(key).unwrap();
    }

    fn alive(&self, what: &str) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.dead { Err(io(what, std::io::ErrorKind::BrokenPipe)) } else { Ok(state) }
    }

    fn store(state: &mut State, key: &str, put: &PutRequest) -> Result<PutReceipt, StoreError> {
        let before = state.objects.get(key).map(|o| &o.etag);
        let holds = match &put.precondition {
            Precondition::Absent => before.is_none(),
            Precondition::Matches(etag) => {
                assert!(!key.contains("AWSLogs/"), "{key} would be overwritten");
                before == Some(etag)
            }
        };
        if !holds {
            let (bucket, key) = (BUCKET.into(), key.into());
            return Err(StoreError::PreconditionFailed { bucket, key });
        }
        state.versions += 1;
        let etag = ETag(state.versions.to_string());
        let sse = match &put.sse {
            SseRequest::S3 => sse_state(SseAlgorithm::Aes256, None),
            SseRequest::Kms { key, context, .. } => {
                assert!(context["aws:cloudtrail:arn"].ends_with(":trail/main"));
                sse_state(SseAlgorithm::Kms, Some(key))
            }
        };
        let (body, metadata) = (put.body.clone(), put.metadata.clone());
        let sha256 = Some(Sha256::of(&body));
        let stored = Stored { body, metadata, sse: sse.clone(), etag: etag.clone() };
        state.objects.insert(key.into(), stored);
        Ok(PutReceipt { etag, sse, sha256, version_id: None })
    }
}

pub(crate) fn sse_state(algorithm: SseAlgorithm, kms_key: Option<&str>) -> SseState {
    let kms_key = kms_key.map(str::to_owned);
    SseState { algorithm: Some(algorithm), kms_key, known: true, ..SseState::default() }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn bucket_region(&self, _: &str) -> Result<Option<Region>, StoreError> {
        Ok(Some("eu-west-1".parse().unwrap()))
    }

    async fn list(&self, _: &str, request: ListRequest<'_>) -> Result<ListPage, StoreError> {
        let state = self.alive("list")?;
        let after = request.start_after.unwrap_or("");
        let found =
            state.objects.keys().filter(|k| k.starts_with(request.prefix) && k.as_str() > after);
        let entry = |key: &String| ListEntry {
            key: key.clone(),
            size: 1,
            last_modified: None,
            archived: false,
        };
        let mut entries: Vec<_> = found.take(4).map(entry).collect();
        let next = (entries.len() == 4).then(|| entries.pop().map(|_| entries[2].key.clone()));
        Ok(ListPage { entries, prefixes: vec![], next: next.flatten() })
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectMeta, StoreError> {
        Ok(self.get(bucket, key, u64::MAX).await?.meta)
    }

    async fn get(&self, _: &str, key: &str, _: u64) -> Result<Object, StoreError> {
        let state = self.alive(key)?;
        let missing = || StoreError::NotFound { bucket: BUCKET.into(), key: key.into() };
        let Stored { body, metadata, sse, etag } =
            state.objects.get(key).cloned().ok_or_else(missing)?;
        let meta = ObjectMeta {
            size: body.len() as u64,
            etag: Some(etag),
            last_modified: None,
            version_id: None,
            metadata: Some(metadata),
            sse,
            content_type: None,
            content_encoding: None,
        };
        Ok(Object { meta, body })
    }

    async fn put(&self, _: &str, key: &str, put: PutRequest) -> Result<PutReceipt, StoreError> {
        let lost = || io(key, std::io::ErrorKind::ConnectionReset);
        let (n, fault) = {
            let mut state = self.alive(key)?;
            state.puts += 1;
            (state.puts, state.fault.clone())
        };
        let mut wrong = None;
        match fault {
            Some(Fault::DieBefore(at)) if at == n => {
                self.state().dead = true;
                return Err(lost());
            }
            Some(Fault::DieAfter(at)) if at == n => {
                let mut state = self.state();
                Self::store(&mut state, key, &put)?;
                state.dead = true;
                return Err(lost());
            }
            Some(Fault::FlakyBefore(at)) if at == n => return Err(lost()),
            Some(Fault::FlakyAfter(at)) if at == n => {
                Self::store(&mut self.state(), key, &put)?;
                return Err(lost());
            }
            Some(Fault::Full(at)) if at <= n => {
                return Err(io(key, std::io::ErrorKind::StorageFull));
            }
            Some(Fault::Hang(at, reached)) if at == n => {
                reached.notify_one();
                std::future::pending::<()>().await;
            }
            Some(Fault::Pause(at, reached, resume)) if at == n => {
                reached.notify_one();
                resume.notified().await;
            }
            Some(Fault::WrongSse(at, sse)) if at == n => wrong = Some((Some(sse), None)),
            Some(Fault::WrongHash(at)) if at == n => wrong = Some((None, Some(Sha256([7; 32])))),
            _ => {}
        }
        let mut state = self.alive(key)?;
        let mut receipt = Self::store(&mut state, key, &put)?;
        if let Some((sse, sha256)) = wrong {
            if let Some(sse) = sse {
                state.objects.get_mut(key).unwrap().sse = sse.clone();
                receipt.sse = sse;
            }
            receipt.sha256 = sha256.or(receipt.sha256);
        }
        Ok(receipt)
    }
}

/// A clock set by hand; a wait of a few seconds makes it jump, a longer one does not.
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn set(&self, to: &str) {
        self.0.store(t(to).unix(), Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }

    async fn wait_until(&self, until: Timestamp) {
        while self.now() < until {
            if until.seconds_since(self.now()) <= 10 {
                self.0.fetch_max(until.unix(), Ordering::SeqCst);
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

pub(crate) struct ToyKeys(pub(crate) &'static str);
struct ToySigner(PublicKey);

pub(crate) fn toy_signature(message: &[u8]) -> Vec<u8> {
    Sha256::of(message).0.to_vec()
}

#[async_trait]
impl Signer for ToySigner {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(toy_signature(message))
    }
}

#[async_trait]
impl SigningKeys for ToyKeys {
    async fn signer(&self, region: &Region, _: Timestamp) -> Result<Arc<dyn Signer>, KeyError> {
        Ok(Arc::new(ToySigner(PublicKey {
            der: vec![],
            fingerprint: format!("{}-{region}", self.0),
            valid_from: Timestamp::EPOCH,
            valid_to: Timestamp::MAX,
            region: None,
        })))
    }
    async fn owns(&self, region: &Region, fingerprint: &str) -> Result<bool, KeyError> {
        Ok(fingerprint == format!("{}-{region}", self.0))
    }
}

struct ToySealer;

impl Sealer for ToySealer {
    fn seal(&self, name: &str, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let tag = Sha256::of(&[name.as_bytes(), plaintext].concat());
        Ok(tag.0.into_iter().chain(plaintext.iter().map(|b| b ^ 0x55)).collect())
    }
    fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let plain: Vec<u8> = sealed.iter().skip(32).map(|b| b ^ 0x55).collect();
        let sealed_again = self.seal(name, &plain)?;
        if sealed_again == sealed { Ok(plain) } else { Err(KeyError::InvalidCiphertext) }
    }
}

#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) read: AtomicU64,
    pub(crate) logs: AtomicU64,
    pub(crate) planned: AtomicU64,
    pub(crate) published: AtomicU64,
}

impl Observer for Counter {
    fn events_read(&self, count: u64) {
        self.read.fetch_add(count, Ordering::SeqCst);
    }
    fn log_delivered(&self, _: u64) {
        self.logs.fetch_add(1, Ordering::SeqCst);
    }
    fn digests_planned(&self, count: u64) {
        self.planned.fetch_add(count, Ordering::SeqCst);
    }
    fn digest_published(&self) {
        self.published.fetch_add(1, Ordering::SeqCst);
    }
}

/// A bucket, a clock and a spool.
pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) spool: TempDir,
    pub(crate) counter: Arc<Counter>,
    pub(crate) signer: &'static str,
    /// A configuration to start from.
    pub(crate) config: Config,
}

pub(crate) fn t(s: &str) -> Timestamp {
    s.parse().unwrap()
}

/// An event, with odd white space that must survive.
pub(crate) fn event(id: &str, account: u64, region: &str, time: &str) -> String {
    format!(
        r#"{{ "eventID": "{id}","eventTime":"{time}",  "recipientAccountId":"{account:012}","awsRegion":"{region}","path":"a\/b" }}"#
    )
}

impl World {
    /// At 2026-01-01T10:20:05Z.
    pub(crate) fn new() -> Self {
        let spool = tempfile::tempdir().unwrap();
        let clock = ManualClock(AtomicI64::new(t("2026-01-01T10:20:05Z").unix()));
        let arn = TrailArn::new(
            "111122223333".parse().unwrap(),
            "eu-west-1".parse().unwrap(),
            "main".parse().unwrap(),
        );
        let config = Config {
            trail: arn,
            organization: None,
            destination: Destination {
                bucket: BUCKET.parse().unwrap(),
                prefix: "corp".into(),
                region: "eu-west-1".parse().unwrap(),
            },
            logs: Sse::Kms { key: KMS_KEY.parse().unwrap(), bucket_key: true },
            digests: Sse::S3,
            cutting: Cutting { max_log_events: 3, ..Cutting::default() },
            spool: spool.path().to_owned(),
            replay: false,
            run: "unset".into(),
            retry: Retry { attempts: 2, pause: Duration::ZERO },
        };
        let (store, counter) = (Arc::default(), Arc::default());
        Self { store, clock: Arc::new(clock), spool, counter, signer: "ours", config }
    }

    /// Another producer for the same bucket, with a spool of its own.
    pub(crate) fn twin(&self) -> Self {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let mut twin = Self { store, clock, ..Self::new() };
        twin.config = Config { spool: twin.spool.path().to_owned(), ..self.config.clone() };
        twin
    }

    pub(crate) async fn deliver(&self, run: &str, input: &str) -> Result<Summary, DeliverError> {
        let input = Input::new("events", Box::new(std::io::Cursor::new(input.to_owned())));
        self.deliver_inputs(run, vec![input]).await
    }

    pub(crate) async fn deliver_inputs(
        &self,
        run: &str,
        inputs: Vec<Input>,
    ) -> Result<Summary, DeliverError> {
        let config = Config { run: run.into(), ..self.config.clone() };
        let ports = Ports {
            store: self.store.clone(),
            keys: Arc::new(ToyKeys(self.signer)),
            clock: self.clock.clone(),
            sealer: Arc::new(ToySealer),
        };
        Delivery::new(config, ports).observed_by(self.counter.clone()).run(inputs).await
    }

    pub(crate) fn spooled_runs(&self) -> usize {
        std::fs::read_dir(self.spool.path().join("runs")).unwrap().count()
    }

    /// Reads the whole bucket and demands that every log is named by exactly one digest and
    /// every chain is one line.
    pub(crate) fn audit(&self) -> Audit {
        let mut audit = Audit::default();
        let objects = self.store.state().objects.clone();
        let mut chains = BTreeMap::<_, Vec<_>>::new();
        let mut logs = BTreeSet::new();
        for (key, object) in &objects {
            if let Ok(digest) = key.parse::<DigestKey>() {
                assert_eq!(object.sse.algorithm, Some(SseAlgorithm::Aes256));
                let chain = format!("{}/{}", digest.folder.account, digest.region);
                chains.entry(chain).or_default().push((digest.end, key.clone()));
            } else if let Ok(log) = key.parse::<LogKey>() {
                assert_eq!(object.sse.kms_key.as_deref(), Some(KMS_KEY), "{key}");
                assert!(log.stamp.unix() % 300 == 0);
                logs.insert(key.clone());
                let bytes = gzip::decompress(&object.body, 1 << 30).unwrap();
                for record in log_file::records(&bytes).unwrap() {
                    *audit.events.entry(record.get().to_owned()).or_default() += 1;
                }
            } else {
                assert!(!key.contains("AWSLogs/"), "{key}");
            }
        }
        for (chain, mut digests) in chains {
            digests.sort();
            let windows = digests_of_chain(&objects, &digests, &mut logs);
            audit.chains.insert(chain, windows);
        }
        assert!(logs.is_empty(), "in no digest: {logs:?}");
        audit
    }
}

/// Checks a chain's links and takes the logs that it names out of `unnamed`.
fn digests_of_chain(
    objects: &BTreeMap<String, Stored>,
    digests: &[(Timestamp, String)],
    unnamed: &mut BTreeSet<String>,
) -> Vec<(String, String, usize)> {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut previous: Option<(String, String, String, String)> = None;
    let mut windows = Vec::new();
    for (end, key) in digests {
        let object = &objects[key];
        let bytes = gzip::decompress(&object.body, 1 << 30).unwrap();
        let digest = Digest::parse(&bytes).unwrap();
        let hash = Sha256::of(&bytes);
        assert_eq!((&digest.digest_s3_object, &*digest.digest_s3_bucket), (key, BUCKET));
        assert_eq!(digest.end().unwrap(), *end);
        assert!(digest.start().unwrap() < *end);
        let signature =
            hex(toy_signature(trail::digest::signing_string(&digest, &hash).as_bytes()));
        assert_eq!(object.metadata["signature"], signature);
        assert_eq!(object.metadata["signature-algorithm"], "SHA256withRSA");
        let links = digest.previous_digest_s3_object.clone().zip(
            digest.previous_digest_hash_value.clone().zip(digest.previous_digest_signature.clone()),
        );
        match &previous {
            None => assert!(links.is_none() && digest.previous_digest_hash_algorithm.is_none()),
            Some((key, hash, signature, end)) => {
                let expected = (key.clone(), (hash.clone(), signature.clone()));
                assert_eq!(links, Some(expected));
                assert_eq!(&digest.digest_start_time, end);
            }
        }
        for log in &digest.log_files {
            assert!(unnamed.remove(&log.s3_object), "{} is absent or named twice", log.s3_object);
            let bytes = gzip::decompress(&objects[&log.s3_object].body, 1 << 30).unwrap();
            assert_eq!(Sha256::of(&bytes).to_string(), log.hash_value);
        }
        let newest = digest.log_files.iter().map(|l| &l.newest_event_time).max();
        assert_eq!(digest.newest_event_time.as_ref(), newest);
        let oldest = digest.log_files.iter().map(|l| &l.oldest_event_time).min();
        assert_eq!(digest.oldest_event_time.as_ref(), oldest);
        windows.push((
            digest.digest_start_time.clone(),
            digest.digest_end_time.clone(),
            digest.log_files.len(),
        ));
        previous = Some((key.clone(), hash.to_string(), signature, digest.digest_end_time));
    }
    windows
}

/// What a bucket holds.
#[derive(Default)]
pub(crate) struct Audit {
    /// How often each event is in logs.
    pub(crate) events: BTreeMap<String, usize>,
    /// Per chain: start, end and number of logs of each digest.
    pub(crate) chains: BTreeMap<String, Vec<(String, String, usize)>>,
}

impl Audit {
    /// Demands that the logs hold exactly the events of `input`, one a line.
    pub(crate) fn holds(&self, input: &str) {
        let mut expected = BTreeMap::<_, usize>::new();
        for line in input.lines() {
            *expected.entry(line.to_owned()).or_default() += 1;
        }
        assert_eq!(self.events, expected);
    }
}
