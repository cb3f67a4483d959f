//! ASFF, against the Security Hub model of the AWS SDK (botocore) and the service's limits.

use std::fs;
use std::path::PathBuf;

use report::asff::{AsffError, render};
use serde_json::{Value, json};
use tempfile::TempDir;
use verifier::Report;
use verifier::coverage::State;
use verifier::finding::{Class, Code, Finding};

use super::standards::compliance::*;
use super::{demo_reports, refuse, validate};

/// Checks a file as BatchImportFindings would. botocore's own validator looks at types and
/// required members; patterns, enums and lengths are in the same model but checked by the
/// service, so the script walks the model for them. Bounds that only the user guide states
/// follow at the end.
const BATCH_IMPORT_FINDINGS: &str = r#"
import json, re, sys
import botocore.session
from botocore.validate import ParamValidator

findings = json.load(open(sys.argv[1]))
model = botocore.session.get_session().get_service_model("securityhub")
shape = model.operation_model("BatchImportFindings").input_shape

def walk(value, shape, path):
    meta = shape.metadata
    if shape.type_name == "structure":
        for name, member in value.items():
            walk(member, shape.members[name], path + "." + name)
    elif shape.type_name == "list":
        for i, member in enumerate(value):
            walk(member, shape.member, f"{path}[{i}]")
    elif shape.type_name == "map":
        for name, member in value.items():
            walk(name, shape.key, path)
            walk(member, shape.value, path + "." + name)
    elif "enum" in meta:
        assert value in meta["enum"], (path, value)
    elif "pattern" in meta:
        assert re.search(meta["pattern"], value), (path, value)
    if "max" in meta:
        assert len(value) <= meta["max"], (path, len(value))

for at in range(0, len(findings), 100):
    batch = {"Findings": findings[at:at + 100]}
    report = ParamValidator().validate(batch, shape)
    assert not report.has_errors(), report.generate_report()
    walk(batch, shape, "")

ids = [f["Id"] for f in findings]
assert len(set(ids)) == len(ids), "ids are not unique"
for f in findings:
    assert f["SchemaVersion"] == "2018-10-08"
    assert re.fullmatch(r"\d{12}", f["AwsAccountId"])
    arn = r"arn:(aws[a-z-]*):securityhub:([a-z0-9-]+):(\d{12}):product/(\d{12})/default"
    partition, region, account, product = re.fullmatch(arn, f["ProductArn"]).groups()
    assert (region, account, product) == (f["Region"], f["AwsAccountId"], f["AwsAccountId"])
    assert len(json.dumps(f).encode()) < 240 * 1024
    assert len(f["Id"]) <= 512 and len(f["GeneratorId"]) <= 512
    assert len(f["Title"]) <= 256 and len(f["Description"]) <= 1024
    assert len(f.get("Remediation", {}).get("Recommendation", {}).get("Text", "")) <= 512
    assert 1 <= len(f["Resources"]) <= 32 and len(f["Types"]) <= 50
    namespaces = ("Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors")
    assert all(t.split("/")[0] in namespaces and t.count("/") <= 2 for t in f["Types"])
    assert all(len(r["Id"]) <= 512 for r in f["Resources"])
    assert len(f.get("Compliance", {}).get("RelatedRequirements", [])) <= 32
    assert len(f.get("ProductFields", {})) <= 50
    for name, value in f.get("ProductFields", {}).items():
        assert len(name) <= 128 and len(value) <= 2048
    assert f["UpdatedAt"] >= f["CreatedAt"]
print(len(findings))
"#;

fn file(dir: &TempDir, text: &str) -> PathBuf {
    let path = dir.path().join("asff.json");
    fs::write(&path, text).unwrap();
    path
}

fn findings(report: &Report, previous: Option<&Report>) -> Vec<Value> {
    let previous = previous.map(|p| serde_json::to_value(p).unwrap());
    serde_json::from_str(&render(report, previous.as_ref()).unwrap()).unwrap()
}

fn states(findings: &[Value]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|f| {
            let generator = f["GeneratorId"].as_str().unwrap();
            (generator.strip_prefix("trailseal/").unwrap(), f["RecordState"].as_str().unwrap())
        })
        .collect()
}

fn found(code: Code, region: &str) -> Finding {
    Finding::new(code, &scope("111122223333", region), "x").object("s3://audit-logs/o")
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn botocore_takes_every_report() {
    let dir = TempDir::new().unwrap();
    let previous = serde_json::to_value(verified()).unwrap();
    let cases = [
        (render(&verified(), None), 2),
        (render(&tampered(), None), tampered().findings.len()),
        (render(&tampered(), Some(&previous)), tampered().findings.len() + 2),
        (render(&year(), None), 200),
    ];
    for (text, expected) in cases {
        let out = validate(BATCH_IMPORT_FINDINGS, &[&file(&dir, &text.unwrap())]);
        assert_eq!(out.trim(), expected.to_string());
    }
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn what_the_service_refuses_is_refused_here() {
    let dir = TempDir::new().unwrap();
    let good = &findings(&verified(), None)[0];
    let with = |name: &str, value: Value| {
        let mut bad = good.clone();
        bad[name] = value;
        json!([bad]).to_string()
    };
    let bad = [
        with("Title", json!("x".repeat(257))),
        with("Severity", json!({"Label": "WORSE"})),
        with("Resources", json!([])),
        with("Resources", json!([{"Type": "Other"}])),
        with("Description", json!(" ")),
        with("Unknown", json!("x")),
        with("Region", json!("eu-west-1")),
        json!([good, good]).to_string(),
    ];
    for text in bad {
        refuse(BATCH_IMPORT_FINDINGS, &[&file(&dir, &text)]);
    }
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn findings_of_the_real_program_are_archived_once_they_are_gone() {
    let previous = &demo_reports().tampered;
    let mut report = verified();
    report.generated_at = time("2999-01-01T00:00:00Z");
    for name in ["target", "end"] {
        report.request.insert(name, previous["request"][name].clone());
    }
    let text = render(&report, Some(previous)).unwrap();
    let archived: Vec<Value> = serde_json::from_str(&text).unwrap();
    let archived = archived.iter().filter(|f| f["RecordState"] == "ARCHIVED").count();
    assert!(archived >= previous["findings"].as_array().unwrap().len(), "{archived}");
    let dir = TempDir::new().unwrap();
    validate(BATCH_IMPORT_FINDINGS, &[&file(&dir, &text)]);
}

#[test]
fn a_finding_keeps_its_id_and_says_what_it_is() {
    let before = with(verified(), vec![found(Code::LogMissing, "us-east-1")]);
    let mut after = before.clone();
    after.generated_at = time("2026-11-24T12:00:00Z");
    let [first, second] = [findings(&before, None), findings(&after, Some(&before))];
    assert_eq!(first[0]["Id"], second[0]["Id"]);
    assert_eq!(second[0]["CreatedAt"], "2026-11-23T12:00:00Z");
    assert_eq!(second[0]["UpdatedAt"], "2026-11-24T12:00:00Z");
    assert_eq!(states(&second), [("log.missing", "ACTIVE"), ("chain", "ACTIVE")]);
    let finding = &first[0];
    assert_eq!(finding["Severity"]["Label"], "CRITICAL");
    assert_eq!(finding["Compliance"]["Status"], "FAILED");
    let requirements = finding["Compliance"]["RelatedRequirements"].as_array().unwrap();
    assert!(requirements.contains(&json!("NIST SP 800-53 Rev. 5/AU-9(3)")), "{requirements:?}");
    assert_eq!(finding["Resources"][0]["Type"], "AwsCloudTrailTrail");
    assert_eq!(
        finding["Resources"][0]["Id"],
        "arn:aws:cloudtrail:us-east-1:111122223333:trail/main"
    );
    assert_eq!(finding["Resources"][1]["Id"], "arn:aws:s3:::audit-logs/o");
    assert_eq!(first[1]["Compliance"], json!({"Status": "PASSED"}), "the other chain");
    assert!(first[1]["Title"].as_str().unwrap().contains("eu-west-1"));
}

#[test]
fn what_could_not_be_read_is_a_warning_and_what_is_worth_knowing_no_failure() {
    let region = "us-east-1";
    let codes = [Code::LogUnreadable, Code::SseNotKms, Code::EventControlChange];
    let report = with(verified(), codes.map(|c| found(c, region)).to_vec());
    let findings = findings(&report, None);
    let status = |i: usize| findings[i]["Compliance"]["Status"].as_str();
    assert_eq!([status(0), status(1), status(2)], [Some("WARNING"), Some("FAILED"), None]);
    assert_eq!(findings[2]["Severity"]["Label"], "INFORMATIONAL");
}

#[test]
fn trail_settings_name_the_trail_and_security_hubs_own_control() {
    let arn = "arn:aws-us-gov:cloudtrail:us-gov-west-1:444455556666:trail/main";
    let finding = Finding::new(Code::TrailValidationOff, &Default::default(), "off").object(arn);
    let mut report = with(verified(), vec![finding]);
    report.request.insert("trail_arn", json!(arn));
    let finding = &findings(&report, None)[0];
    assert_eq!(finding["Resources"].as_array().unwrap().len(), 1);
    assert_eq!(finding["Resources"][0]["Id"], arn);
    let details = &finding["Resources"][0]["Details"]["AwsCloudTrailTrail"];
    assert_eq!(details["LogFileValidationEnabled"], false);
    assert_eq!(finding["Compliance"]["SecurityControlId"], "CloudTrail.4");
    assert_eq!(
        finding["ProductArn"],
        "arn:aws-us-gov:securityhub:us-gov-west-1:444455556666:product/444455556666/default"
    );
}

#[test]
fn a_finding_that_is_gone_is_archived_and_its_chain_passes() {
    let before = with(verified(), vec![found(Code::LogMissing, "us-east-1")]);
    let found = findings(&verified(), Some(&before));
    let expected = [("chain", "ACTIVE"), ("chain", "ACTIVE"), ("log.missing", "ARCHIVED")];
    assert_eq!(states(&found), expected);
    assert_eq!(found[2]["Id"], findings(&before, None)[0]["Id"]);
    // And the other way round: a chain that passed no longer does.
    let found = findings(&before, Some(&verified()));
    let expected = [("log.missing", "ACTIVE"), ("chain", "ACTIVE"), ("chain", "ARCHIVED")];
    assert_eq!(states(&found), expected);
}

#[test]
fn a_finding_that_may_only_be_hidden_is_not_archived() {
    let region = "us-east-1";
    let before = with(verified(), vec![found(Code::LogMissing, region)]);
    for hiding in [Code::DigestMissing, Code::ListUnreadable, Code::ChainNone] {
        let after = with(verified(), vec![found(hiding, region)]);
        let found = findings(&after, Some(&before));
        assert!(states(&found).iter().all(|s| *s != ("log.missing", "ARCHIVED")), "{hiding:?}");
    }
    // One that was there before hid nothing, and one elsewhere does not.
    let gap = found(Code::ChainGap, region);
    let before = with(verified(), vec![found(Code::LogMissing, region), gap.clone()]);
    let elsewhere = found(Code::DigestMissing, "eu-west-1");
    let after = with(verified(), vec![gap, elsewhere]);
    assert!(states(&findings(&after, Some(&before))).contains(&("log.missing", "ARCHIVED")));
}

#[test]
fn an_accepted_finding_comes_suppressed_and_its_chain_passes() {
    let mut report = with(verified(), vec![found(Code::ChainGap, "us-east-1")]);
    report.findings[0].state = "accepted";
    let findings = findings(&report, None);
    assert_eq!(states(&findings).iter().filter(|s| s.0 == "chain").count(), 2);
    assert_eq!(findings[0]["Workflow"]["Status"], "SUPPRESSED");
}

#[test]
fn nothing_is_called_gone_by_a_run_that_asked_for_less() {
    let before = serde_json::to_value(verified()).unwrap();
    let narrower = [
        ("target", json!("s3://other")),
        ("accounts", json!(["111122223333"])),
        ("regions", json!(["us-east-1"])),
        ("trail_arn", json!("arn:aws:cloudtrail:us-east-1:111122223333:trail/main")),
        ("trail_name", json!("main")),
        ("start", json!("2026-01-01T00:00:00Z")),
        ("end", json!("2026-01-01T00:00:00Z")),
        ("depth", json!("digests")),
    ];
    for (name, value) in narrower {
        let mut report = verified();
        report.request.insert(name, value.clone());
        let refused = render(&report, Some(&before)).unwrap_err();
        assert!(matches!(refused, AsffError::Narrower { .. }), "{name}: {refused}");
        // More than before is no reason to refuse, but for another target.
        let wider = render(&verified(), Some(&serde_json::to_value(&report).unwrap()));
        assert_eq!(wider.is_ok(), name != "target", "{name}");
    }
}

#[test]
fn a_previous_report_that_is_none_is_an_error() {
    let refused = render(&verified(), Some(&json!([1]))).unwrap_err();
    assert!(matches!(refused, AsffError::Previous(_)), "{refused}");
    let mut other = serde_json::to_value(verified()).unwrap();
    other["schema"] = json!("trailseal.report/v2");
    let refused = render(&verified(), Some(&other)).unwrap_err();
    assert!(matches!(refused, AsffError::Schema(..)), "{refused}");
    let mut later = verified();
    later.generated_at = time("2026-11-24T00:00:00Z");
    let refused = render(&verified(), Some(&serde_json::to_value(later).unwrap())).unwrap_err();
    assert!(matches!(refused, AsffError::Later(_)), "{refused}");
}

#[test]
fn without_any_account_there_is_nowhere_to_file() {
    let mut report =
        with(verified(), vec![Finding::new(Code::ChainNone, &Default::default(), "x")]);
    report.coverage.clear();
    let refused = render(&report, None).unwrap_err();
    assert!(refused.to_string().contains("--trail-arn"), "{refused}");
    report.request.insert("accounts", json!(["111122223333"]));
    let filed = findings(&report, None);
    assert_eq!(filed[0]["Resources"][0]["Id"], "arn:aws:iam::111122223333:root");
}

#[test]
fn a_chain_passes_by_its_coverage_and_whatever_is_only_worth_knowing() {
    let region = "us-east-1";
    let passed = |report: &Report| {
        let all = findings(report, None);
        states(&all).iter().filter(|s| s.0 == "chain").count()
    };
    let mut report = with(verified(), vec![found(Code::KeyDisabled, region).class(Class::Info)]);
    assert_eq!(findings(&report, None)[0]["Severity"]["Label"], "INFORMATIONAL");
    assert_eq!(passed(&report), 2);
    report.coverage[0].state = State::Pending;
    assert_eq!(passed(&report), 1, "nothing of it is proven");
    report.coverage[0].state = State::Expired;
    report.coverage[1].state = State::Proven;
    assert_eq!(passed(&report), 2, "what was declared to expire is no fault");
    report.coverage[0].state = State::Unreadable;
    assert_eq!(passed(&report), 1);
}

#[test]
fn what_is_only_worth_knowing_hides_nothing() {
    let region = "us-east-1";
    let before = with(verified(), vec![found(Code::LogMissing, region)]);
    let info = found(Code::DigestDuplicateEntry, region).class(Class::Info);
    let after = with(verified(), vec![info]);
    assert!(states(&findings(&after, Some(&before))).contains(&("log.missing", "ARCHIVED")));
}

#[test]
fn an_object_is_one_resource_however_often_it_is_named() {
    let object = "s3://audit-logs/o".to_owned();
    let finding = found(Code::LogMissing, "us-east-1").objects(vec![object.clone(), object]);
    let filed = findings(&with(verified(), vec![finding]), None);
    assert_eq!(filed[0]["Resources"].as_array().unwrap().len(), 2, "the trail and the object");
}
