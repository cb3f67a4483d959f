//! Of a control a run says no more than it proved.
#![allow(clippy::unwrap_used)]

mod compliance;

use compliance::*;
use report::standards::{Control, Outcome, controls, requirements, text};
use serde_json::json;
use verifier::Report;
use verifier::coverage::State;
use verifier::finding::{Class, Code, Finding, Scope};

const CIS: &str = "CIS AWS Foundations Benchmark";
const NIST: &str = "NIST SP 800-53";

fn control(report: &Report, framework: &str, id: &str) -> Control {
    let mut all = controls(report).into_iter();
    all.find(|c| c.framework == framework && c.id == id).unwrap()
}

#[track_caller]
fn outcome(report: &Report, framework: &str, id: &str, expected: Outcome, why: &str) {
    let control = control(report, framework, id);
    assert_eq!(control.outcome, expected, "{id}: {}", control.reason);
    assert!(control.reason.contains(why), "{id}: {}", control.reason);
}

fn found(code: Code) -> Report {
    let finding = Finding::new(code, &scope("111122223333", "us-east-1"), "x");
    with(verified(), vec![finding])
}

use Outcome::{NotAssessed, NotSatisfied, Satisfied};

#[test]
fn a_verified_run_satisfies_what_it_proved_and_nothing_else() {
    let report = verified();
    let ids = |wanted| -> Vec<String> {
        let all = controls(&report).into_iter().filter(|c| c.outcome == wanted);
        all.map(|c| format!("{} {}", c.framework, c.id)).collect()
    };
    let satisfied = [
        "CIS AWS Foundations Benchmark 3.2",
        "CIS AWS Foundations Benchmark 3.5",
        "CIS AWS Foundations Benchmark 4.2",
        "CIS AWS Foundations Benchmark 4.5",
        "PCI DSS 10.5.1",
        "NIST SP 800-53 AU-9(3)",
    ];
    assert_eq!(ids(Satisfied), satisfied);
    assert_eq!(ids(NotSatisfied), [""; 0]);
    outcome(&report, CIS, "3.2", Satisfied, "20000 valid digests");
    outcome(&report, NIST, "AU-9", NotAssessed, "proven is only a part");
    outcome(&report, NIST, "SI-7", NotAssessed, "240 logs");
    outcome(&report, "PCI DSS", "10.4.1", NotAssessed, "a run does not see reviews");
    let scope = control(&report, CIS, "3.2").scope;
    assert_eq!(scope.accounts, ["111122223333".to_owned()].into());
    assert_eq!(scope.regions.len(), 2);
    assert_eq!(scope.from, Some(time("2025-10-01T00:00:00Z")));
    assert_eq!(scope.to, Some(time("2026-11-23T10:00:00Z")), "what is pending is no proof");
}

#[test]
fn evidence_against_a_control_comes_first() {
    for code in Code::ALL.iter().filter(|c| c.class() == Class::Tampered) {
        let integrity = control(&found(*code), NIST, "AU-9(3)");
        let keys = code.as_str().starts_with("keys.");
        assert!(keys || integrity.outcome == NotSatisfied, "{}", code.as_str());
    }
    outcome(&found(Code::TrailValidationOff), CIS, "3.2", NotSatisfied, "trail.validation-off (1)");
    outcome(&found(Code::ChainGap), CIS, "4.2", NotSatisfied, "chain.gap");
    outcome(&found(Code::ChainGap), NIST, "AU-9(3)", NotAssessed, "a proof is missing: chain.gap");
    outcome(&found(Code::SseNotKms), CIS, "3.5", NotSatisfied, "sse.not-kms");
    outcome(&found(Code::TrailUnencrypted), CIS, "4.5", NotSatisfied, "trail.unencrypted");
    outcome(&found(Code::KeyPolicy), NIST, "SC-12", NotSatisfied, "key.policy");
    outcome(&found(Code::TrailNotMultiRegion), CIS, "3.1", NotSatisfied, "not-multi-region");
    // Of the class info, but the setting is what is asked.
    outcome(&found(Code::KeyRotationOff), CIS, "3.6", NotSatisfied, "key.rotation-off");
    outcome(&found(Code::LogMissing), "PCI DSS", "10.5.1", NotSatisfied, "log.missing");
    let decided = control(&found(Code::LogMissing), NIST, "SI-7");
    assert_eq!(decided.findings, [found(Code::LogMissing).findings[0].id.clone()]);
}

#[test]
fn what_is_worth_knowing_or_odd_speaks_against_nothing() {
    for code in [Code::SseChanged, Code::EventOld, Code::EventControlChange, Code::EventMalformed] {
        let report = found(code);
        let satisfied = controls(&report).iter().filter(|c| c.outcome == Satisfied).count();
        assert_eq!(satisfied, 6, "{}", code.as_str());
    }
}

#[test]
fn a_missing_proof_leaves_a_control_open() {
    for code in Code::ALL.iter().filter(|c| c.class() == Class::Unverifiable) {
        outcome(&found(*code), NIST, "AU-9(3)", NotAssessed, code.as_str());
    }
    outcome(&found(Code::LogUnreadable), CIS, "3.2", Satisfied, "digests");
    outcome(&found(Code::LogUnreadable), CIS, "3.5", NotAssessed, "log.unreadable");
    outcome(&found(Code::KeysUntrusted), CIS, "3.2", NotAssessed, "keys.untrusted");
}

#[test]
fn coverage_below_all_proves_no_validation() {
    let mut report = verified();
    report.summary.coverage = Some(0.9999);
    outcome(&report, CIS, "3.2", NotAssessed, "not all of the time");
    let mut report = verified();
    report.coverage[2].state = State::Expired;
    outcome(&report, CIS, "3.2", NotAssessed, "expired");
    let mut report = verified();
    report.coverage.retain(|l| l.state == State::Pending);
    outcome(&report, CIS, "3.2", NotAssessed, "not all of the time");
    let mut report = verified();
    report.summary.digests.valid -= 1;
    outcome(&report, CIS, "3.2", NotAssessed, "19999 of 20000");
    report = verified();
    report.summary.coverage = None;
    outcome(&report, CIS, "3.2", NotAssessed, "not all of the time");
}

#[test]
fn logs_left_out_or_unread_prove_no_integrity() {
    for note in [
        "the content of logs: only digests were asked for",
        "archived logs: left out by --skip-archived",
        "that no log lies there which no digest names: left out by --no-unreferenced",
    ] {
        let mut report = verified();
        report.not_proven.push(note.into());
        outcome(&report, NIST, "AU-9(3)", NotAssessed, note);
        outcome(&report, CIS, "3.2", Satisfied, "digests");
    }
    let mut report = verified();
    report.summary.logs.expired = 1;
    outcome(&report, NIST, "AU-9(3)", NotAssessed, "240 of 241 logs");
    let mut report = verified();
    report.summary.logs.checked += 2;
    outcome(&report, NIST, "AU-9(3)", NotAssessed, "240 of 242 logs");
}

/// The notes that leave a proof open are known by their words, which are the verifier's.
#[test]
fn the_verifier_still_words_its_notes_so() {
    let source = include_str!("../../verifier/src/report_run.rs");
    for note in
        ["the content of logs:", "archived logs:", "that no log lies there which no digest names:"]
    {
        assert!(source.contains(&format!("\"{note}")), "{note}");
    }
}

#[test]
fn encryption_is_claimed_of_objects_that_s3_itself_spoke_of() {
    let mut copy = verified();
    copy.request.insert("target", json!("/evidence/copy"));
    outcome(&copy, CIS, "3.5", NotAssessed, "a copy");
    let mut report = verified();
    report.encryption[0].objects = 239;
    outcome(&report, CIS, "3.5", NotAssessed, "239 logs");
    report.encryption.clear();
    outcome(&report, CIS, "3.5", NotAssessed, "0 logs");
    (report.summary.logs.checked, report.summary.logs.valid) = (0, 0);
    outcome(&report, CIS, "3.5", NotAssessed, "0 logs");
    let mut digests = verified();
    digests.encryption[0].kind = "digest";
    outcome(&digests, CIS, "3.5", NotAssessed, "0 logs");
    let mut report = verified();
    report.encryption[0].sse = Some("AES256".into());
    outcome(&report, CIS, "3.5", NotAssessed, "AES256");
    let mut report = verified();
    report.encryption[0].key = None;
    outcome(&report, CIS, "3.5", NotAssessed, "no KMS key");
}

#[test]
fn keys_from_beside_the_evidence_prove_no_origin() {
    outcome(&verified(), NIST, "AU-10", NotAssessed, "under 1 keys");
    let mut report = verified();
    report.keys[0].source = "target".into();
    outcome(&report, NIST, "AU-10", NotAssessed, "no key from elsewhere");
    report.keys.clear();
    outcome(&report, NIST, "AU-10", NotAssessed, "no key from elsewhere");
}

#[test]
fn retention_needs_every_chain_to_reach_back_and_up_to_now() {
    let mut report = verified();
    report.coverage[2].from = time("2025-11-23T12:00:01Z");
    outcome(&report, "PCI DSS", "10.5.1", NotAssessed, "364 days of trail main");
    let mut report = verified();
    report.coverage.swap(0, 1);
    outcome(&report, "PCI DSS", "10.5.1", Satisfied, "366 days and more");
    report.generated_at = time("2026-11-25T00:00:00Z");
    outcome(&report, "PCI DSS", "10.5.1", NotAssessed, "not now");
    let mut report = verified();
    report.coverage[0].to = time("2026-11-01T00:00:00Z");
    outcome(&report, "PCI DSS", "10.5.1", NotAssessed, "0 days of trail main");
}

#[test]
fn an_accepted_finding_still_speaks_against_a_control() {
    let mut report = found(Code::ChainGap);
    report.findings[0].state = "accepted";
    outcome(&report, CIS, "3.2", NotSatisfied, "1 of these findings accepted by the operator");
}

#[test]
fn every_code_that_counts_bears_on_a_control() {
    let odd = ["event.", "digest.duplicate", "digest.foreign-entry", "digest.event-times"];
    for code in Code::ALL.iter().filter(|c| c.class() != Class::Info) {
        let code = code.as_str();
        let bears = !requirements(code).is_empty();
        assert!(bears || odd.iter().any(|o| code.starts_with(o)), "{code}");
    }
    assert!(requirements("trail.validation-off").contains(&format!("{CIS} 5.0.0/3.2")));
    assert_eq!(requirements("log.missing.not"), requirements("log.anything"));
    assert_eq!(requirements("nonsense"), [""; 0]);
}

#[test]
fn ids_are_unique_and_codes_exist() {
    let controls = controls(&verified());
    let mut ids: Vec<_> = controls.iter().map(|c| (c.framework, c.version, c.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), controls.len());
    // Replaces log and digest findings where versions are read; contract section 5.
    let coming = ["version.", "backfill."];
    for code in controls.iter().flat_map(|c| &c.codes).filter(|c| !coming.contains(c)) {
        let is =
            |c: &Code| c.as_str() == *code || code.ends_with('.') && c.as_str().starts_with(code);
        assert!(Code::ALL.iter().any(is), "{code}");
    }
}

#[test]
fn the_text_keeps_its_table_whatever_names_say() {
    let mut report = tampered();
    report.coverage[0].account = "1|2\n<b>".into();
    let text = text(&report);
    assert!(text.contains("| 3.2 | Log file validation is on | not satisfied | evidence against"));
    assert!(text.contains(r"1\|2 \<b\>"), "{text}");
    assert!(text.contains(r"\<script\>"));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{0}'));
    for row in text.lines().filter(|l| l.starts_with('|')) {
        assert_eq!(row.replace(r"\|", "").matches('|').count(), 5, "{row}");
    }
}

#[test]
fn findings_without_a_scope_count_too() {
    let report = with(verified(), vec![Finding::new(Code::ChainNone, &Scope::default(), "x")]);
    outcome(&report, CIS, "3.2", NotSatisfied, "chain.none");
}
