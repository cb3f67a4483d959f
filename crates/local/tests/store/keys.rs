//! The key service, signing keys and trails.

use encryptor::signing::{SigningKey, Validity};
use local::PemSigner;
use trail::Timestamp;
use trail::error::KeyError;
use trail::ports::{
    Clock as _, KeyService as _, PublicKeys as _, SigningKeys as _, TrailInfo, Trails as _,
};

use crate::support::{Fixture, pairs, region};

#[tokio::test]
async fn the_key_service_makes_and_opens_data_keys_under_their_context() {
    let f = Fixture::new();
    let home = region("us-east-1");
    let arn = f.store.create_key(&home).unwrap();
    f.kms().create_alias("alias/a/b", &arn.id).unwrap();
    let context = pairs(&[("x", "1")]);
    let made = f.store.generate_data_key(&home, "alias/a/b", &context).await.unwrap();
    assert_eq!(made.key, arn);
    let again = f.reopen();
    assert_eq!(again.decrypt(&arn, &made.wrapped, &context).await.unwrap(), made.plaintext);
    let wrong = again.decrypt(&arn, &made.wrapped, &pairs(&[("x", "2")])).await;
    assert_eq!(wrong.err(), Some(KeyError::InvalidCiphertext));
    let other = f.store.create_key(&home).unwrap();
    let wrong = again.decrypt(&other, &made.wrapped, &context).await;
    assert_eq!(wrong.unwrap_err().code(), "IncorrectKeyException");
    let info = again.describe_key(&home, &arn.to_string()).await.unwrap();
    assert_eq!((info.state.as_str(), info.rotation), ("Enabled", Some(false)));
    assert!(info.policy.unwrap().contains("arn:aws:iam::111122223333:root"));
    let elsewhere = again.describe_key(&region("eu-west-1"), &arn.to_string()).await;
    assert!(matches!(elsewhere, Err(KeyError::WrongRegion { .. })));
    assert!(f.kms().create_alias("no-alias", &arn.id).is_err());
}

#[tokio::test]
async fn each_region_signs_with_its_own_key_and_a_new_one_in_time() {
    let f = Fixture::new();
    let (east, west) = (region("us-east-1"), region("us-west-2"));
    let keys = f.store.signing_keys();
    let now = f.clock.now();
    let print = |s: std::sync::Arc<dyn trail::ports::Signer>| s.public_key().fingerprint.clone();
    let first = print(keys.signer(&east, now).await.unwrap());
    assert_eq!(print(keys.signer(&east, now).await.unwrap()), first);
    assert_eq!(print(f.reopen().signing_keys().signer(&east, now).await.unwrap()), first);
    assert_ne!(print(keys.signer(&west, now).await.unwrap()), first);
    let listed = keys.list_public_keys(&east, now, now).await.unwrap();
    assert_eq!(listed.len(), 1);
    let end = listed[0].valid_to;
    assert_eq!(end.seconds_since(listed[0].valid_from), 366 * 86_400);
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(print(keys.signer(&east, end - hour).await.unwrap()), first);
    let late = end - hour + std::time::Duration::from_secs(1);
    assert_ne!(print(keys.signer(&east, late).await.unwrap()), first);
    // A replay of the past signs with a key of that time.
    let past: Timestamp = "2015-08-17T15:00:00Z".parse().unwrap();
    let old = keys.signer(&east, past).await.unwrap();
    assert!(old.public_key().valid_from < past && past < old.public_key().valid_to);
    assert_eq!(keys.list_public_keys(&east, past, past).await.unwrap().len(), 1);
    assert_eq!(keys.list_all().unwrap().len(), 4);
    assert!(keys.owns(&east, &first).await.unwrap());
    assert!(!keys.owns(&west, &first).await.unwrap());
    assert_eq!(old.sign(b"x").await.unwrap().len(), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_make_one_signing_key() {
    let f = Fixture::new();
    let now = f.clock.now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let keys = f.reopen().signing_keys();
        tasks.spawn(async move {
            keys.signer(&region("us-east-1"), now).await.unwrap().public_key().fingerprint.clone()
        });
    }
    let mut prints = tasks.join_all().await;
    prints.dedup();
    assert_eq!(prints.len(), 1);
    assert_eq!(f.store.signing_keys().list_all().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pem_key_signs_everywhere_and_is_listed() {
    use base64::Engine as _;
    let always = Validity { region: None, from: Timestamp::EPOCH, to: Timestamp::MAX };
    let key = SigningKey::generate(always).unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(key.to_pkcs8().unwrap());
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|c| str::from_utf8(c).unwrap()).collect();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let f = Fixture::new();
    let signer = PemSigner::new(&pem, Some(&f.store)).unwrap();
    let (east, print) = (region("us-east-1"), key.public_key().fingerprint.clone());
    let past: Timestamp = "2015-08-17T15:00:00Z".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(signer.signer(&east, past).await.unwrap().public_key().fingerprint, print);
    }
    let keys = f.store.signing_keys();
    let listed = keys.list_public_keys(&east, past, past).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].der, key.public_key().der);
    assert!(!keys.list_all().unwrap()[0].private);
    // What is only listed cannot sign for the store; each signer owns its own keys alone.
    let own = keys.signer(&east, past).await.unwrap().public_key().fingerprint.clone();
    assert_ne!(own, print);
    assert!(keys.owns(&east, &own).await.unwrap() && signer.owns(&east, &print).await.unwrap());
    assert!(!keys.owns(&east, &print).await.unwrap() && !signer.owns(&east, &own).await.unwrap());
}

const PEM: &str = include_str!("../../../../fixtures/keys/throwaway-test-signing-key.pem");

fn hours(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(3600 * n)
}

#[tokio::test]
async fn a_rotated_key_signs_at_once_and_its_predecessors_stay_listed() {
    let f = Fixture::new();
    let (east, west, now) = (region("us-east-1"), region("us-west-2"), f.clock.now());
    let keys = f.store.signing_keys();
    let signs = async |at: Timestamp| {
        let signer = f.reopen().signing_keys().signer(&east, at).await.unwrap();
        signer.public_key().fingerprint.clone()
    };
    let first = signs(now).await;
    let second = keys.rotate(&east, now).unwrap();
    assert_ne!(second.fingerprint, first);
    assert_eq!(signs(now).await, second.fingerprint);
    // Also after a key whose time begins later than a new one's would.
    let imported = keys.import_pem(&east, PEM, (now - hours(1), now + hours(9000))).unwrap();
    assert_eq!(signs(now).await, imported.fingerprint);
    let third = keys.rotate(&east, now).unwrap();
    assert_eq!(signs(now).await, third.fingerprint);
    let listed = keys.list_public_keys(&east, now, now).await.unwrap();
    let prints: Vec<_> = listed.iter().map(|k| k.fingerprint.as_str()).collect();
    assert_eq!(prints, [&first, &second.fingerprint, &imported.fingerprint, &third.fingerprint]);
    for key in &listed {
        assert!(key.valid_from <= now && now + hours(24 * 364) <= key.valid_to, "they overlap");
        assert!(keys.owns(&east, &key.fingerprint).await.unwrap());
    }
    assert!(keys.list_public_keys(&west, now, now).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_imported_key_signs_in_its_time_and_is_sealed() {
    let f = Fixture::new();
    let (east, now) = (region("us-east-1"), f.clock.now());
    let keys = f.store.signing_keys();
    let (from, to) = (now - hours(10_000), now - hours(9_000));
    let key = keys.import_pem(&east, PEM, (from, to)).unwrap();
    assert_eq!((key.valid_from, key.valid_to, key.region.clone()), (from, to, Some(east.clone())));
    let again = f.reopen().signing_keys();
    let past = again.signer(&east, from).await.unwrap();
    assert_eq!(past.public_key(), &key);
    let public = PemSigner::new(PEM, None).unwrap();
    let same = public.signer(&east, from).await.unwrap().sign(b"x").await.unwrap();
    assert_eq!(past.sign(b"x").await.unwrap(), same);
    let last = to - hours(1);
    assert_eq!(again.signer(&east, last).await.unwrap().public_key(), &key);
    assert_ne!(again.signer(&east, last + hours(1)).await.unwrap().public_key(), &key);
    // Again: nothing new, whatever time is given.
    assert_eq!(keys.import_pem(&east, PEM, (from, now)).unwrap(), key);
    assert_eq!(keys.list_public_keys(&east, from, from).await.unwrap().len(), 1);
    let body: String = PEM.lines().filter(|l| !l.starts_with('-')).collect();
    let der = base64::engine::Engine::decode(&base64::prelude::BASE64_STANDARD, body).unwrap();
    let secret = hex::encode(&der[der.len() - 40..]);
    for path in crate::support::files(f.dir.path()) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(&secret), "{}", path.display());
    }
}

#[tokio::test]
async fn a_key_that_was_only_listed_gets_its_private_half() {
    let f = Fixture::new();
    let (east, now) = (region("us-east-1"), f.clock.now());
    let keys = f.store.signing_keys();
    let signer = PemSigner::new(PEM, Some(&f.store)).unwrap();
    signer.signer(&east, now).await.unwrap();
    let print = signer.public_key().fingerprint.clone();
    assert!(!keys.owns(&east, &print).await.unwrap());
    let key = keys.import_pem(&east, PEM, (now, now + hours(100))).unwrap();
    assert!(keys.owns(&east, &print).await.unwrap());
    assert_eq!(key.valid_from, Timestamp::EPOCH, "what it signed before stays in its time");
    assert_eq!(keys.list_all().unwrap().len(), 1);
}

#[test]
fn keys_that_must_not_sign_are_not_imported() {
    let f = Fixture::new();
    let (east, now) = (region("us-east-1"), f.clock.now());
    let keys = f.store.signing_keys();
    let weak = include_str!("../../../../fixtures/keys/throwaway-rsa-1024.pem");
    for (pem, (from, to), told) in [
        (weak, (now, now + hours(1)), "1024 bits"),
        ("nonsense", (now, now + hours(1)), "not an RSA private key"),
        (PEM, (now, now), "its time ends"),
    ] {
        let error = keys.import_pem(&east, pem, (from, to)).unwrap_err();
        assert_eq!(error.code(), "ValidationException");
        assert!(error.to_string().contains(told), "{error}");
    }
    assert!(keys.list_all().unwrap().is_empty());
}

#[tokio::test]
async fn trails_are_made_once_and_described() {
    let f = Fixture::new();
    let mut trail: TrailInfo = serde_json::from_value(serde_json::json!({
        "Name": "main", "S3BucketName": "audit-logs", "HomeRegion": "us-east-1",
        "TrailARN": "arn:aws:cloudtrail:us-east-1:111122223333:trail/main",
        "LogFileValidationEnabled": true,
    }))
    .unwrap();
    assert!(f.store.put_trail(&trail).unwrap());
    assert!(!f.store.put_trail(&trail).unwrap());
    trail.is_multi_region_trail = true;
    assert!(f.store.put_trail(&trail).is_err());
    f.store.replace_trail(&trail).unwrap();
    assert_eq!(f.reopen().describe_trails().await.unwrap(), [trail.clone()]);
    trail.name = "../x".into();
    assert!(f.store.put_trail(&trail).is_err());
}

#[test]
fn an_alias_that_many_want_at_once_gets_one_key() {
    let f = Fixture::new();
    let east = region("us-east-1");
    let arns: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
        let make = || f.reopen().key_behind_alias(&east, "alias/shared").unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        let made: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(made.iter().filter(|(_, new)| *new).count(), 1);
        made.into_iter().map(|(arn, _)| arn.to_string()).collect()
    });
    assert_eq!(arns.len(), 1);
}
