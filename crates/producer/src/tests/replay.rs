//! `--replay`: the delivery clock follows the events' times.

use super::events;
use crate::DeliverError;
use crate::testing::{World, event};

fn world() -> World {
    let mut world = World::new();
    world.config.replay = true;
    world
}

fn at(id: &str, account: u64, time: &str) -> String {
    event(id, account, "us-east-1", &format!("2026-01-01T{time}Z"))
}

fn ends(windows: &[(String, String, usize)]) -> Vec<(&str, usize)> {
    windows.iter().map(|(_, end, logs)| (&end[11..19], *logs)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_follow_the_events_to_one_common_end() {
    let world = world();
    let input = [
        at("late", 1, "09:17:00"),
        at("a", 1, "06:58:00"),
        at("b", 1, "06:54:59"),
        at("c", 2, "07:00:00"),
        at("d", 1, "06:50:00"),
    ]
    .join("\n");
    world.deliver("r1", &input).await.unwrap();
    let audit = world.audit();
    audit.holds(&input);
    let first = &audit.chains["000000000001/us-east-1"];
    assert_eq!(first[0].0, "2026-01-01T06:00:00Z");
    assert_eq!(ends(first), [("07:00:00", 2), ("08:00:00", 0), ("09:00:00", 0), ("09:20:00", 1)]);
    let second = &audit.chains["000000000002/us-east-1"];
    assert_eq!(second[0].0, "2026-01-01T07:00:00Z");
    assert_eq!(ends(second), [("08:00:00", 1), ("09:00:00", 0), ("09:20:00", 0)]);
    let keys = world.store.keys();
    assert!(keys.iter().any(|k| k.contains("_CloudTrail_us-east-1_20260101T0655Z_")), "{keys:?}");

    // The next replay goes on where this one ended, for all chains.
    let more = at("e", 1, "09:22:00");
    world.deliver("r2", &more).await.unwrap();
    let audit = world.audit();
    audit.holds(&format!("{input}\n{more}"));
    for windows in audit.chains.values() {
        assert_eq!(windows.last().unwrap().1, "2026-01-01T09:25:00Z");
    }
    // And an empty one changes nothing.
    assert_eq!(world.deliver("r3", "").await.unwrap().digests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_delivered_in_the_future() {
    let world = world();
    let input = [at("a", 1, "10:19:00"), at("b", 1, "23:00:00")].join("\n");
    world.deliver("r", &input).await.unwrap();
    let audit = world.audit();
    audit.holds(&input);
    assert_eq!(ends(&audit.chains["000000000001/us-east-1"]), [("10:20:05", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_go_behind_the_head() {
    let world = world();
    world.deliver("r1", &at("a", 1, "09:17:00")).await.unwrap();
    let before = world.store.keys();
    let input = [at("b", 1, "09:30:00"), at("c", 1, "09:19:59")].join("\n");
    let error = world.deliver("r2", &input).await.unwrap_err();
    assert!(matches!(error, DeliverError::BehindHead { .. }), "{error}");
    assert!(error.to_string().contains("000000000001/us-east-1"), "{error}");
    assert_eq!((error.exit_code(), world.store.keys()), (2, before));
    assert_eq!(world.spooled_runs(), 0);
    world.deliver("r3", &at("d", 1, "09:20:00")).await.unwrap();
    world.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_delivery_may_follow() {
    let mut world = world();
    let input = events(0, 9);
    world.deliver("r1", &input).await.unwrap();
    world.config.replay = false;
    let more = events(100, 9);
    world.deliver("r2", &more).await.unwrap();
    world.audit().holds(&(input + &more));
}
