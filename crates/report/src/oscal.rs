//! OSCAL assessment results, version 1.1.3: what a run observed, and the findings per control of
//! the standards map.
//!
//! OSCAL knows two states, so that controls which a run does not assess have no finding; they are
//! excluded from the reviewed controls, with the reason. UUIDs are derived from stable names
//! (RFC 9562, version 5): one finding has one UUID in every run.
//!
//! Source: <https://pages.nist.gov/OSCAL-Reference/models/v1.1.3/assessment-results/json-outline/>

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use trail::Timestamp;
use uuid::Uuid;
use verifier::Report;
use verifier::report::{CoverageLine, ReportedFinding};

use crate::hub::clip;
use crate::standards::{self, Control, Outcome};

/// The version of the model.
pub const VERSION: &str = "1.1.3";
const TEXT_MAX: usize = 4096;
const TITLE_MAX: usize = 256;
/// Objects that one observation lists as evidence.
const EVIDENCE_MAX: usize = 100;

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the report has no JSON form: {0}")]
pub struct OscalError(#[from] serde_json::Error);

/// The assessment results as JSON.
///
/// # Errors
/// When JSON cannot be written, which does not happen with strings and numbers.
pub fn render(report: &Report) -> Result<String, OscalError> {
    let names = Names::of(report);
    let controls = standards::controls(report);
    let mut metadata = json!({
        "title": "Verification of CloudTrail log files and digests",
        "last-modified": report.generated_at,
        "version": report.generated_at,
        "oscal-version": VERSION,
        "props": [
            {"name": "tool", "value": report.tool.name},
            {"name": "tool-version", "value": report.tool.version},
        ],
    });
    metadata["remarks"] = json!(clip(
        &format!("Verdict of the run over {}: {}.", names.target, report.verdict.as_str()),
        TEXT_MAX
    ));
    let plan = names.uuid("plan");
    let document = json!({
        "assessment-results": {
            "uuid": names.of_this_run("document"),
            "metadata": metadata,
            "import-ap": {
                "href": format!("#{plan}"),
                "remarks": "No assessment plan was written: what was asked of the run stands in \
                            the resource that this points to.",
            },
            "results": [result(report, &names, &controls)],
            "back-matter": {"resources": [{
                "uuid": plan,
                "title": "What the run was asked",
                "description": clip(&serde_json::to_string(&report.request)?, TEXT_MAX),
            }]},
        },
    });
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// UUIDs by name, within the target.
struct Names {
    target: String,
    namespace: Uuid,
    generated_at: Timestamp,
}

impl Names {
    fn of(report: &Report) -> Self {
        let target = report.request.get("target").and_then(Value::as_str).unwrap_or_default();
        let name = format!("trailseal\n{target}");
        Self {
            target: target.to_owned(),
            namespace: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()),
            generated_at: report.generated_at,
        }
    }

    fn uuid(&self, name: &str) -> Uuid {
        Uuid::new_v5(&self.namespace, name.as_bytes())
    }

    /// Of what is another thing in every run.
    fn of_this_run(&self, name: &str) -> Uuid {
        self.uuid(&format!("{name}\n{}", self.generated_at))
    }

    fn observation(&self, finding: &ReportedFinding) -> Uuid {
        self.uuid(&format!("finding\n{}\n{}", finding.id, finding.class))
    }

    fn coverage(&self) -> Uuid {
        self.uuid("coverage")
    }

    fn encryption(&self) -> Uuid {
        self.uuid("encryption")
    }
}

fn result(report: &Report, names: &Names, controls: &[Control]) -> Value {
    let mut observations = vec![coverage(report, names), encryption(report, names)];
    let mut seen = std::collections::BTreeSet::new();
    let each = report.findings.iter().filter(|f| seen.insert(names.observation(f)));
    observations.extend(each.map(|f| observation(report, names, f)));
    let scope = &controls[0].scope;
    let assessed: Vec<&Control> =
        controls.iter().filter(|c| c.outcome != Outcome::NotAssessed).collect();
    let mut result = json!({
        "uuid": names.of_this_run("result"),
        "title": format!("Verification at {}", report.generated_at),
        "description": clip(&description(report, scope), TEXT_MAX),
        // Of the collection of evidence; the period that it speaks of is in the description.
        "start": report.generated_at,
        "end": report.generated_at,
        "props": [
            {"name": "verdict", "value": report.verdict.as_str()},
            {"name": "accounts", "value": scope.accounts.len().to_string()},
            {"name": "regions", "value": scope.regions.len().to_string()},
        ],
        "reviewed-controls": {"control-selections": selections(controls)},
        "observations": observations,
        "remarks": clip(&format!("Not proven: {}.", report.not_proven.join("; ")), TEXT_MAX),
    });
    if !assessed.is_empty() {
        let finding = |c: &&Control| finding(report, names, c);
        result["findings"] = assessed.iter().map(finding).collect();
    }
    result
}

fn description(report: &Report, scope: &standards::Scope) -> String {
    let s = &report.summary;
    let time = |t: Option<Timestamp>| t.map_or("unknown".to_owned(), |t| t.to_string());
    format!(
        "{} to {}; {} chains; digests: {} checked, {} valid, {} invalid, {} missing, \
         {} unreadable; logs: {} checked, {} valid, {} invalid, {} missing, {} unreadable.",
        time(scope.from),
        time(scope.to),
        s.chains,
        s.digests.checked,
        s.digests.valid,
        s.digests.invalid,
        s.digests.missing,
        s.digests.unreadable,
        s.logs.checked,
        s.logs.valid,
        s.logs.invalid,
        s.logs.missing,
        s.logs.unreadable,
    )
}

/// Per framework the controls assessed, and those that were not, each with the reason.
fn selections(controls: &[Control]) -> Vec<Value> {
    let groups = controls.chunk_by(|a, b| (a.framework, a.version) == (b.framework, b.version));
    let selection = |group: &[Control]| {
        let ids = |assessed: bool| -> Vec<Value> {
            let this = |c: &&Control| (c.outcome != Outcome::NotAssessed) == assessed;
            group.iter().filter(this).map(|c| json!({"control-id": control_id(c)})).collect()
        };
        let mut selection =
            json!({"description": format!("{} {}", group[0].framework, group[0].version)});
        let mut why = String::new();
        for control in group.iter().filter(|c| c.outcome == Outcome::NotAssessed) {
            let _ = writeln!(why, "{}: {}", control.id, control.reason);
        }
        for (name, ids) in [("include-controls", ids(true)), ("exclude-controls", ids(false))] {
            if !ids.is_empty() {
                selection[name] = Value::Array(ids);
            }
        }
        if !why.is_empty() {
            selection["remarks"] = json!(format!("Not assessed:\n\n{why}"));
        }
        selection
    };
    groups.map(selection).collect()
}

fn finding(report: &Report, names: &Names, control: &Control) -> Value {
    let satisfied = control.outcome == Outcome::Satisfied;
    let ids: std::collections::BTreeSet<&str> =
        control.findings.iter().map(String::as_str).collect();
    let mut related: Vec<Uuid> = report
        .findings
        .iter()
        .filter(|f| ids.contains(f.id.as_str()))
        .map(|f| names.observation(f))
        .collect();
    if related.is_empty() {
        let encryption = control.facts.contains(&"encryption");
        related.push(if encryption { names.encryption() } else { names.coverage() });
    }
    json!({
        "uuid": names.uuid(&format!("control\n{}", control_id(control))),
        "title": format!("{} {} {}", control.framework, control.version, control.id),
        "description": control.title,
        "target": {
            "type": "objective-id",
            "target-id": control_id(control),
            "description": clip(&control.reason, TEXT_MAX),
            "status": {
                "state": if satisfied { "satisfied" } else { "not-satisfied" },
                "reason": if satisfied { "pass" } else { "fail" },
            },
        },
        "related-observations":
            related.iter().map(|u| json!({"observation-uuid": u})).collect::<Vec<_>>(),
    })
}

/// A control's id as an OSCAL token: NIST's as its catalog writes it, others after their
/// framework's name.
fn control_id(control: &Control) -> String {
    let id = control.id.to_lowercase();
    let id = id.replace('(', ".").replace(')', "").replace([' ', '/'], "-");
    let prefix = match control.framework {
        "NIST SP 800-53" => return id,
        "CIS AWS Foundations Benchmark" => format!("cis-aws-{}", control.version),
        "PCI DSS" => format!("pci-dss-{}", control.version),
        "SOC 2" => "soc2".to_owned(),
        "HIPAA Security Rule" => "hipaa".to_owned(),
        _ => format!("iso27001-{}", control.version),
    };
    format!("{prefix}-{id}")
}

fn observation(report: &Report, names: &Names, f: &ReportedFinding) -> Value {
    let mut props = vec![
        json!({"name": "code", "value": clip(&f.code, TITLE_MAX)}),
        json!({"name": "class", "value": f.class}),
        json!({"name": "severity", "value": f.severity}),
        json!({"name": "state", "value": f.state}),
        json!({"name": "count", "value": f.count.to_string()}),
    ];
    let scope = [("account", &f.account), ("region", &f.region), ("trail", &f.trail)];
    for (name, value) in scope {
        if let Some(value) = value {
            props.push(json!({"name": name, "value": clip(value, TITLE_MAX)}));
        }
    }
    let mut out = json!({
        "uuid": names.observation(f),
        "title": clip(&f.code, TITLE_MAX),
        "description": clip(&f.message, TEXT_MAX),
        "props": props,
        "methods": ["TEST"],
        "types": ["finding"],
        "collected": report.generated_at,
        "remarks": clip(&format!("Remedy: {}", f.remedy), TEXT_MAX),
    });
    let objects = f.object.iter().chain(&f.digest).chain(&f.objects).take(EVIDENCE_MAX);
    let evidence: Vec<Value> = objects.map(|o| json!({"description": clip(o, TEXT_MAX)})).collect();
    if !evidence.is_empty() {
        out["relevant-evidence"] = Value::Array(evidence);
    }
    out
}

/// Which time is covered, one line of evidence per chain and state.
fn coverage(report: &Report, names: &Names) -> Value {
    let mut stretches: BTreeMap<_, Vec<&CoverageLine>> = BTreeMap::new();
    for line in &report.coverage {
        let key = (&line.account, &line.region, &line.trail, line.state.as_str());
        stretches.entry(key).or_default().push(line);
    }
    let evidence = stretches.into_iter().map(|((account, region, trail, state), lines)| {
        let from = lines.iter().map(|l| l.from).min();
        let to = lines.iter().map(|l| l.to).max();
        let time = |t: Option<Timestamp>| t.map(|t| t.to_string()).unwrap_or_default();
        let seconds: i64 = lines.iter().map(|l| l.to.seconds_since(l.from)).sum();
        let text = format!(
            "trail {trail} in {account}, {region}: {} h {state}, in {} stretches from {} to {}",
            seconds / 3600,
            lines.len(),
            time(from),
            time(to),
        );
        json!({"description": clip(&text, TEXT_MAX)})
    });
    let part = match report.summary.coverage {
        Some(part) => format!("{} % of the time asked is proven.", part * 100.0),
        None => "No time was asked for.".to_owned(),
    };
    general(report, names.coverage(), "Coverage", &part, evidence.collect())
}

/// How the objects seen are encrypted.
fn encryption(report: &Report, names: &Names) -> Value {
    let line = |l: &verifier::report::EncryptionLine| {
        let sse = l.sse.as_deref().unwrap_or("not encrypted");
        let key = l.key.as_deref().unwrap_or("no KMS key");
        let text =
            format!("{} {} objects: {sse}, {key}, {} to {}", l.objects, l.kind, l.from, l.to);
        json!({"description": clip(&text, TEXT_MAX)})
    };
    let evidence: Vec<Value> = report.encryption.iter().map(line).collect();
    let objects: u64 = report.encryption.iter().map(|l| l.objects).sum();
    let text = format!("The encryption of {objects} objects was seen.");
    general(report, names.encryption(), "Encryption", &text, evidence)
}

fn general(report: &Report, uuid: Uuid, title: &str, text: &str, evidence: Vec<Value>) -> Value {
    let mut out = json!({
        "uuid": uuid,
        "title": title,
        "description": text,
        "methods": ["TEST"],
        "types": ["control-objective"],
        "collected": report.generated_at,
    });
    if !evidence.is_empty() {
        out["relevant-evidence"] = Value::Array(evidence);
    }
    out
}
