//! What changed from one report to the next.
//!
//! A finding that is gone is called *resolved* only when the newer run looked again where the
//! older one found it; else it is *not re-checked*, with the reason. A run that asks less never
//! makes a trail look better.

mod coverage;
mod recheck;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use trail::Timestamp;

pub use crate::diff::coverage::CoverageChange;
pub use crate::past::{ChainName, Past, PastError, PastFinding};

/// Classes in which something new makes matters worse.
const FAILING: [&str; 4] = ["tampered", "unverifiable", "incomplete", "noncompliant"];

/// Why two reports are not compared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// They speak of different targets.
    #[error(
        "the reports are of different targets, {old:?} and {new:?}; force the comparison if both \
         hold the same trail"
    )]
    Targets {
        /// The older report's.
        old: String,
        /// The newer report's.
        new: String,
    },
    /// The first was made after the second.
    #[error("the first report, of {old}, is newer than the second, of {new}; swap them")]
    Order {
        /// When the first was made.
        old: Timestamp,
        /// When the second was made.
        new: Timestamp,
    },
}

/// What changed. Empty lists: nothing of that kind.
#[derive(Debug, Serialize)]
pub struct Diff {
    /// `trailseal.diff/v1`
    pub schema: &'static str,
    /// The older report.
    pub old: Side,
    /// The newer report.
    pub new: Side,
    /// Whether anything got worse; see [`Diff::exit_code`].
    pub worse: bool,
    /// Findings of the newer report only.
    pub appeared: Vec<PastFinding>,
    /// Findings of the older report only.
    pub gone: Vec<Gone>,
    /// Findings of both that stand for more, fewer or other things now, or are judged otherwise.
    pub changed: Vec<Changed>,
    /// Ids of findings of both that are the same.
    pub unchanged: Vec<String>,
    /// Chains of the newer report only.
    pub chains_appeared: Vec<ChainName>,
    /// Chains of the older report only.
    pub chains_vanished: Vec<Vanished>,
    /// Time that is proven now and was not, or was and is not.
    pub coverage: Vec<CoverageChange>,
    /// Encryption that the newer report has and the older has not, and the reverse.
    pub encryption: Sets<Encryption>,
    /// Keys that signed, by region and fingerprint, with where they came from.
    pub keys: Sets<SigningKey>,
    /// Options of the request that differ, the target and the time of the run aside.
    pub request: Vec<OptionChange>,
    /// What only one of the runs left unproven.
    pub not_proven: Sets<String>,
}

/// One of the two reports.
#[derive(Debug, Serialize)]
pub struct Side {
    /// Its target.
    pub target: String,
    /// When it was made.
    pub generated_at: Timestamp,
    /// Its verdict.
    pub verdict: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// Proven part of the time demanded, 0 to 1; None when none was.
    pub coverage: Option<f64>,
}

/// A finding that is no longer reported.
#[derive(Debug, Serialize)]
pub struct Gone {
    /// The finding.
    pub finding: PastFinding,
    /// None: the newer run looked again, and it is not there any more. Else why that is not known.
    pub not_rechecked: Option<String>,
}

/// A finding of both reports that differs.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// As it is now.
    pub finding: PastFinding,
    /// The class it had.
    pub old_class: String,
    /// The state it had.
    pub old_state: String,
    /// How many things it stood for.
    pub old_count: u64,
    /// Objects listed now and not before; both reports list at most 100.
    pub objects_added: Vec<String>,
    /// Objects listed before and not now.
    pub objects_removed: Vec<String>,
}

impl Changed {
    /// Whether it stands for more or other objects, counts again, or is of a failing class anew.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        let rank = |class: &str| FAILING.iter().position(|c| *c == class).unwrap_or(FAILING.len());
        fails(&self.finding)
            && (self.finding.count > self.old_count
                || !self.objects_added.is_empty()
                || rank(&self.finding.class) < rank(&self.old_class)
                || self.old_state != self.finding.state)
    }
}

/// A chain that the newer report does not know.
#[derive(Debug, Serialize)]
pub struct Vanished {
    /// The chain.
    pub chain: ChainName,
    /// None: it was asked for and is gone. Else why it was not looked at.
    pub not_asked: Option<String>,
}

/// What only one of two sets has.
#[derive(Debug, Serialize)]
pub struct Sets<T: Ord> {
    /// Of the newer only.
    pub appeared: BTreeSet<T>,
    /// Of the older only.
    pub gone: BTreeSet<T>,
}

impl<T: Ord + Clone> Sets<T> {
    fn of(old: &BTreeSet<T>, new: &BTreeSet<T>) -> Self {
        let only = |a: &BTreeSet<T>, b| a.difference(b).cloned().collect();
        Self { appeared: only(new, old), gone: only(old, new) }
    }
}

/// A way in which objects are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Encryption {
    /// The account.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// `log` or `digest`.
    pub kind: String,
    /// As the response header names it; None: not encrypted.
    pub sse: Option<String>,
    /// The KMS key's ARN.
    pub key: Option<String>,
    /// Whether a Bucket Key was used.
    pub bucket_key: Option<bool>,
}

/// A key that signed digests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SigningKey {
    /// The region it signs for.
    pub region: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// `api`, `file:…` or `target`.
    pub source: String,
}

/// An option that was not the same; null where a report does not have it.
#[derive(Debug, Serialize)]
pub struct OptionChange {
    /// Its name in the report's `request`.
    pub name: String,
    /// As it was.
    pub old: Value,
    /// As it is.
    pub new: Value,
}

/// Compares two reports of one target, the older first. With `force`, also of two targets; then
/// no finding that is gone counts as looked at again.
///
/// # Errors
/// When the targets differ and `force` is not set, or the first report is the newer one.
pub fn diff(old: &Past, new: &Past, force: bool) -> Result<Diff, DiffError> {
    let (old_side, new_side) = (side(old), side(new));
    if old_side.target != new_side.target && !force {
        return Err(DiffError::Targets { old: old_side.target, new: new_side.target });
    }
    if old.generated_at > new.generated_at {
        return Err(DiffError::Order { old: old.generated_at, new: new.generated_at });
    }
    let [was, is] = findings(old, new);
    let mut diff = Diff {
        schema: "trailseal.diff/v1",
        old: old_side,
        new: new_side,
        worse: false,
        appeared: Vec::new(),
        gone: Vec::new(),
        changed: Vec::new(),
        unchanged: Vec::new(),
        chains_appeared: Vec::new(),
        chains_vanished: Vec::new(),
        coverage: coverage::changes(old, new),
        encryption: Sets::of(&encryption(old), &encryption(new)),
        keys: Sets::of(&keys(old), &keys(new)),
        request: options(old, new),
        not_proven: Sets::of(&notes(old), &notes(new)),
    };
    let before: BTreeMap<&str, &PastFinding> = was.iter().map(|f| (&*f.id, f)).collect();
    for finding in &is {
        match before.get(&*finding.id) {
            None => diff.appeared.push(finding.clone()),
            Some(old) => compare(old, finding, &mut diff),
        }
    }
    let now: BTreeSet<&str> = is.iter().map(|f| &*f.id).collect();
    let gone = was.iter().filter(|f| !now.contains(&*f.id));
    diff.gone.extend(
        gone.map(|f| Gone {
            finding: f.clone(),
            not_rechecked: recheck::not_rechecked(f, old, new),
        }),
    );
    let chains = |p: &Past| p.coverage.iter().map(|c| c.chain.clone()).collect::<BTreeSet<_>>();
    let chains = Sets::of(&chains(old), &chains(new));
    diff.chains_appeared.extend(chains.appeared);
    diff.chains_vanished.extend(
        chains
            .gone
            .into_iter()
            .map(|chain| Vanished { not_asked: recheck::out_of_scope(&chain, new), chain }),
    );
    diff.worse = diff.appeared.iter().any(fails)
        || diff.changed.iter().any(Changed::is_worse)
        || diff.chains_vanished.iter().any(|c| c.not_asked.is_none())
        || diff.coverage.iter().any(CoverageChange::is_worse);
    Ok(diff)
}

impl Diff {
    /// 0: nothing is worse. 1: there is an open finding of class tampered, unverifiable,
    /// incomplete or noncompliant that is new or stands for more; a chain that was asked for is
    /// gone; or time that was proven and was asked for again is not (expiry aside).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.worse)
    }

    /// The JSON form, indented, with a line feed at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers serialize");
        text.push('\n');
        text
    }

    /// For a person, with or without ANSI colours.
    #[must_use]
    pub fn text(&self, color: bool) -> String {
        text::render(self, color)
    }
}

fn side(past: &Past) -> Side {
    Side {
        target: past.asked("target").unwrap_or_default().to_owned(),
        generated_at: past.generated_at,
        verdict: past.verdict.clone(),
        version: past.tool.version.clone(),
        coverage: past.summary.coverage,
    }
}

fn fails(finding: &PastFinding) -> bool {
    finding.state == "open" && FAILING.contains(&&*finding.class)
}

/// What a report folds into one finding when there are more than 100 of it.
type Kind = (String, Option<String>, Option<String>, Option<String>);

fn kind(f: &PastFinding) -> Kind {
    (f.code.clone(), f.account.clone(), f.region.clone(), f.trail.clone())
}

/// The findings of both, with kinds that one of the reports folds folded in the other as well:
/// else 101 that become 99 would look like 99 new ones.
fn findings(old: &Past, new: &Past) -> [Vec<PastFinding>; 2] {
    let folded = |f: &&PastFinding| f.count > 100 && f.message.ends_with(" more like it)");
    let groups: BTreeMap<Kind, String> = [old, new]
        .iter()
        .flat_map(|p| p.findings.iter().filter(folded))
        .map(|f| (kind(f), f.id.clone()))
        .collect();
    [old, new].map(|past| {
        let mut out: Vec<PastFinding> = Vec::new();
        let mut at = BTreeMap::new();
        for finding in &past.findings {
            let kind = kind(finding);
            let Some(id) = groups.get(&kind) else {
                out.push(finding.clone());
                continue;
            };
            let one = *at.entry(kind).or_insert_with(|| {
                out.push(PastFinding {
                    id: id.clone(),
                    count: 0,
                    objects: vec![],
                    ..finding.clone()
                });
                out.len() - 1
            });
            let one = &mut out[one];
            one.count += finding.count;
            one.from = one.from.into_iter().chain(finding.from).min();
            one.to = one.to.into_iter().chain(finding.to).max();
            let listed = finding.object.iter().filter(|_| finding.objects.is_empty());
            one.objects.extend(listed.chain(&finding.objects).cloned());
        }
        out
    })
}

fn compare(old: &PastFinding, new: &PastFinding, diff: &mut Diff) {
    let objects = |f: &PastFinding| f.objects.iter().cloned().collect();
    let mut listed = Sets::of(&objects(old), &objects(new));
    // Of more than are listed, which ones are is chance.
    if new.count > new.objects.len() as u64 || old.count > old.objects.len() as u64 {
        (listed.appeared, listed.gone) = Default::default();
    }
    let same = (&old.class, &old.state, old.count) == (&new.class, &new.state, new.count);
    if same && listed.appeared.is_empty() && listed.gone.is_empty() {
        diff.unchanged.push(new.id.clone());
        return;
    }
    diff.changed.push(Changed {
        finding: new.clone(),
        old_class: old.class.clone(),
        old_state: old.state.clone(),
        old_count: old.count,
        objects_added: listed.appeared.into_iter().collect(),
        objects_removed: listed.gone.into_iter().collect(),
    });
}

fn encryption(past: &Past) -> BTreeSet<Encryption> {
    let lines = past.encryption.iter().cloned();
    lines
        .map(|e| Encryption {
            account: e.account,
            region: e.region,
            kind: e.kind,
            sse: e.sse,
            key: e.key,
            bucket_key: e.bucket_key,
        })
        .collect()
}

fn keys(past: &Past) -> BTreeSet<SigningKey> {
    let lines = past.keys.iter().cloned();
    lines
        .map(|k| SigningKey { region: k.region, fingerprint: k.fingerprint, source: k.source })
        .collect()
}

fn notes(past: &Past) -> BTreeSet<String> {
    past.not_proven.iter().cloned().collect()
}

fn options(old: &Past, new: &Past) -> Vec<OptionChange> {
    let names: BTreeSet<&String> = old.request.keys().chain(new.request.keys()).collect();
    let of = |p: &Past, name: &str| p.request.get(name).cloned().unwrap_or(Value::Null);
    let options = names.into_iter().map(|n| OptionChange {
        name: n.clone(),
        old: of(old, n),
        new: of(new, n),
    });
    // The end of the time asked is "now" as a rule; when it moves on, nothing was asked otherwise.
    let moved_on = |o: &OptionChange| o.name == "end" && o.old.as_str() <= o.new.as_str();
    options.filter(|o| o.old != o.new && o.name != "target" && !moved_on(o)).collect()
}
