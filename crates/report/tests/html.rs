//! The HTML report without a browser: bounds, escaping, what must be said. In a browser:
//! `tests/it/reports/html.rs`.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may panic as tests may")]

#[path = "html/samples.rs"]
mod samples;

use report::html::render;
use samples::{HOSTILE, at, line, scope, tampered, verified, with, year};
use serde_json::json;
use verifier::coverage::State;
use verifier::finding::{Class, Code, Finding};

fn has(page: &str, text: &str) {
    assert!(page.contains(text), "{text:?} is not on the page");
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(render(&tampered()), render(&tampered()));
}

#[test]
fn a_verdict_claims_what_the_classes_mean() {
    let scope = scope("111122223333", "us-east-1");
    let claims = [
        (Code::LogMissing, "Tampered", "changed, removed, added or forged"),
        (Code::LogUnreadable, "Unverifiable", "could not be read or trusted"),
        (Code::ChainGap, "Incomplete", "is not covered"),
        (Code::SseNone, "Noncompliant", "Integrity holds, but"),
    ];
    for (code, word, claim) in claims {
        let page = render(&with(vec![Finding::new(code, &scope, "x")]));
        has(&page, &format!("<h1>{word}</h1>"));
        has(&page, claim);
        assert!(!page.contains("Everything that was asked is proven"));
    }
    let page = render(&verified());
    has(&page, "<h1>Verified</h1>");
    has(&page, "Everything that was asked is proven");
    has(&page, "Every check of this run passed");
}

#[test]
fn nothing_found_is_not_called_covered() {
    let mut report = with(vec![Finding::new(Code::ChainNone, &Default::default(), "none")]);
    (report.coverage, report.encryption, report.keys) = (vec![], vec![], vec![]);
    (report.summary, report.request) = Default::default();
    let page = render(&report);
    has(&page, "nothing was found that could prove");
    has(&page, "Nothing is proven.");
    assert!(!page.contains("100 %"));
}

#[test]
fn what_is_accepted_or_a_note_is_not_counted_as_found() {
    let scope = scope("111122223333", "us-east-1");
    let mut report = with(vec![
        Finding::new(Code::SseNone, &scope, "x"),
        Finding::new(Code::EventOld, &scope, "x").class(Class::Info),
    ]);
    report.findings[0].state = "accepted";
    let page = render(&report);
    has(&page, "<dt>findings, notes aside</dt><dd>0</dd>");
    has(&page, "data-kind=\"accepted\"");
}

#[test]
fn hostile_names_are_text_and_what_hides_is_shown() {
    let page = render(&tampered());
    for tag in ["<script>document", "<img", "<svg", "\u{202e}", "\u{2066}", "\0", "\u{1b}"] {
        assert!(!page.contains(tag), "{tag:?}");
    }
    for shown in ["line\\u{a}feed\\u{9}tab\\u{0}nul\\u{1b}[31mred", "\\u{202e}", "日誌-ログ"] {
        has(&page, shown);
    }
    // One script and one style: the page's own.
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
    assert!(HOSTILE.iter().any(|h| h.contains("<script>")));
}

#[test]
fn no_hostile_name_comes_into_a_command() {
    let mut report = tampered();
    report.request.insert("target", json!("a\u{202e}b"));
    has(&render(&report), "trailseal verify TARGET \\\n  --end");
    has(&render(&tampered()), r"'s3://audit-logs/$(touch owned)'\''&lt;b&gt;'");
}

#[test]
fn folded_findings_say_so() {
    let page = render(&tampered());
    has(&page, "The first 100 objects of 250");
    has(&page, "the NDJSON form has them all");
}

#[test]
fn every_state_has_its_sign_and_its_words() {
    let page = render(&tampered());
    let states = "proven proven-earlier pending invalid unreadable missing expired gap absent";
    for state in states.split(' ') {
        has(&page, &format!("class=\"key s-{state}\""));
        has(&page, &format!("class=\"run s-{state}\""));
    }
}

#[test]
fn a_year_of_fifty_chains_stays_below_three_megabytes() {
    let page = render(&year(50));
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    has(&page, "A column is a week");
    has(&page, "The same by the hour");
    // Every chain of the fifty has its row, with the hour it lost.
    assert_eq!(page.matches("<details class=\"chain\"").count(), 50);
}

#[test]
fn more_than_the_page_takes_is_counted_not_dropped() {
    let mut report = year(500);
    let page = render(&report);
    assert!(page.len() < 6_000_000, "{} bytes", page.len());
    has(&page, "100 more chains");
    report.coverage = (0..5_000)
        .map(|n| {
            let state = if n % 2 == 0 { State::Proven } else { State::Gap };
            line("111122223333", "us-east-1", n, n + 1, state)
        })
        .collect();
    report.generated_at = at(5_000);
    has(&render(&report), "4,900 more stretches");
    let scope = scope("111122223333", "us-east-1");
    let long = |n: usize| Finding::new(Code::LogMissing, &scope, "x".repeat(50_000 + n));
    let page = render(&with((0..90).map(long).collect()));
    has(&page, "These are the 29 most severe of 90 findings");
}
