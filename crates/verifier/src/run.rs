//! One run, stage by stage.

mod digests;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use trail::error::StoreError;
use trail::ports::TrailInfo;
use trail::{AccountId, Region, Timestamp};

use crate::VerifyError;
use crate::chain::{ChainId, ChainResult, Record, Standing};
use crate::discover::{AccountPlace, Lister, Root};
use crate::encryption::Seen;
use crate::finding::{Code, Finding, Scope};
use crate::keys::KeyRing;
use crate::logs::{self, Asked, Looked, Named};
use crate::read::{Load, Place};
use crate::report::ReportedFinding;
use crate::request::{Depth, Ports, Request};
use crate::unnamed::Swept;

/// A chain with its digests and what their check gave.
pub(crate) struct Chain {
    pub(crate) id: ChainId,
    pub(crate) records: Vec<Record>,
    pub(crate) result: ChainResult,
    pub(crate) backfill: bool,
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) request: &'a Request,
    pub(crate) ports: &'a Ports,
    pub(crate) load: Load,
    /// The time that ages are reckoned from: now, or when a copy was taken.
    pub(crate) now: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) roots: Vec<Root>,
    pub(crate) places: Vec<AccountPlace>,
    pub(crate) ring: KeyRing,
    pub(crate) chains: Vec<Chain>,
    pub(crate) trails: Option<Vec<TrailInfo>>,
    pub(crate) bucket_region: Option<Region>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<String>,
    /// Original addresses that any digest names.
    pub(crate) named: HashSet<String>,
    pub(crate) looked: Vec<Looked>,
    pub(crate) swept: Swept,
    pub(crate) lister_bucket: String,
}

impl<'a> Run<'a> {
    /// Reads and checks every digest.
    pub(crate) async fn new(request: &'a Request, ports: &'a Ports) -> Result<Self, VerifyError> {
        let load = Load::new(request.concurrency, Arc::clone(&ports.progress));
        let taken = request.copy.as_ref().and_then(|c| c.taken_at);
        let mut run = Self {
            request,
            ports,
            load,
            now: taken.unwrap_or(ports.now),
            end: request.end.or(taken).unwrap_or(ports.now),
            roots: Vec::new(),
            places: Vec::new(),
            ring: KeyRing::default(),
            chains: Vec::new(),
            trails: None,
            bucket_region: request.bucket_region.clone(),
            findings: Vec::new(),
            notes: Vec::new(),
            named: HashSet::new(),
            looked: Vec::new(),
            swept: Swept::default(),
            lister_bucket: request.bucket.clone(),
        };
        let target = |source| VerifyError::Target { target: request.target.clone(), source };
        run.discover().await.map_err(target)?;
        run.facts().await;
        run.digests().await;
        Ok(run)
    }

    fn lister(&self) -> Lister<'_> {
        Lister { store: &self.ports.store, bucket: &self.lister_bucket }
    }

    async fn discover(&mut self) -> Result<(), StoreError> {
        let request = self.request;
        let lister = Lister { store: &self.ports.store, bucket: &request.bucket };
        let target_prefix = request.prefix.trim_end_matches('/');
        for (index, store_prefix) in lister.roots(target_prefix).await?.into_iter().enumerate() {
            self.places.extend(lister.accounts(index, &store_prefix).await?);
            let below = store_prefix.trim_end_matches('/');
            let join = |prefix: &str, below: &str| {
                let parts = [prefix, below].into_iter().filter(|p| !p.is_empty());
                parts.collect::<Vec<_>>().join("/")
            };
            let source = request.copy.as_ref().and_then(|c| c.source.as_ref());
            let (bucket, prefix) = match (&request.original, source) {
                (Some((bucket, prefix)), _) => {
                    let below =
                        below.strip_prefix(target_prefix).unwrap_or(below).trim_start_matches('/');
                    (bucket.clone(), join(prefix, below))
                }
                (None, Some((bucket, prefix))) => (bucket.clone(), join(prefix, below)),
                (None, None) => (request.bucket.clone(), below.to_owned()),
            };
            self.roots.push(Root { store_prefix, bucket, prefix });
        }
        self.places
            .retain(|p| request.accounts.is_empty() || request.accounts.contains(&p.account));
        Ok(())
    }

    /// What the APIs say of trails and the bucket.
    async fn facts(&mut self) {
        let copy = self.request.copy.as_ref();
        if let Some(copy) = copy {
            self.notes.extend(copy.warnings.iter().cloned());
            if self.bucket_region.is_none() {
                self.bucket_region = copy.bucket_region.clone();
            }
            if !copy.trails.is_empty() {
                self.trails = Some(copy.trails.clone());
            }
        } else if self.bucket_region.is_none() {
            match self.ports.store.bucket_region(&self.request.bucket).await {
                Ok(region) => self.bucket_region = region,
                Err(e) => self.notes.push(format!("the bucket's region: {e}")),
            }
        }
        if let Some(trails) = &self.ports.trails {
            match trails.describe_trails().await {
                Ok(trails) => self.trails = Some(trails),
                Err(e) => self.notes.push(format!("the trails' settings: {e}")),
            }
        }
    }

    /// The trail that a chain belongs to, when it is known: by name and home region; that of the
    /// chain's own account before an organization's or another that delivers here.
    pub(crate) fn trail_of(&self, id: &ChainId) -> Option<&TrailInfo> {
        let named = |t: &&TrailInfo| {
            t.name == id.trail.as_str()
                && t.home_region == id.home_region.as_str()
                && self.roots.iter().any(|r| r.bucket == t.s3_bucket_name)
        };
        let own = |t: &&TrailInfo| t.trail_arn.contains(&format!(":{}:trail/", id.account));
        let trails = self.trails.as_ref()?;
        trails.iter().filter(named).find(own).or_else(|| trails.iter().find(named))
    }

    /// What was found so far is final: logs add to it and take nothing away.
    pub(crate) fn tell_findings_of_digests(&self) {
        let of_chains = self.chains.iter().flat_map(|chain| &chain.result.findings);
        for finding in self.findings.iter().chain(of_chains) {
            self.ports.progress.found(&ReportedFinding::from(finding));
        }
    }

    /// Reads the logs and looks for what no digest names.
    pub(crate) async fn look(&mut self) {
        if self.request.depth > Depth::Digests {
            self.read_logs(|_| true).await;
        }
        self.sweep().await;
    }

    /// Reads the logs that pass `wanted` (by address) and compares them.
    pub(crate) async fn read_logs(&mut self, wanted: impl Fn(&str) -> bool) {
        let named = self.named_logs(wanted);
        let (once, doubles) = logs::without_doubles(named);
        self.findings.extend(doubles);
        self.ports.progress.begin("logs", once.len() as u64);
        let asked = Asked {
            events: self.request.depth == Depth::Events,
            skip_archived: self.request.skip_archived,
            expired_before: self.request.log_retention.map(|d| self.now - d),
        };
        let looked = logs::check(&self.ports.store, once, &asked, &self.load).await;
        self.looked.extend(looked);
    }

    /// Logs that digests of the time asked name, unless evidence speaks against the digest:
    /// then its word about logs is worth nothing, and its own finding says so.
    fn named_logs(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<(Named, bool)> {
        let mut named = Vec::new();
        let mut foreign = Vec::new();
        for chain in &self.chains {
            let folders: BTreeSet<String> = chain
                .records
                .iter()
                .map(|r| format!("s3://{}/{}/", r.address.0, r.key.folder))
                .collect();
            for (record, standing) in chain.records.iter().zip(&chain.result.standing) {
                let Some(parsed) = record.parsed() else { continue };
                let before = self.request.start.is_some_and(|start| parsed.end <= start);
                if *standing == Some(Standing::Invalid) || before {
                    continue;
                }
                for entry in &parsed.body.log_files {
                    let uri = format!("s3://{}/{}", entry.s3_bucket, entry.s3_object);
                    if !wanted(&uri) {
                        continue;
                    }
                    if !folders.iter().any(|f| uri.starts_with(f)) {
                        let message = format!("names {uri}, which lies in no folder of this chain");
                        let mut finding =
                            Finding::new(Code::DigestForeignEntry, &chain.id.scope(), message);
                        finding.backfill = chain.backfill;
                        foreign.push(finding.object(uri).digest(record.uri()));
                    }
                    let log = Named {
                        scope: chain.id.scope(),
                        digest: record.uri(),
                        digest_end: parsed.end,
                        place: self.locate(&entry.s3_bucket, &entry.s3_object),
                        entry: entry.clone(),
                    };
                    named.push((log, chain.backfill));
                }
            }
        }
        self.findings.extend(foreign);
        named
    }

    /// Where an object with this original address lies in the store.
    pub(crate) fn locate(&self, bucket: &str, key: &str) -> Option<Place> {
        let place = |bucket: &str, key: String| Place { bucket: bucket.to_owned(), key };
        let known = self.roots.iter().find_map(|r| r.stored(bucket, key));
        match known {
            Some(key) => Some(place(&self.lister_bucket, key)),
            // On the store itself a log may lie in any bucket; in a copy or replica it cannot.
            None if self.request.copy.is_none() && self.request.original.is_none() => {
                Some(place(bucket, key.to_owned()))
            }
            None => None,
        }
    }

    /// The encryption of everything that was read.
    pub(crate) fn seen(&self) -> BTreeMap<Scope, Vec<Seen>> {
        let mut by_chain: BTreeMap<Scope, Vec<Seen>> = BTreeMap::new();
        for chain in &self.chains {
            let seen = by_chain.entry(chain.id.scope()).or_default();
            seen.extend(chain.records.iter().filter_map(|r| {
                let sse = r.meta.as_ref()?.sse.clone();
                Some(Seen {
                    scope: chain.id.scope(),
                    kind: "digest",
                    uri: r.uri(),
                    at: r.key.end,
                    delivered: (r.key.end, None),
                    sse,
                })
            }));
        }
        for log in &self.looked {
            let Some(sse) = log.sse.clone() else { continue };
            let seen = Seen {
                scope: log.scope.clone(),
                kind: "log",
                uri: log.uri.clone(),
                at: log.stamp,
                delivered: log.delivered,
                sse,
            };
            by_chain.entry(log.scope.clone()).or_default().push(seen);
        }
        for seen in by_chain.values_mut() {
            seen.sort_by(|a, b| (a.delivered, a.at, &a.uri).cmp(&(b.delivered, b.at, &b.uri)));
        }
        by_chain
    }
}

fn unlistable(account: &AccountId, region: &Region, path: &str, e: &StoreError) -> Finding {
    let scope = Scope { account: Some(account.clone()), region: Some(region.clone()), trail: None };
    Finding::new(Code::ListUnreadable, &scope, format!("{path} could not be listed: {e}"))
}

pub(crate) fn dedup_by_id(findings: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    findings.retain(|f| seen.insert((f.id(), f.message.clone())));
}
