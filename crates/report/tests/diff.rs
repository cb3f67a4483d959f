//! Two reports compared: what is new, what is gone, and what only nobody looked at again.
#![allow(clippy::unwrap_used)]

use report::diff::{Diff, DiffError, Past, diff};
use serde_json::{Value, json};

const DIGESTS: &str = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/23";

fn at(hour: u32) -> String {
    format!("2026-11-23T{hour:02}:00:00Z")
}

fn digest(hour: u32) -> String {
    format!(
        "{DIGESTS}/111122223333_CloudTrail-Digest_eu-west-1_main_us-east-1_20261123T{hour:02}0000Z.json.gz"
    )
}

fn log(hour: u32) -> String {
    format!(
        "s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/23/111122223333_CloudTrail_eu-west-1_20261123T{hour:02}05Z_0123456789abcdef.json.gz"
    )
}

fn line(region: &str, from: u32, to: u32, state: &str) -> Value {
    json!({"account": "111122223333", "region": region, "trail": "main", "home_region": "us-east-1",
           "path": "p", "from": at(from), "to": at(to), "state": state})
}

fn finding(id: &str, code: &str, class: &str, object: &str) -> Value {
    json!({"id": id, "code": code, "class": class, "severity": "critical", "state": "open",
           "account": "111122223333", "region": "eu-west-1", "trail": "main",
           "object": object, "digest": null, "from": null, "to": null, "count": 1, "objects": [],
           "expected": null, "actual": null, "message": "m", "remedy": "r"})
}

/// A run that looked at the time from 0 to 12 h, in `eu-west-1`, and proved all of it.
fn report(hour: u32) -> Value {
    let none = json!({"checked": 0, "valid": 0});
    json!({
        "schema": "trailseal.report/v1",
        "tool": {"name": "trailseal", "version": "0.1.0"},
        "generated_at": at(hour),
        "request": {"target": "s3://b", "start": null, "end": at(hour), "scope": "discovered",
                    "accounts": [], "regions": [], "trail_arn": null, "trail_name": null,
                    "grace": "7200s", "depth": "logs"},
        "verdict": "verified",
        "summary": {"chains": 1, "digests": none, "backfill_digests": none, "logs": none,
                    "by_class": {}, "bytes_inflated": 0, "events": null, "coverage": 1.0},
        "coverage": [line("eu-west-1", 0, 12, "proven")],
        "encryption": [], "keys": [], "findings": [], "not_proven": [],
    })
}

fn past(value: &Value) -> Past {
    Past::parse(value.to_string().as_bytes()).unwrap()
}

fn compared(old: &Value, new: &Value) -> Diff {
    diff(&past(old), &past(new), false).unwrap()
}

/// A report that found this, and one six hours later that did not, after `change`.
fn gone(finding: &Value, change: impl Fn(&mut Value)) -> Option<String> {
    let (mut old, mut new) = (report(12), report(18));
    old["findings"] = json!([finding]);
    change(&mut new);
    let diff = compared(&old, &new);
    assert_eq!((diff.gone.len(), diff.appeared.len()), (1, 0));
    diff.gone[0].not_rechecked.clone()
}

#[test]
fn nothing_changed() {
    let diff = compared(&report(12), &report(18));
    assert_eq!(diff.exit_code(), 0);
    assert!(diff.request.is_empty() && diff.coverage.is_empty(), "{diff:?}");
    let text = diff.text(false);
    assert!(text.contains("VERIFIED → VERIFIED  s3://b\n"), "{text}");
    assert!(text.ends_with("  nothing is worse than before\n"), "{text}");
    assert!(diff.text(true).contains("\x1b[1m\x1b[32mVERIFIED\x1b[0m"));
}

#[test]
fn something_new_of_a_failing_class_is_worse() {
    for (class, code) in
        [("tampered", 1), ("incomplete", 1), ("unverifiable", 1), ("noncompliant", 1), ("info", 0)]
    {
        let mut new = report(18);
        new["findings"] = json!([finding("a", "x.y", class, &log(3))]);
        let diff = compared(&report(12), &new);
        assert_eq!((diff.appeared.len(), diff.exit_code()), (1, code), "{class}");
        new["findings"][0]["state"] = json!("accepted");
        assert_eq!(compared(&report(12), &new).exit_code(), 0, "accepted {class}");
    }
}

#[test]
fn what_grew_or_counts_again_is_worse_and_what_shrank_is_not() {
    let with = |hour: u32, class: &str, count: u64, state: &str| {
        let mut report = report(hour);
        let objects: Vec<String> = (0..count.min(100)).map(|i| format!("o{i}")).collect();
        let mut finding = finding("a", "chain.tail-absent", class, "o");
        finding["count"] = json!(count);
        finding["objects"] = json!(objects);
        finding["state"] = json!(state);
        report["findings"] = json!([finding]);
        report
    };
    let old = with(12, "incomplete", 3, "open");
    for (new, exit, added, removed) in [
        (with(18, "incomplete", 3, "open"), 0, 0, 0),
        (with(18, "incomplete", 5, "open"), 1, 2, 0),
        (with(18, "incomplete", 2, "open"), 0, 0, 1),
        (with(18, "tampered", 3, "open"), 1, 0, 0),
        (with(18, "info", 3, "open"), 0, 0, 0),
        (with(18, "incomplete", 9, "accepted"), 0, 6, 0),
        (with(18, "incomplete", 500, "open"), 1, 0, 0),
    ] {
        let diff = compared(&old, &new);
        assert_eq!(diff.exit_code(), exit, "{diff:?}");
        assert_eq!(diff.unchanged.len() + diff.changed.len(), 1);
        let of = |f: fn(&report::diff::Changed) -> usize| diff.changed.iter().map(f).sum::<usize>();
        assert_eq!(of(|c| c.objects_added.len()), added, "{diff:?}");
        assert_eq!(of(|c| c.objects_removed.len()), removed, "{diff:?}");
    }
    let accepted = with(12, "incomplete", 3, "accepted");
    assert_eq!(compared(&accepted, &with(18, "incomplete", 3, "open")).exit_code(), 1);
}

#[test]
fn a_swapped_object_of_one_finding_is_worse() {
    let with = |hour: u32, object: &str| {
        let mut report = report(hour);
        report["findings"] = json!([finding("a", "key.region-mismatch", "noncompliant", "o")]);
        report["findings"][0]["objects"] = json!([object]);
        report
    };
    assert_eq!(compared(&with(12, "o1"), &with(18, "o2")).exit_code(), 1);
}

#[test]
fn a_folded_group_is_compared_with_its_members() {
    let mut folded = report(12);
    folded["findings"] = json!([finding("group", "log.missing", "tampered", &log(1))]);
    folded["findings"][0]["count"] = json!(101);
    folded["findings"][0]["message"] = json!("m (and 100 more like it)");
    let mut single = report(18);
    let ones = (0..99).map(|i| finding(&format!("f{i}"), "log.missing", "tampered", &log(i % 12)));
    single["findings"] = ones.collect();
    let diff = compared(&folded, &single);
    assert_eq!((diff.appeared.len(), diff.gone.len(), diff.changed.len()), (0, 0, 1));
    assert_eq!((diff.changed[0].old_count, diff.changed[0].finding.count), (101, 99));
    assert_eq!(diff.exit_code(), 0);
    (folded["generated_at"], single["generated_at"]) = (json!(at(18)), json!(at(12)));
    let diff = compared(&single, &folded);
    assert_eq!((diff.changed.len(), diff.appeared.len(), diff.exit_code()), (1, 0, 1));
}

#[test]
fn gone_and_looked_for_again_is_resolved() {
    for (code, object) in
        [("log.missing", log(3)), ("digest.missing", digest(4)), ("log.archived", log(3))]
    {
        assert_eq!(gone(&finding("a", code, "tampered", &object), |_| ()), None, "{code}");
    }
    let mut tail = finding("a", "chain.tail-absent", "incomplete", "");
    (tail["object"], tail["from"], tail["to"]) = (Value::Null, json!(at(3)), json!(at(5)));
    assert_eq!(gone(&tail, |_| ()), None);
    let trail = finding("a", "trail.validation-off", "noncompliant", "arn");
    assert_eq!(gone(&trail, |_| ()), None);
    // Where a run's time begins is noted by every run, and concerns nothing but time.
    let note = |r: &mut Value| r["not_proven"] = json!(["events before 2026-11-23T00:00:00Z"]);
    assert_eq!(gone(&trail, note), None);
    let mode = finding("a", "sse.digest-mode", "noncompliant", &digest(4));
    assert_eq!(gone(&mode, |r| r["request"]["depth"] = json!("digests")), None);
}

/// Each way of asking less, and what it then says.
#[test]
fn gone_because_nobody_looked_is_never_resolved() {
    let note = |text: &'static str| move |r: &mut Value| r["not_proven"] = json!([text]);
    let ask =
        |name: &'static str, value: Value| move |r: &mut Value| r["request"][name] = value.clone();
    let cover = |state: &'static str| {
        move |r: &mut Value| {
            r["coverage"] = json!([
                line("eu-west-1", 0, 2, "proven"),
                line("eu-west-1", 2, 4, state),
                line("eu-west-1", 4, 12, "proven")
            ]);
        }
    };
    type Change = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(&str, String, Change, &str)> = vec![
        ("log.missing", log(3), Box::new(ask("depth", json!("digests"))), "no deeper than digests"),
        ("sse.none", log(3), Box::new(ask("depth", json!("digests"))), "no deeper than digests"),
        ("event.malformed", log(3), Box::new(|_| ()), "no deeper than logs"),
        ("log.missing", log(3), Box::new(ask("accounts", json!(["999999999999"]))), "this account"),
        ("log.missing", log(3), Box::new(ask("regions", json!(["us-east-1"]))), "this region"),
        ("log.missing", log(3), Box::new(ask("trail_name", json!("other"))), "this trail"),
        (
            "log.missing",
            log(3),
            Box::new(ask("trail_arn", json!("arn:aws:cloudtrail:us-east-1:1:trail/other"))),
            "this trail",
        ),
        (
            "log.unreferenced",
            log(3),
            Box::new(note(
                "that no log lies there which no digest names: left out by --no-unreferenced",
            )),
            "does not prove that no log",
        ),
        (
            "log.hash-mismatch",
            log(3),
            Box::new(note("archived logs: left out by --skip-archived")),
            "does not prove archived",
        ),
        (
            "sse.not-kms",
            log(3),
            Box::new(note("encryption and dates of the objects: a plain copy does not keep them")),
            "does not prove encryption",
        ),
        (
            "trail.validation-off",
            "arn".into(),
            Box::new(note("the trails' settings: access denied")),
            "does not prove the trails'",
        ),
        (
            "sse.wrong-key",
            log(3),
            Box::new(ask("kms_keys", json!([]))),
            "judged by another kms_keys",
        ),
        (
            "key.policy",
            "arn".into(),
            Box::new(ask("grace", json!("1s"))),
            "judged by another grace",
        ),
        ("log.missing", log(3), Box::new(cover("missing")), "its time is missing"),
        ("log.missing", log(3), Box::new(cover("pending")), "its time is pending"),
        ("digest.missing", digest(4), Box::new(cover("expired")), "its time is expired"),
        ("digest.missing", digest(4), Box::new(cover("proven-earlier")), "an earlier run"),
        (
            "log.missing",
            log(3),
            Box::new(|r| r["coverage"] = json!([line("eu-west-1", 4, 12, "proven")])),
            "not asked about its time",
        ),
        (
            "log.missing",
            log(3),
            Box::new(|r| r["coverage"] = json!([line("us-east-1", 0, 12, "proven")])),
            "no chain of it",
        ),
        ("chain.none", String::new(), Box::new(|r| r["coverage"] = json!([])), "no chain of it"),
        ("digest.unlinked", "odd name".into(), Box::new(ask("start", json!(at(6)))), "less time"),
        ("digest.unlinked", "odd name".into(), Box::new(ask("end", json!(at(6)))), "less time"),
    ];
    for (code, object, change, why) in cases {
        let said = gone(&finding("a", code, "tampered", &object), change);
        assert!(said.as_ref().is_some_and(|s| s.contains(why)), "{code}, {why}: {said:?}");
    }
    // Another trail's proof is none of this one.
    let other_trail = |r: &mut Value| {
        cover("missing")(r);
        let mut other = line("eu-west-1", 0, 12, "proven");
        other["trail"] = json!("other");
        r["coverage"].as_array_mut().unwrap().push(other);
    };
    let missing = finding("a", "log.missing", "tampered", &log(3));
    assert!(gone(&missing, other_trail).unwrap().contains("its time is missing"));
    // A stretch counts as looked at only when all of it was.
    let mut gap = finding("a", "chain.gap", "incomplete", "");
    (gap["object"], gap["from"], gap["to"]) = (Value::Null, json!(at(1)), json!(at(5)));
    assert!(gone(&gap, cover("gap")).unwrap().contains("its time is gap"));
}

#[test]
fn a_digest_that_hides_a_missing_log_is_not_a_repair() {
    let (mut old, mut new) = (report(12), report(18));
    old["findings"] = json!([finding("a", "log.missing", "tampered", &log(3))]);
    new["findings"] = json!([finding("b", "digest.missing", "tampered", &digest(4))]);
    new["coverage"] = json!([
        line("eu-west-1", 0, 3, "proven"),
        line("eu-west-1", 3, 4, "missing"),
        line("eu-west-1", 4, 12, "proven")
    ]);
    let diff = compared(&old, &new);
    let text = diff.text(false);
    assert!(text.contains("1 new, 0 changed, 0 unchanged, 0 resolved, 1 not re-checked"), "{text}");
    assert!(text.contains("not re-checked: its time is missing in the newer report"), "{text}");
    assert!(text.contains("! 111122223333 eu-west-1 main (us-east-1)  2026-11-23T03:00:00Z – 2026-11-23T04:00:00Z  proven → missing"), "{text}");
    assert_eq!(diff.exit_code(), 1);
}

#[test]
fn coverage_gained_and_lost_is_told_stretch_by_stretch() {
    let mut old = report(12);
    old["coverage"] = json!([
        line("eu-west-1", 0, 4, "proven"),
        line("eu-west-1", 4, 6, "gap"),
        line("eu-west-1", 6, 12, "proven")
    ]);
    let mut new = report(18);
    new["coverage"] = json!([
        line("eu-west-1", 2, 4, "proven-earlier"),
        line("eu-west-1", 4, 5, "proven"),
        line("eu-west-1", 5, 6, "gap"),
        line("eu-west-1", 6, 8, "expired"),
        line("eu-west-1", 8, 14, "proven")
    ]);
    let diff = compared(&old, &new);
    let told: Vec<_> = diff
        .coverage
        .iter()
        .map(|c| {
            (
                c.from.to_string(),
                c.to.to_string(),
                c.old.clone().unwrap_or_default(),
                c.new.clone().unwrap_or_default(),
            )
        })
        .collect();
    let row = |from, to, old: &str, new: &str| (at(from), at(to), old.to_owned(), new.to_owned());
    assert_eq!(
        told,
        [
            row(0, 2, "proven", ""),
            row(4, 5, "gap", "proven"),
            row(6, 8, "proven", "expired"),
            row(12, 14, "", "proven")
        ]
    );
    assert_eq!(diff.exit_code(), 0);
    for state in ["gap", "missing", "invalid", "unreadable", "absent"] {
        new["coverage"][3]["state"] = json!(state);
        assert_eq!(compared(&old, &new).exit_code(), 1, "{state}");
    }
}

#[test]
fn a_chain_that_was_asked_for_and_is_gone_is_worse() {
    let mut old = report(12);
    old["coverage"] =
        json!([line("eu-west-1", 0, 12, "proven"), line("us-east-1", 0, 12, "proven")]);
    let mut new = report(18);
    new["coverage"] =
        json!([line("eu-west-1", 0, 12, "proven"), line("ap-south-1", 0, 12, "proven")]);
    let diff = compared(&old, &new);
    assert_eq!((diff.chains_appeared.len(), diff.exit_code()), (1, 1));
    assert!(diff.text(false).contains("- 111122223333 us-east-1 main (us-east-1): gone"));
    new["request"]["regions"] = json!(["eu-west-1", "ap-south-1"]);
    let diff = compared(&old, &new);
    assert_eq!(
        diff.chains_vanished[0].not_asked.as_deref(),
        Some("the newer run was not asked about this region")
    );
    assert_eq!(diff.exit_code(), 0);
    assert_eq!(diff.request[0].name, "regions");
}

#[test]
fn encryption_keys_and_limits_of_proof_are_compared() {
    let (mut old, mut new) = (report(12), report(18));
    let sse = |key: &str| {
        json!([{"account": "1", "region": "r", "kind": "log", "sse": "aws:kms", "key": key,
        "bucket_key": true, "from": at(1), "to": at(2), "objects": 3}])
    };
    (old["encryption"], new["encryption"]) = (sse("arn:k1"), sse("arn:k2"));
    let key = |source: &str| json!([{"fingerprint": "f", "region": "r", "valid_from": at(0), "valid_to": at(9), "source": source, "digests": 1}]);
    (old["keys"], new["keys"]) = (key("api"), key("target"));
    new["not_proven"] = json!(["something"]);
    let diff = compared(&old, &new);
    let text = diff.text(false);
    for line in [
        "+ 1 r logs: aws:kms arn:k2 (Bucket Key)",
        "- 1 r logs: aws:kms arn:k1",
        "+ r f (from target)",
        "- r f (from api)",
        "+ something",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json: Value = serde_json::from_str(&diff.to_json()).unwrap();
    assert_eq!((&json["schema"], &json["worse"]), (&json!("trailseal.diff/v1"), &json!(false)));
    assert_eq!(json["keys"]["gone"][0]["source"], "api");
}

#[test]
fn other_targets_only_by_force_and_then_nothing_is_resolved() {
    let (mut old, mut new) = (report(12), report(18));
    old["findings"] = json!([finding("a", "log.missing", "tampered", &log(3))]);
    new["request"]["target"] = json!("/copies/b");
    let refused = diff(&past(&old), &past(&new), false).unwrap_err();
    assert!(matches!(&refused, DiffError::Targets { .. }) && refused.to_string().contains("force"));
    let forced = diff(&past(&old), &past(&new), true).unwrap();
    assert!(forced.gone[0].not_rechecked.as_deref().unwrap().contains("another target"));
    assert!(forced.text(false).contains("compared by force with s3://b"));
    let swapped = diff(&past(&report(18)), &past(&report(12)), true).unwrap_err();
    assert!(matches!(swapped, DiffError::Order { .. }));
}

#[test]
fn what_is_no_report_is_refused() {
    let good = report(12).to_string();
    let refused = |text: &str| Past::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(refused(&good.replace("report/v1", "report/v2")).contains("trailseal.report/v2"));
    assert!(
        refused(&good.replacen("\"tool\"", "\"verdict\":\"tampered\",\"tool\"", 1))
            .contains("\"verdict\" twice")
    );
    assert!(
        refused(&good.replacen("\"grace\"", "\"de\\u0070th\":\"events\",\"grace\"", 1))
            .contains("\"depth\" twice")
    );
    assert!(refused(&format!("{good} x")).contains("trailing"));
    for text in ["", "[]", "{}", "null", "{\"schema\":1}", &good[..good.len() - 1]] {
        assert!(refused(text).contains("not a report"), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(refused(&deep).contains("recursion"));
}

#[test]
fn names_give_the_terminal_no_orders() {
    let mut new = report(18);
    let hostile = "s3://b/\x1b]0;owned\x07\u{202e}<script>\n\r";
    new["findings"] = json!([finding("a", hostile, "tampered\x1b[2J", hostile)]);
    new["coverage"] = json!([line(hostile, 0, 12, hostile)]);
    new["not_proven"] = json!([hostile]);
    let text = compared(&report(12), &new).text(false);
    assert!(!text.contains(['\x1b', '\x07', '\r', '\u{202e}']), "{text:?}");
}

#[test]
fn thousands_of_stretches_are_compared_in_no_time() {
    let year = |hour: u32, state: &str| {
        let mut report = report(hour);
        let hours = (0..50).flat_map(|chain| (0..1000i64).map(move |h| (chain, h)));
        let lines = hours.map(|(chain, h)| {
            let time = |h: i64| trail::Timestamp::from_unix(1_760_000_400 + h * 3600).to_string();
            let state = if h % 2 == 0 { "proven" } else { state };
            json!({"account": format!("{chain:012}"), "region": "eu-west-1", "trail": "main", "home_region": "us-east-1",
                   "path": "p", "from": time(h), "to": time(h + 1), "state": state})
        });
        report["coverage"] = lines.collect();
        past(&report)
    };
    let (old, new) = (year(12, "gap"), year(18, "proven"));
    let began = std::time::Instant::now();
    let diff = diff(&old, &new, false).unwrap();
    assert_eq!(diff.coverage.len(), 50 * 500);
    assert!(diff.text(false).lines().count() < 60);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}
