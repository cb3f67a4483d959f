//! What a delivery refuses, and that it then writes nothing.

use trail::ports::SseAlgorithm;

use super::events;
use crate::testing::{Fault, KMS_KEY, World, sse_state};
use crate::{DeliverError, Sse};

/// Delivers, and demands a refusal that leaves the bucket as it was.
async fn refusal(world: &World, input: &str) -> DeliverError {
    let before = world.store.keys();
    let error = world.deliver("refused", input).await.unwrap_err();
    assert_eq!(world.store.keys(), before, "{error}");
    assert_eq!(error.exit_code(), 2, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_of_another_signer() {
    let mut world = World::new();
    world.deliver("r1", &events(0, 4)).await.unwrap();
    world.signer = "theirs";
    for trail in ["main", "other"] {
        world.config.trail.name = trail.parse().unwrap();
        let error = refusal(&world, &events(10, 4)).await;
        assert!(matches!(error, DeliverError::ForeignChain { .. }), "{error}");
        assert!(error.to_string().contains("_main_eu-west-1_20260101T102006Z"), "{error}");
    }
    // Another trail of the same signer is at home there.
    world.signer = "ours";
    world.deliver("r2", "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_its_head() {
    let world = World::new();
    let input = events(0, 1);
    world.deliver("r1", &input).await.unwrap();
    let heads = world.store.keys().into_iter().filter(|k| k.ends_with("/head.json"));
    for head in heads.collect::<Vec<_>>() {
        world.store.remove(&head);
    }
    let error = refusal(&world, &input).await;
    assert!(matches!(error, DeliverError::HeadMissing { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_behind_the_chain() {
    let world = World::new();
    world.deliver("r1", &events(0, 1)).await.unwrap();
    world.clock.advance(-5);
    world.deliver("r2", "").await.unwrap();
    world.clock.advance(-6);
    let error = refusal(&world, &events(1, 1)).await;
    assert!(matches!(error, DeliverError::ClockBehind { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_in_use_and_entries_that_do_not_open() {
    let world = World::new();
    let lock = std::fs::File::create(world.spool.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let error = refusal(&world, "").await;
    assert!(matches!(error, DeliverError::SpoolBusy { .. }), "{error}");
    lock.unlock().unwrap();

    world.store.set_fault(Some(Fault::DieAfter(1)));
    world.deliver("r1", &events(0, 9)).await.unwrap_err();
    world.store.set_fault(None);
    let folder = world.spool.path().join("runs/r1");
    let entry = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let sealed = std::fs::read(&entry).unwrap();
    assert!(!sealed.windows(7).any(|w| w == b"eventID" || w == b"AWSLogs"));
    for broken in [&sealed[..sealed.len() - 1], b"", &[&sealed[..], b"x"].concat()] {
        std::fs::write(&entry, broken).unwrap();
        let error = world.deliver("r2", &events(0, 9)).await.unwrap_err();
        assert!(error.to_string().contains(entry.to_str().unwrap()), "{error}");
        assert_eq!(error.exit_code(), 4);
    }
    std::fs::write(&entry, &sealed).unwrap();
    let bucket = world.config.destination.bucket.clone();
    let mut elsewhere = world;
    elsewhere.config.destination.prefix = "elsewhere".into();
    let error = elsewhere.deliver("r2", "").await.unwrap_err().to_string();
    assert!(error.contains(&format!("belongs to s3://{bucket}/corp/trailseal")), "{error}");
    elsewhere.config.destination.prefix = "corp".into();
    elsewhere.deliver("r2", &events(0, 9)).await.unwrap();
    elsewhere.audit().holds(&events(0, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_not_stored_as_asked_are_never_named() {
    let other = KMS_KEY.replace("1234abcd", "other");
    for (fault, expected) in [
        (Fault::WrongSse(1, sse_state(SseAlgorithm::Aes256, None)), "AES256, expected aws:kms"),
        (Fault::WrongSse(1, sse_state(SseAlgorithm::Kms, Some(&other))), "key/other, expected arn"),
        (Fault::WrongHash(1), "SHA-256"),
    ] {
        let world = World::new();
        world.store.set_fault(Some(fault.clone()));
        let error = world.deliver("r", &events(0, 1)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("AWSLogs/000000000001/CloudTrail/"), "{error}");
        assert_eq!(error.exit_code(), 4);
        world.store.set_fault(None);
        assert!(!world.store.keys().iter().any(|k| k.contains("CloudTrail-Digest")));
        if let Fault::WrongSse(..) = fault {
            world.deliver("again", &events(0, 1)).await.unwrap_err();
            // As the message says: away with the object.
            let log = world.store.keys().into_iter().find(|k| k.contains("AWSLogs/")).unwrap();
            world.store.remove(&log);
        }
        let summary = world.deliver("last", &events(0, 1)).await.unwrap();
        assert_eq!(
            (summary.delivered, summary.already_delivered, summary.recovered_logs),
            (0, 1, 1)
        );
        world.audit();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit() {
    let refused = async |change: fn(&mut World), what: &str| {
        let mut world = World::new();
        change(&mut world);
        let error = refusal(&world, &events(0, 1)).await.to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(|w| w.config.destination.region = "us-east-1".parse().unwrap(), "us-east-1").await;
    let foreign = |w: &mut World| {
        let key = "arn:aws:kms:us-east-1:111122223333:key/1".parse().unwrap();
        w.config.logs = Sse::Kms { key, bucket_key: false };
    };
    refused(foreign, "not in eu-west-1").await;
    refused(|w| w.config.cutting.digest_interval /= 61, "delivery.digest_interval").await;
    refused(|w| w.config.cutting.max_log_events = 0, "delivery.max_log_events").await;
    refused(|w| w.config.destination.prefix = "a/".into(), "destination.url").await;
}
