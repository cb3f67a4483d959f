//! OCSF 1.5.0, against py-ocsf-models.

use std::fs;

use report::ocsf::{VERSION, render};
use serde_json::Value;
use tempfile::TempDir;

use super::standards::compliance::*;
use super::{refuse, validate};

/// The models ignore what they do not know, so the script looks for that itself.
const COMPLIANCE_FINDINGS: &str = r#"
import sys
import json
import py_ocsf_models
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from pydantic import BaseModel

def known(value, model, path):
    if isinstance(model, BaseModel):
        for name, member in value.items():
            if path == "" and name == "cloud":
                from py_ocsf_models.objects.cloud import Cloud
                known(member, Cloud.model_validate(member), "cloud")
                continue
            # In the schema, beside status_id, but not in the models.
            if (path, name) == (".compliance", "status"):
                continue
            assert name in type(model).model_fields, (path, name)
            known(member, getattr(model, name), path + "." + name)
    elif isinstance(model, list):
        for v, m in zip(value, model):
            known(v, m, path + "[]")

lines = open(sys.argv[1], newline="\n").read().split("\n")
assert lines.pop() == ""
for line in lines:
    event = json.loads(line)
    assert event["metadata"]["version"] == py_ocsf_models.OCSF_VERSION
    finding = ComplianceFinding.model_validate(event)
    assert (finding.class_uid, finding.category_uid) == (2003, 2)
    assert finding.type_uid == finding.class_uid * 100 + finding.activity_id
    known(event, finding, "")
print(len(lines))
"#;

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn py_ocsf_models_takes_every_report() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("ocsf.ndjson");
    let every = tampered().every_finding.len();
    for (report, expected) in [(verified(), 2), (tampered(), every), (year(), 200)] {
        fs::write(&path, render(&report).unwrap()).unwrap();
        assert_eq!(validate(COMPLIANCE_FINDINGS, &[&path]).trim(), expected.to_string());
    }
    let good = render(&verified()).unwrap();
    for (from, to) in [
        (r#""severity_id":1"#, r#""severity_id":77"#),
        (r#""status_id":1"#, r#""status_id":"one""#),
        (r#""title""#, r#""tytle""#),
        (r#""message""#, r#""massage""#),
        (r#""type_uid":200301"#, r#""type_uid":200302"#),
        ("\n", ","),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        refuse(COMPLIANCE_FINDINGS, &[&path]);
    }
}

#[test]
fn every_finding_is_an_event_with_its_controls() {
    let mut report = tampered();
    report.every_finding[0].state = "accepted";
    let events = events(&render(&report).unwrap());
    assert_eq!(events.len(), report.every_finding.len(), "one each, and no chain passes");
    assert_eq!((&events[0]["status"], &events[0]["status_id"]), (&"Suppressed".into(), &3.into()));
    let missing = events.iter().find(|e| e["metadata"]["event_code"] == "log.missing").unwrap();
    assert_eq!(missing["compliance"]["status"], "Fail");
    assert_eq!(
        (missing["severity_id"].as_u64(), missing["status_id"].as_u64()),
        (Some(5), Some(1))
    );
    let requirements = missing["compliance"]["requirements"].as_array().unwrap();
    assert!(requirements.contains(&"PCI DSS 4.0.1/10.3.4".into()));
    let standards = missing["compliance"]["standards"].as_array().unwrap();
    assert!(standards.contains(&"NIST SP 800-53 Rev. 5".into()), "{standards:?}");
    let unread = events.iter().find(|e| e["metadata"]["event_code"] == "log.unreadable").unwrap();
    assert_eq!(unread["compliance"]["status"], "Warning");
}

#[test]
fn a_clean_chain_passes() {
    let events = events(&render(&verified()).unwrap());
    assert_eq!(events[0]["compliance"]["status"], "Pass");
    assert_eq!(events[0]["metadata"]["version"], VERSION);
    assert_eq!(events[0]["time"], 1_795_435_200_000_i64);
    assert_eq!(events[0]["cloud"]["account"]["uid"], "111122223333");
}
