//! Events of the Open Cybersecurity Schema Framework: Compliance Finding (class 2003) of version
//! 1.5.0, one JSON object per line, every finding by itself.
//!
//! Chains that no finding concerns give an event with the status *Pass*.
//!
//! Source: <https://schema.ocsf.io/1.5.0/classes/compliance_finding>

use serde_json::{Value, json};
use trail::Timestamp;
use trail::name::partition_of;
use verifier::Report;
use verifier::report::ReportedFinding;

use crate::hub::{Clean, Doc, Item, clip};
use crate::standards;

/// The version of the schema.
pub const VERSION: &str = "1.5.0";
const CATEGORY_FINDINGS: u32 = 2;
const CLASS_COMPLIANCE_FINDING: u32 = 2003;
const ACTIVITY_CREATE: u32 = 1;
const ACCOUNT_AWS: u32 = 10;
const TEXT_MAX: usize = 4096;
const RESOURCES_MAX: usize = 101;

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the report has no JSON form: {0}")]
pub struct OcsfError(#[from] serde_json::Error);

/// The events, one per line.
///
/// # Errors
/// When the report has no JSON form, which a report of the verifier always has.
pub fn render(report: &Report) -> Result<String, OcsfError> {
    let doc = Doc::read(&serde_json::to_value(report)?)?;
    let mut out = String::new();
    let mut line = |event: &Value| -> Result<(), serde_json::Error> {
        out.push_str(&serde_json::to_string(event)?);
        out.push('\n');
        Ok(())
    };
    for finding in &report.every_finding {
        line(&event(&doc, &item(finding)?))?;
    }
    for clean in doc.clean_chains() {
        line(&passed(&doc, &clean))?;
    }
    Ok(out)
}

fn item(finding: &ReportedFinding) -> Result<Item, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(finding)?)
}

fn event(doc: &Doc, f: &Item) -> Value {
    let (status_id, status) = match f.class.as_str() {
        "info" => (99, "Other"),
        "unverifiable" => (2, "Warning"),
        _ => (3, "Fail"),
    };
    let (severity_id, severity) = severity(f);
    let requirements = standards::requirements(&f.code);
    let mut event = base(doc, f.account.as_deref(), f.region.as_deref());
    event["severity_id"] = json!(severity_id);
    event["severity"] = json!(severity);
    event["message"] = json!(clip(&f.message, TEXT_MAX));
    event["metadata"]["event_code"] = json!(clip(&f.code, TEXT_MAX));
    let (status_word, state_id) =
        if f.state == "accepted" { ("Suppressed", 3) } else { ("New", 1) };
    event["status"] = json!(status_word);
    event["status_id"] = json!(state_id);
    event["finding_info"] = json!({
        "uid": f.id,
        "title": clip(&f.code, TEXT_MAX),
        "desc": clip(&f.description(), TEXT_MAX),
        "types": [f.class],
        "created_time": millis(doc.generated_at),
    });
    event["compliance"] = json!({
        "control": clip(&f.code, TEXT_MAX),
        "requirements": requirements,
        "standards": frameworks(&requirements),
        "status": status,
        "status_id": status_id,
    });
    event["remediation"] = json!({"desc": clip(&f.remedy, TEXT_MAX)});
    let objects = f.object.iter().chain(&f.objects).take(RESOURCES_MAX);
    let mut resources: Vec<Value> = objects.map(|o| resource(o, f.region.as_deref())).collect();
    if let Some(trail) = &f.trail {
        resources.push(json!({"type": "AwsCloudTrailTrail", "name": clip(trail, TEXT_MAX)}));
    }
    event["resources"] = json!(resources);
    // The time concerned is evidence's, not that of the finding.
    event["unmapped"] = json!({
        "class": f.class,
        "count": f.count,
        "digest": f.digest,
        "from": f.from,
        "to": f.to,
        "expected": f.expected,
        "actual": f.actual,
    });
    event
}

/// That no finding concerns a chain.
fn passed(doc: &Doc, clean: &Clean) -> Value {
    let Clean { chain, from, to } = clean;
    let text = format!("From {from} to {to} nothing was found against what was looked at.");
    let mut event = base(doc, Some(&chain.account), Some(&chain.region));
    event["severity_id"] = json!(1);
    event["severity"] = json!("Informational");
    event["message"] = json!(text);
    event["metadata"]["event_code"] = json!("chain");
    event["status"] = json!("New");
    event["status_id"] = json!(1);
    event["finding_info"] = json!({
        "uid": chain.id(),
        "title": clip(&format!("trail {} is as it was signed", chain.trail), TEXT_MAX),
        "desc": text,
        "created_time": millis(doc.generated_at),
    });
    event["compliance"] = json!({"control": "chain", "status": "Pass", "status_id": 1});
    event["resources"] =
        json!([{"type": "AwsCloudTrailTrail", "name": chain.trail, "region": chain.home_region}]);
    event["unmapped"] = json!({"depth": doc.request.depth, "from": from, "to": to});
    event
}

fn base(doc: &Doc, account: Option<&str>, region: Option<&str>) -> Value {
    let mut cloud = json!({"provider": "AWS"});
    if let Some(account) = account {
        cloud["account"] = json!({
            "uid": account, "name": account, "type": "AWS Account", "type_id": ACCOUNT_AWS,
        });
    }
    if let Some(region) = region {
        cloud["region"] = json!(region);
    }
    json!({
        "category_uid": CATEGORY_FINDINGS,
        "category_name": "Findings",
        "class_uid": CLASS_COMPLIANCE_FINDING,
        "class_name": "Compliance Finding",
        "activity_id": ACTIVITY_CREATE,
        "activity_name": "Create",
        "type_uid": CLASS_COMPLIANCE_FINDING * 100 + ACTIVITY_CREATE,
        "type_name": "Compliance Finding: Create",
        "time": millis(doc.generated_at),
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud"],
            "product": {
                "name": "trailseal",
                "vendor_name": "trailseal",
                "version": doc.tool.version,
            },
        },
        "cloud": cloud,
    })
}

fn resource(object: &str, region: Option<&str>) -> Value {
    let kind = match object {
        o if o.starts_with("s3://") => "AwsS3Object",
        o if o.starts_with("arn:") && o.contains(":kms:") => "AwsKmsKey",
        o if o.starts_with("arn:") && o.contains(":cloudtrail:") => "AwsCloudTrailTrail",
        _ => "Other",
    };
    let mut resource = json!({"type": kind, "uid": object});
    if let Some(region) = region {
        resource["region"] = json!(region);
        if let Ok(region) = region.parse() {
            resource["cloud_partition"] = json!(partition_of(&region));
        }
    }
    resource
}

fn severity(f: &Item) -> (u32, &'static str) {
    match f.severity.as_str() {
        _ if f.class == "info" => (1, "Informational"),
        "critical" => (5, "Critical"),
        "high" => (4, "High"),
        "medium" => (3, "Medium"),
        "low" => (2, "Low"),
        _ => (1, "Informational"),
    }
}

/// The frameworks of requirements, each once; `FRAMEWORK VERSION/ID` without the id.
fn frameworks(requirements: &[String]) -> Vec<&str> {
    let mut out: Vec<&str> =
        requirements.iter().filter_map(|r| r.rsplit_once('/')).map(|(name, _)| name).collect();
    out.dedup();
    out
}

fn millis(time: Timestamp) -> i64 {
    time.unix() * 1000
}
