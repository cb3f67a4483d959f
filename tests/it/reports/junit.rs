//! JUnit XML: valid by Jenkins's schema, read by junitparser, and honest about what passed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use verifier::Report;
use verifier::coverage::State;

use crate::reports::{refuse, samples, validate};
use crate::support::fixture;

/// Validates every suite; the schema knows all of the root element but its sum of skipped cases,
/// which is younger. Prints suite, case and outcome as junitparser sees them.
const READ: &str = r#"
import json, sys
import xml.etree.ElementTree as ET
import junitparser, xmlschema
schema = xmlschema.XMLSchema(sys.argv[1])
root = ET.parse(sys.argv[2]).getroot()
assert root.attrib.pop("skipped").isdigit()
schema.validate(root)
out = {}
xml = junitparser.JUnitXml.fromfile(sys.argv[2])
for suite in xml:
    for case in suite:
        results = [type(r).__name__ + ": " + str(r.type or r.message) for r in case.result]
        assert len(results) <= 1, results
        out[suite.name + " / " + case.name] = results[0] if results else "Passed"
counted = (xml.tests, xml.failures, xml.errors, xml.skipped)
xml.update_statistics()
assert counted == (xml.tests, xml.failures, xml.errors, xml.skipped), counted
print(json.dumps(out))
"#;

fn outcomes(report: &Report) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("junit.xml");
    fs::write(&path, report::junit::render(report)).unwrap();
    let schema = fixture("schemas/junit-10.xsd");
    serde_json::from_str(&validate(READ, &[&schema, &path])).unwrap()
}

const CHAIN: &str = "111122223333 us-east-1 main (us-east-1)";

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn what_was_proven_passes_and_what_was_not_looked_at_is_skipped() {
    let outcomes = outcomes(&samples::verified());
    let of = |case: &str| outcomes[&format!("{CHAIN} / {case}")].clone();
    for case in [
        "digests are there and form one chain",
        "digests are signed with known keys",
        "digests cover the time",
        "logs are as signed",
        "objects are encrypted as required",
    ] {
        assert_eq!(of(case), "Passed", "{case}");
    }
    assert_eq!(of("events are where they belong"), "Skipped: events were not read");
    let other = "111122223333 eu-west-1 main (us-east-1) / objects are encrypted as required";
    assert_eq!(outcomes[other], "Skipped: no log's encryption was seen");
    assert_eq!(outcomes["target / something to verify was found"], "Passed");
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn depth_and_notes_turn_passes_into_skips() {
    let logs = format!("{CHAIN} / logs are as signed");
    let encryption = format!("{CHAIN} / objects are encrypted as required");
    let with = |change: fn(&mut Report)| {
        let mut report = samples::verified();
        change(&mut report);
        outcomes(&report)
    };
    let shallow = with(|r| drop(r.request.insert("depth", "digests".into())));
    assert_eq!(shallow[&logs], "Skipped: logs were not read");
    assert_eq!(shallow[&encryption], "Passed");
    let archived = with(|r| r.not_proven.push("archived logs: left out".into()));
    assert_eq!(archived[&logs], "Skipped: not proven: archived logs: left out");
    let unknown = with(|r| r.not_proven.push("that logs are encrypted as asked".into()));
    assert_eq!(unknown[&encryption], "Skipped: not proven: that logs are encrypted as asked");
    assert_eq!(unknown[&logs], "Passed");
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn time_that_is_only_pending_is_not_covered() {
    let mut report = samples::verified();
    report.coverage.iter_mut().for_each(|line| line.state = State::Pending);
    let outcomes = outcomes(&report);
    assert!(!outcomes.iter().any(|(case, is)| case.starts_with(CHAIN)
        && is == "Passed"
        && !case.contains("encrypted")));
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn findings_fail_the_case_they_belong_to() {
    let report = samples::hostile();
    let outcomes = outcomes(&report);
    let of = |case: &str| &*outcomes[&format!("{CHAIN} / {case}")];
    assert!(of("logs are as signed").starts_with("Failure: log."));
    assert!(of("digests are there and form one chain").starts_with("Failure: "));
    assert!(of("digests cover the time").starts_with("Failure: "));
    assert!(of("objects are encrypted as required").starts_with("Failure: "));
    assert_eq!(outcomes["target / something to verify was found"], "Passed");
    // Nothing found is lost: every finding is told in some case.
    let text = report::junit::render(&report);
    for finding in &report.findings {
        assert!(text.contains(&finding.id), "{}", finding.code);
    }
    assert!(text.contains(r"nul\u{0}esc\u{1b}[2J"), "made visible, not dropped");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn unreadable_is_an_error_and_accepted_is_no_pass() {
    let only = |code: &str, state| {
        let mut report = samples::hostile();
        report.findings.retain(|f| f.code == code && f.account.is_some());
        assert_eq!(report.findings.len(), 1, "{code}");
        report.findings[0].state = state;
        outcomes(&report)
    };
    let logs = format!("{CHAIN} / logs are as signed");
    assert_eq!(only("log.archived", "open")[&logs], "Error: log.archived");
    let accepted = only("log.archived", "accepted");
    assert!(accepted[&logs].starts_with("Skipped: accepted: "), "{accepted:?}");
    let info = only("event.old", "open");
    assert_eq!(
        info[&format!("{CHAIN} / events are where they belong")],
        "Skipped: events were not read"
    );
    let coverage = format!("{CHAIN} / digests cover the time");
    assert!(
        accepted[&coverage].starts_with("Skipped: missing: 2026-01-01T12:00:00Z to "),
        "{accepted:?}"
    );
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn nothing_found_fails() {
    let outcomes = outcomes(&samples::nothing());
    assert_eq!(outcomes["target / something to verify was found"], "Failure: chain.none");
    assert_eq!(outcomes["target / digests cover the time"], "Failure: chain.none");
    assert_eq!(outcomes.len(), 2);
    let mut nothing_asked = samples::verified();
    nothing_asked.coverage.clear();
    let outcomes = self::outcomes(&nothing_asked);
    let demanded = "Skipped: the time asked demands no digest";
    assert_eq!(outcomes["target / something to verify was found"], demanded);
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn a_year_of_50_chains_is_valid_and_the_schema_refuses_what_is_not() {
    assert_eq!(outcomes(&samples::year()).len(), 50 * 6 + 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.xml");
    let text = report::junit::render(&samples::verified());
    let schema = fixture("schemas/junit-10.xsd");
    outcomes(&samples::verified());
    for (from, to) in [("<testcase name=", "<testcase title="), ("<skipped", "<skip"), ("</", "<")]
    {
        fs::write(&path, text.replace(from, to)).unwrap();
        refuse(READ, &[&schema, Path::new(&path)]);
    }
}
