//! Whole deliveries against the stand-ins of [`crate::testing`].

mod crash;
mod delivery;
mod inputs;
mod refusals;
mod replay;

use crate::testing::event;

/// Events of 2 accounts × 2 regions, several log files each; one occurs twice.
fn events(from: u32, count: u32) -> String {
    let mut lines = String::new();
    for i in from..from + count {
        let (account, region) =
            (u64::from(i % 2) + 1, ["us-east-1", "zz-far-9x"][(i / 2 % 2) as usize]);
        let time = format!("2026-01-01T09:{:02}:{:02}Z", i / 60 % 60, i % 60);
        lines += &event(&format!("e{i}"), account, region, &time);
        lines += "\n";
        if i == from + 1 {
            lines += &event(&format!("e{i}"), account, region, &time);
            lines += "\n";
        }
    }
    lines
}
