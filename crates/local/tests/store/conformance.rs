//! What every writable object store must do, and what every listing must give.

use std::collections::BTreeSet;

use trail::error::StoreError;
use trail::ports::{
    ETag, ListPage, ListRequest, ObjectStore, Precondition, PutRequest, SseAlgorithm, SseRequest,
};

use crate::support::{BOUND, BUCKET, Fixture, put_of};

pub(crate) const WEIRD: [&str; 14] = [
    "..",
    "../up",
    ".",
    "/",
    "a",
    "a-b",
    "a.sealed",
    "a.sealed/x",
    "a/",
    "a/b",
    "a/b/c",
    "a//b",
    "b/..//./x",
    "ü/%",
];

pub(crate) async fn pages(
    store: &dyn ObjectStore,
    prefix: &str,
    start_after: Option<&str>,
    delimiter: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = start_after.map(str::to_owned);
    loop {
        let request = ListRequest { prefix, start_after: after.as_deref(), delimiter };
        let ListPage { entries, prefixes, next } = store.list(BUCKET, request).await.unwrap();
        assert!(entries.len() + prefixes.len() <= 1000);
        assert!(entries.is_sorted_by(|a, b| a.key < b.key) && prefixes.is_sorted());
        found.extend(entries.into_iter().map(|e| e.key));
        found.extend(prefixes);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let distinct: BTreeSet<_> = found.iter().cloned().collect();
    assert_eq!(distinct.len(), found.len(), "nothing twice");
    found.sort();
    found
}

/// What a listing of `keys` must give, said in the simplest way.
fn expected(keys: &[&str], prefix: &str, after: Option<&str>, delimiter: bool) -> Vec<String> {
    let after = after.unwrap_or_default();
    let fold = |key: &str| match key[prefix.len()..].find('/').filter(|_| delimiter) {
        Some(at) => key[..=prefix.len() + at].to_owned(),
        None => key.to_owned(),
    };
    let wanted = keys.iter().filter(|k| k.starts_with(prefix) && **k > after);
    let folded: BTreeSet<String> = wanted.map(|k| fold(k)).collect();
    folded.into_iter().filter(|k| !(delimiter && k.ends_with('/') && k == after)).collect()
}

pub(crate) async fn check_listings(store: &dyn ObjectStore, keys: &[&str]) {
    let mut points: BTreeSet<String> = [String::new(), "b".into(), "zz".into()].into();
    for key in keys {
        points.extend(key.char_indices().map(|(at, _)| key[..at].to_owned()));
        points.insert((*key).to_owned());
    }
    for prefix in &points {
        for after in std::iter::once(None).chain(points.iter().map(|p| Some(p.as_str()))) {
            for delimiter in [false, true] {
                assert_eq!(
                    pages(store, prefix, after, delimiter).await,
                    expected(keys, prefix, after, delimiter),
                    "prefix {prefix:?} after {after:?} delimiter {delimiter}"
                );
            }
        }
    }
}

#[tokio::test]
async fn any_key_is_kept_and_listed_in_order_inside_the_store() {
    let f = Fixture::new();
    for key in WEIRD {
        f.store.put(BUCKET, key, put_of(key.as_bytes(), SseRequest::S3)).await.unwrap();
    }
    let again = f.reopen();
    for key in WEIRD {
        assert_eq!(again.get(BUCKET, key, BOUND).await.unwrap().body, key.as_bytes());
    }
    check_listings(&again, &WEIRD).await;
    let parent = f.dir.path().parent().unwrap();
    assert!(!parent.join("up.sealed").exists());
}

#[tokio::test]
async fn properties_come_back_as_they_were_put() {
    let f = Fixture::new();
    let receipt = f.store.put(BUCKET, "a/k", put_of(b"hello", SseRequest::S3)).await.unwrap();
    assert_eq!(receipt.etag.0, "5d41402abc4b2a76b9719d911017c592", "the MD5, as S3's");
    assert_eq!(receipt.sha256, Some(trail::Sha256::of(b"hello")));
    let meta = f.store.head(BUCKET, "a/k").await.unwrap();
    assert_eq!((meta.size, meta.etag.as_ref()), (5, Some(&receipt.etag)));
    assert_eq!(meta.last_modified.unwrap().unix(), 1_700_000_000);
    assert_eq!(meta.metadata.unwrap()["signature"], "ab");
    assert_eq!(meta.content_encoding.as_deref(), Some("gzip"));
    assert_eq!((meta.sse.algorithm, meta.sse.known), (Some(SseAlgorithm::Aes256), true));
    let request = ListRequest { prefix: "a", start_after: None, delimiter: false };
    let entry = f.store.list(BUCKET, request).await.unwrap().entries.remove(0);
    assert_eq!((entry.size, entry.last_modified), (5, meta.last_modified));
}

#[tokio::test]
async fn what_is_not_there_or_too_large_is_said() {
    let f = Fixture::new();
    f.store.put(BUCKET, "k", put_of(b"hello", SseRequest::S3)).await.unwrap();
    let get = |bucket: &'static str, key: &'static str, bound| f.store.get(bucket, key, bound);
    assert!(matches!(get(BUCKET, "x", 9).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(get("other", "k", 9).await, Err(StoreError::NoSuchBucket { .. })));
    assert!(matches!(get("../kms", "k", 9).await, Err(StoreError::NoSuchBucket { .. })));
    assert!(matches!(get(BUCKET, "k", 4).await, Err(StoreError::TooLarge { size: 5, .. })));
    assert!(get(BUCKET, "k", 5).await.is_ok());
    let long = "k".repeat(1025);
    let refused = f.store.put(BUCKET, &long, put_of(b"", SseRequest::S3)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })));
}

#[tokio::test]
async fn nothing_is_written_unless_the_precondition_holds() {
    let f = Fixture::new();
    let put = |body: &'static [u8], precondition| PutRequest {
        precondition,
        ..put_of(body, SseRequest::S3)
    };
    let refused = |r: Result<_, StoreError>| {
        assert!(matches!(r, Err(StoreError::PreconditionFailed { .. })));
    };
    let matches = |etag: &ETag| Precondition::Matches(etag.clone());
    refused(f.store.put(BUCKET, "k", put(b"0", matches(&ETag("x".into())))).await.map(drop));
    let first = f.store.put(BUCKET, "k", put(b"1", Precondition::Absent)).await.unwrap().etag;
    refused(f.store.put(BUCKET, "k", put(b"2", Precondition::Absent)).await.map(drop));
    let second = f.store.put(BUCKET, "k", put(b"3", matches(&first))).await.unwrap().etag;
    refused(f.store.put(BUCKET, "k", put(b"4", matches(&first))).await.map(drop));
    let object = f.store.get(BUCKET, "k", BOUND).await.unwrap();
    assert_eq!((object.body.as_ref(), object.meta.etag), (b"3".as_slice(), Some(second)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_writers_exactly_one_wins() {
    let f = Fixture::new();
    let stores = [f.store.clone(), f.reopen()];
    for round in 0..8 {
        let key = format!("race/{round}");
        for matching in [false, true] {
            let precondition = match matching {
                false => Precondition::Absent,
                true => {
                    Precondition::Matches(f.store.head(BUCKET, &key).await.unwrap().etag.unwrap())
                }
            };
            let mut writers = tokio::task::JoinSet::new();
            for n in 0..8u8 {
                let (store, key) = (stores[usize::from(n % 2)].clone(), key.clone());
                let precondition = precondition.clone();
                let body = [n, u8::from(matching)];
                let put = PutRequest { precondition, ..put_of(&body, SseRequest::S3) };
                writers.spawn(async move { (body, store.put(BUCKET, &key, put).await) });
            }
            let mut won = Vec::new();
            while let Some(done) = writers.join_next().await {
                match done.unwrap() {
                    (body, Ok(_)) => won.push(body),
                    (_, Err(StoreError::PreconditionFailed { .. })) => {}
                    (_, Err(e)) => panic!("{e}"),
                }
            }
            assert_eq!(won.len(), 1);
            let stored = f.store.get(BUCKET, &key, BOUND).await.unwrap().body;
            assert_eq!(stored.as_ref(), won[0]);
        }
    }
    assert_eq!(std::fs::read_dir(f.dir.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn pages_join_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for folder in 0..1100 {
        let path = dir.path().join(format!("f{folder:04}"));
        std::fs::create_dir(&path).unwrap();
        for name in ["1", "2"] {
            std::fs::write(path.join(name), b"x").unwrap();
            keys.push(format!("f{folder:04}/{name}"));
        }
    }
    let copy = local::OfflineCopy::open(dir.path()).unwrap();
    assert_eq!(pages(&copy, "", None, false).await, keys);
    assert_eq!(pages(&copy, "", None, true).await.len(), 1100);

    let f = Fixture::new();
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..1003 {
        let store = f.store.clone();
        let key = if n % 2 == 0 { format!("{n:04}/x") } else { format!("{n:04}") };
        puts.spawn(async move { store.put(BUCKET, &key, put_of(b"", SseRequest::S3)).await });
    }
    while let Some(put) = puts.join_next().await {
        put.unwrap().unwrap();
    }
    assert_eq!(pages(&f.store, "", None, false).await.len(), 1003);
    assert_eq!(pages(&f.store, "", None, true).await.len(), 1003);
}
