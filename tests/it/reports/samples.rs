//! Reports to render: one of each kind that real trails seldom give.

use std::time::Duration;

use serde_json::json;
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::finding::{Class, Code, Finding, Scope};
use verifier::report::{
    CoverageLine, DigestCounts, EncryptionLine, KeyLine, LogCounts, ReportedFinding, Summary, Tool,
    Verdict, fold, sort,
};

/// Names that somebody may have given to an object to fool whoever reads of it.
pub(crate) const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>.json.gz",
    "a\" onload=\"x' & <b>.json.gz",
    "=cmd|' /C calc'!A0",
    "line\nfeed\r\n# TYPE x counter\n{\"record\":\"end\"}",
    "nul\u{0}esc\u{1b}[2J\u{7f}\u{85}.json.gz",
    "]]> \u{202e}gpj.exe \u{feff}\u{ffff}",
    "Übung/日本語 🦀,;|\\\"%2e%2e/../..//?x#y",
    "-1+1 [here](https://example.com)",
    "\t@SUM(A1)",
];

const DAY: Duration = Duration::from_secs(24 * 3600);

fn start() -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap()
}

fn report(findings: Vec<Finding>, coverage: Vec<CoverageLine>) -> Report {
    let mut findings = findings;
    sort(&mut findings);
    let end = coverage.iter().map(|l| l.to).max().unwrap_or_else(start);
    let count = |class| findings.iter().filter(|f| f.class == class).map(|f| f.count).sum();
    let mut by_class: std::collections::BTreeMap<_, u64> =
        Class::ALL.iter().map(|c| (c.as_str(), count(*c))).collect();
    by_class.insert("accepted", 0);
    Report {
        schema: "trailseal.report/v1",
        tool: Tool { name: "trailseal", version: "0.1.0" },
        generated_at: end + Duration::from_secs(60),
        request: [
            ("target", json!("s3://audit-logs/corp")),
            ("start", json!(null)),
            ("end", json!(end)),
            ("scope", json!("discovered")),
            ("depth", json!("logs")),
        ]
        .into(),
        verdict: Verdict::of(findings.iter().map(|f| f.class), &Class::ALL),
        summary: Summary {
            chains: 2,
            digests: DigestCounts { checked: 48, valid: 48, ..DigestCounts::default() },
            logs: LogCounts { checked: 96, valid: 96, ..LogCounts::default() },
            by_class,
            bytes_inflated: 123_456,
            coverage: (!coverage.is_empty()).then_some(0.9583),
            ..Summary::default()
        },
        coverage,
        encryption: vec![EncryptionLine {
            account: Some("111122223333".into()),
            region: Some("us-east-1".into()),
            kind: "log",
            sse: Some("aws:kms".into()),
            key: Some("arn:aws:kms:us-east-1:111122223333:key/1".into()),
            bucket_key: Some(true),
            from: start(),
            to: end,
            objects: 96,
        }],
        keys: vec![KeyLine {
            fingerprint: "eda42861b839aaf7cbdf53cd81e19294".into(),
            region: "us-east-1".into(),
            valid_from: start(),
            valid_to: start() + DAY * 365,
            source: "api".into(),
            digests: 48,
        }],
        every_finding: findings.iter().map(ReportedFinding::from).collect(),
        findings: fold(findings),
        not_proven: vec!["what the source of the events did not record or did not send".into()],
    }
}

fn line(region: &str, from: Timestamp, to: Timestamp, state: State) -> CoverageLine {
    CoverageLine {
        account: "111122223333".into(),
        region: region.into(),
        trail: "main".into(),
        home_region: "us-east-1".into(),
        path: format!("corp/AWSLogs/111122223333/CloudTrail-Digest/{region}/"),
        from,
        to,
        state,
    }
}

fn scope(region: &str) -> Scope {
    Scope {
        account: Some("111122223333".parse().unwrap()),
        region: Some(region.parse().unwrap()),
        trail: Some("main".parse().unwrap()),
    }
}

/// Two chains of a day, all proven.
pub(crate) fn verified() -> Report {
    let line = |region| line(region, start(), start() + DAY, State::Proven);
    report(Vec::new(), vec![line("us-east-1"), line("eu-west-1")])
}

/// Nothing was found at the target.
pub(crate) fn nothing() -> Report {
    let finding = Finding::new(Code::ChainNone, &Scope::default(), "no digest was found");
    let mut report = report(vec![finding], Vec::new());
    report.summary.chains = 0;
    report
}

/// Every code there is, with hostile names wherever a name may stand, and one code so often that
/// it is folded.
pub(crate) fn hostile() -> Report {
    let mut findings = Vec::new();
    for (i, &code) in Code::ALL.iter().enumerate() {
        let name = HOSTILE[i % HOSTILE.len()];
        let other = HOSTILE[(i + 1) % HOSTILE.len()];
        let scope = if i % 5 == 0 { Scope::default() } else { scope("us-east-1") };
        let mut finding = Finding::new(code, &scope, format!("about {name}"))
            .object(format!("s3://audit-logs/corp/{name}"))
            .digest(format!("{name}/{i}"))
            .values(other, name)
            .span(start(), start() + DAY);
        finding.backfill = i % 3 == 0;
        findings.push(if i % 7 == 0 {
            finding.objects(vec![name.into(), other.into()])
        } else {
            finding
        });
    }
    for i in 0..150 {
        let object = format!("{}{i}", HOSTILE[2]);
        findings.push(Finding::new(Code::LogMissing, &scope("eu-west-1"), "gone").object(object));
    }
    let middle = start() + DAY / 2;
    let mut report = report(
        findings,
        vec![
            line("us-east-1", start(), middle, State::Proven),
            line("us-east-1", middle, start() + DAY, State::Missing),
            line("eu-west-1", start(), start() + DAY, State::Gap),
        ],
    );
    // One that the operator accepted.
    for list in [&mut report.findings, &mut report.every_finding] {
        list.iter_mut().filter(|f| f.code == "chain.gap").for_each(|f| f.state = "accepted");
    }
    report
}

/// A year of 50 chains with a hole a week.
pub(crate) fn year() -> Report {
    let mut coverage = Vec::new();
    let mut findings = Vec::new();
    for chain in 0..50 {
        let region = format!("region-{chain}");
        for week in 0..52 {
            let from = start() + DAY * 7 * week;
            let hole = from + DAY * 7 - Duration::from_secs(3600);
            coverage.push(line(&region, from, hole, State::Proven));
            coverage.push(line(&region, hole, from + DAY * 7, State::Gap));
            let finding = Finding::new(Code::ChainGap, &scope(&region), "a hole");
            findings.push(finding.span(hole, from + DAY * 7));
        }
    }
    report(findings, coverage)
}

/// All of them, by name.
pub(crate) fn all() -> [(&'static str, Report); 4] {
    [("verified", verified()), ("nothing", nothing()), ("hostile", hostile()), ("year", year())]
}
