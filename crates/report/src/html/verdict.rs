//! The first screen: the verdict, what it is about, what is wrong and what still stands.

use maud::{Markup, html};
use trail::Timestamp;
use verifier::Report;
use verifier::report::{DigestCounts, ReportedFinding, Verdict};

use super::chains::{Chain, counts};
use super::findings::{sign, when};
use super::text::{address, counted, number, percent, period_text, time, visible};
use super::{asked, target};

/// Findings that the first screen names; the section below has the others.
const NAMED_MAX: usize = 5;
/// Keys that the first screen names.
const KEYS_MAX: usize = 4;

/// The verdict as a heading.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "Verified",
        Verdict::Tampered => "Tampered",
        Verdict::Incomplete => "Incomplete",
        Verdict::Unverifiable => "Unverifiable",
        Verdict::Noncompliant => "Noncompliant",
    }
}

/// What the verdict claims, and no more.
fn claim(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Verified => "Everything that was asked is proven.",
        Verdict::Tampered => {
            "There is evidence that something was changed, removed, added or forged."
        }
        Verdict::Incomplete if report.coverage.is_empty() => {
            "No evidence of tampering, but nothing was found that could prove the time asked."
        }
        Verdict::Incomplete => {
            "No evidence of tampering, but a part of the time asked is not covered."
        }
        Verdict::Unverifiable => {
            "No evidence of tampering, but some object, key or API could not be read or trusted."
        }
        Verdict::Noncompliant => {
            "Integrity holds, but encryption, keys, the trail's settings or signed content are \
             not as required."
        }
    }
}

pub(super) fn section(report: &Report, chains: &[Chain<'_>]) -> Markup {
    let name = report.verdict.as_str();
    html! {
        header class={ "hero v-" (name) } {
            div .inner {
                p .kind { "Audit trail verification report" }
                div .verdict {
                    span .seal aria-hidden="true" { (sign(name)) }
                    div {
                        h1 { (word(report.verdict)) }
                        p .claim { (claim(report)) }
                    }
                }
                (subject(report))
                (tally(report, chains))
                div .columns {
                    @if report.verdict != Verdict::Verified { (wrong(report)) }
                    (stands(report, chains))
                }
            }
        }
    }
}

fn subject(report: &Report) -> Markup {
    let time_of = |name| asked(report, name).and_then(|t| Timestamp::parse_rfc3339(t).ok());
    let from = time_of("start").or_else(|| report.coverage.iter().map(|l| l.from).min());
    let to = time_of("end").or_else(|| report.coverage.iter().map(|l| l.to).max());
    html! {
        dl .subject {
            div { dt { "Target" } dd { code { (visible(target(report))) } } }
            div {
                dt { "Period" }
                dd {
                    @match (from, to) {
                        (Some(from), Some(to)) => (period_text(from, to)),
                        (_, Some(to)) => { "until " (time(to)) }
                        _ => "not known",
                    }
                }
            }
            div { dt { "Scope" } dd { (scope(report)) } }
            div { dt { "Signing keys" } dd { (keys(report)) } }
        }
    }
}

fn scope(report: &Report) -> Markup {
    let list = |name: &str| -> Vec<&str> {
        let values = report.request.get(name).and_then(|v| v.as_array());
        values.into_iter().flatten().filter_map(|v| v.as_str()).collect()
    };
    let (accounts, regions) = (list("accounts"), list("regions"));
    let trail = asked(report, "trail_arn").or_else(|| asked(report, "trail_name"));
    html! {
        @if asked(report, "scope") == Some("given") { "given, " } @else { "discovered, " }
        @if accounts.is_empty() { "every account found" } @else { (visible(&accounts.join(", "))) }
        " × "
        @if regions.is_empty() { "every region found" } @else { (visible(&regions.join(", "))) }
        @if let Some(trail) = trail { ", trail " (visible(trail)) }
    }
}

fn keys(report: &Report) -> Markup {
    html! {
        @if report.keys.is_empty() { "none" }
        @for (at, key) in report.keys.iter().take(KEYS_MAX).enumerate() {
            @if at > 0 { ", " }
            span .nowrap { code { (visible(&key.fingerprint)) } " (" (visible(&key.region)) ")" }
        }
        @if report.keys.len() > KEYS_MAX {
            ", " a href="#keys" { (number((report.keys.len() - KEYS_MAX) as u64)) " more" }
        }
    }
}

fn tally(report: &Report, chains: &[Chain<'_>]) -> Markup {
    let summary = &report.summary;
    let digests = both(summary.digests, summary.backfill_digests);
    let logs = summary.logs;
    let findings = report.findings.iter().filter(|f| counts(f)).count() as u64;
    let figure = |value: Markup, of: Option<u64>, label: &str| {
        html! {
            div {
                dt { (label) }
                dd { (value) @if let Some(of) = of { small { " of " (number(of)) } } }
            }
        }
    };
    let share = summary.coverage.map_or("–".to_owned(), share);
    html! {
        dl .tally {
            (figure(html! { (share) }, None, "of the time asked proven"))
            (figure(html! { (number(digests.valid)) }, Some(digests.checked), "digests proven"))
            @if asked(report, "depth") == Some("digests") {
                (figure(html! { "–" }, None, "logs: not asked for"))
            } @else {
                (figure(html! { (number(logs.valid)) }, Some(logs.checked), "logs as signed"))
            }
            (figure(
                html! { (number(summary.chains)) },
                None,
                if chains.len() == 1 { "chain" } else { "chains" },
            ))
            (figure(
                html! { (number(findings)) },
                None,
                if findings == 1 { "finding, notes aside" } else { "findings, notes aside" },
            ))
        }
    }
}

fn both(a: DigestCounts, b: DigestCounts) -> DigestCounts {
    DigestCounts {
        checked: a.checked + b.checked,
        valid: a.valid + b.valid,
        invalid: a.invalid + b.invalid,
        missing: a.missing + b.missing,
        unreadable: a.unreadable + b.unreadable,
    }
}

/// The report rounds down to a hundredth of a percent.
fn share(coverage: f64) -> String {
    percent((coverage * 1e4).round() as i64, 10_000).unwrap_or_default()
}

/// The findings that made the verdict.
fn wrong(report: &Report) -> Markup {
    let decides = |f: &&ReportedFinding| f.class == report.verdict.as_str() && f.state == "open";
    let deciding: Vec<_> = report.findings.iter().filter(decides).collect();
    let title = match report.verdict {
        Verdict::Tampered => "What was tampered with",
        Verdict::Incomplete => "What is not covered",
        Verdict::Unverifiable => "What could not be read or trusted",
        _ => "What is not as required",
    };
    html! {
        section .wrong aria-label=(title) {
            h2 { (title) }
            ul { @for f in deciding.iter().take(NAMED_MAX) { (named(f)) } }
            @if deciding.len() > NAMED_MAX {
                p {
                    a href="#findings" {
                        "and " (counted((deciding.len() - NAMED_MAX) as u64, "more finding"))
                    }
                }
            }
        }
    }
}

fn named(f: &ReportedFinding) -> Markup {
    let place = [&f.account, &f.region].into_iter().flatten();
    html! {
        li {
            a href={ "#f-" (f.id) } { (title(&f.code)) }
            @if f.count > 1 { " × " (number(f.count)) }
            @for place in place { " · " span .region { (visible(place)) } }
            @if let Some(when) = when(f) { span .when { (when) } }
            @if let Some(object) = &f.object {
                (address(object.rsplit_once('/').map_or(object.as_str(), |(_, name)| name)))
            }
        }
    }
}

/// `log.hash-mismatch` as words.
fn title(code: &str) -> String {
    let words = code.replace(['.', '-'], " ");
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_uppercase())
}

fn stands(report: &Report, chains: &[Chain<'_>]) -> Markup {
    let summary = &report.summary;
    let digests = both(summary.digests, summary.backfill_digests);
    let sound = chains.iter().filter(|c| c.whole() && c.findings == 0).count() as u64;
    let title = match report.verdict {
        Verdict::Verified => "What is proven",
        _ => "What still stands",
    };
    let of = |n: u64, all: u64| {
        if n == all {
            format!("All {}", number(all))
        } else {
            format!("{} of {}", number(n), number(all))
        }
    };
    html! {
        section .stands aria-label=(title) {
            h2 { (title) }
            ul {
                @if digests.valid > 0 {
                    li {
                        b { (of(digests.valid, digests.checked)) " digests" }
                        " are validly signed and fit their chains."
                    }
                }
                @if summary.logs.valid > 0 {
                    li {
                        b { (of(summary.logs.valid, summary.logs.checked)) " logs" }
                        " have exactly the content that was signed."
                    }
                }
                @if let Some(events) = summary.events.filter(|e| *e > 0) {
                    li { b { (counted(events, "event")) } " were read in them." }
                }
                @if let Some(coverage) = summary.coverage.filter(|c| *c > 0.0) {
                    li { b { (share(coverage)) } " of the time asked is proven." }
                }
                @if sound > 0 {
                    li {
                        b { (of(sound, chains.len() as u64)) " chains" }
                        " are proven throughout, with no finding of their own."
                    }
                }
                @if digests.valid == 0 && summary.logs.valid == 0 { li { "Nothing is proven." } }
                li { a href="#not-proven" { "What this run does not prove" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_titles_say_what_the_report_says() {
        assert_eq!(share(0.9896), "98.96 %");
        assert_eq!(share(1.0), "100 %");
        assert_eq!(share(0.0029), "0.29 %");
        assert_eq!(title("log.hash-mismatch"), "Log hash mismatch");
        assert_eq!(title(""), "");
    }
}
