//! Reports to render: one where nothing is wrong, one with findings of every code and hostile
//! names, one of a year of fifty chains. Shared with the tests that call outside validators.
#![allow(dead_code)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::finding::{Class, Code, Finding, Scope};
use verifier::report::{
    CoverageLine, DigestCounts, EncryptionLine, KeyLine, LogCounts, ReportedFinding, Summary, Tool,
    Verdict, fold,
};

pub(crate) const KEY: &str =
    "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Names that a renderer must neither obey nor break on.
pub(crate) const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"quoted\" & 'quoted' \\ `ticks` | pipes",
    "=cmd|' /C calc'!A0",
    "line\nbreak\r\tand\u{0}control\u{1b}[31m\u{7f}",
    "Übung/日本語/🗝\u{202e}gnp.exe",
    "a:trail/b",
    " ",
];

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn scope(account: &str, region: &str) -> Scope {
    Scope {
        account: Some(account.parse().unwrap()),
        region: Some(region.parse().unwrap()),
        trail: Some("main".parse().unwrap()),
    }
}

pub(crate) fn line(
    account: &str,
    region: &str,
    from: &str,
    to: &str,
    state: State,
) -> CoverageLine {
    CoverageLine {
        account: account.into(),
        region: region.into(),
        trail: "main".into(),
        home_region: "us-east-1".into(),
        path: format!("AWSLogs/{account}/CloudTrail-Digest/{region}"),
        from: time(from),
        to: time(to),
        state,
    }
}

/// Two chains of one account over thirteen months, all proven.
pub(crate) fn verified() -> Report {
    let chain = |region| {
        let (from, to) = ("2025-10-01T00:00:00Z", "2026-11-23T10:00:00Z");
        [
            line("111122223333", region, from, to, State::Proven),
            line("111122223333", region, to, "2026-11-23T12:00:00Z", State::Pending),
        ]
    };
    let logs = EncryptionLine {
        account: Some("111122223333".into()),
        region: Some("us-east-1".into()),
        kind: "log",
        sse: Some("aws:kms".into()),
        key: Some(KEY.into()),
        bucket_key: Some(true),
        from: time("2025-10-01T00:05:00Z"),
        to: time("2026-11-23T11:55:00Z"),
        objects: 240,
    };
    let digests = DigestCounts { checked: 20_000, valid: 20_000, ..DigestCounts::default() };
    Report {
        schema: "trailseal.report/v1",
        tool: Tool { name: "trailseal", version: "0.1.0" },
        generated_at: time("2026-11-23T12:00:00Z"),
        request: BTreeMap::from([
            ("target", json!("s3://audit-logs/corp")),
            ("start", Value::Null),
            ("end", json!("2026-11-23T12:00:00Z")),
            ("scope", json!("discovered")),
            ("accounts", json!([])),
            ("regions", json!([])),
            ("trail_arn", Value::Null),
            ("trail_name", Value::Null),
            ("depth", json!("logs")),
            ("bucket_region", json!("us-east-1")),
        ]),
        verdict: Verdict::Verified,
        summary: Summary {
            chains: 2,
            digests,
            logs: LogCounts { checked: 240, valid: 240, ..LogCounts::default() },
            coverage: Some(1.0),
            ..Summary::default()
        },
        coverage: [chain("us-east-1"), chain("eu-west-1")].concat(),
        encryption: vec![logs],
        keys: vec![KeyLine {
            fingerprint: "9d2e".repeat(8),
            region: "us-east-1".into(),
            valid_from: time("2025-09-01T00:00:00Z"),
            valid_to: time("2027-01-01T00:00:00Z"),
            source: "api".into(),
            digests: 20_000,
        }],
        findings: Vec::new(),
        every_finding: Vec::new(),
        not_proven: vec!["what the source of the events did not record or did not send".into()],
    }
}

/// `report` with these findings.
pub(crate) fn with(mut report: Report, findings: Vec<Finding>) -> Report {
    report.verdict = Verdict::of(findings.iter().map(|f| f.class), &Class::ALL);
    report.every_finding = findings.iter().map(ReportedFinding::from).collect();
    report.findings = fold(findings);
    report
}

/// Every code, hostile names of any length, and more of one kind than a report lists.
pub(crate) fn tampered() -> Report {
    let here = scope("111122223333", "us-east-1");
    let mut findings: Vec<Finding> = Code::ALL
        .iter()
        .enumerate()
        .map(|(i, code)| {
            let name = HOSTILE[i % HOSTILE.len()];
            Finding::new(*code, &here, format!("found {name}"))
                .object(format!("s3://audit-logs/{i}/{name}"))
                .digest(format!("s3://audit-logs/digest/{name}"))
                .values(name, "x".repeat(i * 100))
                .span(time("2026-01-01T00:00:00Z"), time("2026-01-01T01:00:00Z"))
        })
        .collect();
    let nowhere = Scope::default();
    findings.push(Finding::new(Code::ListUnreadable, &nowhere, "").object(""));
    findings.push(Finding::new(Code::KeysUnavailable, &nowhere, "é".repeat(300_000)));
    findings.push(Finding::new(Code::KeyPolicy, &nowhere, "open").object(KEY));
    let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
    findings.push(Finding::new(Code::TrailValidationOff, &nowhere, "off").object(arn));
    let long = |i: usize| format!("s3://audit-logs/{i}/{}", "長".repeat(1000));
    findings.extend((0..150).map(|i| {
        Finding::new(Code::LogMissing, &scope("111122223333", "eu-west-1"), "gone").object(long(i))
    }));
    let mut report = with(verified(), findings);
    report.coverage[0].state = State::Invalid;
    report.summary.coverage = Some(0.5);
    report.not_proven.extend(HOSTILE.iter().map(|name| (*name).to_owned()));
    report
}

/// A year of fifty chains, one stretch in a hundred days not proven in each.
pub(crate) fn year() -> Report {
    let mut report = verified();
    report.coverage.clear();
    let mut findings = Vec::new();
    for n in 0..50 {
        let (account, region) = (format!("{:012}", 111_100_000_000_u64 + n), "eu-central-1");
        for quarter in ["01", "04", "07", "10"] {
            let [from, gap, to] = ["01T00:00:00Z", "28T00:00:00Z", "28T05:00:00Z"]
                .map(|t| format!("2026-{quarter}-{t}"));
            report.coverage.push(line(&account, region, &from, &gap, State::Proven));
            report.coverage.push(line(&account, region, &gap, &to, State::Gap));
            let finding = Finding::new(Code::ChainGap, &scope(&account, region), "no digest");
            findings.push(finding.span(time(&gap), time(&to)));
        }
    }
    report.summary.chains = 50;
    with(report, findings)
}
