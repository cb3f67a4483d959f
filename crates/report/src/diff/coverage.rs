//! Which time came to be proven, and which is no longer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trail::Timestamp;

use crate::past::{ChainName, Past, PastCoverage};

/// A stretch of a chain's time that is proven in one of the reports only.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CoverageChange {
    /// The chain.
    pub chain: ChainName,
    /// Start.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Its state in the older report; None: not asked for there.
    pub old: Option<String>,
    /// Its state in the newer report; None: not asked for there.
    pub new: Option<String>,
}

impl CoverageChange {
    /// Whether the time was proven and, asked for again, is not, for another cause than that the
    /// operator lets it expire or that its digest may still come.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        let harmless = |s: &str| is_proven(s) || matches!(s, "expired" | "pending");
        self.new.as_deref().is_some_and(|state| !harmless(state))
            && self.old.as_deref().is_some_and(is_proven)
    }
}

fn is_proven(state: &str) -> bool {
    matches!(state, "proven" | "proven-earlier")
}

/// The lines of each chain, in order of time.
pub(super) fn by_chain(past: &Past) -> BTreeMap<&ChainName, Vec<&PastCoverage>> {
    let mut chains: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in past.coverage.iter().filter(|l| l.from < l.to) {
        chains.entry(&line.chain).or_default().push(line);
    }
    chains.values_mut().for_each(|lines| lines.sort_by_key(|l| (l.from, l.to)));
    chains
}

/// The state of a chain at a moment; None when no line holds it.
pub(super) fn state_at<'a>(lines: &[&'a PastCoverage], at: Timestamp) -> Option<&'a str> {
    let next = lines.partition_point(|l| l.from <= at);
    let line = lines[..next].last().filter(|l| at < l.to)?;
    Some(&line.state)
}

/// Stretches that are proven in one report only, of all chains; adjoining ones are one.
pub(super) fn changes(old: &Past, new: &Past) -> Vec<CoverageChange> {
    let (was, is) = (by_chain(old), by_chain(new));
    let chains: BTreeSet<_> = was.keys().chain(is.keys()).copied().collect();
    let mut changes: Vec<CoverageChange> = Vec::new();
    for chain in chains {
        let lines = |of: &BTreeMap<&ChainName, Vec<_>>| of.get(chain).cloned().unwrap_or_default();
        let (was, is): (Vec<&PastCoverage>, Vec<_>) = (lines(&was), lines(&is));
        let bounds: BTreeSet<_> = was.iter().chain(&is).flat_map(|l| [l.from, l.to]).collect();
        for (from, to) in bounds.iter().zip(bounds.iter().skip(1)) {
            let [old, new] = [&was, &is].map(|lines| state_at(lines, *from));
            if old.is_some_and(is_proven) == new.is_some_and(is_proven) {
                continue;
            }
            let [old, new] = [old, new].map(|s| s.map(ToOwned::to_owned));
            match changes.last_mut() {
                Some(last)
                    if (&last.chain, last.to, &last.old, &last.new)
                        == (chain, *from, &old, &new) =>
                {
                    last.to = *to;
                }
                _ => changes.push(CoverageChange {
                    chain: chain.clone(),
                    from: *from,
                    to: *to,
                    old,
                    new,
                }),
            }
        }
    }
    changes
}
