//! Chains that only the holder of a signing key could forge, and what `check` says of each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use encryptor::signing::{SigningKey, Validity};
use rsa::pkcs8::DecodePrivateKey as _;
use trail::digest::{Digest, HASH_ALGORITHM, LogEntry, SIGNATURE_ALGORITHM, signing_string};
use trail::key::{AccountFolder, DigestKey};
use trail::ports::{ObjectMeta, SseState};
use trail::{Region, Sha256, Timestamp};
use verifier::chain::{
    ChainId, ChainResult, Content, Context, Parsed, Record, check, check_backfill,
};
use verifier::coverage::State;
use verifier::finding::{Class, Finding};
use verifier::keys::KeyRing;
use verifier::request::{CopyFacts, GivenKey, NoProgress, Ports};

const START: i64 = 1_700_000_000 - 1_700_000_000 % 3600;

fn hour(n: i64) -> Timestamp {
    Timestamp::from_unix(START + n * 3600)
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

/// RSA keys are slow to make; one signs for all tests.
fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let (from, to) = (hour(-24), hour(24 * 30));
        SigningKey::generate(Validity { region: Some(region()), from, to }).unwrap()
    })
}

fn ring() -> KeyRing {
    ring_of(&[GivenKey { key: key().public_key().clone(), source: "test".into() }])
}

fn ring_of(given: &[GivenKey]) -> KeyRing {
    struct Nothing;
    #[async_trait::async_trait]
    impl trail::ports::ObjectStore for Nothing {
        async fn bucket_region(&self, _: &str) -> Result<Option<Region>, trail::error::StoreError> {
            unreachable!("keys are given")
        }
        async fn list(
            &self,
            _: &str,
            _: trail::ports::ListRequest<'_>,
        ) -> Result<trail::ports::ListPage, trail::error::StoreError> {
            unreachable!("keys are given")
        }
        async fn head(&self, _: &str, _: &str) -> Result<ObjectMeta, trail::error::StoreError> {
            unreachable!("keys are given")
        }
        async fn get(
            &self,
            _: &str,
            _: &str,
            _: u64,
        ) -> Result<trail::ports::Object, trail::error::StoreError> {
            unreachable!("keys are given")
        }
        async fn put(
            &self,
            _: &str,
            _: &str,
            _: trail::ports::PutRequest,
        ) -> Result<trail::ports::PutReceipt, trail::error::StoreError> {
            unreachable!("keys are given")
        }
    }
    let ports = Ports {
        store: std::sync::Arc::new(Nothing),
        public_keys: None,
        trails: None,
        kms: None,
        now: hour(100),
        progress: std::sync::Arc::new(NoProgress),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut findings = Vec::new();
    let copy: Option<&CopyFacts> = None;
    let regions = BTreeMap::from([(region(), (hour(0), hour(10)))]);
    runtime.block_on(KeyRing::gather(&ports, given, copy, &regions, &mut findings))
}

/// A digest before it is signed.
#[derive(Clone)]
struct Draft {
    key: DigestKey,
    body: Digest,
    /// Signs in its place; None: as it must be.
    sign: fn(&[u8]) -> Vec<u8>,
    metadata: bool,
}

fn proper(message: &[u8]) -> Vec<u8> {
    key().sign(message).unwrap()
}

/// A genuine signature by the key, but over SHA-1.
fn with_sha1(_: &[u8]) -> Vec<u8> {
    let pkcs8 = key().to_pkcs8().unwrap();
    let private = rsa::PrivateKey::from_pkcs8_der(&pkcs8).unwrap();
    let prefix = [0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14];
    let mut encoded = vec![0xff; 256];
    (encoded[0], encoded[1]) = (0, 1);
    let at = 256 - prefix.len() - 20;
    encoded[at - 1] = 0;
    encoded[at..at + prefix.len()].copy_from_slice(&prefix);
    encoded[at + prefix.len()..].fill(7);
    let message = rsa::BoxedUint::from_be_slice(&encoded, 2048).unwrap();
    let signature =
        rsa::hazmat::rsa_decrypt(None::<&mut rsa::rand_core::UnwrapErr<NoRng>>, &private, &message);
    signature.unwrap().to_be_bytes().to_vec()
}

/// `rsa_decrypt` asks for the type of a random source even when it gets none.
struct NoRng;
impl rsa::rand_core::TryRng for NoRng {
    type Error = std::fmt::Error;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Err(std::fmt::Error)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Err(std::fmt::Error)
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        Err(std::fmt::Error)
    }
}
impl rsa::rand_core::TryCryptoRng for NoRng {}

fn draft(n: i64) -> Draft {
    let key = DigestKey {
        folder: AccountFolder {
            prefix: "p".into(),
            org: None,
            account: "111122223333".parse().unwrap(),
        },
        region: region(),
        trail: "main".parse().unwrap(),
        home_region: region(),
        end: hour(n + 1),
        backfill: false,
    };
    let body = Digest {
        aws_account_id: "111122223333".into(),
        digest_start_time: hour(n).to_string(),
        digest_end_time: hour(n + 1).to_string(),
        digest_s3_bucket: "b".into(),
        digest_s3_object: key.to_string(),
        digest_public_key_fingerprint: self::key().public_key().fingerprint.clone(),
        digest_signature_algorithm: SIGNATURE_ALGORITHM.into(),
        newest_event_time: None,
        oldest_event_time: None,
        previous_digest_s3_bucket: None,
        previous_digest_s3_object: None,
        previous_digest_hash_value: None,
        previous_digest_hash_algorithm: None,
        previous_digest_signature: None,
        log_files: vec![LogEntry {
            s3_bucket: "b".into(),
            s3_object: format!("p/AWSLogs/111122223333/CloudTrail/eu-west-1/{n}"),
            hash_value: Sha256::of(b"x").to_string(),
            hash_algorithm: HASH_ALGORITHM.into(),
            newest_event_time: hour(n).to_string(),
            oldest_event_time: hour(n).to_string(),
        }],
    };
    Draft { key, body, sign: proper, metadata: true }
}

fn sign(draft: &Draft) -> Record {
    let bytes = draft.body.to_bytes();
    let hash = Sha256::of(&bytes);
    let signature = hex::encode((draft.sign)(signing_string(&draft.body, &hash).as_bytes()));
    let metadata = draft.metadata.then(|| {
        BTreeMap::from([
            ("signature".to_owned(), signature),
            ("signature-algorithm".to_owned(), SIGNATURE_ALGORITHM.to_owned()),
        ])
    });
    let (start, end) = (draft.body.start().unwrap(), draft.body.end().unwrap());
    Record {
        address: ("b".into(), draft.key.to_string()),
        key: draft.key.clone(),
        meta: Some(ObjectMeta {
            size: 1,
            etag: None,
            last_modified: None,
            version_id: None,
            metadata,
            sse: SseState::default(),
            content_type: None,
            content_encoding: None,
        }),
        content: Content::Parsed(Box::new(Parsed { body: draft.body.clone(), hash, start, end })),
    }
}

/// Links each to the one before, then lets `change` have its way with the n-th before signing.
fn chain(count: i64, change: impl Fn(i64, &mut Draft, &[Record])) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for n in 0..count {
        let mut draft = draft(n);
        if let Some(before) = records.last() {
            link(&mut draft, before);
        }
        change(n, &mut draft, &records);
        records.push(sign(&draft));
    }
    records
}

fn link(draft: &mut Draft, before: &Record) {
    let Content::Parsed(parsed) = &before.content else { unreachable!("made by sign") };
    let metadata = before.meta.as_ref().and_then(|m| m.metadata.as_ref());
    let body = &mut draft.body;
    body.previous_digest_s3_bucket = Some(before.address.0.clone());
    body.previous_digest_s3_object = Some(before.address.1.clone());
    body.previous_digest_hash_value = Some(parsed.hash.to_string());
    body.previous_digest_hash_algorithm = Some(HASH_ALGORITHM.into());
    body.previous_digest_signature = metadata.map(|m| m["signature"].clone());
}

fn run(records: &[Record]) -> ChainResult {
    run_with(records, &ring(), None, &[])
}

fn run_with(
    records: &[Record],
    ring: &KeyRing,
    start: Option<Timestamp>,
    known: &[String],
) -> ChainResult {
    let mut ordered: Vec<&Record> = records.iter().collect();
    ordered.sort_by_key(|r| r.key.end);
    let id = ChainId::of(&records[0].key);
    let known: BTreeSet<String> = known.iter().cloned().collect();
    let context =
        Context { id: &id, ring, copy: false, start, expired_before: None, known: &known };
    check(records, &context)
}

fn codes(result: &ChainResult) -> Vec<String> {
    let mut codes: Vec<String> = result.findings.iter().map(Finding::code_text).collect();
    codes.sort();
    codes
}

#[test]
fn a_clean_chain_has_no_finding_and_proves_its_time() {
    let result = run(&chain(6, |_, _, _| {}));
    assert!(result.findings.is_empty(), "{:?}", result.findings);
    assert_eq!(result.begins, Some(hour(0)));
    assert!(result.spans.iter().all(|s| s.state == State::Proven));
}

#[test]
fn what_a_signer_could_forge_has_its_code_and_its_object() {
    type Change = fn(&mut Draft, &[Record]);
    let cases: [(&str, Change, &[&str]); 14] = [
        (
            "previous hash",
            |d, _| d.body.previous_digest_hash_value = Some("0".repeat(64)),
            &["digest.chain-mismatch"],
        ),
        (
            "previous signature",
            |d, _| d.body.previous_digest_signature = Some("00".repeat(256)),
            &["digest.chain-mismatch"],
        ),
        ("previous object of two ago", |d, r| link(d, &r[1]), &["chain.gap", "digest.chain-fork"]),
        (
            "start too early",
            |d, _| d.body.digest_start_time = hour(2).to_string(),
            &["digest.time-overlap"],
        ),
        (
            "start too late",
            |d, _| {
                d.body.digest_start_time =
                    (hour(3) + std::time::Duration::from_secs(60)).to_string();
            },
            &["chain.gap"],
        ),
        ("account", |d, _| d.body.aws_account_id = "999999999999".into(), &["digest.foreign"]),
        ("end time", |d, _| d.body.digest_end_time = hour(9).to_string(), &["digest.foreign"]),
        ("bucket", |d, _| d.body.digest_s3_bucket = "other".into(), &["digest.relocated"]),
        (
            "algorithm name",
            |d, _| d.body.digest_signature_algorithm = "SHA1withRSA".into(),
            &["digest.algorithm-unsupported"],
        ),
        (
            "hash algorithm of a log",
            |d, _| d.body.log_files[0].hash_algorithm = "MD5".into(),
            &["digest.algorithm-unsupported"],
        ),
        (
            "SHA-1 inside the signature",
            |d, _| d.sign = with_sha1,
            &["digest.algorithm-unsupported"],
        ),
        (
            "signature over something else",
            |d, _| d.sign = |_| proper(b"x"),
            &["digest.signature-invalid"],
        ),
        (
            "unknown key",
            |d, _| d.body.digest_public_key_fingerprint = "0".repeat(32),
            &["digest.key-unknown"],
        ),
        (
            "restart",
            |d, _| {
                let b = &mut d.body;
                b.previous_digest_s3_bucket = None;
                b.previous_digest_s3_object = None;
                b.previous_digest_hash_value = None;
                b.previous_digest_hash_algorithm = None;
                b.previous_digest_signature = None;
            },
            &["chain.gap"],
        ),
    ];
    for (name, change, expected) in cases {
        let records = chain(6, |n, draft, records| {
            if n == 3 {
                change(draft, records);
            }
        });
        let result = run(&records);
        assert_eq!(codes(&result), expected, "{name}");
        let at_fault = if name == "previous object of two ago" { 2 } else { 3 };
        let uri = records[at_fault].uri();
        assert!(result.findings.iter().any(|f| f.object.as_ref() == Some(&uri)), "{name}");
    }
}

#[test]
fn a_fork_names_the_branch_that_the_newest_digest_does_not_come_from() {
    let mut records = chain(5, |_, _, _| {});
    let mut branch = draft(2);
    branch.key.end = hour(2) + std::time::Duration::from_secs(1800);
    branch.body.digest_end_time = branch.key.end.to_string();
    branch.body.digest_s3_object = branch.key.to_string();
    link(&mut branch, &records[1]);
    records.insert(2, sign(&branch));
    let result = run(&records);
    assert_eq!(codes(&result), ["digest.chain-fork"]);
    assert_eq!(result.findings[0].object, Some(records[2].uri()));
}

#[test]
fn a_loop_ends_and_is_named() {
    let mut records = chain(3, |_, _, _| {});
    let mut first = draft(0);
    link(&mut first, &records[2]);
    records[0] = sign(&first);
    let found = codes(&run(&records));
    assert!(found.contains(&"digest.chain-loop".to_owned()), "{found:?}");
}

#[test]
fn every_missing_digest_of_a_hole_is_named() {
    let mut records = chain(8, |_, _, _| {});
    let gone: Vec<Record> = records.drain(3..6).collect();
    let result = run(&records);
    assert_eq!(codes(&result), ["digest.missing"; 3]);
    let mut named: Vec<_> = result.findings.iter().map(|f| f.object.clone().unwrap()).collect();
    named.sort();
    assert_eq!(named, gone.iter().map(Record::uri).collect::<Vec<_>>());
    assert_eq!(result.missing, 3);
}

#[test]
fn the_oldest_digest_may_name_an_absent_one() {
    let mut records = chain(5, |_, _, _| {});
    let first = records.remove(0);
    let result = run(&records);
    assert!(result.findings.is_empty());
    assert_eq!(result.notes.len(), 1);
    let result = run_with(&records, &ring(), Some(hour(0)), &[]);
    assert_eq!(codes(&result), ["chain.head-absent"]);
    assert_eq!(result.findings[0].object, Some(first.uri()));
    let result = run_with(&records, &ring(), None, std::slice::from_ref(&first.address.1));
    assert_eq!(codes(&result), ["digest.missing"], "known to have been there");
}

#[test]
fn lost_metadata_is_found_though_the_successor_vouches() {
    let mut records = chain(4, |_, _, _| {});
    for index in [1, 3] {
        records[index].meta.as_mut().unwrap().metadata = Some(BTreeMap::new());
    }
    let result = run(&records);
    assert_eq!(codes(&result), ["digest.signature-missing"; 2]);
    let state_of = |n: i64| {
        let span = result.spans.iter().find(|s| s.from == hour(n)).unwrap();
        span.state
    };
    assert_eq!((state_of(1), state_of(3)), (State::Proven, State::Unreadable));
}

#[test]
fn a_key_outside_its_validity_and_no_key_at_all() {
    let mut late = key().public_key().clone();
    (late.valid_from, late.valid_to) = (hour(100), hour(200));
    let given = |key| [GivenKey { key, source: "test".into() }];
    let records = chain(2, |_, _, _| {});
    let result = run_with(&records, &ring_of(&given(late)), None, &[]);
    assert_eq!(codes(&result), ["digest.key-outside-validity"; 2]);
    let result = run_with(&records, &ring_of(&[]), None, &[]);
    let ids: BTreeSet<String> = result.findings.iter().map(Finding::id).collect();
    assert_eq!((codes(&result)[0].as_str(), ids.len()), ("keys.unavailable", 1));
    assert_eq!(result.findings[0].class, Class::Unverifiable);
}

#[test]
fn a_starting_digest_without_logs_proves_no_time() {
    let records = chain(3, |n, draft, _| {
        if n == 0 {
            draft.body.log_files.clear();
        }
    });
    let result = run(&records);
    assert!(result.findings.is_empty());
    assert_eq!(result.begins, Some(hour(1)));
}

/// A backfill chain: made at `hour(50)`, long after its windows, so that only the time of making
/// tells which key is right.
fn backfill(count: i64) -> Vec<Record> {
    let mut records = chain(count, |_, draft, records| {
        draft.key.backfill = true;
        draft.body.digest_s3_object = draft.key.to_string();
        if let Some(before) = records.last() {
            link(draft, before);
        }
    });
    for record in &mut records {
        let metadata = record.meta.as_mut().unwrap().metadata.as_mut().unwrap();
        metadata.insert("backfill-generation-timestamp".into(), hour(50).to_string());
    }
    records
}

fn run_backfill(records: &[Record]) -> ChainResult {
    let id = ChainId::of(&records[0].key);
    let (ring, known) = (ring(), BTreeSet::new());
    let context = Context {
        id: &id,
        ring: &ring,
        copy: false,
        start: None,
        expired_before: None,
        known: &known,
    };
    check_backfill(records, &context)
}

#[test]
fn backfill_digests_are_checked_each_and_by_their_links_alone() {
    let clean = backfill(4);
    assert!(run_backfill(&clean).findings.is_empty());
    let mut changed = backfill(4);
    changed[1]
        .meta
        .as_mut()
        .unwrap()
        .metadata
        .as_mut()
        .unwrap()
        .remove("backfill-generation-timestamp");
    assert_eq!(codes(&run_backfill(&changed)), ["backfill.timestamp-missing"]);
    let mut changed = backfill(4);
    let metadata = changed[1].meta.as_mut().unwrap().metadata.as_mut().unwrap();
    metadata.insert("signature".into(), "00".repeat(256));
    assert_eq!(codes(&run_backfill(&changed)), ["backfill.signature-invalid"]);
    let mut gone = backfill(4);
    let removed = gone.remove(2);
    let result = run_backfill(&gone);
    assert_eq!(codes(&result), ["backfill.missing"]);
    assert_eq!(result.findings[0].object, Some(removed.uri()));
    let mut late = backfill(2);
    for record in &mut late {
        let metadata = record.meta.as_mut().unwrap().metadata.as_mut().unwrap();
        metadata.insert("backfill-generation-timestamp".into(), hour(24 * 90).to_string());
    }
    assert_eq!(codes(&run_backfill(&late)), ["backfill.key-outside-validity"; 2]);
}

/// A name proves no time: neither one in the far future nor one from long ago makes digests
/// missing that never were, let alone one for each hour between.
#[test]
fn names_of_other_times_claim_nothing() {
    for end in [hour(24 * 365 * 100), hour(-24 * 365 * 40)] {
        let mut records = chain(4, |_, _, _| {});
        records.remove(0);
        let mut junk = draft(0);
        junk.key.end = end;
        records.push(Record {
            content: Content::Bad(verifier::finding::Code::DigestMalformed, "junk".into()),
            address: ("b".into(), junk.key.to_string()),
            ..sign(&junk)
        });
        records.sort_by_key(|r| r.key.end);
        let result = run(&records);
        assert_eq!(codes(&result), ["digest.malformed"]);
        assert_eq!(result.missing, 0);
        assert_eq!(result.begins, Some(hour(1)));
    }
}
