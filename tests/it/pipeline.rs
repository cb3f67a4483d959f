//! From events to a verified trail, in every form that events come in.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use trail::digest::Digest;

use crate::support::*;

/// The events of every log of a copy, as the text between `{"Records":[` and `]}`.
fn delivered_events(copy: &Path) -> String {
    let (_, logs) = objects(copy);
    let texts = logs.iter().map(|l| {
        let text = String::from_utf8(gunzip(&std::fs::read(copy.join(l)).unwrap())).unwrap();
        let inner = text.strip_prefix(r#"{"Records":["#).and_then(|t| t.strip_suffix("]}"));
        inner.unwrap_or_else(|| panic!("{l} is no log file: {text:.40}")).to_owned()
    });
    texts.collect::<Vec<_>>().join(",")
}

#[test]
fn every_input_form_is_delivered_and_proven() {
    let lines = events(5);
    let array = format!("[{}]", lines.replace('\n', ","));
    let records = format!(r#"{{"Records":{array}}}"#);
    for plain in [&lines, &array, &records] {
        for bytes in [plain.as_bytes().to_vec(), gzip(plain.as_bytes())] {
            let site = Site::new();
            let file = site.write("events", &bytes);
            site.deliver().arg(&file).run().exits(0);
            let report = site.verify().args(&["--depth", "events"]).run().exits(0).report();
            assert_eq!(report.verdict(), "verified");
            assert_eq!(*report.summary("/events"), 5);
        }
    }
}

#[test]
fn several_files_and_stdin_are_one_delivery() {
    let site = Site::new();
    let all = events(6);
    let lines: Vec<&str> = all.lines().collect();
    let one = site.write("one.ndjson", lines[..2].join("\n").as_bytes());
    let two = site.write("two.json.gz", &gzip(format!("[{}]", lines[2..4].join(",")).as_bytes()));
    let call = site.deliver().arg("--json").arg(one).arg(two).arg("-");
    let summary = call.stdin(lines[4..].join("\n").as_bytes()).run().exits(0).json();
    let counted = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!([counted("delivered"), counted("rejected"), counted("accepted")], [6, 0, 6]);
}

#[test]
fn events_are_kept_byte_for_byte() {
    let site = Site::new();
    let time = now();
    let odd = [
        r#"{ "eventID" : "1",  "eventTime":"TIME" ,"n":1.0e+05,"big":123456789012345678901234567890}"#,
        r#"{"eventTime":"TIME","eventID":"2","s":"a\/b\u00e9é😀\ud83d\ude00","z":null,"a":[ ]}"#,
        "{\"eventID\":\"3\",\t\"eventTime\":\"TIME\",\"deep\":{\"Records\":[{\"x\":\"]}\"}]}}",
    ]
    .map(|e| e.replace("TIME", &time.to_string()));
    site.delivered(odd.join("\n").as_bytes(), &[]);
    site.verify().run().exits(0);
    assert_eq!(delivered_events(&site.mirror("copy")), odd.join(","));
}

#[test]
fn each_account_and_region_is_a_chain_of_its_own() {
    let trail = Trail::new();
    let end = trail.end.to_string();
    let call = trail.site.verify().args(&["--depth", "events", "--end", &end]);
    let report = call.run().exits(0).report();
    assert!(report.findings().is_empty());
    assert_eq!(*report.summary("/chains"), 4);
    assert_eq!(*report.summary("/coverage"), 1.0);
    assert_eq!(*report.summary("/events"), trail.events.len());
    let text = |c: &Value, name: &str| c[name].as_str().unwrap().to_owned();
    let coverage = report.0["coverage"].as_array().unwrap();
    let chains: Vec<_> =
        coverage.iter().map(|c| ["account", "region", "state"].map(|name| text(c, name))).collect();
    let mut expected = Vec::new();
    for account in ACCOUNTS {
        let mut regions = REGIONS;
        regions.sort_unstable();
        expected.extend(regions.map(|r| [account, r, "proven"].map(str::to_owned)));
    }
    assert_eq!(chains, expected);
    // As on AWS: a key for each source region, and both in the report.
    let keys = report.0["keys"].as_array().unwrap();
    let regions: BTreeSet<_> = keys.iter().map(|k| k["region"].as_str().unwrap()).collect();
    assert_eq!(regions, REGIONS.into());
    assert!(keys.iter().all(|k| k["source"] == "api"));
    assert_eq!(report.0["schema"], "trailseal.report/v1");
    assert_eq!(report.0["request"]["scope"], "discovered");
}

#[test]
fn the_report_has_the_facts_of_encryption() {
    let trail = Trail::new();
    let report = trail.site.verify().args(&["--end", &trail.end.to_string()]).run().report();
    let facts = report.0["encryption"].as_array().unwrap();
    let of = |kind: &str| facts.iter().filter(|f| f["kind"] == kind).collect::<Vec<&Value>>();
    assert_eq!((of("log").len(), of("digest").len()), (4, 4));
    for log in of("log") {
        assert_eq!((&log["sse"], &log["bucket_key"]), (&json!("aws:kms"), &json!(true)));
        let key = log["key"].as_str().unwrap();
        assert!(key.starts_with("arn:aws:kms:us-east-1:111122223333:key/"), "{key}");
    }
    for digest in of("digest") {
        assert_eq!((&digest["sse"], &digest["key"]), (&json!("AES256"), &Value::Null));
    }
    // Demanded strictly, the same key is fine and any other is named.
    let key = of("log")[0]["key"].as_str().unwrap();
    trail.site.verify().args(&["--kms-key", key]).run().exits(0);
    let other = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000";
    let report = trail.site.verify().args(&["--kms-key", other]).run().exits(5).report();
    report.only("sse.wrong-key");
    assert_eq!(report.verdict(), "noncompliant");
}

#[test]
fn later_runs_continue_the_chains_and_fill_the_time_between() {
    let trail = Trail::new();
    let count = |s: &Value| s["digests"].as_u64().unwrap();
    let second = trail.site.delivered(events(3).as_bytes(), &[]);
    // Every chain goes on, also those without a new event.
    assert!(count(&second) >= 4, "{second}");
    let third = trail.site.delivered(events(3).as_bytes(), &[]);
    assert!(count(&third) >= 4, "{third}");
    let report = trail.site.verify().args(&["--grace", "0s"]).run();
    let end = heads(&third).iter().map(|k| k.end).min().unwrap().to_string();
    let call = trail.site.verify().args(&["--grace", "0s", "--end", &end, "--depth", "events"]);
    let strict = call.run().exits(0).report();
    assert_eq!(*strict.summary("/coverage"), 1.0);
    assert_eq!(*strict.summary("/chains"), 4);
    assert_eq!(*strict.summary("/events"), trail.events.len() + 6);
    // Windows join without a hole, so only the time after the last run can be open.
    let open: Vec<_> = report.report().codes().into_iter().map(str::to_owned).collect();
    assert!(open.iter().all(|c| c == "chain.tail-absent"), "{open:?}");
}

#[test]
fn digests_are_linked_and_an_empty_hour_has_an_empty_one() {
    let trail = Trail::new();
    trail.site.delivered(events(1).as_bytes(), &[]);
    let copy = trail.site.mirror("copy");
    let (digests, _) = objects(&copy);
    let mut empty = 0;
    let read = |name: &str| {
        let bytes = gunzip(&std::fs::read(copy.join(name)).unwrap());
        (Digest::parse(&bytes).unwrap(), trail::Sha256::of(&bytes).to_string())
    };
    for pair in digests.windows(2) {
        let [(older, hash), (newer, _)] = [read(&pair[0]), read(&pair[1])];
        let chain = |name: &str| name[..name.rfind('_').unwrap()].replace(char::is_numeric, "");
        if chain(&pair[0]) != chain(&pair[1]) || older.aws_account_id != newer.aws_account_id {
            assert_eq!(newer.previous(), None, "the first of a chain: {}", pair[1]);
            continue;
        }
        assert_eq!(newer.previous(), Some((BUCKET, &*format!("corp/{}", pair[0]))));
        assert_eq!(newer.previous_digest_hash_value.as_deref(), Some(&*hash));
        assert_eq!(newer.digest_start_time, older.digest_end_time);
        if newer.log_files.is_empty() {
            empty += 1;
            assert_eq!((newer.newest_event_time, newer.oldest_event_time), (None, None));
        }
    }
    assert!(empty >= 3, "three of four chains had no new event");
}

#[test]
fn prefix_organization_and_odd_trail_names_are_in_the_paths() {
    let site = Site::new();
    let set = [
        "--set",
        "trail.organization=o-exampleorgid",
        "--set",
        "trail.name=a_us-east-1_b",
        "--set",
        "destination.url=s3://audit-logs/deep/er",
    ];
    let summary = site.delivered(events(2).as_bytes(), &set);
    let key = &heads(&summary)[0];
    assert_eq!(key.trail.as_str(), "a_us-east-1_b");
    assert_eq!(key.folder.to_string(), "deep/er/AWSLogs/o-exampleorgid/111122223333");
    for target in ["s3://audit-logs/deep/er", "s3://audit-logs"] {
        let call = trailseal!["verify", target, "--store", site.store(), "--format", "json"];
        let report = call.run().exits(0).report();
        assert_eq!(report.0["coverage"][0]["trail"], "a_us-east-1_b");
    }
    let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/a_us-east-1_b";
    trailseal!["verify", "--trail-arn", arn, "--store", site.store()].run().exits(0);
}

#[test]
fn an_event_without_account_or_region_is_the_trails() {
    let site = Site::new();
    let event = format!(r#"{{"eventID":"x","eventTime":"{}"}}"#, now());
    let summary = site.delivered(event.as_bytes(), &[]);
    let chain = &summary["chains"][0];
    assert_eq!((&chain["account"], &chain["region"]), (&json!(ACCOUNTS[0]), &json!(REGIONS[0])));
    site.verify().run().exits(0);
}

#[test]
fn a_region_is_any_name_and_the_partition_is_the_home_regions() {
    let site = Site::new();
    let event = event("999988887777", "sagov-westsouth-1r", now(), 1, "");
    let set =
        ["--set", "trail.home_region=us-gov-west-1", "--set", "destination.region=us-gov-west-1"];
    let summary = site.delivered(event.as_bytes(), &set);
    assert_eq!(summary["chains"][0]["region"], "sagov-westsouth-1r");
    let report = site.verify().run().exits(0).report();
    let log = report.0["encryption"].as_array().unwrap().iter().find(|e| e["kind"] == "log");
    let key = log.unwrap()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("arn:aws-us-gov:kms:us-gov-west-1:"), "{key}");
}

#[test]
fn environment_lies_over_the_file_and_set_over_both() {
    let site = Site::new();
    let deliver = |set: &[&str]| {
        let call = site.deliver().args(set).args(&["--json", "-"]).stdin(events(1).as_bytes());
        let summary = call.env("TRAILSEAL_TRAIL_NAME", "from-env").run().exits(0).json();
        heads(&summary)[0].trail.to_string()
    };
    assert_eq!(deliver(&[]), "from-env");
    assert_eq!(deliver(&["--set", "trail.name=from-set"]), "from-set");
}

#[test]
fn the_store_can_be_named_by_the_environment_and_options_stand_anywhere() {
    let site = Site::new();
    let config = site.path("trail.toml");
    let call = trailseal!["deliver", "--config", config, "-"].stdin(events(1).as_bytes());
    call.env("TRAILSEAL_STORE", site.store()).run().exits(0);
    trailseal!["--store", site.store(), "--color", "never", "verify", TARGET].run().exits(0);
}

#[test]
fn logs_under_sse_s3_are_proven_and_one_note_says_so() {
    let site = Site::new();
    site.delivered(events(2).as_bytes(), &["--set", "encryption.logs=sse-s3"]);
    let report = site.verify().args(&["--log-sse", "any"]).run().report();
    let log = report.0["encryption"].as_array().unwrap().iter().find(|e| e["kind"] == "log");
    assert_eq!(log.unwrap()["sse"], "AES256");
    // Trail known without key: one trail.unencrypted (contract section 5).
    let report = site.verify().run().exits(5).report();
    assert_eq!(report.only("trail.unencrypted").len(), 1);
}

#[test]
fn a_pem_key_signs_and_another_signer_is_refused_before_anything_is_written() {
    let site = Site::new();
    let pem = fixture("keys/throwaway-test-signing-key.pem");
    let key = format!("signing.key=file:{}", pem.display());
    site.delivered(events(2).as_bytes(), &["--set", &key]);
    let report = site.verify().run().exits(0).report();
    assert_eq!(report.0["keys"].as_array().unwrap().len(), 1);
    let before = contents(&site.store().join("buckets"));
    // The same folders, but the store's own key.
    let call = site.deliver().arg("-").stdin(events(2).as_bytes());
    call.run().exits(2).says(&["was not signed by this signer", "s3://audit-logs/corp/AWSLogs/"]);
    assert_eq!(contents(&site.store().join("buckets")), before);
    // Its own signer goes on.
    site.delivered(events(2).as_bytes(), &["--set", &key]);
    site.verify().run().exits(0);
}

#[test]
fn two_deliveries_at_once_never_fork_a_chain() {
    let site = Site::new();
    site.delivered(events(1).as_bytes(), &[]);
    let start = |n: usize| {
        let lines = events(200);
        let file = site.write(&format!("events-{n}"), lines.as_bytes());
        let spool = site.path(&format!("spool-{n}"));
        let set = format!("spool.path={}", spool.display());
        let mut call = site.deliver().arg("--set").arg(set).arg(file);
        call.command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut both = [start(1), start(2)];
    let codes = both.each_mut().map(|c| c.wait().unwrap().code().unwrap());
    assert!(codes.iter().all(|c| [0, 4].contains(c)), "{codes:?}");
    assert!(codes.contains(&0), "one of two gets through: {codes:?}");
    // Whoever was told to run again does so and loses nothing.
    for n in [1, 2].into_iter().filter(|n| codes[n - 1] == 4) {
        let set = format!("spool.path={}", site.path(&format!("spool-{n}")).display());
        let file = site.path(&format!("events-{n}"));
        site.deliver().arg("--set").arg(set).arg(file).run().exits(0);
    }
    let report = site.verify().args(&["--depth", "events"]).run().exits(0).report();
    assert!(report.findings().is_empty(), "{:?}", report.codes());
    assert_eq!(*report.summary("/events"), 401);
}

#[test]
fn one_spool_serves_one_delivery() {
    let site = Site::new();
    site.delivered(events(1).as_bytes(), &[]);
    let lock = std::fs::File::open(site.path("spool/lock")).unwrap();
    lock.lock().unwrap();
    let call = site.deliver().arg("-").stdin(events(1).as_bytes());
    call.run().exits(2).says(&["spool", "in use by another delivery"]);
}

#[test]
fn replay_refuses_to_go_behind_the_head() {
    let trail = Trail::new();
    let old = event(ACCOUNTS[0], REGIONS[0], trail.start, 99, "");
    let call = trail.site.deliver().args(&["--replay", "-"]).stdin(old.as_bytes());
    let outcome = call.run().exits(2).says(&["--replay", "already reach to"]);
    assert!(
        outcome.stderr.contains("00000000-0000-4000-8000-000000000099")
            || outcome.stderr.contains(&trail.start.to_string()),
        "{}",
        outcome.stderr
    );
    trail.site.verify().run().exits(0);
}

#[test]
fn status_and_explain_name_what_they_are_asked_for() {
    let trail = Trail::new();
    let status = trailseal!["status", TARGET, "--store", trail.site.store(), "--format", "json"];
    let status = status.run().exits(0).json();
    assert_eq!(status.as_array().unwrap().len(), 4);
    let (digests, logs) = objects(&trail.site.mirror("copy"));
    for object in [&logs[5], &digests[2]] {
        let call = trailseal!["explain", TARGET, original(object), "--store", trail.site.store()];
        let text = call.run().exits(0).stdout;
        assert!(text.contains(object.as_str()), "{text}");
    }
}

/// Both logs bear one stamp, so that only their delivery tells which came first.
#[test]
fn encryption_that_is_turned_on_is_a_change_and_no_fault() {
    for round in 0..3 {
        let site = Site::new();
        let events = |n: usize| event(ACCOUNTS[0], REGIONS[0], now(), n + 10 * round, "");
        site.delivered(events(0).as_bytes(), &["--set", "encryption.logs=sse-s3"]);
        site.delivered(events(1).as_bytes(), &[]);
        let report = site.verify().run().exits(0).report();
        assert_eq!(report.codes(), ["sse.changed"]);
    }
}
