//! What is said: the verdict, the counts, the worst findings, and where the report is.

use std::fmt::Write as _;

use serde_json::{Value, json};
use verifier::report::{Report, ReportedFinding, Verdict};

/// Findings that a message names; they come most severe first.
const FINDINGS_MAX: usize = 10;
/// Characters of any one text of a finding. Slack cuts a message at 40,000.
const TEXT_CHARS_MAX: usize = 600;

/// What the receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object with the members `schema` (`trailseal.notification/v1`), `verdict`, `summary`, …
    Json,
    /// An object with a member `text` in Slack's mrkdwn, which Mattermost and others take too.
    Slack,
}

/// The body of the request. `location` says where the report can be had.
pub(crate) fn body(kind: Kind, report: &Report, location: Option<&str>) -> Vec<u8> {
    let value = match kind {
        Kind::Json => plain(report, location),
        // What an object is called must not make Slack fetch an address or show its preview.
        Kind::Slack => json!({
            "text": slack(report, location),
            "unfurl_links": false,
            "unfurl_media": false,
        }),
    };
    value.to_string().into_bytes()
}

fn plain(report: &Report, location: Option<&str>) -> Value {
    let finding = |f: &ReportedFinding| {
        json!({
            "id": f.id,
            "code": f.code,
            "class": f.class,
            "severity": f.severity,
            "account": f.account,
            "region": f.region,
            "trail": f.trail,
            "object": f.object.as_deref().map(clipped),
            "from": f.from,
            "to": f.to,
            "count": f.count,
            "message": clipped(&f.message),
            "remedy": f.remedy,
        })
    };
    let open = open(report);
    json!({
        "schema": "trailseal.notification/v1",
        "tool": report.tool,
        "verdict": report.verdict,
        "exit_code": report.verdict.exit_code(),
        "target": clipped(target(report)),
        "start": report.request.get("start"),
        "end": report.request.get("end"),
        "generated_at": report.generated_at,
        "summary": report.summary,
        "findings": open.iter().take(FINDINGS_MAX).map(|f| finding(f)).collect::<Vec<_>>(),
        "findings_left_out": open.len().saturating_sub(FINDINGS_MAX),
        "report": location,
    })
}

fn slack(report: &Report, location: Option<&str>) -> String {
    let summary = &report.summary;
    let mut text = format!(
        "*{}*: {} – {}.",
        report.verdict.as_str().to_uppercase(),
        code(target(report)),
        means(report.verdict)
    );
    let _ = write!(
        text,
        "\n{} of {} digests and {} of {} logs are valid",
        summary.digests.valid + summary.backfill_digests.valid,
        summary.digests.checked + summary.backfill_digests.checked,
        summary.logs.valid,
        summary.logs.checked,
    );
    match summary.coverage {
        // Cut, not rounded: 99.999 % is not all.
        Some(share) => {
            let percent = (share * 1e4).floor() / 1e2;
            let _ = write!(text, "; {percent} % of the time demanded is proven.");
        }
        None => text.push_str("; no time was demanded yet."),
    }
    let open = open(report);
    for finding in open.iter().take(FINDINGS_MAX) {
        let times =
            if finding.count > 1 { format!(" × {}", finding.count) } else { String::new() };
        let place = [&finding.account, &finding.region, &finding.trail].into_iter().flatten();
        let place = place.map(String::as_str).collect::<Vec<_>>().join(" ");
        let subject = finding.object.as_deref().unwrap_or(&place);
        let _ = write!(text, "\n• {} {}{times}", finding.severity, code(&finding.code));
        if !subject.is_empty() {
            let _ = write!(text, ": {}", code(subject));
        }
        let _ = write!(text, " – {}", escaped(&clipped(&finding.message)));
    }
    if open.len() > FINDINGS_MAX {
        let _ = write!(text, "\n… and {} more.", open.len() - FINDINGS_MAX);
    }
    let _ = write!(text, "\nRun of {}.", report.generated_at);
    if let Some(location) = location {
        let _ = write!(text, " Report: {}", code(location));
    }
    text
}

fn open(report: &Report) -> Vec<&ReportedFinding> {
    report.findings.iter().filter(|f| f.state == "open" && f.class != "info").collect()
}

fn target(report: &Report) -> &str {
    report.request.get("target").and_then(Value::as_str).unwrap_or_default()
}

fn means(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "all that was asked is proven",
        Verdict::Tampered => {
            "there is evidence that something was changed, removed, added or forged"
        }
        Verdict::Incomplete => "a part of the time asked is not covered",
        Verdict::Unverifiable => "some object, key or API could not be read or trusted",
        Verdict::Noncompliant => "integrity holds; something else is not as required",
    }
}

/// The beginning and the end of a long text: keys differ at their end.
fn clipped(text: &str) -> String {
    let chars = text.chars().count();
    if chars <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    let part = TEXT_CHARS_MAX / 2 - 1;
    let tail = text.chars().skip(chars - part);
    text.chars().take(part).chain(" … ".chars()).chain(tail).collect()
}

/// A name, shown as code. Nothing in it ends the code or the line.
fn code(name: &str) -> String {
    format!("`{}`", escaped(&clipped(name)).replace('`', "\u{2035}"))
}

/// Slack's three control characters, escaped; others that could steer a display, replaced.
/// <https://api.slack.com/reference/surfaces/formatting#escaping>
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}
