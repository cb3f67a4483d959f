//! The report: one model, which every output format renders. Its JSON form is contract section 4.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use trail::{Sha256, Timestamp};

use crate::coverage::State;
use crate::finding::{Class, Finding};

/// Findings of one code, cause and chain beyond this number are one.
const GROUP_ABOVE: usize = 100;

/// What a run concludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that was asked is proven.
    Verified,
    /// Something was changed, removed, added or forged.
    Tampered,
    /// A part of the time asked is not covered, or nothing was found.
    Incomplete,
    /// Some object, key or API could not be read or trusted.
    Unverifiable,
    /// Integrity holds; something else is not as required.
    Noncompliant,
}

impl Verdict {
    /// The verdict of these classes; `failing` are those that count.
    pub fn of(classes: impl IntoIterator<Item = Class>, failing: &[Class]) -> Self {
        let mut verdict = Self::Verified;
        for class in classes.into_iter().filter(|c| failing.contains(c)) {
            let this = match class {
                Class::Tampered => Self::Tampered,
                Class::Incomplete => Self::Incomplete,
                Class::Unverifiable => Self::Unverifiable,
                Class::Noncompliant => Self::Noncompliant,
                Class::Info => continue,
            };
            // The contract's order is that of the exit codes: 1, 3, 4, 5.
            if verdict == Self::Verified || this.exit_code() < verdict.exit_code() {
                verdict = this;
            }
        }
        verdict
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Tampered => 1,
            Self::Incomplete => 3,
            Self::Unverifiable => 4,
            Self::Noncompliant => 5,
        }
    }

    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Tampered => "tampered",
            Self::Incomplete => "incomplete",
            Self::Unverifiable => "unverifiable",
            Self::Noncompliant => "noncompliant",
        }
    }
}

/// A run's result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `trailseal.report/v1`
    pub schema: &'static str,
    /// Name and version of the program.
    pub tool: Tool,
    /// When the run was made.
    pub generated_at: Timestamp,
    /// What was asked.
    pub request: BTreeMap<&'static str, Value>,
    /// What the findings' classes say.
    pub verdict: Verdict,
    /// Counts.
    pub summary: Summary,
    /// Which time is covered, and how.
    pub coverage: Vec<CoverageLine>,
    /// How the objects are encrypted.
    pub encryption: Vec<EncryptionLine>,
    /// Which keys signed.
    pub keys: Vec<KeyLine>,
    /// What was found, most severe first; more than 100 of one kind are one.
    pub findings: Vec<ReportedFinding>,
    /// The same, each by itself; for forms that take any number of lines.
    #[serde(skip)]
    pub every_finding: Vec<ReportedFinding>,
    /// What this run does not prove.
    pub not_proven: Vec<String>,
}

/// Who made a report.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    /// `trailseal`
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Chains looked at.
    pub chains: u64,
    /// Regular digests.
    pub digests: DigestCounts,
    /// Backfill digests.
    pub backfill_digests: DigestCounts,
    /// Logs.
    pub logs: LogCounts,
    /// Findings by class.
    pub by_class: BTreeMap<&'static str, u64>,
    /// Bytes of log content that were hashed.
    pub bytes_inflated: u64,
    /// Events looked at; null unless every event was.
    pub events: Option<u64>,
    /// Proven part of the time demanded; null when none is.
    pub coverage: Option<f64>,
}

/// Counts of digests.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct DigestCounts {
    /// All, missing ones included.
    pub checked: u64,
    /// Proven.
    pub valid: u64,
    /// With evidence against them.
    pub invalid: u64,
    /// Known to be missing.
    pub missing: u64,
    /// Not readable or without a trusted key.
    pub unreadable: u64,
}

/// Counts of logs.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LogCounts {
    /// Named by a digest and looked at, missing ones included.
    pub checked: u64,
    /// As signed.
    pub valid: u64,
    /// Not as signed.
    pub invalid: u64,
    /// Named, but not there.
    pub missing: u64,
    /// Not readable.
    pub unreadable: u64,
    /// There, but named by no digest, where digests name all.
    pub unreferenced: u64,
    /// There, in time that no digest covers.
    pub undigested: u64,
    /// So recent that their digest need not be there yet.
    pub pending: u64,
    /// Absent and old enough to have expired.
    pub expired: u64,
}

/// A stretch of a chain's time.
#[derive(Debug, Clone, Serialize)]
pub struct CoverageLine {
    /// The chain's account.
    pub account: String,
    /// The chain's source region.
    pub region: String,
    /// The trail.
    pub trail: String,
    /// The trail's home region.
    pub home_region: String,
    /// The chain's folder, by its original key.
    pub path: String,
    /// Start.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// What is known of it.
    pub state: State,
}

impl Serialize for State {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// Objects under one encryption.
#[derive(Debug, Clone, Serialize)]
pub struct EncryptionLine {
    /// The account.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// `log` or `digest`.
    pub kind: &'static str,
    /// As the response header names it; null: none.
    pub sse: Option<String>,
    /// The KMS key's ARN.
    pub key: Option<String>,
    /// Whether a Bucket Key was used.
    pub bucket_key: Option<bool>,
    /// The earliest of the objects.
    pub from: Timestamp,
    /// The latest of the objects.
    pub to: Timestamp,
    /// How many.
    pub objects: u64,
}

/// A key that signed digests of this run.
#[derive(Debug, Clone, Serialize)]
pub struct KeyLine {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The region it signs for.
    pub region: String,
    /// Start of its validity.
    pub valid_from: Timestamp,
    /// End of its validity.
    pub valid_to: Timestamp,
    /// `api`, `file:…` or `target`.
    pub source: String,
    /// How many digests of this run it signed.
    pub digests: u64,
}

/// A finding as reports print it.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedFinding {
    /// Stable from run to run.
    pub id: String,
    /// Contract section 5.
    pub code: String,
    /// Its class.
    pub class: &'static str,
    /// How urgent.
    pub severity: &'static str,
    /// `open`, or `accepted`.
    pub state: &'static str,
    /// The account concerned.
    pub account: Option<String>,
    /// The region concerned.
    pub region: Option<String>,
    /// The trail concerned.
    pub trail: Option<String>,
    /// The object concerned.
    pub object: Option<String>,
    /// The digest that speaks of it.
    pub digest: Option<String>,
    /// Start of the time concerned.
    pub from: Option<Timestamp>,
    /// End of the time concerned.
    pub to: Option<Timestamp>,
    /// How many things it stands for.
    pub count: u64,
    /// The first 100 of them.
    pub objects: Vec<String>,
    /// What should have been.
    pub expected: Option<String>,
    /// What was.
    pub actual: Option<String>,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl From<&Finding> for ReportedFinding {
    fn from(f: &Finding) -> Self {
        let text = |s: Option<&dyn std::fmt::Display>| s.map(ToString::to_string);
        Self {
            id: f.id(),
            code: f.code_text(),
            class: f.class.as_str(),
            severity: f.code.severity().as_str(),
            state: "open",
            account: text(f.scope.account.as_ref().map(|a| a as _)),
            region: text(f.scope.region.as_ref().map(|r| r as _)),
            trail: text(f.scope.trail.as_ref().map(|t| t as _)),
            object: f.object.clone(),
            digest: f.digest.clone(),
            from: f.from,
            to: f.to,
            count: f.count,
            objects: f.objects.iter().take(GROUP_ABOVE).cloned().collect(),
            expected: f.expected.clone(),
            actual: f.actual.clone(),
            message: f.message.clone(),
            remedy: f.code.remedy(),
        }
    }
}

/// Sorts findings, most severe first.
pub fn sort(findings: &mut [Finding]) {
    let order = |f: &Finding| {
        (
            f.class,
            f.code.severity(),
            f.code,
            f.scope.clone(),
            f.from,
            f.object.clone(),
            f.digest.clone(),
        )
    };
    findings.sort_by_cached_key(order);
}

/// Sorts findings and folds large groups of one code and chain into one.
#[must_use]
pub fn fold(mut findings: Vec<Finding>) -> Vec<ReportedFinding> {
    sort(&mut findings);
    let mut out = Vec::new();
    for group in findings.chunk_by(|a, b| {
        (a.class, a.code, a.backfill, &a.scope) == (b.class, b.code, b.backfill, &b.scope)
    }) {
        if group.len() <= GROUP_ABOVE {
            out.extend(group.iter().map(ReportedFinding::from));
            continue;
        }
        let mut one = ReportedFinding::from(&group[0]);
        one.count = group.iter().map(|f| f.count).sum();
        one.from = group.iter().filter_map(|f| f.from).min();
        one.to = group.iter().filter_map(|f| f.to).max();
        let objects = group.iter().flat_map(|f| f.object.iter().chain(&f.objects));
        one.objects = objects.take(GROUP_ABOVE).cloned().collect();
        one.message = format!("{} (and {} more like it)", one.message, group.len() - 1);
        // The id is that of the group, not of whichever member comes first today.
        let name = format!("{}\n{}\n{:?}", one.code, one.class, group[0].scope);
        one.id = Sha256::of(name.as_bytes()).to_string()[..16].to_owned();
        out.push(one);
    }
    out
}

impl Report {
    /// The JSON form, indented, with a line feed at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers serialize");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Code, Scope};

    #[test]
    fn the_verdict_is_that_of_the_classes_in_the_contracts_order() {
        let of = |classes: &[Class]| Verdict::of(classes.iter().copied(), &Class::ALL);
        assert_eq!(of(&[]), Verdict::Verified);
        assert_eq!(of(&[Class::Info]), Verdict::Verified);
        assert_eq!(of(&[Class::Noncompliant, Class::Unverifiable]), Verdict::Unverifiable);
        assert_eq!(of(&[Class::Unverifiable, Class::Incomplete]), Verdict::Incomplete);
        assert_eq!(of(&[Class::Incomplete, Class::Tampered]), Verdict::Tampered);
        let only = [Class::Noncompliant];
        assert_eq!(Verdict::of([Class::Tampered], &only), Verdict::Verified);
    }

    #[test]
    fn more_than_a_hundred_of_one_kind_are_one() {
        let scope = Scope::default();
        let one = |i: u64| Finding::new(Code::LogMissing, &scope, "x").object(format!("o{i:04}"));
        let fold = |n| fold((0..n).map(one).collect());
        assert_eq!(fold(100).len(), 100);
        let folded = fold(250);
        assert_eq!((folded.len(), folded[0].count, folded[0].objects.len()), (1, 250, 100));
    }
}
