//! OSCAL assessment results 1.1.3, against compliance-trestle.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use report::oscal::render;
use report::standards::{Control, Outcome, controls};
use serde_json::Value;
use tempfile::TempDir;
use verifier::Report;

use super::standards::compliance::*;
use super::{refuse, validate};

/// Trestle's models forbid what the standard does not know; its validators look for UUIDs that
/// are there twice. That every reference leads somewhere is looked at here.
const ASSESSMENT_RESULTS: &str = r#"
import pathlib, sys
from trestle.oscal import OSCAL_VERSION
from trestle.oscal.assessment_results import AssessmentResults
from trestle.core.duplicates_validator import DuplicatesValidator

def check(path):
    results = AssessmentResults.oscal_read(path)
    assert results.metadata.oscal_version.__root__ == OSCAL_VERSION, results.metadata
    assert DuplicatesValidator().model_is_valid(results, False, None)
    plan = results.import_ap.href.removeprefix('#')
    assert plan in [r.uuid for r in results.back_matter.resources]
    for result in results.results:
        observations = [o.uuid for o in result.observations]
        for finding in result.findings or []:
            related = [r.observation_uuid for r in finding.related_observations]
            assert related and set(related) <= set(observations), finding.title
    return len(results.results[0].findings or [])

print([check(pathlib.Path(path)) for path in sys.argv[1:]])
"#;

fn document(report: &Report) -> Value {
    serde_json::from_str(&render(report).unwrap()).unwrap()
}

fn uuids(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            out.extend(map.get("uuid").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| uuids(v, out));
        }
        Value::Array(list) => list.iter().for_each(|v| uuids(v, out)),
        _ => {}
    }
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn trestle_takes_every_report() {
    let dir = TempDir::new().unwrap();
    let mut empty = verified();
    (empty.coverage, empty.encryption) = (Vec::new(), Vec::new());
    let (mut paths, mut decided) = (Vec::new(), Vec::new());
    for (i, report) in [verified(), tampered(), year(), empty].iter().enumerate() {
        let path = dir.path().join(format!("{i}.json"));
        fs::write(&path, render(report).unwrap()).unwrap();
        paths.push(path);
        let assessed = |c: &Control| c.outcome != Outcome::NotAssessed;
        decided.push(controls(report).iter().filter(|c| assessed(c)).count());
    }
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    assert_eq!(validate(ASSESSMENT_RESULTS, &paths).trim(), format!("{decided:?}"));
    let path = paths[0];
    let good = render(&verified()).unwrap();
    for (from, to) in [
        ("\"1.1.3\"", "\"9.9.9\""),
        ("\"satisfied\"", "\"perhaps\""),
        ("\"import-ap\"", "\"import-xx\""),
        ("\"au-9.3\"", "\"au 9\""),
        ("\"observation-uuid\": \"", "\"observation-uuid\": \"x"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(path, good.replace(from, to)).unwrap();
        refuse(ASSESSMENT_RESULTS, &[path]);
    }
}

#[test]
fn the_two_states_are_said_of_assessed_controls_only() {
    let report = tampered();
    let document = document(&report);
    let result = &document["assessment-results"]["results"][0];
    let findings = result["findings"].as_array().unwrap();
    let state = |id: &str| {
        let of = |f: &&Value| f["target"]["target-id"] == id;
        findings.iter().find(of).map(|f| f["target"]["status"]["state"].as_str().unwrap())
    };
    assert_eq!(state("cis-aws-5.0.0-3.2"), Some("not-satisfied"));
    assert_eq!(state("au-9.3"), Some("not-satisfied"));
    assert_eq!(state("au-9.2"), None);
    let mut nothing = verified();
    (nothing.coverage, nothing.encryption) = (Vec::new(), Vec::new());
    let nothing = self::document(&nothing);
    // An empty list is none to the standard.
    assert!(nothing["assessment-results"]["results"][0].get("findings").is_none());
    let selections = result["reviewed-controls"]["control-selections"].to_string();
    assert!(selections.contains("a run does not see where copies are kept"), "{selections}");
}

#[test]
fn a_finding_has_one_uuid_in_every_run_and_a_document_another() {
    let mut later = tampered();
    later.generated_at = time("2026-11-24T12:00:00Z");
    let [a, b] = [tampered(), later].map(|report| {
        let mut out = Vec::new();
        uuids(&document(&report), &mut out);
        let unique: BTreeSet<String> = out.iter().cloned().collect();
        assert_eq!(unique.len(), out.len(), "each once");
        unique
    });
    // The document and its result.
    assert_eq!(a.difference(&b).count(), 2);
    assert_eq!(render(&tampered()).unwrap(), render(&tampered()).unwrap());
}
