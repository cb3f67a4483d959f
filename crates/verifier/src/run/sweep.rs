//! What must be there and is not, and what is there and must not be.

use std::collections::{BTreeMap, BTreeSet};

use trail::key::LogKey;
use trail::ports::ListEntry;
use trail::{AccountId, Region};

use super::{Run, unlistable};
use crate::coverage::{Span, State};
use crate::finding::{Code, Finding, Scope};
use crate::request::Request;
use crate::unnamed::{Coverage, Sweep, Swept};

impl Run<'_> {
    /// Looks for logs that no digest names, and for accounts and regions without a chain.
    pub(crate) async fn sweep(&mut self) {
        let coverage = self.coverage_by_place();
        let mut empty: Vec<(AccountId, Region)> = Vec::new();
        let mut total = Swept::default();
        let mut failed = Vec::new();
        let sweep = Sweep {
            now: self.now,
            start: self.request.start,
            end: self.request.end,
            grace: self.request.grace,
            backfill_grace: self.request.backfill_grace,
            named: &self.named,
            sidecar: self.request.copy.as_ref().map(|c| c.sidecar),
        };
        for place in &self.places {
            let root = &self.roots[place.root];
            let judge = |region: Option<&Region>, entries: Vec<ListEntry>| {
                let known = region.and_then(|r| coverage.get(&(place.account.clone(), r.clone())));
                let with_original = |e: ListEntry| {
                    let original = root.original(&e.key);
                    (e, original)
                };
                let pairs: Vec<(ListEntry, String)> =
                    entries.into_iter().map(with_original).collect();
                let coverage = known.cloned().unwrap_or_default();
                let has_logs = pairs.iter().any(|(e, _)| e.size > 0);
                (sweep.folder(&place.account, region, &root.bucket, &pairs, &coverage), has_logs)
            };
            for folder in place.folders.iter().filter(|f| !f.is_digest()) {
                if self.request.unreferenced {
                    total.absorb(judge(None, folder.strays.clone()).0);
                }
                for region in &folder.regions {
                    if !self.request.wants(&place.account, region) {
                        continue;
                    }
                    let pair = (place.account.clone(), region.clone());
                    let chainless = !coverage.get(&pair).is_some_and(|c| c.has_chain);
                    if !self.request.unreferenced && !chainless {
                        continue;
                    }
                    let path = format!("{}{region}/", folder.path);
                    match self.lister().dated(&path, self.request.start).await {
                        Ok(entries) => {
                            let (swept, has_logs) = judge(Some(region), entries);
                            if self.request.unreferenced {
                                total.absorb(swept);
                            }
                            if has_logs && chainless && folder.name == "CloudTrail" {
                                empty.push(pair);
                            }
                        }
                        Err(e) => failed.push(unlistable(&place.account, region, &path, &e)),
                    }
                }
            }
        }
        total.findings.extend(failed);
        self.removed_logs(&mut total);
        self.swept = total;
        self.require_chains(&coverage, empty);
    }

    /// Logs that a copy lists but does not hold, and that no digest names: nobody else would say
    /// that they are gone.
    fn removed_logs(&self, swept: &mut Swept) {
        for key in self.absent() {
            let Ok(log) = key.parse::<LogKey>() else { continue };
            let uri = format!("s3://{}/{key}", self.bucket_of(&log.folder.prefix));
            let asked = self.request.wants(&log.folder.account, &log.region)
                && self.request.start.is_none_or(|t| t <= log.stamp)
                && self.request.end.is_none_or(|t| log.stamp <= t);
            if asked && !self.named.contains(&uri) {
                let (account, region) = (Some(log.folder.account), Some(log.region));
                let scope = Scope { account, region, trail: None };
                let message = "the copy lists it, and it is not there";
                swept.findings.push(Finding::new(Code::LogMissing, &scope, message).object(uri));
                swept.missing += 1;
            }
        }
    }

    fn coverage_by_place(&self) -> BTreeMap<(AccountId, Region), Coverage> {
        let mut by_place: BTreeMap<(AccountId, Region), Coverage> = BTreeMap::new();
        for chain in &self.chains {
            let pair = (chain.id.account.clone(), chain.id.region.clone());
            let coverage = by_place.entry(pair).or_default();
            coverage.has_chain |= !chain.backfill;
            let proven = chain.result.spans.iter().filter(|s| s.state == State::Proven);
            coverage.proven.extend(proven.map(|s| (s.from, s.to)));
            let lost =
                |s: &&Span| matches!(s.state, State::Missing | State::Invalid | State::Unreadable);
            let lost = chain.result.spans.iter().filter(lost);
            coverage.lost.extend(lost.map(|s| (s.from, s.to)));
            coverage.begins = coverage.begins.into_iter().chain(chain.result.begins).min();
            let ends = chain.records.iter().filter_map(|r| r.parsed()).map(|p| p.end);
            coverage.newest = coverage.newest.into_iter().chain(ends).max();
            let entries =
                chain.records.iter().filter_map(|r| r.parsed()).flat_map(|p| &p.body.log_files);
            coverage.kinds.extend(entries.filter_map(|e| {
                let kind = e.s3_object.parse::<trail::key::LogKey>().ok()?.kind;
                Some(kind.as_str())
            }));
        }
        for coverage in by_place.values_mut() {
            coverage.proven.sort_unstable();
            // Windows of one chain adjoin; as one stretch each they are searched faster.
            coverage.proven =
                coverage.proven.drain(..).fold(Vec::new(), |mut merged: Vec<_>, (from, to)| {
                    match merged.last_mut() {
                        Some((_, end)) if from <= *end => *end = to.max(*end),
                        _ => merged.push((from, to)),
                    }
                    merged
                });
        }
        by_place
    }

    fn require_chains(
        &mut self,
        coverage: &BTreeMap<(AccountId, Region), Coverage>,
        empty: Vec<(AccountId, Region)>,
    ) {
        let has = |account: &AccountId, region: &Region| {
            coverage.get(&(account.clone(), region.clone())).is_some_and(|c| c.has_chain)
        };
        let mut wanting: BTreeSet<(Option<AccountId>, Option<Region>)> =
            empty.into_iter().map(|(a, r)| (Some(a), Some(r))).collect();
        let Request { accounts, regions, .. } = self.request;
        for account in accounts {
            for region in regions.iter().filter(|r| !has(account, r)) {
                wanting.insert((Some(account.clone()), Some(region.clone())));
            }
            let any = coverage.iter().any(|((a, _), c)| a == account && c.has_chain);
            if regions.is_empty()
                && !any
                && !wanting.iter().any(|(a, _)| a.as_ref() == Some(account))
            {
                wanting.insert((Some(account.clone()), None));
            }
        }
        for region in regions.iter().filter(|_| accounts.is_empty()) {
            let any = coverage.iter().any(|((_, r), c)| r == region && c.has_chain);
            if !any && !wanting.iter().any(|(_, r)| r.as_ref() == Some(region)) {
                wanting.insert((None, Some(region.clone())));
            }
        }
        let nothing = !coverage.values().any(|c| c.has_chain) && wanting.is_empty();
        if nothing {
            wanting.insert((None, None));
        }
        for (account, region) in wanting {
            let message = match (&account, &region) {
                (None, None) => format!("no digest was found below {}", self.request.target),
                (Some(a), Some(r)) => format!("account {a} has no chain in {r}"),
                (Some(a), None) => format!("account {a} has no chain"),
                (None, Some(r)) => format!("no account has a chain in {r}"),
            };
            let trail = self.request.trail_name.clone();
            let scope = Scope { account, region, trail };
            self.findings.push(Finding::new(Code::ChainNone, &scope, message));
        }
    }
}

impl Swept {
    fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.unreferenced += other.unreferenced;
        self.undigested += other.undigested;
        self.pending += other.pending;
        self.missing += other.missing;
    }
}
