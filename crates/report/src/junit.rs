//! JUnit XML, which every CI system reads: a suite per chain, a case per check.
//!
//! A case passes only where the run looked and found nothing. What it did not look at, or what
//! the operator accepted, is *skipped*; what it could not read or trust is an *error*; the rest
//! is a *failure*. Findings of class info stand in the case's output and fail nothing. Open
//! findings fail their case whatever `--fail-on` says: that option is about the exit code.

use std::collections::{BTreeMap, BTreeSet};

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite, XmlString};
use verifier::Report;
use verifier::coverage::State;
use verifier::report::{CoverageLine, ReportedFinding};

use crate::visible::visible;

/// What a case is about; the findings' codes decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Digests,
    Signatures,
    Coverage,
    Logs,
    Events,
    Encryption,
    Settings,
    Listing,
}

const CHECKS: [Check; 8] = [
    Check::Digests,
    Check::Signatures,
    Check::Coverage,
    Check::Logs,
    Check::Events,
    Check::Encryption,
    Check::Settings,
    Check::Listing,
];

impl Check {
    fn name(self) -> &'static str {
        match self {
            Self::Digests => "digests are there and form one chain",
            Self::Signatures => "digests are signed with known keys",
            Self::Coverage => "digests cover the time",
            Self::Logs => "logs are as signed",
            Self::Events => "events are where they belong",
            Self::Encryption => "objects are encrypted as required",
            Self::Settings => "trail and bucket are set as required",
            Self::Listing => "folders can be listed",
        }
    }

    fn of(code: &str) -> Self {
        let (family, what) = code.split_once('.').unwrap_or((code, ""));
        match (family, what) {
            ("log", "undigested" | "awaiting-backfill") => Self::Coverage,
            ("chain", "rolled-back") => Self::Digests,
            ("chain", _) => Self::Coverage,
            ("digest" | "backfill", w) if w.starts_with("signature-") || w.starts_with("key-") => {
                Self::Signatures
            }
            ("digest" | "backfill", "algorithm-unsupported") | ("keys", _) => Self::Signatures,
            ("digest" | "backfill", _) => Self::Digests,
            ("event", _) => Self::Events,
            ("sse" | "key", _) => Self::Encryption,
            ("trail" | "bucket", _) => Self::Settings,
            ("list", _) => Self::Listing,
            // Logs, and versions of any object.
            _ => Self::Logs,
        }
    }
}

/// Account, region, trail, home region; folders of one chain are one.
type Chain<'a> = [&'a str; 4];

/// The report as JUnit XML.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut chains: BTreeMap<Chain<'_>, Vec<&CoverageLine>> = BTreeMap::new();
    for line in &report.coverage {
        let chain = [&*line.account, &*line.region, &*line.trail, &*line.home_region];
        chains.entry(chain).or_default().push(line);
    }
    let mut told = BTreeSet::new();
    let mut out = quick_junit::Report::new("trailseal verify");
    for (chain, lines) in &chains {
        let of_chain = |f: &&ReportedFinding| belongs(f, chain);
        let findings: Vec<_> = report.findings.iter().filter(of_chain).collect();
        told.extend(findings.iter().map(|f| &*f.id));
        let [account, region, trail, home_region] = chain;
        let mut suite = suite(report, &format!("{account} {region} {trail} ({home_region})"));
        for check in CHECKS {
            let of_check = |f: &&&ReportedFinding| Check::of(&f.code) == check;
            let findings: Vec<_> = findings.iter().filter(of_check).copied().collect();
            let looked = looked(report, check, chain, lines);
            // Checks of the whole target have no suite of a chain to pass in.
            if looked.is_some() || !findings.is_empty() {
                suite.add_test_case(case(check, &findings, &looked.unwrap_or(Err(String::new()))));
            }
        }
        out.add_test_suite(suite);
    }
    out.add_test_suite(whole_target(report, &told));
    out.to_string().expect("memory takes it")
}

/// A chain-less finding, or one whose chain has no coverage line: its own suite, which also says
/// whether anything was found at all.
fn whole_target(report: &Report, told: &BTreeSet<&str>) -> TestSuite {
    let mut suite = suite(report, "target");
    let status = match (report.summary.chains, report.coverage.is_empty()) {
        (0, _) => failure(NonSuccessKind::Failure, "chain.none", "no digest chain was found", ""),
        (_, true) => skipped("the time asked demands no digest"),
        (_, false) => TestCaseStatus::success(),
    };
    let mut found = TestCase::new("something to verify was found", status);
    found.set_classname("trailseal");
    suite.add_test_case(found);
    let rest: Vec<_> = report.findings.iter().filter(|f| !told.contains(&*f.id)).collect();
    for check in CHECKS {
        let of_check = |f: &&&ReportedFinding| Check::of(&f.code) == check;
        let findings: Vec<_> = rest.iter().filter(of_check).copied().collect();
        if !findings.is_empty() {
            suite.add_test_case(case(check, &findings, &Err(String::new())));
        }
    }
    suite.set_system_out(not_proven(report));
    suite
}

fn belongs(finding: &ReportedFinding, chain: &Chain<'_>) -> bool {
    let [account, region, trail, _] = chain;
    finding.account.as_deref() == Some(*account)
        && finding.region.as_deref() == Some(*region)
        && finding.trail.as_deref().is_none_or(|t| t == *trail)
}

fn suite(report: &Report, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.extra.insert("timestamp".into(), report.generated_at.to_string().into());
    suite.add_property(Property::new("verdict", report.verdict.as_str()));
    suite.add_property(Property::new("tool", format!("trailseal {}", report.tool.version)));
    suite
}

/// Whether the run looked at this for the chain (`Ok`), or why not. `None`: this check is not of
/// chains, or the report cannot say.
fn looked(
    report: &Report,
    check: Check,
    chain: &Chain<'_>,
    lines: &[&CoverageLine],
) -> Option<Result<(), String>> {
    let proven = lines.iter().any(|l| l.state == State::Proven);
    let or = |looked: bool, why: &str| Some(if looked { Ok(()) } else { Err(why.to_owned()) });
    // The notes say what was left out, is only claimed, or was listed but not judged.
    let note = |about: &str| {
        let note = report.not_proven.iter().find(|n| n.contains(about));
        note.map(|n| format!("not proven: {n}"))
    };
    match check {
        Check::Digests | Check::Signatures => or(proven, "no valid digest of the chain was read"),
        Check::Coverage => {
            let open = |l: &&&CoverageLine| !covered(l) && l.state != State::Pending;
            let open: Vec<_> = lines.iter().filter(open).map(|l| stretch(l)).collect();
            match lines.iter().any(|l| covered(l)) {
                true => or(open.is_empty(), &open.join("\n")),
                false => Some(Err("no time of the chain is proven".into())),
            }
        }
        Check::Logs => {
            let depth = report.request.get("depth").and_then(|d| d.as_str());
            match note("archived logs") {
                Some(note) => Some(Err(note)),
                None => or(proven && depth != Some("digests"), "logs were not read"),
            }
        }
        Check::Events => or(proven && report.summary.events.is_some(), "events were not read"),
        Check::Encryption => {
            let known = report.encryption.iter().any(|l| {
                l.kind == "log"
                    && l.account.as_deref() == Some(chain[0])
                    && l.region.as_deref() == Some(chain[1])
            });
            match note("encrypt") {
                Some(note) => Some(Err(note)),
                None => or(known, "no log's encryption was seen"),
            }
        }
        Check::Settings | Check::Listing => None,
    }
}

fn covered(line: &CoverageLine) -> bool {
    matches!(line.state, State::Proven | State::ProvenEarlier)
}

fn stretch(line: &CoverageLine) -> String {
    format!("{}: {} to {}", line.state.as_str(), line.from, line.to)
}

fn case(check: Check, findings: &[&ReportedFinding], looked: &Result<(), String>) -> TestCase {
    type Findings<'a> = Vec<&'a ReportedFinding>;
    let (open, accepted): (Findings<'_>, Findings<'_>) =
        findings.iter().partition(|f| f.state == "open");
    let (infos, open): (Findings<'_>, Findings<'_>) = open.iter().partition(|f| f.class == "info");
    let list = |of: &[&ReportedFinding]| of.iter().map(|f| told(f)).collect::<String>();
    let status = match (&open[..], &accepted[..], looked) {
        ([first, ..], _, _) => {
            let kind = match open.iter().all(|f| f.class == "unverifiable") {
                true => NonSuccessKind::Error,
                false => NonSuccessKind::Failure,
            };
            let message = match open.len() - 1 {
                0 => first.message.clone(),
                more => format!("{}, and {more} more findings", first.message),
            };
            failure(kind, &first.code, &message, &list(&open))
        }
        ([], [], Ok(())) => TestCaseStatus::success(),
        ([], [first, ..], _) => skipped(&format!("accepted: {}", first.message)),
        ([], [], Err(why)) => skipped(why),
    };
    let mut case = TestCase::new(check.name(), status);
    case.set_classname("trailseal");
    let aside = [infos, accepted].concat();
    if !aside.is_empty() {
        case.set_system_out(list(&aside));
    }
    case
}

fn failure(kind: NonSuccessKind, code: &str, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(code).set_message(shown(message)).set_description(description);
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why.split('\n').map(visible).collect::<Vec<_>>().join("; "));
    status
}

/// A finding as a paragraph.
fn told(f: &ReportedFinding) -> String {
    let mut out = format!("{} {} {}\n  {}\n", f.severity, f.code, f.id, visible(&f.message));
    let digest = f.digest.iter().map(|d| ("digest", d));
    let others = f.objects.iter().filter(|o| Some(*o) != f.object.as_ref());
    let objects = f.object.iter().chain(others).map(|o| ("object", o));
    let expected = f.expected.iter().map(|e| ("expected", e));
    let actual = f.actual.iter().map(|a| ("actual", a));
    for (name, value) in objects.chain(digest).chain(expected).chain(actual) {
        out.push_str(&format!("  {name}: {}\n", visible(value)));
    }
    if let (Some(from), Some(to)) = (f.from, f.to) {
        out.push_str(&format!("  time: {from} to {to}\n"));
    }
    out.push_str(&format!("  remedy: {}\n", f.remedy));
    out
}

fn not_proven(report: &Report) -> String {
    let lines = report.not_proven.iter().map(|n| format!("not proven: {}\n", visible(n)));
    lines.collect()
}

fn shown(text: &str) -> XmlString {
    XmlString::new(visible(text))
}
