//! Answers a control's question from a report.

use std::collections::BTreeMap;

use serde_json::Value;
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::report::{CoverageLine, ReportedFinding};

use super::table::{Question, Row};
use super::{Outcome, covers};

const DAY_SECS: i64 = 86_400;
/// Beginnings of the notes that say a part of the logs was left out on request.
const LEFT_OUT: [&str; 3] =
    ["the content of logs:", "archived logs:", "that no log lies there which no digest names:"];

/// What a run says of a control, why, and which findings decided.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    pub(crate) findings: Vec<String>,
}

/// Evidence against first, then what leaves the question open, then the proof itself.
pub(crate) fn answer(report: &Report, row: &Row) -> Answer {
    let question = row.question;
    let against = pick(report, question.against(), |f| {
        if question.is_of_integrity() {
            f.class == "tampered"
        } else {
            // A setting is what it is today, also where the time asked is another.
            f.class != "info" || f.code.starts_with("trail.") || f.code.starts_with("key.")
        }
    });
    if !against.is_empty() {
        return decided(Outcome::NotSatisfied, "evidence against it", &against);
    }
    if question == Question::Unseen {
        let reason = format!("a run does not see {}", row.rest);
        return Answer { outcome: Outcome::NotAssessed, reason, findings: Vec::new() };
    }
    let missing = ["tampered", "incomplete", "unverifiable"];
    let open = pick(report, question.open(), |f| missing.contains(&f.class));
    if !open.is_empty() {
        return decided(Outcome::NotAssessed, "a proof is missing", &open);
    }
    let (outcome, reason) = match proof(report, question) {
        Err(why) => (Outcome::NotAssessed, why),
        Ok(proof) if row.rest.is_empty() => (Outcome::Satisfied, proof),
        Ok(proof) => (
            Outcome::NotAssessed,
            format!("proven is only a part: {proof}; not seen: {}", row.rest),
        ),
    };
    Answer { outcome, reason, findings: Vec::new() }
}

fn pick<'a>(
    report: &'a Report,
    codes: &[&str],
    counts: impl Fn(&ReportedFinding) -> bool,
) -> Vec<&'a ReportedFinding> {
    let bears = |f: &&ReportedFinding| codes.iter().any(|c| covers(c, &f.code)) && counts(f);
    report.findings.iter().filter(bears).collect()
}

fn decided(outcome: Outcome, what: &str, findings: &[&ReportedFinding]) -> Answer {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in findings {
        *counts.entry(&finding.code).or_default() += finding.count;
    }
    let list: Vec<_> = counts.iter().map(|(code, n)| format!("{code} ({n})")).collect();
    let accepted = findings.iter().filter(|f| f.state == "accepted").count();
    let mut reason = format!("{what}: {}", list.join(", "));
    if accepted > 0 {
        reason.push_str(&format!("; {accepted} of these findings accepted by the operator"));
    }
    Answer { outcome, reason, findings: findings.iter().map(|f| f.id.clone()).collect() }
}

/// The proof of what is asked, in words; or why there is none.
fn proof(report: &Report, question: Question) -> Result<String, String> {
    match question {
        Question::Validation => covered(report),
        Question::Integrity => content(report),
        Question::Origin => origin(report),
        Question::Encryption => encrypted(report),
        Question::Retention(days) => retained(report, days),
        Question::KeyRotation => Err(no_fact("whether a key's rotation could be read")),
        Question::KeyState => Err(no_fact("whether a key's state and policy could be read")),
        Question::MultiRegion => Err(no_fact("whether the trail's settings could be read")),
        Question::Unseen => Err("a run does not see it".to_owned()),
    }
}

fn no_fact(what: &str) -> String {
    format!("no finding speaks against it, but a report does not say {what}")
}

/// That digests prove all of the time asked.
fn covered(report: &Report) -> Result<String, String> {
    let lines = &report.coverage;
    let digests = &report.summary.digests;
    if report.summary.coverage != Some(1.0) || !lines.iter().any(is_proven) {
        return Err("not all of the time asked is proven".to_owned());
    }
    if let Some(line) = lines.iter().find(|l| !is_proven(l) && l.state != State::Pending) {
        return Err(format!("time is {}: {} to {}", line.state.as_str(), line.from, line.to));
    }
    if digests.valid != digests.checked {
        return Err(format!("{} of {} digests are valid", digests.valid, digests.checked));
    }
    let mut proof = format!(
        "{} valid digests prove all of the time asked of {} chains",
        digests.valid, report.summary.chains
    );
    if lines.iter().any(|l| l.state == State::ProvenEarlier) {
        proof.push_str(", a part of it by an earlier run");
    }
    Ok(proof)
}

fn is_proven(line: &CoverageLine) -> bool {
    matches!(line.state, State::Proven | State::ProvenEarlier)
}

/// That, besides, every log that they name is as signed.
fn content(report: &Report) -> Result<String, String> {
    let proof = covered(report)?;
    let left_out = |note: &&String| LEFT_OUT.iter().any(|prefix| note.starts_with(prefix));
    if let Some(note) = report.not_proven.iter().find(left_out) {
        return Err(format!("this run does not prove {note}"));
    }
    let logs = &report.summary.logs;
    if logs.valid != logs.checked || logs.expired > 0 {
        let seen = logs.checked + logs.expired;
        return Err(format!("{} of {seen} logs were read and are as signed", logs.valid));
    }
    Ok(format!("{proof}, and the {} logs that they name are as signed", logs.valid))
}

/// That every digest is signed by a key which does not come from beside the evidence.
fn origin(report: &Report) -> Result<String, String> {
    let proof = covered(report)?;
    if report.keys.is_empty() || report.keys.iter().any(|k| k.source == "target") {
        return Err("no key from elsewhere than the evidence vouches for the digests".to_owned());
    }
    Ok(format!("{proof}, under {} keys (RSA, SHA-256)", report.keys.len()))
}

/// That the logs seen are encrypted with KMS keys, by what S3 itself answered.
fn encrypted(report: &Report) -> Result<String, String> {
    let target = report.request.get("target").and_then(Value::as_str);
    if !target.is_some_and(|t| t.starts_with("s3://")) {
        return Err("a copy does not show how the objects in S3 are encrypted".to_owned());
    }
    let lines: Vec<_> = report.encryption.iter().filter(|l| l.kind == "log").collect();
    let objects: u64 = lines.iter().map(|l| l.objects).sum();
    if objects == 0 || objects < report.summary.logs.valid {
        return Err(format!("the encryption of {objects} logs was seen"));
    }
    let kms = |sse: &Option<String>| sse.as_deref().is_some_and(|s| s.starts_with("aws:kms"));
    if let Some(line) = lines.iter().find(|l| !kms(&l.sse) || l.key.is_none()) {
        let sse = line.sse.as_deref().unwrap_or("not encrypted");
        return Err(format!("{} logs are under no KMS key: {sse}", line.objects));
    }
    let keys: std::collections::BTreeSet<_> = lines.iter().filter_map(|l| l.key.as_ref()).collect();
    Ok(format!(
        "the {objects} logs seen are encrypted under {} KMS keys; who manages a key is not read",
        keys.len()
    ))
}

/// That the logs of the last `days` are there, in every chain.
fn retained(report: &Report, days: i64) -> Result<String, String> {
    let proof = content(report)?;
    let mut chains: BTreeMap<_, Vec<&CoverageLine>> = BTreeMap::new();
    for line in &report.coverage {
        let chain = (&line.account, &line.region, &line.trail, &line.home_region);
        chains.entry(chain).or_default().push(line);
    }
    for ((account, region, trail, _), lines) in chains {
        let (from, to) = newest_stretch(lines);
        if report.generated_at.seconds_since(to) > DAY_SECS {
            return Err(format!("the time asked of trail {trail} ends at {to}, not now"));
        }
        let proven = to.seconds_since(from) / DAY_SECS;
        if proven < days {
            return Err(format!(
                "{proven} days of trail {trail} in {account}, {region} are proven, {days} are \
                 asked; if the trail is older, verify with an earlier --start"
            ));
        }
    }
    Ok(format!("{proof}; every chain has {days} days and more"))
}

/// The newest unbroken stretch of a chain, its pending end included.
fn newest_stretch(mut lines: Vec<&CoverageLine>) -> (Timestamp, Timestamp) {
    lines.sort_by_key(|l| (l.from, l.to));
    let mut stretch = (lines[0].from, lines[0].from);
    for line in lines {
        if line.from > stretch.1 {
            stretch = (line.from, line.to);
        }
        stretch.1 = stretch.1.max(line.to);
    }
    stretch
}
