//! SARIF: valid by the published schema, read by sarif-tools.

use std::fs;

use serde_json::Value;
use verifier::Report;

use crate::reports::{refuse, samples, validate};
use crate::support::fixture;

/// A pattern of the published schema is none for newer dialects, hence the old one.
const CHECK: &str = r#"
import subprocess, sys
tool = [sys.executable, "-m", "check_jsonschema", "--regex-variant", "nonunicode"]
sys.exit(subprocess.run([*tool, "--schemafile", *sys.argv[1:]]).returncode)
"#;

/// The results by severity, as sarif-tools counts them, suppressed ones included.
const COUNT: &str = r#"
import json, sys
from sarif.loader import load_sarif_file
print(json.dumps(load_sarif_file(sys.argv[1]).get_report().get_issue_type_histogram_for_severity("error")))
"#;

fn checked(report: &Report) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.sarif");
    let text = report::sarif::render(report);
    fs::write(&path, &text).unwrap();
    validate(CHECK, &[&fixture("schemas/sarif-2.1.0.json"), &path]);
    serde_json::from_str(&text).unwrap()
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn every_report_is_valid_by_the_published_schema() {
    for (_, report) in samples::all() {
        let sarif = checked(&report);
        let run = &sarif["runs"][0];
        assert_eq!(run["results"].as_array().unwrap().len(), report.findings.len());
        assert_eq!(run["invocations"][0]["exitCode"], report.verdict.exit_code());
        for (result, finding) in run["results"].as_array().unwrap().iter().zip(&report.findings) {
            assert_eq!(result["partialFingerprints"]["trailsealFindingId/v1"], *finding.id);
            assert_eq!(result["occurrenceCount"], finding.count);
            let rule =
                &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(
                (&rule["id"], &result["ruleId"]),
                (&(*finding.code).into(), &(*finding.code).into())
            );
            assert_eq!(rule["help"]["text"], finding.remedy);
            let message = result["message"]["text"].as_str().unwrap();
            assert!(!message.replace("\\[", "").contains('['), "a link: {message}");
            assert!(!message.contains(char::is_control), "{message}");
            let kind = if finding.class == "info" { "informational" } else { "fail" };
            assert_eq!(result["kind"], kind);
            assert_eq!(result["level"] == "none", finding.class == "info", "{}", finding.code);
            let suppressed = result["suppressions"].as_array().is_some_and(|s| !s.is_empty());
            assert_eq!(suppressed, finding.state == "accepted");
        }
    }
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn hostile_names_are_addresses_that_lead_back_to_them() {
    let report = samples::hostile();
    let sarif = checked(&report);
    for (result, finding) in
        sarif["runs"][0]["results"].as_array().unwrap().iter().zip(&report.findings)
    {
        let location = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        let Some(object) = &finding.object else { continue };
        let uri = location["uri"].as_str().unwrap();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/%:".contains(c);
        assert!(uri.chars().all(allowed), "{uri}");
        let encoded = uri.strip_prefix("s3://").unwrap_or(uri);
        let decoded = percent_decoded(encoded);
        assert_eq!(decoded, object.strip_prefix("s3://").unwrap_or(object));
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn another_reader_counts_the_same_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.sarif");
    let report = samples::hostile();
    fs::write(&path, report::sarif::render(&report)).unwrap();
    let counted: Value = serde_json::from_str(&validate(COUNT, &[&path])).unwrap();
    let counted: u64 = counted.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let error = |f: &&verifier::report::ReportedFinding| {
        f.class != "info" && ["critical", "high"].contains(&f.severity)
    };
    assert_eq!(counted, report.findings.iter().filter(error).count() as u64);
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn the_schema_refuses_what_is_no_sarif() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.sarif");
    let report = samples::hostile();
    checked(&report);
    let text = report::sarif::render(&report);
    for (from, to) in [
        ("\"2.1.0\"", "\"2.0.0\""),
        ("\"message\"", "\"massage\""),
        ("\"level\": \"error\"", "\"level\": \"fatal\""),
        ("\"driver\"", "\"diver\""),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        refuse(CHECK, &[&fixture("schemas/sarif-2.1.0.json"), &path]);
    }
}
