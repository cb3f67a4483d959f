//! Stops at every put of a delivery, before and after its effect; whatever comes next, every
//! event is in exactly one log, every log in exactly one digest, every chain one line.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::events;
use crate::DeliverError;
use crate::testing::{Fault, World};

/// A world in which four chains were begun three hours ago, or an empty one.
async fn begun(prior: bool) -> (World, String) {
    let world = World::new();
    let mut input = String::new();
    if prior {
        input = events(100, 6);
        world.deliver("prior", &input).await.unwrap();
        world.clock.advance(3 * 3600);
    }
    (world, input)
}

/// Delivers `input` with each of `faults` in turn, and then without, until it is done. Whether
/// any fault struck.
async fn recovered(world: &World, faults: &[Fault], input: &str) -> bool {
    let mut struck = false;
    for (i, fault) in faults.iter().enumerate() {
        world.store.set_fault(Some(fault.clone()));
        match world.deliver(&format!("run{i}"), input).await {
            Ok(_) => return struck,
            Err(e) => {
                assert_eq!(e.exit_code(), 4, "{e}");
                struck = true;
            }
        }
        world.clock.advance(7);
    }
    world.store.set_fault(None);
    let summary = world.deliver("last", input).await.unwrap();
    assert_eq!(summary.accepted, input.lines().count() as u64);
    assert_eq!(world.spooled_runs(), 0);
    struck
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_put_loses_and_doubles_nothing() {
    for prior in [false, true] {
        for kind in [Fault::DieBefore as fn(u64) -> Fault, Fault::DieAfter, Fault::Full] {
            let mut struck = 0;
            for put in 1.. {
                let (world, before) = begun(prior).await;
                let input = events(0, 14);
                if !recovered(&world, &[kind(put)], &input).await {
                    world.audit().holds(&(before + &input));
                    break;
                }
                struck += 1;
                world.audit().holds(&(before + &input));
            }
            assert!(struck >= 14, "only {struck} puts");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_crash_while_recovering_does_no_harm_either() {
    for kind in [Fault::DieBefore as fn(u64) -> Fault, Fault::DieAfter] {
        for first in (1..=25).step_by(2) {
            for second in (1..=25).step_by(4) {
                let (world, before) = begun(first % 4 == 1).await;
                let input = events(0, 14);
                recovered(&world, &[kind(first), kind(second)], &input).await;
                world.audit().holds(&(before + &input));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_delivery_is_finished_by_the_next() {
    for put in 1..40 {
        let (world, before) = begun(put % 2 == 0).await;
        let input = events(0, 14);
        let reached = Arc::new(Notify::new());
        world.store.set_fault(Some(Fault::Hang(put, reached.clone())));
        tokio::select! {
            done = world.deliver("killed", &input) => {
                done.unwrap();
                world.audit().holds(&(before + &input));
                return;
            }
            () = reached.notified() => {}
        }
        world.store.set_fault(None);
        // A killed process lets go of its lock at once; here, threads may still hold it.
        loop {
            match world.deliver("next", &input).await {
                Err(DeliverError::SpoolBusy { .. }) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                done => break drop(done.unwrap()),
            }
        }
        world.audit().holds(&(before + &input));
    }
    panic!("a delivery of more puts than expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_without_stopping() {
    for kind in [Fault::FlakyBefore as fn(u64) -> Fault, Fault::FlakyAfter] {
        for put in 1.. {
            let (world, before) = begun(true).await;
            let input = events(0, 14);
            world.store.set_fault(Some(kind(put)));
            world.deliver("run", &input).await.unwrap();
            world.audit().holds(&(before + &input));
            if world.store.puts() < put {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_a_replay_at_any_put_loses_and_doubles_nothing() {
    for kind in [Fault::DieBefore as fn(u64) -> Fault, Fault::DieAfter] {
        for finish_live in [false, true] {
            for put in 1.. {
                let mut world = World::new();
                world.config.replay = true;
                let input = events(0, 14);
                world.store.set_fault(Some(kind(put)));
                let crashed = world.deliver("run", &input).await.is_err();
                world.store.set_fault(None);
                world.config.replay = !finish_live;
                world.clock.advance(7);
                if crashed {
                    world.deliver("again", &input).await.unwrap();
                }
                let audit = world.audit();
                audit.holds(&input);
                if !crashed {
                    break;
                }
                if !finish_live {
                    let ends: Vec<_> =
                        audit.chains.values().map(|w| &w.last().unwrap().1).collect();
                    assert!(ends.iter().all(|end| **end == "2026-01-01T09:05:00Z"), "{ends:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deliveries_at_once_never_fork_a_chain() {
    let mut moved = 0;
    for prior in [false, true] {
        for put in 1.. {
            let (one, before) = begun(prior).await;
            let two = one.twin();
            let (input, other) = (events(0, 14), events(200, 9));
            let (reached, resume) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            one.store.set_fault(Some(Fault::Pause(put, reached.clone(), resume.clone())));
            let mut first = pin!(one.deliver("one", &input));
            tokio::select! {
                done = &mut first => {
                    done.unwrap();
                    break;
                }
                () = reached.notified() => {}
            }
            two.clock.advance(2);
            // The paused one's other chains may still be committed under its feet.
            for run in ["two-1", "two-2", "two-3"] {
                if two.deliver(run, &other).await.is_ok() {
                    break;
                }
            }
            assert_eq!(two.spooled_runs(), 0);
            resume.notify_one();
            if let Err(e) = first.await {
                assert!(e.to_string().contains("another delivery extended"), "{e}");
                assert_eq!(e.exit_code(), 4);
                moved += 1;
                one.deliver("once-more", &input).await.unwrap();
            }
            one.audit().holds(&(before + &input + &other));
        }
    }
    assert!(moved > 5, "{moved}");
}
