//! Time that nothing proves: each stretch is one finding, and never passes for proof.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use trail::Timestamp;
use trail::key::DigestKey;

use crate::support::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A chain of four whole hours that ended `ago` hours before this one. Each hour has an event in
/// its middle, the last two also one in their last second.
fn whole_hours(ago: u32) -> (Site, Timestamp) {
    let site = Site::new();
    let end = Timestamp::from_unix(now().unix() / 3600 * 3600) - HOUR * ago;
    let seconds_before_end = [12_600, 9_000, 5_400, 3_601, 1_800, 1];
    let lines = seconds_before_end
        .map(|s| event(ACCOUNTS[0], REGIONS[0], end - Duration::from_secs(s), s as usize, ""));
    let summary = site.delivered(lines.join("\n").as_bytes(), &["--replay"]);
    assert_eq!(heads(&summary)[0].end, end, "the last window ends with the hour");
    (site, end)
}

fn predicted(finding: &Value) -> Vec<DigestKey> {
    let objects = finding["objects"].as_array().unwrap();
    let key =
        |o: &Value| o.as_str().unwrap().strip_prefix("s3://audit-logs/").unwrap().parse().unwrap();
    objects.iter().map(key).collect()
}

fn digest_files(site: &Site) -> Vec<std::path::PathBuf> {
    let root = site.store().join("buckets").join(BUCKET).join("objects");
    let found =
        files(&root).into_iter().filter(|f| f.contains("/AWSLogs/") && f.contains("-Digest/"));
    found.map(|f| root.join(f)).collect()
}

#[test]
fn time_after_the_newest_digest_is_absent_with_the_keys_it_should_have() {
    let (site, end) = whole_hours(6);
    let asked = (end + HOUR * 3).to_string();
    let call = site.verify().args(&["--end", &asked, "--grace", "0s"]);
    let report = call.run().exits(3).report();
    assert_eq!(report.verdict(), "incomplete");
    let tail = report.only("chain.tail-absent");
    assert_eq!(tail.len(), 1, "one finding for one stretch");
    assert_eq!((&tail[0]["from"], &tail[0]["to"]), (&end.to_string().into(), &asked.into()));
    let ends: Vec<_> = predicted(tail[0]).iter().map(|k| k.end).collect();
    assert_eq!(ends, [end + HOUR, end + HOUR * 2, end + HOUR * 3]);
    assert_eq!(report.0["coverage"][1]["state"], "absent");
    // 4 of 7 hours.
    assert!((report.summary("/coverage").as_f64().unwrap() - 4.0 / 7.0).abs() < 0.001);
}

#[test]
fn the_newest_stretch_may_be_undigested_for_as_long_as_the_grace() {
    let (site, end) = whole_hours(1);
    let report = site.verify().run().exits(0).report();
    assert!(report.findings().is_empty(), "{:?}", report.codes());
    let report = site.verify().args(&["--grace", "0s"]).run().exits(3).report();
    assert_eq!(report.only("chain.tail-absent")[0]["from"], end.to_string());
}

#[test]
fn offsets_in_times_are_honoured() {
    let (site, end) = whole_hours(6);
    let local = (end + HOUR * 2).to_string().replace('Z', "+02:00");
    let call = site.verify().args(&["--end", &local, "--grace", "0s"]);
    let report = call.run().exits(0).report();
    assert_eq!(*report.summary("/coverage"), 1.0);
    assert_eq!(report.0["request"]["end"], end.to_string());
    site.verify().args(&["--end", "yesterday"]).run().exits(2).says(&["yesterday"]);
}

#[test]
fn an_empty_interval_demands_nothing() {
    let (site, end) = whole_hours(6);
    let at = end.to_string();
    let report = site.verify().args(&["--start", &at, "--end", &at]).run().exits(0).report();
    assert_eq!(*report.summary("/coverage"), Value::Null);
    let earlier = (end - HOUR).to_string();
    let call = site.verify().args(&["--start", &at, "--end", &earlier]);
    call.run().exits(2).says(&["--start", "later than"]);
}

#[test]
fn time_before_the_chain_is_a_gap_only_when_asked_for() {
    let (site, end) = whole_hours(6);
    let end_text = end.to_string();
    let call = site.verify().args(&["--end", &end_text, "--grace", "0s"]);
    let report = call.run().exits(0).report();
    let begin = (end - HOUR * 4).to_string();
    assert!(report.not_proven().contains(&format!("events before {begin}")));
    let early = (end - HOUR * 6).to_string();
    let call = site.verify().args(&["--start", &early, "--end", &end_text, "--grace", "0s"]);
    let report = call.run().exits(3).report();
    let head = report.only("chain.head-absent");
    assert_eq!((&head[0]["from"], &head[0]["to"]), (&early.into(), &begin.into()));
}

#[test]
fn an_absent_first_digest_is_named_when_its_time_is_asked_for() {
    let (site, end) = whole_hours(6);
    let oldest = digest_files(&site).remove(0);
    fs::remove_file(&oldest).unwrap();
    let name = oldest.file_name().unwrap().to_str().unwrap().strip_suffix(".sealed").unwrap();
    let end_text = end.to_string();
    let call = site.verify().args(&["--end", &end_text, "--grace", "0s"]);
    assert!(call.run().exits(0).report().not_proven().contains(name));
    let start = (end - HOUR * 4).to_string();
    let call = site.verify().args(&["--start", &start, "--end", &end_text, "--grace", "0s"]);
    let report = call.run().exits(3).report();
    let head: Vec<_> =
        report.findings().iter().filter(|f| f["code"] == "chain.head-absent").collect();
    assert_eq!(head.len(), 1);
    assert!(head[0]["object"].as_str().unwrap().ends_with(name));
}

#[test]
fn of_several_missing_in_a_row_each_hour_is_named() {
    let (site, end) = whole_hours(6);
    let digests = digest_files(&site);
    for path in &digests[1..3] {
        fs::remove_file(path).unwrap();
    }
    let call = site.verify().args(&["--end", &end.to_string(), "--grace", "0s"]);
    let report = call.run().exits(1).report();
    let missing: Vec<_> =
        report.findings().iter().filter(|f| f["code"] == "digest.missing").collect();
    assert_eq!(missing.len(), 2, "{:?}", report.codes());
    for path in &digests[1..3] {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".sealed").unwrap();
        let named = |f: &&&Value| f["object"].as_str().is_some_and(|o| o.ends_with(name));
        assert_eq!(missing.iter().filter(named).count(), 1, "{name}");
    }
    assert_eq!(*report.summary("/digests/missing"), 2);
    assert_eq!(*report.summary("/coverage"), 0.5);
    let states: Vec<_> =
        report.0["coverage"].as_array().unwrap().iter().map(|c| &c["state"]).collect();
    assert!(states.iter().any(|s| *s == "missing") && states.iter().any(|s| *s == "proven"));
    // The logs of lost hours: one finding for one folder and stretch.
    let logs: Vec<_> = report.findings().iter().filter(|f| f["code"] == "log.undigested").collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_eq!(logs[0]["count"], 3);
}

#[test]
fn a_retention_turns_absent_digests_and_logs_into_expired_ones() {
    let (site, end) = whole_hours(6);
    let root = site.store().join("buckets").join(BUCKET).join("objects");
    let log = files(&root).into_iter().find(|f| f.contains("/CloudTrail/")).unwrap();
    fs::remove_file(root.join(log)).unwrap();
    let end = end.to_string();
    let args = ["--end", &end, "--grace", "0s"];
    site.verify().args(&args).run().exits(1).report().only("log.missing");
    let call = site.verify().args(&args).args(&["--log-retention", "1h"]);
    let report = call.run().exits(0).report();
    assert_eq!(*report.summary("/logs/expired"), 1);
}

#[test]
fn an_account_or_region_without_chain_is_a_finding() {
    let (site, end) = whole_hours(6);
    let end = end.to_string();
    for scope in [["--account", "999988887777"], ["--region", "ap-south-1"]] {
        let report = site.verify().args(&scope).args(&["--end", &end]).run().exits(3).report();
        assert_eq!(report.only("chain.none").len(), 1);
        assert_eq!(report.0["request"]["scope"], "given");
    }
    let both = ["--account", ACCOUNTS[0], "--account", "999988887777", "--region", REGIONS[0]];
    let report = site.verify().args(&both).args(&["--end", &end]).run().exits(3).report();
    assert_eq!(report.only("chain.none").len(), 1, "every pair must have a chain");
    let known = ["--account", ACCOUNTS[0], "--region", REGIONS[0], "--trail-name", "main_trail"];
    site.verify().args(&known).args(&["--end", &end]).run().exits(0);
    let call = site.verify().args(&["--trail-name", "another", "--end", &end]);
    assert_eq!(call.run().exits(3).report().verdict(), "incomplete");
}

#[test]
fn nothing_found_is_never_proof() {
    let site = Site::new();
    site.deliver().arg("-").run().exits(0);
    let report = site.verify().run().exits(3).report();
    assert_eq!(report.verdict(), "incomplete");
    let empty = site.path("empty");
    fs::create_dir(&empty).unwrap();
    let outcome = trailseal!["verify", &empty].run();
    assert!([2, 3].contains(&outcome.code), "{outcome:?}");
    trailseal!["verify", "s3://no-such-bucket", "--store", site.store()]
        .run()
        .exits(2)
        .says(&["no-such-bucket"]);
}
