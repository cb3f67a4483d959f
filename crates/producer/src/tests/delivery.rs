//! What deliveries write when nothing goes wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trail::key::LogKey;

use super::events;
use crate::Input;
use crate::testing::{Counter, ManualClock, World, event};

fn windows(list: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
    let day = |t: &str| format!("2026-01-01T{t}Z");
    list.iter().map(|(from, to, logs)| (day(from), day(to), *logs)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_over_three_runs_with_gaps() {
    let world = World::new();
    let one = event("a", 1, "us-east-1", "2026-01-01T09:00:00Z");
    let two = event("b", 2, "us-east-1", "2026-01-01T09:00:00Z");
    world.deliver("r1", &one).await.unwrap();
    world.clock.set("2026-01-01T13:05:10Z");
    let summary = world.deliver("r2", &two).await.unwrap();
    assert_eq!((summary.chains.len(), summary.digests), (2, 5));
    assert_eq!(summary.chains[0].digests, 4);
    let last = summary.chains[0].last_digest.clone().unwrap();
    assert_eq!(
        last,
        "corp/AWSLogs/000000000001/CloudTrail-Digest/us-east-1/2026/01/01/\
         000000000001_CloudTrail-Digest_us-east-1_main_eu-west-1_20260101T130511Z.json.gz"
    );
    assert_eq!(world.deliver("r3", "").await.unwrap().digests, 2, "an empty run continues them");
    let audit = world.audit();
    audit.holds(&format!("{one}\n{two}"));
    assert_eq!(
        audit.chains["000000000001/us-east-1"],
        windows(&[
            ("10:20:05", "10:20:06", 1),
            ("10:20:06", "11:00:00", 0),
            ("11:00:00", "12:00:00", 0),
            ("12:00:00", "13:00:00", 0),
            ("13:00:00", "13:05:11", 0),
            ("13:05:11", "13:05:12", 0),
        ])
    );
    assert_eq!(
        audit.chains["000000000002/us-east-1"],
        windows(&[("13:05:10", "13:05:11", 1), ("13:05:11", "13:05:12", 0)])
    );
}

#[test]
fn a_delivery_can_be_spawned() {
    fn send<T: Send>(_: &T) {}
    let world = World::new();
    send(&world.deliver("r", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_within_one_second_get_stamps_of_their_own() {
    let world = World::new();
    for i in 0..4 {
        world.deliver(&format!("r{i}"), &events(i, 1)).await.unwrap();
    }
    let audit = world.audit();
    let longest = audit.chains.values().map(Vec::len).max();
    assert_eq!(longest, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_silence_is_filled_with_empty_digests() {
    let world = World::new();
    world.deliver("r1", &events(0, 4)).await.unwrap();
    world.clock.advance(100 * 3600);
    let summary = world.deliver("r2", "").await.unwrap();
    assert_eq!(summary.digests, 4 * 101);
    let published = world.counter.published.load(Ordering::SeqCst);
    assert_eq!(published, world.counter.planned.load(Ordering::SeqCst));
    world.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn filed_by_account_and_region_and_verbatim() {
    let mut world = World::new();
    world.config.organization = Some("o-exampleorgid".parse().unwrap());
    let homeless = r#"{"eventTime" : "2026-01-01T09:00:00Z", "eventID":"é\u00e9 \/", "n":1.0}"#;
    let input = format!("{}\n{homeless}", event("a", 7, "zz-far-9x", "2026-01-01T09:00:00Z"));
    let summary = world.deliver("r", &input).await.unwrap();
    assert_eq!((summary.accepted, summary.delivered, summary.logs), (2, 2, 2));
    world.audit().holds(&input);
    let keys = world.store.keys();
    for start in [
        "corp/AWSLogs/o-exampleorgid/000000000007/CloudTrail/zz-far-9x/2026/01/01/\
         000000000007_CloudTrail_zz-far-9x_20260101T1025Z_",
        "corp/AWSLogs/o-exampleorgid/111122223333/CloudTrail/eu-west-1/2026/01/01/\
         111122223333_CloudTrail_eu-west-1_20260101T1025Z_",
        "corp/trailseal/eu-west-1/main/o-exampleorgid/111122223333/eu-west-1/head.json",
    ] {
        assert!(keys.iter().any(|k| k.starts_with(start)), "{start} in {keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_depend_on_run_and_content_alone() {
    let keys = async |run: &str| {
        let world = World::new();
        world.deliver(run, &events(0, 20)).await.unwrap();
        let keys = world.store.keys().into_iter();
        keys.filter(|k| k.parse::<LogKey>().is_ok()).collect::<Vec<_>>()
    };
    let first = keys("run").await;
    assert!(first.len() >= 7);
    assert_eq!(first, keys("run").await);
    assert_ne!(first, keys("other").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_by_size_and_count() {
    let mut world = World::new();
    let line = event("a", 1, "us-east-1", "2026-01-01T09:00:00Z");
    let input = [&*line; 7].join("\n");
    assert_eq!(world.deliver("count", &input).await.unwrap().logs, 3);
    world.config.cutting.max_log_events = 100;
    world.config.cutting.max_log_size = 2 * line.len() + 16;
    assert_eq!(world.deliver("size", &input).await.unwrap().logs, 4);
    world.audit();
}

/// Gives a line, lets it grow old, and ends when its log is delivered.
struct Slow {
    clock: Arc<ManualClock>,
    counter: Arc<Counter>,
    line: Option<String>,
}

impl std::io::Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let nap = || std::thread::sleep(Duration::from_millis(20));
        if let Some(line) = self.line.take() {
            let n = buf.len().min(line.len());
            buf[..n].copy_from_slice(&line.as_bytes()[..n]);
            self.line = Some(line[n..].to_owned()).filter(|rest| !rest.is_empty());
            return Ok(n);
        }
        while self.counter.read.load(Ordering::SeqCst) == 0 {
            nap();
        }
        nap();
        self.clock.advance(301);
        while self.counter.logs.load(Ordering::SeqCst) == 0 {
            nap();
        }
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_by_age_while_the_input_is_silent() {
    let world = World::new();
    let line = event("a", 1, "us-east-1", "2026-01-01T09:00:00Z") + "\n";
    let slow =
        Slow { clock: world.clock.clone(), counter: world.counter.clone(), line: Some(line) };
    let summary = world.deliver_inputs("r", vec![Input::new("slow", Box::new(slow))]).await;
    assert_eq!(summary.unwrap().logs, 1);
}
