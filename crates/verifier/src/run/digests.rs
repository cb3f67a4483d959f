//! Every digest below the target: listed, read, placed, and checked chain by chain.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use trail::digest::Digest;
use trail::error::{KeyError, StoreError};
use trail::gzip::{self, GunzipError};
use trail::key::DigestKey;
use trail::ports::{ListEntry, Object};
use trail::{AccountId, Region, Sha256, Timestamp, limits};

use super::{Chain, Run, dedup_by_id, unlistable};
use crate::chain::{self, ChainId, Content, Context, Parsed, Record};
use crate::coverage::{Span, State};
use crate::discover::Root;
use crate::finding::{Code, Finding, Scope};
use crate::keys::KeyRing;
use crate::read::{Place, read_all};

/// Digests this much later than the end asked may still name logs of the time asked.
const NAMING_AHEAD: Duration = Duration::from_secs(3 * 3600);
/// Digests this much earlier than the start asked are read, to see what survives before a hole.
const BEFORE_START: Duration = Duration::from_secs(24 * 3600);
/// How often predecessors of digests that were not listed are looked for: each round is a
/// digest that was written while the one before was read.
const UNLISTED_ROUNDS: usize = 3;
/// The longest window a digest has (AWS writes one an hour; ours at least that often).
const DIGEST_SPAN_MAX: Duration = Duration::from_secs(3600);
/// A digest of a key's last hour may be signed with the next key.
const KEY_WINDOW: Duration = Duration::from_secs(2 * 3600);

/// A digest object as listed.
struct Listed {
    root: usize,
    entry: ListEntry,
    /// None: a name outside the grammar.
    key: Option<DigestKey>,
}

impl Run<'_> {
    /// Reads and checks every digest.
    pub(super) async fn digests(&mut self) {
        let listed = self.list_digests().await;
        self.ports.progress.begin("digests", listed.len() as u64);
        let mut read = self.read_digests(listed).await;
        self.place_plain_copy(&read);
        self.place(&mut read);
        self.read_unlisted(&mut read).await;
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
            // One that cannot be read may cover up to an hour before the end in its name.
            let begins = record.parsed().map_or(record.key.end - DIGEST_SPAN_MAX, |p| p.start);
            let after_end = begins >= self.end;
            let asked = self.request.wants_trail(&id.trail, &id.home_region);
            if asked && !(after_end && self.request.end.is_some()) {
                groups.entry((id, key.backfill)).or_default().push(record);
            }
        }
        self.known_chains(&mut groups);
        self.check_chains(groups).await;
    }

    async fn read_digests(&self, listed: Vec<Listed>) -> Vec<(Listed, Record)> {
        let place =
            |l: &Listed| Place { bucket: self.lister_bucket.clone(), key: l.entry.key.clone() };
        let items = listed.into_iter().map(|l| (place(&l), l)).collect();
        let bound = limits::DIGEST_STORED_BYTES_MAX;
        read_all(&self.ports.store, items, bound, &self.load, read_digest).await
    }

    /// Gives records their original addresses.
    fn place(&self, read: &mut [(Listed, Record)]) {
        for (listed, record) in read {
            let root = &self.roots[listed.root];
            record.address = (root.bucket.clone(), root.original(&listed.entry.key));
            record.key.folder.prefix.clone_from(&root.prefix);
        }
    }

    /// Predecessors that were not listed but are there. A bucket that is written to while it is
    /// listed may show a digest on a later page and not its predecessor on an earlier one.
    async fn read_unlisted(&self, read: &mut Vec<(Listed, Record)>) {
        if self.request.copy.is_some() {
            return;
        }
        let from = self.request.start.map(|t| t - BEFORE_START);
        for _ in 0..UNLISTED_ROUNDS {
            let known: HashSet<&str> = read.iter().map(|(_, r)| r.address.1.as_str()).collect();
            let mut wanted = BTreeSet::new();
            for parsed in read.iter().filter_map(|(_, r)| r.parsed()) {
                let Some((bucket, key)) = parsed.body.previous() else { continue };
                let end = key.parse::<DigestKey>().map(|k| k.end);
                let asked = end.is_ok_and(|end| from.is_none_or(|t| t <= end));
                if asked && !known.contains(key) {
                    wanted.insert((bucket.to_owned(), key.to_owned()));
                }
            }
            let listed = wanted.iter().filter_map(|(bucket, key)| self.unlisted(bucket, key));
            let mut found = self.read_digests(listed.collect()).await;
            found.retain(|(_, record)| record.meta.is_some());
            if found.is_empty() {
                return;
            }
            self.place(&mut found);
            read.extend(found);
        }
    }

    fn unlisted(&self, bucket: &str, key: &str) -> Option<Listed> {
        let stored = |(index, root): (usize, &Root)| Some((index, root.stored(bucket, key)?));
        let (root, key) = self.roots.iter().enumerate().find_map(stored)?;
        let parsed = key.parse().ok()?;
        let entry = ListEntry { key, size: 0, last_modified: None, archived: false };
        Some(Listed { root, entry, key: Some(parsed) })
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

    /// Original keys of objects that a copy lists but does not hold.
    pub(super) fn absent(&self) -> Vec<String> {
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
        copy.absent.iter().map(original).collect()
    }

    fn absent_digests(&self) -> Vec<DigestKey> {
        let asked = |k: &DigestKey| {
            self.request.wants(&k.folder.account, &k.region)
                && self.request.wants_trail(&k.trail, &k.home_region)
                && self.request.start.is_none_or(|t| t < k.end)
                && self.request.end.is_none_or(|t| k.end - DIGEST_SPAN_MAX < t)
        };
        self.absent().iter().filter_map(|k| k.parse().ok()).filter(asked).collect()
    }

    /// Where an object with this original key was delivered.
    pub(super) fn bucket_of(&self, prefix: &str) -> String {
        let root = self.roots.iter().find(|r| r.prefix == prefix).or(self.roots.first());
        let source = self.request.copy.as_ref().and_then(|c| c.source.as_ref());
        root.map(|r| &r.bucket).or(source.map(|(b, _)| b)).cloned().unwrap_or_default()
    }

    /// Chains that are known only from a copy's own list.
    fn known_chains(&self, groups: &mut BTreeMap<(ChainId, bool), Vec<Record>>) {
        for key in self.absent_digests() {
            groups.entry((ChainId::of(&key), key.backfill)).or_default();
        }
    }

    async fn check_chains(&mut self, mut groups: BTreeMap<(ChainId, bool), Vec<Record>>) {
        // A chain may lie in several folders, and what was not listed comes last.
        for records in groups.values_mut() {
            records.sort_by(|a, b| (a.key.end, &a.address).cmp(&(b.key.end, &b.address)));
        }
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
        for key in absent {
            let id = ChainId::of(&key);
            let bucket = self.bucket_of(&key.folder.prefix);
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
            let hour_before = key.end - DIGEST_SPAN_MAX;
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
    let address = (String::new(), String::new());
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
