//! The findings, with search and filters where the browser runs scripts.

use std::collections::BTreeSet;

use maud::{Markup, html};
use verifier::Report;
use verifier::report::ReportedFinding;

use super::text::{address, counted, number, period_text, time_of, time_text, visible};

/// Bytes of findings on the page. The report itself folds what is alike, so that only a trail
/// that is broken in very many ways comes near it.
const BYTES_MAX: usize = 1_500_000;

/// Beyond this number the browser need not lay out what is not in view.
const MANY: usize = 200;

pub(super) fn section(report: &Report) -> Markup {
    let all = &report.findings;
    let mut cards = Vec::new();
    let mut bytes = 0;
    for finding in all {
        let one = card(finding);
        bytes += one.0.len();
        if bytes > BYTES_MAX && !cards.is_empty() {
            break;
        }
        cards.push(one);
    }
    let shown = cards.len();
    html! {
        section #findings aria-labelledby="findings-title" {
            h2 #findings-title { "Findings" }
            @if all.is_empty() {
                p .lead { "None. Every check of this run passed." }
            } @else {
                p .lead { "Most severe first; each with what to do about it." }
                (filters(&all[..shown]))
                div #list .many[shown > MANY] { @for one in &cards { (one) } }
                p #nothing .note hidden { "No finding matches the filter." }
                @if shown < all.len() {
                    p .note {
                        "These are the " (number(shown as u64)) " most severe of "
                        (number(all.len() as u64)) " findings; the JSON report has all of them."
                    }
                }
            }
        }
    }
}

/// How the page filters a finding: by its class, or as accepted.
fn kind(f: &ReportedFinding) -> &'static str {
    if f.state == "accepted" { "accepted" } else { f.class }
}

/// The sign of a class or verdict, so that its colour is not needed.
pub(super) fn sign(kind: &str) -> &'static str {
    match kind {
        "verified" => "✓",
        "tampered" => "×",
        "incomplete" => "–",
        "unverifiable" => "?",
        "noncompliant" => "!",
        "accepted" => "✓",
        _ => "i",
    }
}

/// Hidden until the script that makes them work shows them.
fn filters(findings: &[ReportedFinding]) -> Markup {
    const KINDS: [&str; 6] =
        ["tampered", "unverifiable", "incomplete", "noncompliant", "info", "accepted"];
    let of = |kind_wanted: &str| findings.iter().filter(|f| kind(f) == kind_wanted).count();
    let set = |pick: fn(&ReportedFinding) -> Option<&str>| -> BTreeSet<&str> {
        findings.iter().filter_map(pick).collect()
    };
    let severities = ["critical", "high", "medium", "low", "info"];
    let severities = severities.into_iter().filter(|s| findings.iter().any(|f| f.severity == *s));
    html! {
        form #filters role="search" aria-label="Filter the findings" hidden {
            label .search {
                span .vh { "Search the findings" }
                input #query type="search" placeholder="Search objects, codes, hashes …"
                    autocomplete="off" spellcheck="false" aria-controls="list";
            }
            div .chips role="group" aria-label="Classes" {
                @for name in KINDS.into_iter().filter(|k| of(k) > 0) {
                    button type="button" class={ "chip c-" (name) } data-kind=(name)
                        aria-pressed="false" {
                        i aria-hidden="true" { (sign(name)) } (name) " "
                        span .n { (number(of(name) as u64)) }
                    }
                }
            }
            div .selects {
                (select("severity", "Severity", severities.collect()))
                (select("account", "Account", set(|f| f.account.as_deref()).into_iter().collect()))
                (select("region", "Region", set(|f| f.region.as_deref()).into_iter().collect()))
                button type="reset" { "Clear" }
                output #shown aria-live="polite" {}
            }
        }
    }
}

fn select(name: &str, label: &str, values: Vec<&str>) -> Markup {
    html! {
        label {
            span { (label) }
            select data-filter=(name) aria-controls="list" {
                option value="" { "all" }
                @for value in values { option value=(value) { (visible(value)) } }
            }
        }
    }
}

fn card(f: &ReportedFinding) -> Markup {
    let kind = kind(f);
    let fact = |name: &str, value: Option<Markup>| {
        html! { @if let Some(value) = value { dt { (name) } dd { (value) } } }
    };
    let code = |text: &String| html! { code { (visible(text)) } };
    html! {
        article class={ "finding c-" (kind) } id={ "f-" (f.id) } data-kind=(kind)
            data-severity=(f.severity) data-account=(f.account.as_deref().unwrap_or_default())
            data-region=(f.region.as_deref().unwrap_or_default()) {
            header {
                span .badge { i aria-hidden="true" { (sign(kind)) } (kind) }
                h3 { (visible(&f.code)) }
                span .muted { (f.severity) @if f.count > 1 { " · × " (number(f.count)) } }
                span .place {
                    @for place in [&f.account, &f.region, &f.trail].into_iter().flatten() {
                        span { (visible(place)) }
                    }
                }
            }
            p { (visible(&sentence(&f.message))) @if let Some(when) = when(f) { " " span .muted { (when) } } }
            dl {
                (fact("Object", f.object.as_ref().map(|o| address(o))))
                (fact("Digest", f.digest.as_ref().map(|d| address(d))))
                (fact("Expected", f.expected.as_ref().map(code)))
                (fact("Actual", f.actual.as_ref().map(code)))
                (fact("Remedy", Some(html! { (visible(&sentence(f.remedy))) })))
                (fact("Id", Some(html! { code { (visible(&f.id)) } })))
            }
            @if !f.objects.is_empty() { (objects(f)) }
        }
    }
}

fn objects(f: &ReportedFinding) -> Markup {
    let listed = f.objects.len() as u64;
    html! {
        details {
            summary {
                @if listed < f.count {
                    "The first " (counted(listed, "object")) " of " (number(f.count))
                } @else { (counted(listed, "object")) }
            }
            ul { @for object in &f.objects { li { (address(object)) } } }
            @if listed < f.count {
                p .note { "More than these are one finding here; the NDJSON form has them all." }
            }
        }
    }
}

/// The time a finding concerns, or else that its object's name speaks of.
pub(super) fn when(f: &ReportedFinding) -> Option<String> {
    match (f.from, f.to) {
        (Some(from), Some(to)) => Some(period_text(from, to)),
        (Some(one), None) | (None, Some(one)) => Some(format!("{} UTC", time_text(one))),
        (None, None) => Some(format!("{} UTC", time_text(time_of(f.object.as_deref()?)?))),
    }
}

/// With a capital and a full stop, as a page has it; a name at the beginning stays as it is.
pub(super) fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let plain = word.chars().all(|c| c.is_ascii_lowercase());
    let (first, rest) = text.split_at(if plain { text.len().min(1) } else { 0 });
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{rest}{stop}", first.to_ascii_uppercase())
}
