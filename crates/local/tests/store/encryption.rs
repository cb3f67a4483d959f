//! Encryption at rest: nothing readable, nothing changed unnoticed, keys obeyed.

use std::fs;

use local::KmsCalls;
use trail::error::{KeyError, StoreError};
use trail::ports::{ETag, ObjectStore as _, Precondition, PutRequest, SseAlgorithm, SseRequest};

use crate::support::{BOUND, BUCKET, Fixture, files, kms, pairs, put_of, region};

const SECRET: &[u8] = b"the plaintext of an event, which must not be found on disk";

#[tokio::test]
async fn no_plaintext_and_no_wide_mode_on_disk() {
    use std::os::unix::fs::PermissionsExt as _;
    let f = Fixture::new();
    let arn = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    for (key, sse) in
        [("s3", SseRequest::S3), ("kms", kms(&arn, false)), ("bucket-key", kms(&arn, true))]
    {
        f.store.put(BUCKET, key, put_of(SECRET, sse)).await.unwrap();
        assert_eq!(f.reopen().get(BUCKET, key, BOUND).await.unwrap().body, SECRET);
    }
    for path in files(f.dir.path()) {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(12).any(|w| w == &SECRET[..12]), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let parent = path.parent().unwrap();
        if parent != f.dir.path() {
            assert_eq!(fs::metadata(parent).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}

#[tokio::test]
async fn no_changed_byte_ever_gives_data() {
    let f = Fixture::new();
    let arn = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let objects = f.dir.path().join("buckets").join(BUCKET).join("objects");
    for (key, sse) in [("s3", SseRequest::S3), ("kms", kms(&arn, true))] {
        f.store.put(BUCKET, key, put_of(b"body", sse)).await.unwrap();
        let path = objects.join(format!("{key}.sealed"));
        let whole = fs::read(&path).unwrap();
        let body_at = whole.len() - 4 - 16;
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let got = f.store.get(BUCKET, key, BOUND).await;
            assert!(matches!(got, Err(StoreError::Damaged { .. })), "{key} byte {at}");
            assert_eq!(f.store.head(BUCKET, key).await.is_err(), at < body_at, "{key} byte {at}");
        }
        for cut in [0, 11, body_at - 1, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(f.store.get(BUCKET, key, BOUND).await.is_err());
            assert!(f.store.head(BUCKET, key).await.is_err());
        }
        fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        assert!(f.store.get(BUCKET, key, BOUND).await.is_err());
        let request = trail::ports::ListRequest { prefix: key, start_after: None, delimiter: true };
        let listed = f.store.list(BUCKET, request).await.unwrap().entries;
        assert_eq!(listed.len(), 1, "a damaged object does not vanish");
        // Another object's file, whole as it is, is not this object.
        fs::write(objects.join("twin.sealed"), &whole).unwrap();
        let twin = f.store.head(BUCKET, "twin").await;
        assert!(matches!(twin, Err(StoreError::Damaged { .. })));
    }
}

#[tokio::test]
async fn sse_kms_is_stored_as_asked_and_answered_with_the_arn() {
    let f = Fixture::new();
    let arn = f.store.create_key(&region("us-east-1")).unwrap();
    f.kms().create_alias("alias/main", &arn.id).unwrap();
    let arn = arn.to_string();
    let sse = kms("alias/main", false);
    let receipt = f.store.put(BUCKET, "k", put_of(b"hello", sse)).await.unwrap();
    assert_eq!(receipt.sse.algorithm, Some(SseAlgorithm::Kms));
    assert_eq!(receipt.sse.kms_key.as_deref(), Some(arn.as_str()));
    assert_eq!(receipt.sse.bucket_key, Some(false));
    assert_ne!(receipt.etag, ETag("5d41402abc4b2a76b9719d911017c592".into()), "not the MD5");
    assert_eq!(f.store.head(BUCKET, "k").await.unwrap().sse, receipt.sse);
    // A version replaced under KMS keeps its compare-and-swap.
    let precondition = Precondition::Matches(receipt.etag);
    let put = PutRequest { precondition, ..put_of(b"new", kms(&arn, false)) };
    f.store.put(BUCKET, "k", put).await.unwrap();
    assert_eq!(f.reopen().get(BUCKET, "k", BOUND).await.unwrap().body.as_ref(), b"new");
    let context = pairs(&[("aws:s3:arn", "arn:aws:s3:::other/k")]);
    let sse = SseRequest::Kms { key: arn, context, bucket_key: false };
    let refused = f.store.put(BUCKET, "l", put_of(b"", sse)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })));
}

#[tokio::test]
async fn a_key_of_another_region_is_refused_before_anything_is_written() {
    let f = Fixture::new();
    let foreign = f.store.create_key(&region("eu-west-1")).unwrap();
    let before = files(f.dir.path()).len();
    let put = |key: &str| f.store.put(BUCKET, "k", put_of(b"x", kms(key, true)));
    let error = put(&foreign.to_string()).await.unwrap_err();
    assert!(matches!(error, StoreError::Key { source: KeyError::WrongRegion { .. }, .. }));
    for unknown in [foreign.id.as_str(), "alias/none", &foreign.to_string().replace("1111", "2222")]
    {
        let unknown = unknown.replace("eu-west-1", "us-east-1");
        let error = put(&unknown).await.unwrap_err();
        assert!(matches!(error, StoreError::Key { source: KeyError::NotFound { .. }, .. }));
    }
    assert!(matches!(
        put("not a key").await.unwrap_err(),
        StoreError::Key { source: KeyError::Malformed(_), .. }
    ));
    assert_eq!(files(f.dir.path()).len(), before);
}

#[tokio::test]
async fn disabling_a_key_elsewhere_bites_at_once_even_with_a_bucket_key() {
    let f = Fixture::new();
    let home = region("us-east-1");
    let arn = f.store.create_key(&home).unwrap();
    for (key, bucket_key) in [("a", true), ("b", false)] {
        let put = put_of(b"x", kms(&arn.to_string(), bucket_key));
        f.store.put(BUCKET, key, put).await.unwrap();
    }
    let elsewhere = f.reopen().kms(f.root(), &home);
    for is_disabled in [true, false] {
        if is_disabled {
            elsewhere.disable_key(&arn.id).unwrap();
        } else {
            elsewhere.schedule_key_deletion(&arn.id, None).unwrap();
        }
        for key in ["a", "b"] {
            let Err(StoreError::Key { source, .. }) = f.store.get(BUCKET, key, BOUND).await else {
                panic!("{key} was read");
            };
            assert_eq!(matches!(source, KeyError::Disabled { .. }), is_disabled);
            assert_eq!(matches!(source, KeyError::InvalidState { .. }), !is_disabled);
            let put = put_of(b"x", kms(&arn.to_string(), key == "a"));
            let refused = f.store.put(BUCKET, "c", put).await;
            assert!(matches!(refused, Err(StoreError::Key { .. })));
        }
    }
    elsewhere.cancel_key_deletion(&arn.id).unwrap();
    elsewhere.enable_key(&arn.id).unwrap();
    assert!(f.store.get(BUCKET, "a", BOUND).await.is_ok());
}

#[tokio::test]
async fn a_bucket_key_spares_calls_for_five_minutes() {
    let f = Fixture::new();
    let arn = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    for n in 0..10 {
        f.store.put(BUCKET, &format!("{n}"), put_of(b"x", kms(&arn, true))).await.unwrap();
    }
    let reader = f.reopen();
    for n in 0..10 {
        reader.get(BUCKET, &format!("{n}"), BOUND).await.unwrap();
    }
    assert_eq!(f.store.kms_calls(), KmsCalls { generate_data_key: 1, decrypt: 0 });
    assert_eq!(reader.kms_calls(), KmsCalls { generate_data_key: 0, decrypt: 1 });
    f.clock.advance(300);
    f.store.put(BUCKET, "later", put_of(b"x", kms(&arn, true))).await.unwrap();
    assert_eq!(f.store.kms_calls().generate_data_key, 2);
    for n in 0..3 {
        f.store.put(BUCKET, &format!("own {n}"), put_of(b"x", kms(&arn, false))).await.unwrap();
    }
    assert_eq!(f.store.kms_calls().generate_data_key, 5);
}
