//! The report's text at several widths.

use std::collections::BTreeMap;

use serde_json::json;
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::report::{
    CoverageLine, EncryptionLine, KeyLine, ReportedFinding, Summary, Tool, Verdict,
};

use super::{Painter, report};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/70aacae5-91f0-48cf-b5ae-8cd0d935a5ae";
const FOLDER: &str = "s3://audit-logs/corp/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/23/";

fn at(hour: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + hour * 3600)
}

fn finding(code: &str, class: &'static str, object: &str) -> ReportedFinding {
    ReportedFinding {
        id: "0".into(),
        code: code.into(),
        class,
        severity: "high",
        state: "open",
        account: Some("111122223333".into()),
        region: None,
        trail: None,
        object: Some(object.into()),
        digest: None,
        from: Some(at(2)),
        to: Some(at(3)),
        count: 1,
        objects: Vec::new(),
        expected: Some("a".repeat(64)),
        actual: Some("b".repeat(64)),
        message: "the next digest names it as its predecessor, and it is not there".into(),
        remedy: "restore the digest from a versioned bucket, a replica or a mirror; find out who deleted it",
    }
}

fn line(region: &str, from: i64, to: i64, state: State) -> CoverageLine {
    CoverageLine {
        account: "111122223333".into(),
        region: region.into(),
        trail: "management-events".into(),
        home_region: "us-east-1".into(),
        path: "p".into(),
        from: at(from),
        to: at(to),
        state,
    }
}

fn sample(findings: Vec<ReportedFinding>) -> Report {
    Report {
        schema: "trailseal.report/v1",
        tool: Tool { name: "trailseal", version: "0" },
        generated_at: at(9),
        request: BTreeMap::from([("target", json!("s3://audit-logs/corp")), ("end", json!(at(8)))]),
        verdict: Verdict::Tampered,
        summary: Summary { chains: 2, coverage: Some(0.75), ..Summary::default() },
        coverage: vec![
            line("eu-west-1", 0, 4, State::Proven),
            line("eu-west-1", 4, 8, State::Missing),
            line("us-east-1", 4, 8, State::Proven),
        ],
        encryption: vec![EncryptionLine {
            account: None,
            region: None,
            kind: "log",
            sse: Some("aws:kms".into()),
            key: Some(KEY.into()),
            bucket_key: Some(true),
            from: at(0),
            to: at(8),
            objects: 279,
        }],
        keys: vec![KeyLine {
            fingerprint: "6194c24b4fb4aad9d9898404223ecc8f".into(),
            region: "eu-west-1".into(),
            valid_from: at(0),
            valid_to: at(9),
            source: "api".into(),
            digests: 3,
        }],
        every_finding: findings.clone(),
        findings,
        not_proven: vec![
            "encryption and dates of the objects: they are what the copy's own list claims of them"
                .into(),
        ],
    }
}

fn at_width(report_: &Report, width: Option<usize>) -> String {
    report(report_, &Painter { color: false, width })
}

/// Words that are there to be copied may be longer than the line; nothing else is.
#[test]
fn every_line_fits_the_terminal_or_is_one_word() {
    let object = format!(
        "{FOLDER}111122223333_CloudTrail_eu-west-1_20261123T1905Z_RFaaV5LoXlMlVFEG.json.gz"
    );
    let report = sample(vec![finding("digest.missing", "tampered", &object)]);
    for width in [60, 80, 120, 200] {
        let text = at_width(&report, Some(width));
        for line in text.lines().filter(|l| l.chars().count() > width) {
            let words = line.split_whitespace().collect::<Vec<_>>();
            assert!(words.len() <= 2, "{width}: {line}");
        }
        assert!(text.contains(&object) && text.contains(KEY), "whole, to be copied: {text}");
    }
}

#[test]
fn the_first_lines_answer_what_until_when_by_whose_word_and_how_bad() {
    let mut info = finding("sse.changed", "info", "o");
    info.count = 3;
    let report = sample(vec![
        finding("digest.missing", "tampered", "d"),
        finding("log.missing", "tampered", "l"),
        finding("log.missing", "tampered", "m"),
        info,
    ]);
    let text = at_width(&report, None);
    let head: Vec<&str> = text.lines().take(9).collect();
    assert_eq!(head[0], "TAMPERED  s3://audit-logs/corp");
    assert_eq!(
        head[2],
        format!("  time          {} to {}: 75 % of the time demanded is proven", at(0), at(8))
    );
    assert_eq!(head[4], "  signed        1 key (6194c24b4fb4aad9d9898404223ecc8f) from api");
    assert_eq!(head[5], format!("  encrypted     1 KMS key ({KEY})"));
    assert_eq!(head[6], "  tampered      digest.missing × 1, log.missing × 2");
    assert_eq!(head[7], "  info          sse.changed × 3");
}

#[test]
fn a_narrow_terminal_has_the_map_below_the_name() {
    let report = sample(vec![]);
    let narrow = at_width(&report, Some(60));
    let name = "111122223333 eu-west-1 management-events";
    assert!(narrow.contains(&format!("  {name}\n    █")), "{narrow}");
    let wide = at_width(&report, Some(100));
    let row = wide.lines().find(|l| l.contains(name)).unwrap();
    let cells = 100 - name.len() - 5;
    let half = row.matches('█').count();
    assert!(half.abs_diff(cells / 2) <= 1 && row.matches('!').count() + half == cells, "{row}");
    // One scale: the chain that begins later begins further right.
    let late = wide.lines().find(|l| l.contains("us-east-1 management")).unwrap();
    assert!(late.contains(&" ".repeat(cells / 2)) && late.ends_with('█'), "{late}");
    assert!(wide.contains("█ proven  ! missing\n"), "only signs that occur: {wide}");
}

#[test]
fn many_of_one_code_are_cut_and_many_of_one_folder_name_it_once() {
    let report =
        sample((0..14).map(|i| finding("log.missing", "tampered", &format!("o{i}"))).collect());
    let text = at_width(&report, None);
    assert!(text.contains("    o9\n") && !text.contains("    o10\n"), "{text}");
    assert!(text.contains("and 4 more; --format json lists them"), "{text}");
    let mut many = finding("log.undigested", "incomplete", "");
    (many.object, many.count) = (None, 12);
    many.objects = (0..12).map(|i| format!("{FOLDER}{i}.json.gz")).collect();
    let text = at_width(&sample(vec![many]), None);
    assert_eq!(text.matches(FOLDER).count(), 1, "{text}");
    assert!(text.contains("      · 9.json.gz\n      · and 2 more\n"), "{text}");
}

#[test]
fn names_give_the_terminal_no_orders() {
    let hostile = "s3://b/\x1b[2J\u{202e}\r\n<script>";
    let mut finding = finding("log.missing", "tampered", hostile);
    finding.message = hostile.into();
    finding.expected = Some(hostile.into());
    finding.objects = vec![hostile.into(), hostile.into()];
    let mut report = sample(vec![finding]);
    report.request.insert("target", json!(hostile));
    report.not_proven.push(hostile.into());
    report.keys[0].source = hostile.into();
    report.coverage[0].trail = hostile.into();
    report.encryption[0].key = Some(hostile.into());
    for width in [None, Some(60)] {
        let text = at_width(&report, width);
        assert!(!text.contains(['\x1b', '\u{202e}', '\r']), "{text:?}");
    }
}
