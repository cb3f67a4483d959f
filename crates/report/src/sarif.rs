//! [SARIF 2.1.0](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), which code
//! scanning services and editors read: a rule per code, a result per finding.
//!
//! Objects are named by their s3:// address, percent-encoded as RFC 3986 asks. Accepted findings
//! are suppressed results; a finding that stands for many says how many. Results are matched
//! from run to run by the finding's id.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString,
    PhysicalLocation, PropertyBag, ReportingConfiguration, ReportingDescriptor, Result as Found,
    ResultKind, ResultLevel, Run, RunAutomationDetails, Sarif, Suppression, Tool, ToolComponent,
};
use verifier::Report;
use verifier::finding::{Class, Code, Severity};
use verifier::report::ReportedFinding;

use crate::visible::visible;

/// What stays as it is in a path (RFC 3986 section 3.3), `:` aside, which a relative one must not
/// have in its first segment.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The name under which results carry the finding's id.
const FINGERPRINT: &str = "trailsealFindingId/v1";

/// The report as SARIF, indented, with a line feed at the end.
#[must_use]
pub fn render(report: &Report) -> String {
    let rules = rules();
    let results: Vec<_> = report.findings.iter().map(|f| result(f, &rules)).collect();
    let driver = ToolComponent::builder()
        .name("trailseal")
        .semantic_version(report.tool.version)
        .rules(rules)
        .build();
    let invocation = Invocation::builder()
        .execution_successful(true)
        .end_time_utc(report.generated_at.to_string())
        .exit_code(i64::from(report.verdict.exit_code()))
        .build();
    let run = Run::builder()
        .tool(Tool::from(driver))
        .automation_details(RunAutomationDetails::builder().id("trailseal/verify/").build())
        .invocations(vec![invocation])
        .results(results)
        .properties(bag([
            ("verdict", json!(report.verdict)),
            ("request", json!(report.request)),
            ("summary", json!(report.summary)),
            ("notProven", json!(report.not_proven)),
        ]))
        .build();
    let sarif = Sarif::builder()
        .schema("https://json.schemastore.org/sarif-2.1.0.json")
        .version(json!("2.1.0"))
        .runs(vec![run])
        .build();
    let mut text = serde_json::to_string_pretty(&sarif).expect("strings and numbers serialize");
    text.push('\n');
    text
}

/// A rule for every code, those of backfill digests included.
fn rules() -> Vec<ReportingDescriptor> {
    let mut rules = Vec::new();
    for &code in Code::ALL {
        rules.push(rule(code, code.as_str()));
        if let Some(tail) = code.as_str().strip_prefix("digest.") {
            rules.push(rule(code, &format!("backfill.{tail}")));
        }
    }
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    rules
}

fn rule(code: Code, id: &str) -> ReportingDescriptor {
    let title = id.replacen('.', ": ", 1).replace('-', " ");
    let level = level(code.class().as_str(), code.severity().as_str());
    ReportingDescriptor::builder()
        .id(id)
        .short_description(text(&title))
        .help(text(code.remedy()))
        .default_configuration(ReportingConfiguration::builder().level(json!(level)).build())
        .properties(bag([
            ("class", json!(code.class().as_str())),
            ("severity", json!(code.severity().as_str())),
            ("security-severity", json!(score(code.severity()))),
        ]))
        .build()
}

/// The score by which code scanning services sort rules, from CVSS's bands.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.0",
    }
}

fn level(class: &str, severity: &str) -> ResultLevel {
    match severity {
        _ if class == Class::Info.as_str() => ResultLevel::None,
        "critical" | "high" => ResultLevel::Error,
        "medium" => ResultLevel::Warning,
        _ => ResultLevel::Note,
    }
}

fn result(f: &ReportedFinding, rules: &[ReportingDescriptor]) -> Found {
    let index = rules.iter().position(|r| r.id == f.code);
    // The schema: a level other than "none" is for results of kind "fail" alone.
    let kind = match f.class == Class::Info.as_str() {
        true => ResultKind::Informational,
        false => ResultKind::Fail,
    };
    let others = f.objects.iter().filter(|o| Some(*o) != f.object.as_ref());
    let related = f.digest.iter().chain(others).map(|object| location(f, Some(object)));
    let suppressions = match f.state {
        "open" => Vec::new(),
        _ => vec![Suppression::builder().kind(json!("external")).status(json!("accepted")).build()],
    };
    let mut found = Found::builder()
        .rule_id(f.code.clone())
        .kind(kind)
        .level(level(f.class, f.severity))
        .message(Message::builder().text(plain(&f.message)).build())
        .locations(vec![location(f, f.object.as_ref())])
        .related_locations(related.collect::<Vec<_>>())
        .occurrence_count(i64::try_from(f.count).unwrap_or(i64::MAX))
        .partial_fingerprints(BTreeMap::from([(FINGERPRINT.to_owned(), f.id.clone())]))
        .suppressions(suppressions)
        .properties(bag([
            ("class", json!(f.class)),
            ("severity", json!(f.severity)),
            ("state", json!(f.state)),
            ("from", json!(f.from)),
            ("to", json!(f.to)),
            ("expected", json!(f.expected)),
            ("actual", json!(f.actual)),
            ("remedy", json!(f.remedy)),
        ]))
        .build();
    found.rule_index = index.and_then(|i| i64::try_from(i).ok());
    found
}

/// A message's text in which nothing is a link (section 3.11.6 has `[text](target)`), whatever
/// the names in it are.
fn plain(message: &str) -> String {
    visible(message).replace('[', "\\[").replace(']', "\\]")
}

/// Where a finding is: its object if it has one, and the chain.
fn location(f: &ReportedFinding, object: Option<&String>) -> Location {
    let chain = [&f.account, &f.region, &f.trail].map(|part| part.as_deref().unwrap_or("*"));
    let name =
        LogicalLocation::builder().fully_qualified_name(chain.join("/")).kind("resource").build();
    let mut location = Location::builder().logical_locations(vec![name]).build();
    location.physical_location = object.map(|object| {
        let artifact = ArtifactLocation::builder().uri(uri(object)).build();
        PhysicalLocation::builder().artifact_location(artifact).build()
    });
    location
}

/// The address as a URI reference: what is no s3:// address is a path, or an ARN.
fn uri(object: &str) -> String {
    let (scheme, rest) = match object.strip_prefix("s3://") {
        Some(rest) => ("s3://", rest),
        None => ("", object),
    };
    format!("{scheme}{}", utf8_percent_encode(rest, PATH))
}

fn text(text: &str) -> MultiformatMessageString {
    MultiformatMessageString::builder().text(text).build()
}

fn bag<const N: usize>(entries: [(&str, Value); N]) -> PropertyBag {
    let entries = entries.into_iter().filter(|(_, value)| !value.is_null());
    let entries = entries.map(|(name, value)| (name.to_owned(), value));
    PropertyBag::builder().additional_properties(entries.collect::<BTreeMap<_, _>>()).build()
}
