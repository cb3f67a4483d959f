//! Reports to draw: one that is whole, one that is broken in many hostile ways, one of a year.

use std::collections::BTreeMap;

use serde_json::json;
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::finding::{Class, Code, Finding, Scope};
use verifier::report::{
    CoverageLine, DigestCounts, EncryptionLine, KeyLine, LogCounts, ReportedFinding, Summary, Tool,
    Verdict, fold,
};

pub(crate) const HOUR: i64 = 3_600;
const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const KMS: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Names that whoever writes to a bucket may choose.
pub(crate) const HOSTILE: [&str; 10] = [
    "s3://b/AWSLogs/<script>document.title='owned'</script>.json.gz",
    "s3://b/AWSLogs/\"onmouseover=\"alert(1)\" x='.json.gz",
    "s3://b/AWSLogs/=cmd|' /C calc'!A0.json.gz",
    "s3://b/AWSLogs/line\nfeed\ttab\u{0}nul\u{1b}[31mred.json.gz",
    "s3://b/AWSLogs/\u{202e}zg.nosj.reversed\u{2066}",
    "s3://b/AWSLogs/日誌-ログ-журнал-🔒.json.gz",
    "s3://b/AWSLogs/</style><img src=http://tracker.invalid/x onerror=alert(1)>",
    "s3://b/AWSLogs/--><svg onload=alert(1)>&lt;&#0;&amp;",
    "javascript:alert(1)",
    "",
];

pub(crate) fn at(hours: i64) -> Timestamp {
    Timestamp::from_unix(1_767_225_600 + hours * HOUR)
}

pub(crate) fn line(account: &str, region: &str, from: i64, to: i64, state: State) -> CoverageLine {
    CoverageLine {
        account: account.into(),
        region: region.into(),
        trail: "management-events".into(),
        home_region: "us-east-1".into(),
        path: format!("corp/AWSLogs/{account}/CloudTrail-Digest/{region}/"),
        from: at(from),
        to: at(to),
        state,
    }
}

pub(crate) fn scope(account: &str, region: &str) -> Scope {
    Scope {
        account: Some(account.parse().unwrap()),
        region: Some(region.parse().unwrap()),
        trail: Some("management-events".parse().unwrap()),
    }
}

/// A day of two accounts and two regions without a fault.
pub(crate) fn verified() -> Report {
    let pairs = ACCOUNTS.iter().flat_map(|a| REGIONS.iter().map(move |r| (*a, *r)));
    let coverage = pairs
        .clone()
        .flat_map(|(a, r)| [line(a, r, 0, 24, State::Proven), line(a, r, 24, 26, State::Pending)]);
    let encryption = |(a, r): (&str, &str), kind, key: Option<&str>, objects| EncryptionLine {
        account: Some(a.into()),
        region: Some(r.into()),
        kind,
        sse: Some(if key.is_some() { "aws:kms" } else { "AES256" }.into()),
        key: key.map(Into::into),
        bucket_key: key.map(|_| true),
        from: at(0),
        to: at(24),
        objects,
    };
    let key = |region: &str, fingerprint: &str| KeyLine {
        fingerprint: fingerprint.into(),
        region: region.into(),
        valid_from: at(-240),
        valid_to: at(480),
        source: "api".into(),
        digests: 48,
    };
    Report {
        schema: "trailseal.report/v1",
        tool: Tool { name: "trailseal", version: "0.1.0" },
        generated_at: at(26),
        request: BTreeMap::from([
            ("target", json!("s3://audit-logs/corp")),
            ("start", json!(null)),
            ("end", json!(at(26))),
            ("scope", json!("discovered")),
            ("accounts", json!([])),
            ("regions", json!([])),
            ("trail_arn", json!(null)),
            ("trail_name", json!(null)),
            ("grace", json!("7200s")),
            ("backfill_grace", json!("259200s")),
            ("depth", json!("logs")),
        ]),
        verdict: Verdict::Verified,
        summary: Summary {
            chains: 4,
            digests: DigestCounts { checked: 96, valid: 96, ..Default::default() },
            logs: LogCounts { checked: 1_152, valid: 1_152, pending: 3, ..Default::default() },
            by_class: Class::ALL.map(|c| (c.as_str(), 0)).into(),
            bytes_inflated: 123_456_789,
            coverage: Some(1.0),
            ..Default::default()
        },
        coverage: coverage.collect(),
        encryption: pairs
            .flat_map(|p| [encryption(p, "digest", None, 24), encryption(p, "log", Some(KMS), 288)])
            .collect(),
        keys: vec![
            key("eu-west-1", "eda42861b839aaf7cbdf53cd81e19294"),
            key("us-east-1", "c862eb06ea297c839591f05aad2e4412"),
        ],
        findings: vec![],
        every_finding: vec![],
        not_proven: vec![
            format!("events before {} (4 chains beginning there)", at(0)),
            "what the source of the events did not record or did not send".into(),
        ],
    }
}

/// The same with these findings, and the verdict and counts that follow.
pub(crate) fn with(findings: Vec<Finding>) -> Report {
    let mut report = verified();
    report.verdict = Verdict::of(findings.iter().map(|f| f.class), &Class::ALL);
    for f in &findings {
        *report.summary.by_class.entry(f.class.as_str()).or_default() += f.count;
    }
    report.every_finding = findings.iter().map(ReportedFinding::from).collect();
    report.findings = fold(findings);
    report
}

/// Every code once, every hostile name, a folded group, every state of time.
pub(crate) fn tampered() -> Report {
    let home = scope(ACCOUNTS[0], REGIONS[0]);
    let mut findings: Vec<_> = Code::ALL
        .iter()
        .zip(0..)
        .map(|(code, hour)| {
            Finding::new(*code, &home, "its content is not what the digest was signed over")
                .object(format!("s3://audit-logs/corp/AWSLogs/object-{hour}"))
                .span(at(hour), at(hour + 1))
        })
        .collect();
    let other = scope(ACCOUNTS[1], REGIONS[1]);
    findings.extend(HOSTILE.iter().map(|name| {
        Finding::new(Code::LogUnreferenced, &other, format!("no digest names {name}"))
            .object(*name)
            .digest(*name)
            .values(*name, "x".repeat(5_000))
    }));
    let folder = "s3://audit-logs/corp/AWSLogs/111122223333";
    findings.push(
        Finding::new(Code::LogHashMismatch, &other, "its content is not what was signed")
            .object(format!(
                "{folder}/CloudTrail/eu-west-1/2026/01/01/\
                 111122223333_CloudTrail_eu-west-1_20260101T0305Z_hgWvAmGfW6oGhtxl.json.gz"
            ))
            .digest(format!(
                "{folder}/CloudTrail-Digest/eu-west-1/2026/01/01/111122223333_CloudTrail-Digest_\
                 eu-west-1_management-events_us-east-1_20260101T040000Z.json.gz"
            ))
            .values("1b3be1ae".repeat(8), "12c3eb15".repeat(8)),
    );
    let many = scope(ACCOUNTS[1], REGIONS[0]);
    findings.extend((0..250).map(|n| {
        Finding::new(Code::LogMissing, &many, "the digest names it, and it is not there")
            .object(format!("s3://audit-logs/corp/AWSLogs/many-{n:03}"))
    }));
    let mut report = with(findings);
    let states = [
        State::Invalid,
        State::Unreadable,
        State::Missing,
        State::Expired,
        State::Gap,
        State::Absent,
        State::ProvenEarlier,
    ];
    for (state, hour) in states.into_iter().zip(3..) {
        report.coverage.push(line("777788889999", "us-east-1", hour, hour + 1, state));
    }
    report.coverage.push(line(HOSTILE[0], HOSTILE[1], 0, 24, State::Missing));
    report.request.insert("target", json!("s3://audit-logs/$(touch owned)'<b>"));
    report.not_proven.push(HOSTILE[6].into());
    report.summary.coverage = Some(0.9471);
    report
}

/// A year of many chains; most lose an hour now and then, the first every second one.
pub(crate) fn year(chains: i64) -> Report {
    const HOURS: i64 = 8_760;
    let mut findings = Vec::new();
    let mut coverage = Vec::new();
    for chain in 0..chains {
        let account = format!("{:012}", 100_000_000_000 + chain / 5);
        let region = REGION_NAMES[(chain % 5) as usize];
        let (mut from, step) = (0, if chain == 0 { 2 } else { 211 * (1 + (chain as usize) % 9) });
        for lost in (7 + chain..HOURS - 1).step_by(step) {
            coverage.push(line(&account, region, from, lost, State::Proven));
            coverage.push(line(&account, region, lost, lost + 1, State::Missing));
            from = lost + 1;
            findings.push(
                Finding::new(Code::DigestMissing, &scope(&account, region), "it is not there")
                    .object(format!(
                        "s3://audit-logs/corp/AWSLogs/{account}/{region}/{lost}.json.gz"
                    ))
                    .span(at(lost), at(lost + 1)),
            );
        }
        coverage.push(line(&account, region, from, HOURS, State::Proven));
    }
    let mut report = with(findings);
    report.coverage = coverage;
    report.generated_at = at(HOURS);
    report.request.insert("end", json!(at(HOURS)));
    report.summary.chains = chains as u64;
    report.summary.coverage = Some(0.9941);
    report
}

const REGION_NAMES: [&str; 5] =
    ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2"];
