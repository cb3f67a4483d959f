//! Opening a store: what is accepted, and what the errors say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use local::{OpenError, OpenOptions, Store, SystemClock};

use crate::support::{BUCKET, Fixture, region};

fn open(dir: &std::path::Path, options: &OpenOptions) -> Result<Store, OpenError> {
    Store::open(dir, options, Arc::new(SystemClock))
}

fn creating() -> OpenOptions {
    OpenOptions { create: true, ..OpenOptions::default() }
}

#[test]
fn a_store_is_made_once_and_belongs_to_one_account() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    assert!(matches!(open(&path, &OpenOptions::default()), Err(OpenError::Missing { .. })));
    let account = Some("999988887777".parse().unwrap());
    open(&path, &OpenOptions { account, ..creating() }).unwrap();
    assert_eq!(open(&path, &creating()).unwrap().account().as_str(), "999988887777");
    let other = Some("111122223333".parse().unwrap());
    let error = open(&path, &OpenOptions { account: other, ..creating() }).err().unwrap();
    assert!(error.to_string().contains("999988887777"), "{error}");
}

#[test]
fn other_directories_and_newer_stores_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.doc"), b"x").unwrap();
    assert!(matches!(open(dir.path(), &creating()), Err(OpenError::NotAStore { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let f = Fixture::new();
    let newer = br#"{"format":"trailseal.store","version":2,"account":{"id":1}}"#;
    fs::write(f.dir.path().join("store.json"), newer).unwrap();
    let error = open(f.dir.path(), &creating()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 2, supported: 1, .. }));
    assert!(error.to_string().contains("upgrade trailseal"), "{error}");
}

#[test]
fn an_unfinished_creation_is_taken_up() {
    let f = Fixture::new();
    let root = fs::read(f.dir.path().join("root.key")).unwrap();
    for gone in ["store.json", "s3-root.json"] {
        fs::remove_file(f.dir.path().join(gone)).unwrap();
    }
    fs::remove_dir_all(f.dir.path().join("buckets")).unwrap();
    open(f.dir.path(), &creating()).unwrap();
    assert_eq!(fs::read(f.dir.path().join("root.key")).unwrap(), root);
}

#[test]
fn the_root_key_must_be_there_closed_and_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, key) = (dir.path().join("store"), dir.path().join("the.key"));
    let options = OpenOptions { root_key_file: Some(key.clone()), ..creating() };
    open(&path, &options).unwrap();
    assert!(!path.join("root.key").exists());
    assert!(matches!(open(&path, &creating()), Err(OpenError::RootKeyMissing { .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(open(&path, &options), Err(OpenError::RootKeyMode { mode: 0o640, .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "ab".repeat(32)).unwrap();
    assert!(matches!(open(&path, &options), Err(OpenError::RootKeyForeign { .. })));
    fs::write(&key, "ab").unwrap();
    assert!(matches!(open(&path, &options), Err(OpenError::File(_))));
}

#[test]
fn lost_root_keys_of_sse_s3_are_not_blamed_on_the_root_key() {
    let f = Fixture::new();
    fs::remove_file(f.dir.path().join("s3-root.json")).unwrap();
    let Err(error @ OpenError::File(_)) = open(f.dir.path(), &OpenOptions::default()) else {
        panic!("it opened, or something else is blamed");
    };
    assert!(error.to_string().contains("s3-root.json"), "{error}");
}

#[test]
fn buckets_stay_in_their_region() {
    let f = Fixture::new();
    assert!(!f.store.create_bucket(BUCKET, &region("us-east-1")).unwrap());
    let error = f.reopen().create_bucket(BUCKET, &region("eu-west-1")).unwrap_err();
    assert!(error.to_string().contains("us-east-1"), "{error}");
    assert!(f.store.create_bucket("../x", &region("eu-west-1")).is_err());
    assert_eq!(f.reopen().buckets().unwrap(), [(BUCKET.to_owned(), region("us-east-1"))]);
}

#[test]
fn processes_that_make_a_store_at_once_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    std::thread::scope(|s| {
        let threads: Vec<_> = (0..8).map(|_| s.spawn(|| open(&path, &creating()))).collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    open(&path, &OpenOptions::default()).unwrap();
}
