//! One run, stage by stage.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trail::digest::Digest;
use trail::error::{KeyError, StoreError};
use trail::gzip::{self, GunzipError};
use trail::key::DigestKey;
use trail::ports::{ListEntry, Object, TrailInfo};
use trail::{AccountId, Region, Sha256, Timestamp, limits};

use crate::chain::{self, ChainId, ChainResult, Content, Context, Parsed, Record, Standing};
use crate::coverage::{Span, State};
use crate::discover::{AccountPlace, Lister, Root};
use crate::encryption::Seen;
use crate::finding::{Code, Finding, Scope};
use crate::keys::KeyRing;
use crate::logs::{self, Asked, Looked, Named};
use crate::read::{Load, Place, read_all};
use crate::request::{Depth, Ports, Request};
use crate::unnamed::{Coverage, Sweep, Swept};
use crate::{Report, VerifyError};

/// Digests this much later than the end asked may still name logs of the time asked.
const NAMING_AHEAD: Duration = Duration::from_secs(3 * 3600);
/// Digests this much earlier than the start asked are read, to see what survives before a hole.
const BEFORE_START: Duration = Duration::from_secs(24 * 3600);
/// A digest of a key's last hour may be signed with the next key.
const KEY_WINDOW: Duration = Duration::from_secs(2 * 3600);

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

/// A digest object as listed.
struct Listed {
    root: usize,
    entry: ListEntry,
    /// None: a name outside the grammar.
    key: Option<DigestKey>,
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

    async fn digests(&mut self) {
        let listed = self.list_digests().await;
        self.ports.progress.begin("digests", listed.len() as u64);
        let bucket = self.lister_bucket.clone();
        let items = listed
            .into_iter()
            .map(|l| (Place { bucket: bucket.clone(), key: l.entry.key.clone() }, l))
            .collect();
        let bound = limits::DIGEST_STORED_BYTES_MAX;
        let mut read: Vec<(Listed, Record)> =
            read_all(&self.ports.store, items, bound, &self.load, read_digest).await;
        self.place_plain_copy(&read);
        for (listed, record) in &mut read {
            let root = &self.roots[listed.root];
            record.address = (root.bucket.clone(), root.original(&record.address.1));
            record.key.folder.prefix.clone_from(&root.prefix);
        }
        let (valid, strays): (Vec<_>, Vec<_>) =
            read.into_iter().partition(|(l, _)| l.key.is_some());
        for (_, record) in strays {
            self.judge_stray(&record);
        }
        self.name_logs(valid.iter().map(|(_, r)| r));
        let mut groups: BTreeMap<(ChainId, bool), Vec<Record>> = BTreeMap::new();
        for (listed, record) in valid {
            let key = listed.key.unwrap_or_else(|| record.key.clone());
            let id = ChainId::of(&key);
            let after_end = record.parsed().map_or(record.key.end, |p| p.start) >= self.end;
            let asked = self.request.wants_trail(&id.trail, &id.home_region);
            if asked && !(after_end && self.request.end.is_some()) {
                groups.entry((id, key.backfill)).or_default().push(record);
            }
        }
        self.known_chains(&mut groups);
        self.check_chains(groups).await;
    }

    async fn list_digests(&mut self) -> Vec<Listed> {
        let from = self.request.start.map(|t| t - BEFORE_START);
        let until = self.request.end.map(|t| t + NAMING_AHEAD);
        let mut listed = Vec::new();
        let mut failed = Vec::new();
        for place in &self.places {
            for folder in place.folders.iter().filter(|f| f.is_digest()) {
                let stray = |entry: &ListEntry| Listed {
                    root: place.root,
                    entry: entry.clone(),
                    key: None,
                };
                listed.extend(folder.strays.iter().filter(|e| e.size > 0).map(stray));
                for region in &folder.regions {
                    if !self.request.wants(&place.account, region) {
                        continue;
                    }
                    let path = format!("{}{region}/", folder.path);
                    match self.lister().dated(&path, from).await {
                        Ok(entries) => listed.extend(entries.into_iter().filter_map(|entry| {
                            let key = entry.key.parse::<DigestKey>().ok();
                            let inside = |k: &DigestKey| {
                                from.is_none_or(|t| t <= k.end) && until.is_none_or(|t| k.end <= t)
                            };
                            let placeholder = key.is_none() && entry.size == 0;
                            let wanted = key.as_ref().is_none_or(inside) && !placeholder;
                            wanted.then_some(Listed { root: place.root, entry, key })
                        })),
                        Err(e) => failed.push(unlistable(&place.account, region, &path, &e)),
                    }
                }
            }
        }
        self.findings.extend(failed);
        listed
    }

    /// A plain copy does not know where it comes from; its digests do. The place that most of
    /// a root's digests name is taken for the root's own.
    fn place_plain_copy(&mut self, read: &[(Listed, Record)]) {
        let Some(copy) = &self.request.copy else { return };
        if copy.source.is_some() || self.request.original.is_some() {
            return;
        }
        for (index, root) in self.roots.iter_mut().enumerate() {
            let mut votes: BTreeMap<(String, String), usize> = BTreeMap::new();
            for (listed, record) in read.iter().filter(|(l, _)| l.root == index) {
                let Some(parsed) = record.parsed() else { continue };
                let tail = &listed.entry.key[root.store_prefix.len()..];
                let object = &parsed.body.digest_s3_object;
                let Some(prefix) = object.strip_suffix(tail) else { continue };
                let place =
                    (parsed.body.digest_s3_bucket.clone(), prefix.trim_end_matches('/').to_owned());
                *votes.entry(place).or_default() += 1;
            }
            if let Some((place, _)) = votes.into_iter().max_by_key(|(_, n)| *n) {
                (root.bucket, root.prefix) = place;
                self.notes.push(format!(
                    "that the objects were delivered to s3://{}/{}: only the digests themselves say so",
                    root.bucket, root.prefix
                ));
            }
        }
    }

    /// An object in a digest folder whose name is not that of a digest.
    fn judge_stray(&mut self, record: &Record) {
        let scope = Scope { account: Some(record.key.folder.account.clone()), ..Scope::default() };
        let finding = match record.parsed() {
            Some(p) => {
                let says = format!("s3://{}/{}", p.body.digest_s3_bucket, p.body.digest_s3_object);
                let message = "a digest under a name that is not a digest's";
                Finding::new(Code::DigestRelocated, &scope, message).values(says, record.uri())
            }
            None => {
                let message =
                    "lies among the digests, and neither its name nor its content is one's";
                Finding::new(Code::DigestMalformed, &scope, message)
            }
        };
        self.findings.push(finding.object(record.uri()));
    }

    fn name_logs<'r>(&mut self, records: impl Iterator<Item = &'r Record>) {
        for parsed in records.filter_map(Record::parsed) {
            let entries = parsed.body.log_files.iter();
            self.named.extend(entries.map(|e| format!("s3://{}/{}", e.s3_bucket, e.s3_object)));
        }
    }

    /// Original keys of digests that a copy lists but does not hold.
    fn absent_digests(&self) -> Vec<DigestKey> {
        let Some(copy) = &self.request.copy else { return Vec::new() };
        let original = |key: &String| {
            let root =
                self.roots.iter().find(|r| key.starts_with(&format!("{}AWSLogs/", r.store_prefix)));
            match (root, &copy.source) {
                (Some(root), _) => root.original(key),
                (None, Some((_, prefix))) if !prefix.is_empty() => format!("{prefix}/{key}"),
                _ => key.clone(),
            }
        };
        let keys = copy.absent.iter().filter_map(|k| original(k).parse::<DigestKey>().ok());
        let asked = |k: &DigestKey| {
            self.request.wants(&k.folder.account, &k.region)
                && self.request.wants_trail(&k.trail, &k.home_region)
                && self.request.start.is_none_or(|t| t < k.end)
                && self.request.end.is_none_or(|t| k.end <= t)
        };
        keys.filter(asked).collect()
    }

    /// Chains that are known only from a copy's own list.
    fn known_chains(&self, groups: &mut BTreeMap<(ChainId, bool), Vec<Record>>) {
        for key in self.absent_digests() {
            groups.entry((ChainId::of(&key), key.backfill)).or_default();
        }
    }

    async fn check_chains(&mut self, groups: BTreeMap<(ChainId, bool), Vec<Record>>) {
        let mut regions: BTreeMap<Region, (Timestamp, Timestamp)> = BTreeMap::new();
        for ((id, _), records) in &groups {
            for record in records {
                let start = record.parsed().map_or(record.key.end, |p| p.start);
                let end = record.key.end + KEY_WINDOW;
                let window = regions.entry(id.region.clone()).or_insert((start, end));
                *window = (window.0.min(start), window.1.max(end));
            }
        }
        let copy = self.request.copy.as_ref();
        self.ring =
            KeyRing::gather(self.ports, &self.request.keys, copy, &regions, &mut self.findings)
                .await;
        let known: BTreeSet<String> =
            self.absent_digests().iter().map(ToString::to_string).collect();
        let ring = std::mem::take(&mut self.ring);
        let task = CheckTask {
            groups: groups.into_iter().collect(),
            ring,
            known,
            copy: copy.is_some(),
            start: self.request.start,
            expired_before: self.request.retention.map(|d| self.now - d),
        };
        let workers = self.load.workers;
        let done = tokio::task::spawn_blocking(move || task.run(workers)).await;
        let (ring, chains) = done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        (self.ring, self.chains) = (ring, chains);
        self.report_absent();
        for chain in &self.chains {
            let untrusted = chain.result.untrusted.iter();
            let missing = chain.records.iter().zip(&chain.result.standing);
            let no_keys = missing.filter(|_| !self.ring.has_any(&chain.id.region)).count();
            if no_keys > 0 {
                let scope = Scope { region: Some(chain.id.region.clone()), ..Scope::default() };
                let message =
                    format!("there are no public keys of {} to verify with", chain.id.region);
                self.findings.push(Finding::new(Code::KeysUnavailable, &scope, message));
            }
            let scope = Scope { region: Some(chain.id.region.clone()), ..Scope::default() };
            self.findings.extend(untrusted.map(|fingerprint| {
                let message =
                    format!("only the evidence itself vouches for public key {fingerprint}");
                let mut finding = Finding::new(Code::KeysUntrusted, &scope, message);
                finding.actual = Some(fingerprint.clone());
                finding
            }));
        }
        dedup_by_id(&mut self.findings);
    }

    /// Digests that a copy lists but does not hold, and that no link led to.
    fn report_absent(&mut self) {
        let absent = self.absent_digests();
        let bucket_of = |key: &DigestKey, roots: &[Root]| {
            let root = roots.iter().find(|r| r.prefix == key.folder.prefix).or(roots.first());
            root.map_or(String::new(), |r| r.bucket.clone())
        };
        for key in absent {
            let id = ChainId::of(&key);
            let bucket = bucket_of(&key, &self.roots);
            let Some(chain) =
                self.chains.iter_mut().find(|c| c.id == id && c.backfill == key.backfill)
            else {
                continue;
            };
            let uri = format!("s3://{bucket}/{key}");
            let named = |f: &Finding| f.object.as_ref() == Some(&uri);
            if chain.result.findings.iter().any(named) {
                continue;
            }
            let before =
                chain.records.iter().map(|r| r.key.end).filter(|end| *end <= key.end).max();
            let hour_before = key.end - Duration::from_secs(3600);
            let from = before.map_or(hour_before, |b| b.max(hour_before));
            let message = "the copy lists it, and it is not there";
            let mut finding = Finding::new(Code::DigestMissing, &id.scope(), message).object(uri);
            finding.backfill = key.backfill;
            chain.result.findings.push(finding.span(from, key.end));
            chain.result.missing += 1;
            if !key.backfill {
                chain.result.begins = Some(chain.result.begins.map_or(from, |b| b.min(from)));
                let span = Span { from, to: key.end, state: State::Missing };
                chain.result.spans.push(span);
            }
        }
    }

    /// Reads logs, sweeps, judges, and reports.
    pub(crate) async fn finish(mut self) -> Report {
        if self.request.depth > Depth::Digests {
            self.read_logs(|_| true).await;
        }
        self.sweep().await;
        crate::report_run::report(self).await
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

    /// Looks for logs that no digest names, and for accounts and regions without a chain.
    async fn sweep(&mut self) {
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
                let pairs: Vec<(ListEntry, String)> = entries
                    .into_iter()
                    .filter(|e| !(e.key.ends_with('/') && e.size == 0))
                    .map(|e| (e.clone(), root.original(&e.key)))
                    .collect();
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
        self.swept = total;
        self.require_chains(&coverage, empty);
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
                sse,
            };
            by_chain.entry(log.scope.clone()).or_default().push(seen);
        }
        for seen in by_chain.values_mut() {
            seen.sort_by(|a, b| (a.at, &a.uri).cmp(&(b.at, &b.uri)));
        }
        by_chain
    }
}

impl Swept {
    fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.unreferenced += other.unreferenced;
        self.undigested += other.undigested;
        self.pending += other.pending;
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

/// The chains' checks, spread over all cores: RSA and hashing are the run's own work.
struct CheckTask {
    groups: Vec<((ChainId, bool), Vec<Record>)>,
    ring: KeyRing,
    known: BTreeSet<String>,
    copy: bool,
    start: Option<Timestamp>,
    expired_before: Option<Timestamp>,
}

impl CheckTask {
    fn run(self, workers: usize) -> (KeyRing, Vec<Chain>) {
        let results = Mutex::new(BTreeMap::new());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..workers.min(self.groups.len()) {
                scope.spawn(|| {
                    while let Some(((id, backfill), records)) =
                        self.groups.get(next.fetch_add(1, Ordering::Relaxed)).map(|g| (&g.0, &g.1))
                    {
                        let context = Context {
                            id,
                            ring: &self.ring,
                            copy: self.copy,
                            start: self.start,
                            expired_before: self.expired_before,
                            known: &self.known,
                        };
                        let check = if *backfill { chain::check_backfill } else { chain::check };
                        let result = check(records, &context);
                        let mut results = results.lock().unwrap_or_else(|e| e.into_inner());
                        results.insert((id.clone(), *backfill), result);
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
        let chains = self.groups.into_iter().filter_map(|((id, backfill), records)| {
            let result = results.remove(&(id.clone(), backfill))?;
            Some(Chain { id, records, result, backfill })
        });
        (self.ring, chains.collect())
    }
}

/// Makes a record of a digest object; its address is that in the store until roots are placed.
fn read_digest(listed: Listed, object: Result<Object, StoreError>) -> (Listed, Record) {
    let key = listed.key.clone().unwrap_or_else(|| nameless(&listed.entry.key));
    let address = (String::new(), listed.entry.key.clone());
    let (meta, content) = match object {
        Ok(object) => (Some(object.meta), parse_digest(&object.body)),
        Err(StoreError::NotFound { .. }) => (
            None,
            Content::Bad(Code::DigestMissing, "was listed, and is not there any more".into()),
        ),
        Err(
            e @ (StoreError::Damaged { .. }
            | StoreError::Key { source: KeyError::InvalidCiphertext, .. }),
        ) => (None, Content::Bad(Code::DigestMalformed, e.to_string())),
        Err(e @ StoreError::TooLarge { .. }) => {
            (None, Content::Bad(Code::DigestTooLarge, e.to_string()))
        }
        Err(e) => (None, Content::Unreadable(e.to_string())),
    };
    (listed, Record { address, key, meta, content })
}

fn parse_digest(stored: &[u8]) -> Content {
    let bytes = match gzip::decompress(stored, limits::DIGEST_INFLATED_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(e @ GunzipError::Malformed(_)) => {
            return Content::Bad(Code::DigestMalformed, e.to_string());
        }
        Err(e @ GunzipError::TrailingData { .. }) => {
            return Content::Bad(Code::DigestTrailingData, e.to_string());
        }
        Err(e @ GunzipError::TooLarge { .. }) => {
            return Content::Bad(Code::DigestTooLarge, e.to_string());
        }
    };
    let malformed = |e: &dyn std::fmt::Display| {
        Content::Bad(Code::DigestMalformed, format!("its content is no digest: {e}"))
    };
    let body = match Digest::parse(&bytes) {
        Ok(body) => body,
        Err(e) => return malformed(&e),
    };
    match (body.start(), body.end()) {
        (Ok(start), Ok(end)) => {
            Content::Parsed(Box::new(Parsed { hash: Sha256::of(&bytes), body, start, end }))
        }
        (Err(e), _) | (_, Err(e)) => malformed(&e),
    }
}

/// A stand-in for the key of an object whose name is none; only its account is ever used.
fn nameless(key: &str) -> DigestKey {
    let account = key.split('/').find_map(|part| part.parse::<AccountId>().ok());
    let placeholder = "000000000000";
    DigestKey {
        folder: trail::key::AccountFolder {
            prefix: String::new(),
            org: None,
            account: account.unwrap_or_else(|| placeholder.parse().expect("twelve digits")),
        },
        region: "unknown".parse().expect("a region's grammar"),
        trail: "unknown".parse().expect("a trail name's grammar"),
        home_region: "unknown".parse().expect("a region's grammar"),
        end: Timestamp::EPOCH,
        backfill: false,
    }
}
