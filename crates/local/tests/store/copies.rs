//! Offline copies: written by the mirror, read as a directory and as a tar.

use std::fs;
use std::path::Path;

use local::{MirrorWriter, OfflineCopy, SourceInfo};
use trail::error::StoreError;
use trail::ports::{ListRequest, ObjectStore, SseRequest};
use trail::public_key::PublicKeyList;

use crate::conformance::{check_listings, pages};
use crate::support::{BOUND, BUCKET, Fixture, kms, put_of, region};

const KEYS: [&str; 5] = ["AWSLogs/1/a.json.gz", "AWSLogs/1/b", "AWSLogs/1-x", "AWSLogs/2/ü", "z"];

async fn mirrored(dir: &Path) -> Fixture {
    let f = Fixture::new();
    let arn = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let writer = MirrorWriter::open(dir).unwrap();
    for key in KEYS {
        f.store.put(BUCKET, key, put_of(key.as_bytes(), kms(&arn, true))).await.unwrap();
        writer.write(key, &f.store.get(BUCKET, key, BOUND).await.unwrap()).unwrap();
    }
    writer.write_public_keys(&PublicKeyList { keys: Vec::new() }).unwrap();
    let source = SourceInfo {
        bucket: Some(BUCKET.into()),
        bucket_region: Some("us-east-1".into()),
        ..SourceInfo::default()
    };
    writer.write_source(&source).unwrap();
    f
}

async fn check_copy(copy: &OfflineCopy, original: &Fixture) {
    assert_eq!(copy.warnings(), [""; 0]);
    check_listings(copy, &KEYS).await;
    for key in KEYS {
        let (got, put) = (
            copy.get("any", key, BOUND).await.unwrap(),
            original.store.get(BUCKET, key, BOUND).await.unwrap(),
        );
        assert_eq!(got.body, put.body);
        assert_eq!(format!("{:?}", got.meta), format!("{:?}", put.meta), "nothing is lost");
        let head = copy.head("any", key).await.unwrap();
        assert_eq!(format!("{head:?}"), format!("{:?}", put.meta));
    }
    assert!(copy.public_keys().is_some());
    assert_eq!(copy.source().unwrap().bucket.as_deref(), Some(BUCKET));
    assert_eq!(copy.bucket_region("any").await.unwrap(), Some(region("us-east-1")));
    assert!(matches!(copy.get("b", KEYS[0], 3).await, Err(StoreError::TooLarge { .. })));
    let put = copy.put("b", "k", put_of(b"", SseRequest::S3)).await;
    assert!(put.unwrap_err().to_string().contains("read only"));
}

#[tokio::test]
async fn a_mirror_reads_back_as_a_directory_and_as_a_tar() {
    let dir = tempfile::tempdir().unwrap();
    let original = mirrored(&dir.path().join("copy")).await;
    check_copy(&OfflineCopy::open(&dir.path().join("copy")).unwrap(), &original).await;
    for (name, root) in [("plain.tar", "."), ("rooted.tar", "copy")] {
        let path = dir.path().join(name);
        let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
        tar.append_dir_all(root, dir.path().join("copy")).unwrap();
        tar.finish().unwrap();
        check_copy(&OfflineCopy::open(&path).unwrap(), &original).await;
        // Cut in the middle: what is there is read, the rest is not invented.
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        if let Ok(copy) = OfflineCopy::open(&path) {
            for key in pages(&copy, "", None, false).await {
                if let Ok(object) = copy.get("b", &key, BOUND).await {
                    assert!(key.ends_with(str::from_utf8(&object.body).unwrap()));
                }
            }
        }
    }
    fs::write(dir.path().join("x.tar"), [7; 2000]).unwrap();
    assert!(OfflineCopy::open(&dir.path().join("x.tar")).is_err());
}

#[tokio::test]
async fn a_plain_copy_has_no_properties() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("AWSLogs")).unwrap();
    fs::write(dir.path().join("AWSLogs/x"), b"hello").unwrap();
    std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
    let copy = OfflineCopy::open(dir.path()).unwrap();
    assert_eq!(pages(&copy, "", None, false).await, ["AWSLogs/x"]);
    let meta = copy.head("b", "AWSLogs/x").await.unwrap();
    assert!(meta.metadata.is_none() && meta.last_modified.is_none() && !meta.sse.known);
    assert_eq!(copy.bucket_region("b").await.unwrap(), None);
    assert!(copy.warnings()[0].contains("out"), "{:?}", copy.warnings());
    assert!(matches!(copy.get("b", "out/passwd", 9).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(copy.get("b", "../x", 9).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn sidecar_lines_are_read_leniently_and_bad_ones_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".trailseal")).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let lines = [
        r#"{"key":"a","etag":null,"server_side_encryption":"aws:new","metadata":{"X":"1"},"more":1}"#,
        r#"{"key":"b","size":"#,
        &format!(r#"{{"key":"b","etag":"{}"}}"#, "x".repeat(70_000)),
        "",
        r#"{"key":"c","etag":"old"}"#,
        r#"{"key":"c","etag":"\"new\"","server_side_encryption":"AES256"}"#,
        r#"{"key":"gone"}"#,
    ];
    fs::write(dir.path().join(".trailseal/objects.ndjson"), lines.join("\n")).unwrap();
    fs::write(dir.path().join(".trailseal/source.json"), "{").unwrap();
    let copy = OfflineCopy::open(dir.path()).unwrap();
    assert_eq!(copy.warnings().len(), 3, "{:?}", copy.warnings());
    let meta = copy.head("b", "a").await.unwrap();
    assert_eq!(meta.metadata.unwrap()["x"], "1");
    assert!(!meta.sse.known);
    assert!(copy.head("b", "b").await.unwrap().etag.is_none());
    let meta = copy.head("b", "c").await.unwrap();
    assert_eq!(meta.etag.unwrap().0, "new");
    assert!(meta.sse.known);
    let request = ListRequest { prefix: ".trailseal", start_after: None, delimiter: false };
    assert!(copy.list("b", request).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_stopped_mirror_goes_on_where_it_stood() {
    let dir = tempfile::tempdir().unwrap();
    let f = mirrored(dir.path()).await;
    let sidecar = dir.path().join(".trailseal/objects.ndjson");
    let mut bytes = fs::read(&sidecar).unwrap();
    bytes.extend_from_slice(br#"{"key":"cut"#);
    fs::write(&sidecar, bytes).unwrap();
    fs::write(dir.path().join(KEYS[1]), b"short").unwrap();
    let writer = MirrorWriter::open(dir.path()).unwrap();
    assert!(MirrorWriter::open(dir.path()).is_err(), "one at a time");
    for (key, there) in KEYS.into_iter().zip([true, false, true, true, true]) {
        let meta = f.store.head(BUCKET, key).await.unwrap();
        assert_eq!(writer.has(key, meta.etag.as_ref(), meta.size), there, "{key}");
        assert!(!writer.has(key, meta.etag.as_ref(), meta.size + 1));
        assert!(!writer.has(key, None, meta.size));
    }
    let object = f.store.get(BUCKET, KEYS[1], BOUND).await.unwrap();
    writer.write(KEYS[1], &object).unwrap();
    for bad in ["../x", "/x", "a//b", "a/./b", "", ".trailseal/objects.ndjson", "a/"] {
        assert!(matches!(writer.write(bad, &object), Err(StoreError::Invalid { .. })), "{bad}");
    }
    drop(writer);
    check_copy(&OfflineCopy::open(dir.path()).unwrap(), &f).await;
}
