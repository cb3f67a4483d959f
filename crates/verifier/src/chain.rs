//! One chain's digests: each checked by itself, then linked from the newest to the oldest.
//!
//! Pure: what was read comes in, findings and coverage come out. The walk follows only what a
//! valid signature vouches for; past a digest that cannot be trusted it goes on with the next
//! older one by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use trail::digest::{
    Digest, HASH_ALGORITHM, META_BACKFILL_TIME, META_SIGNATURE, META_SIGNATURE_ALGORITHM,
    SIGNATURE_ALGORITHM, signing_string,
};
use trail::key::DigestKey;
use trail::ports::ObjectMeta;
use trail::{AccountId, Region, Sha256, Timestamp, TrailName};

use crate::coverage::{Span, State};
use crate::finding::{Class, Code, Finding, Scope};
use crate::keys::{KeyRing, KeySource};
use crate::signature::{KeyFault, Outcome};

/// Digests cover at most an hour each (AWS writes one an hour; ours at least that often).
const HOUR: Duration = Duration::from_secs(3600);
/// A digest of a key's last hour may be written with the next key, and the other way round.
const KEY_TOLERANCE: Duration = Duration::from_secs(2 * 3600);
const BACKFILL_KEY_TOLERANCE: Duration = Duration::from_secs(3600);

/// What makes a chain: coverage is demanded of each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId {
    /// The account.
    pub account: AccountId,
    /// The source region.
    pub region: Region,
    /// The trail's name.
    pub trail: TrailName,
    /// The trail's home region.
    pub home_region: Region,
}

impl ChainId {
    /// The chain that a digest's key belongs to.
    #[must_use]
    pub fn of(key: &DigestKey) -> Self {
        Self {
            account: key.folder.account.clone(),
            region: key.region.clone(),
            trail: key.trail.clone(),
            home_region: key.home_region.clone(),
        }
    }

    /// For findings.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            account: Some(self.account.clone()),
            region: Some(self.region.clone()),
            trail: Some(self.trail.clone()),
        }
    }
}

/// A digest object as it was read.
#[derive(Debug)]
pub struct Record {
    /// Where it was first delivered, as far as known: bucket and key.
    pub address: (String, String),
    /// Its key, parsed.
    pub key: DigestKey,
    /// Its properties, when it could be read.
    pub meta: Option<ObjectMeta>,
    /// Its content.
    pub content: Content,
}

/// What an object's bytes turned out to be.
#[derive(Debug)]
pub enum Content {
    /// A digest.
    Parsed(Box<Parsed>),
    /// Not a digest: the code and why.
    Bad(Code, String),
    /// Not readable: why.
    Unreadable(String),
}

/// A digest's content.
#[derive(Debug)]
pub struct Parsed {
    /// What it says.
    pub body: Digest,
    /// SHA-256 of its uncompressed bytes.
    pub hash: Sha256,
    /// Its window's start.
    pub start: Timestamp,
    /// Its window's end.
    pub end: Timestamp,
}

impl Record {
    /// `s3://bucket/key`
    #[must_use]
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.address.0, self.address.1)
    }

    pub(crate) fn parsed(&self) -> Option<&Parsed> {
        match &self.content {
            Content::Parsed(parsed) => Some(parsed),
            _ => None,
        }
    }

    fn metadata(&self, name: &str) -> Option<&str> {
        self.meta.as_ref()?.metadata.as_ref()?.get(name).map(String::as_str)
    }
}

/// What one digest turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its signature is valid, or a valid successor vouches for it.
    Authentic,
    /// Evidence speaks against it.
    Invalid,
    /// It could not be read or its key is not known.
    Unreadable,
}

/// What checking a chain gave.
#[derive(Debug, Default)]
pub struct ChainResult {
    /// Findings.
    pub findings: Vec<Finding>,
    /// For each record what it is.
    pub standing: Vec<Option<Standing>>,
    /// For each record whether the chain reaches it.
    pub reached: Vec<bool>,
    /// What the digests cover and how.
    pub spans: Vec<Span>,
    /// Start of the time that the chain's first digest proves.
    pub begins: Option<Timestamp>,
    /// How many digests are known to be missing.
    pub missing: u64,
    /// How many absent digests are older than the retention.
    pub expired: u64,
    /// What is not proven, in words.
    pub notes: Vec<String>,
    /// Fingerprints of keys used that only the evidence itself vouches for.
    pub untrusted: BTreeSet<String>,
    /// Fingerprints of keys used, with how many digests each signed.
    pub keys: BTreeMap<String, u64>,
}

/// What the check of a chain needs to know besides its digests.
#[derive(Debug)]
pub struct Context<'a> {
    /// The chain.
    pub id: &'a ChainId,
    /// Keys.
    pub ring: &'a KeyRing,
    /// Whether the target is an offline copy, which may have lost metadata.
    pub copy: bool,
    /// Start of the time asked.
    pub start: Option<Timestamp>,
    /// Digests that end before this may have expired.
    pub expired_before: Option<Timestamp>,
    /// Original keys that are known to have existed (a copy's own list).
    pub known: &'a BTreeSet<String>,
}

/// Checks a chain of regular digests. `records` are in order of their end times.
#[must_use]
pub fn check(records: &[Record], context: &Context<'_>) -> ChainResult {
    let mut walk = Walk::new(records, context);
    walk.authenticate_all();
    walk.follow();
    walk.judge_unreached();
    walk.out
}

/// Checks backfill digests: each by itself, and its link where the predecessor is there. They
/// have no continuity, order or gap rules, and add no coverage.
#[must_use]
pub fn check_backfill(records: &[Record], context: &Context<'_>) -> ChainResult {
    let mut walk = Walk::new(records, context);
    walk.authenticate_all();
    for index in 0..records.len() {
        walk.out.reached[index] = true;
        let previous = records[index].parsed().and_then(|p| p.body.previous());
        let Some((bucket, key)) = previous else { continue };
        if let Some(&older) = walk.by_address.get(&(bucket, key)) {
            walk.compare_link(index, older);
        }
    }
    walk.out.findings.iter_mut().for_each(|f| f.backfill = true);
    walk.out
}

struct Walk<'a> {
    records: &'a [Record],
    context: &'a Context<'a>,
    scope: Scope,
    by_address: HashMap<(&'a str, &'a str), usize>,
    /// For each record the fault that its own check found, until it is reported.
    faults: Vec<Option<Finding>>,
    out: ChainResult,
}

impl<'a> Walk<'a> {
    fn new(records: &'a [Record], context: &'a Context<'a>) -> Self {
        let address = |r: &'a Record| (r.address.0.as_str(), r.address.1.as_str());
        let out = ChainResult {
            standing: vec![None; records.len()],
            reached: vec![false; records.len()],
            ..ChainResult::default()
        };
        Self {
            records,
            context,
            scope: context.id.scope(),
            by_address: records.iter().enumerate().map(|(i, r)| (address(r), i)).collect(),
            faults: vec![None; records.len()],
            out,
        }
    }

    fn finding(&self, code: Code, index: usize, message: impl Into<String>) -> Finding {
        let record = &self.records[index];
        let finding = Finding::new(code, &self.scope, message).object(record.uri());
        match record.parsed() {
            Some(parsed) => finding.span(parsed.start, parsed.end),
            None => finding,
        }
    }

    /// Newest first, because a copy without metadata takes a signature from the successor.
    fn authenticate_all(&mut self) {
        let mut vouched: HashMap<(&str, &str), (&str, bool)> = HashMap::new();
        let records = self.records;
        for index in (0..records.len()).rev() {
            let record = &records[index];
            let address = (record.address.0.as_str(), record.address.1.as_str());
            let standing = match self.authenticate(index, vouched.get(&address).copied()) {
                Ok(finding) => {
                    self.out.findings.extend(finding);
                    Standing::Authentic
                }
                Err(finding) => {
                    let tampered = finding.class == Class::Tampered;
                    self.faults[index] = Some(finding);
                    if tampered { Standing::Invalid } else { Standing::Unreadable }
                }
            };
            self.out.standing[index] = Some(standing);
            let Some(parsed) = record.parsed() else { continue };
            let previous =
                parsed.body.previous().zip(parsed.body.previous_digest_signature.as_deref());
            if let Some((previous, signature)) = previous {
                let authentic = standing == Standing::Authentic;
                // What an authentic successor says is never replaced by what another says.
                let entry = vouched.entry(previous).or_insert((signature, authentic));
                if authentic && !entry.1 {
                    *entry = (signature, true);
                }
            }
        }
    }

    /// Ok: authentic, perhaps with a finding all the same. `vouched`: the signature that a
    /// successor repeats, and whether that successor is authentic.
    fn authenticate(
        &mut self,
        index: usize,
        vouched: Option<(&str, bool)>,
    ) -> Result<Option<Finding>, Finding> {
        let record = &self.records[index];
        let parsed = match &record.content {
            Content::Parsed(parsed) => parsed,
            Content::Bad(code, why) => return Err(self.finding(*code, index, why.clone())),
            Content::Unreadable(why) => {
                let message = format!("could not be read: {why}");
                return Err(self.finding(Code::DigestUnreadable, index, message));
            }
        };
        let body = &parsed.body;
        let says = (body.digest_s3_bucket.as_str(), body.digest_s3_object.as_str());
        if says != (record.address.0.as_str(), record.address.1.as_str()) {
            let says = format!("s3://{}/{}", says.0, says.1);
            let message = "says that it was delivered to another place";
            return Err(self
                .finding(Code::DigestRelocated, index, message)
                .values(says, record.uri()));
        }
        self.algorithms(index, body)?;
        let own = record.metadata(META_SIGNATURE);
        let metadata_known = record.meta.as_ref().is_some_and(|m| m.metadata.is_some());
        let signature = match (own, vouched) {
            (Some(own), _) => own,
            (None, Some((signature, _))) => signature,
            (None, None) => {
                let message =
                    "has no signature: its metadata are lost, and no successor repeats it";
                return Err(self.finding(Code::DigestSignatureMissing, index, message));
            }
        };
        match self.verify(index, parsed, signature) {
            Ok(()) => {}
            Err(fault) if own.is_none() && fault.code == Code::DigestSignatureInvalid => {
                // The successor's word is only as good as the successor.
                if vouched.is_some_and(|(_, authentic)| authentic) {
                    return Err(fault);
                }
                let message = "has no signature, and the digest that should repeat it is not valid";
                return Err(self.finding(Code::DigestSignatureMissing, index, message));
            }
            Err(fault) => return Err(fault),
        }
        self.identity(index, parsed)?;
        let lost = own.is_none() && (metadata_known || !self.context.copy);
        Ok(lost.then(|| {
            let message = "has lost its signature metadata; its successor's copy of it is valid";
            self.finding(Code::DigestSignatureMissing, index, message)
        }))
    }

    fn algorithms(&self, index: usize, body: &Digest) -> Result<(), Finding> {
        let record = &self.records[index];
        let stated = [
            (SIGNATURE_ALGORITHM, Some(body.digest_signature_algorithm.as_str())),
            (SIGNATURE_ALGORITHM, record.metadata(META_SIGNATURE_ALGORITHM)),
            (HASH_ALGORITHM, body.previous_digest_hash_algorithm.as_deref()),
        ];
        let entries =
            body.log_files.iter().map(|e| (HASH_ALGORITHM, Some(e.hash_algorithm.as_str())));
        for (expected, actual) in stated.into_iter().chain(entries) {
            if let Some(actual) = actual.filter(|a| *a != expected) {
                let message = "names an algorithm that no genuine digest uses";
                let finding = self.finding(Code::DigestAlgorithm, index, message);
                return Err(finding.values(expected, actual));
            }
        }
        Ok(())
    }

    fn verify(&mut self, index: usize, parsed: &Parsed, signature: &str) -> Result<(), Finding> {
        let Context { id, ring, .. } = self.context;
        let fingerprint = &parsed.body.digest_public_key_fingerprint;
        let Some(known) = ring.find(&id.region, fingerprint) else {
            let message = format!(
                "is signed with key {fingerprint}, which is not in the key list of {}",
                id.region
            );
            let finding = self.finding(Code::DigestKeyUnknown, index, message);
            let class =
                if ring.is_complete(&id.region) { Class::Tampered } else { Class::Unverifiable };
            return Err(finding.class(class));
        };
        let key = match &known.verifying {
            Ok(key) => key,
            Err(KeyFault::Weak { bits }) => {
                let message = format!("is signed with key {fingerprint} of {bits} bits");
                let finding = self.finding(Code::DigestKeyWeak, index, message);
                return Err(finding.values("2048 bits", bits.to_string()));
            }
            Err(fault) => {
                let message =
                    format!("is signed with key {fingerprint}, whose bytes are no key: {fault}");
                let finding = self.finding(Code::DigestKeyUnknown, index, message);
                return Err(finding.class(Class::Unverifiable));
            }
        };
        let message = signing_string(&parsed.body, &parsed.hash);
        let outcome = match hex::decode(signature) {
            Ok(bytes) => key.verify(message.as_bytes(), &bytes),
            Err(_) => Outcome::Invalid,
        };
        match outcome {
            Outcome::Valid => {}
            Outcome::Invalid => {
                let message =
                    format!("its signature is not that of key {fingerprint} over this digest");
                return Err(self.finding(Code::DigestSignatureInvalid, index, message));
            }
            Outcome::OtherHash(name) => {
                let message = format!("its signature was made with {name}");
                let finding = self.finding(Code::DigestAlgorithm, index, message);
                return Err(finding.values(HASH_ALGORITHM, name));
            }
        }
        self.key_validity(index, parsed, known.key.valid_from, known.key.valid_to)?;
        if known.source == KeySource::Target {
            self.out.untrusted.insert(fingerprint.clone());
        }
        *self.out.keys.entry(fingerprint.clone()).or_default() += 1;
        Ok(())
    }

    fn key_validity(
        &self,
        index: usize,
        parsed: &Parsed,
        valid_from: Timestamp,
        valid_to: Timestamp,
    ) -> Result<(), Finding> {
        let record = &self.records[index];
        let (from, to) = if record.key.backfill {
            let stated = record.metadata(META_BACKFILL_TIME);
            let made = match stated.map(Timestamp::parse_rfc3339) {
                Some(Ok(made)) => made,
                None if record.meta.as_ref().is_none_or(|m| m.metadata.is_none()) => return Ok(()),
                _ => {
                    let message = "does not say when it was made";
                    return Err(self.finding(Code::BackfillTimestampMissing, index, message));
                }
            };
            (made - BACKFILL_KEY_TOLERANCE, made + BACKFILL_KEY_TOLERANCE)
        } else {
            let written = record.meta.as_ref().and_then(|m| m.last_modified);
            let latest = written.map_or(parsed.end, |w| w.max(parsed.end));
            (parsed.end, latest + KEY_TOLERANCE)
        };
        if valid_from <= to && from <= valid_to {
            return Ok(());
        }
        let message = "is signed with a key that was not valid then";
        let finding = self.finding(Code::DigestKeyValidity, index, message);
        Err(finding.values(format!("{from} to {to}"), format!("{valid_from} to {valid_to}")))
    }

    /// What only the signer could have got wrong: the body against the key.
    fn identity(&self, index: usize, parsed: &Parsed) -> Result<(), Finding> {
        let key = &self.records[index].key;
        let account = (key.folder.account.as_str(), parsed.body.aws_account_id.as_str());
        let end = (key.end.to_string(), parsed.body.digest_end_time.clone());
        let differ = if account.0 != account.1 {
            Some(("account", account.0.to_owned(), account.1.to_owned()))
        } else if key.end != parsed.end {
            Some(("end time", end.0, end.1))
        } else if parsed.start > parsed.end {
            Some(("start time", format!("at most {}", parsed.end), parsed.start.to_string()))
        } else {
            None
        };
        match differ {
            None => Ok(()),
            Some((what, expected, actual)) => {
                let message = format!("its {what} is not that of its key");
                Err(self.finding(Code::DigestForeign, index, message).values(expected, actual))
            }
        }
    }

    /// From the newest digest to the oldest.
    fn follow(&mut self) {
        let mut at = self.records.len().checked_sub(1);
        // The start of what is accounted for so far; everything older is still open.
        let mut edge: Option<Timestamp> = None;
        while let Some(index) = at {
            self.out.reached[index] = true;
            let window = self.account_for(index, edge);
            let authentic = self.out.standing[index] == Some(Standing::Authentic);
            at =
                if authentic { self.step_linked(index) } else { self.step_unlinked(index, window) };
            edge = Some(window);
        }
    }

    /// Reports a digest's own fault and paints its window; gives the window's start.
    fn account_for(&mut self, index: usize, edge: Option<Timestamp>) -> Timestamp {
        let record = &self.records[index];
        let (start, end) = match record.parsed() {
            Some(p) if p.start <= p.end => (p.start, p.end),
            _ => {
                let end = record.key.end;
                let older = self.next_older(index).map(|i| self.records[i].key.end);
                (older.unwrap_or(end - HOUR).max(end - HOUR), end)
            }
        };
        let end = edge.map_or(end, |e| e.min(end));
        let start = start.min(end);
        let state = match self.out.standing[index] {
            Some(Standing::Authentic) => State::Proven,
            Some(Standing::Unreadable) => State::Unreadable,
            _ => State::Invalid,
        };
        if let Some(mut fault) = self.faults[index].take() {
            fault = fault.span(start, end);
            self.out.findings.push(fault);
        }
        let empty_start =
            record.parsed().is_some_and(|p| is_restart(&p.body) && p.body.log_files.is_empty());
        if state == State::Proven && empty_start {
            // The hour before logging began: a starting digest that names no log proves no time.
            self.out.begins = Some(self.out.begins.map_or(end, |b| b.min(end)));
            return end;
        }
        self.out.spans.push(Span { from: start, to: end, state });
        if state == State::Proven {
            self.out.begins = Some(self.out.begins.map_or(start, |b| b.min(start)));
        }
        start
    }

    /// The newest unreached digest whose name is older.
    fn next_older(&self, index: usize) -> Option<usize> {
        (0..index).rev().find(|&i| !self.out.reached[i])
    }

    fn step_linked(&mut self, index: usize) -> Option<usize> {
        let records = self.records;
        let parsed = records[index].parsed()?;
        if is_restart(&parsed.body) {
            return self.step_restart(index, parsed);
        }
        let Some((bucket, key)) = parsed.body.previous() else {
            let message = "names a predecessor only in part";
            let finding = self.finding(Code::DigestChainMismatch, index, message);
            self.out.findings.push(finding);
            return self.next_older(index);
        };
        match self.by_address.get(&(bucket, key)).copied() {
            Some(older) if self.out.reached[older] => {
                let message = format!("its predecessor s3://{bucket}/{key} comes after it");
                let finding = self.finding(Code::DigestChainLoop, index, message);
                self.out.findings.push(finding);
                self.next_older(index)
            }
            Some(older) => {
                self.compare_link(index, older);
                self.compare_times(index, older);
                Some(older)
            }
            None => self.step_absent(index, parsed.start, Some((bucket, key))),
        }
    }

    fn step_restart(&mut self, index: usize, parsed: &Parsed) -> Option<usize> {
        let older = self.next_older(index)?;
        let begins = if parsed.body.log_files.is_empty() { parsed.end } else { parsed.start };
        let ended = self.records[older].parsed().map_or(self.records[older].key.end, |p| p.end);
        let from = ended.min(begins);
        let message =
            "the chain starts anew here: logging or validation was off before, or was made anew";
        let finding = self.finding(Code::ChainGap, index, message);
        self.out.findings.push(finding.span(from, begins));
        self.out.spans.push(Span { from, to: begins, state: State::Gap });
        Some(older)
    }

    /// The predecessor that a valid digest names is not there.
    fn step_absent(
        &mut self,
        index: usize,
        hole_end: Timestamp,
        named: Option<(&str, &str)>,
    ) -> Option<usize> {
        let older = self.next_older(index);
        let known = named.is_some_and(|(_, key)| self.context.known.contains(key));
        let named_uri = named.map(|(bucket, key)| format!("s3://{bucket}/{key}"));
        let expired = self.context.expired_before.is_some_and(|t| hole_end <= t);
        match older {
            Some(older) => {
                let hole_start =
                    self.records[older].parsed().map_or(self.records[older].key.end, |p| p.end);
                self.report_missing(index, hole_start, hole_end, named);
            }
            None if expired => {
                self.out.expired += 1;
                let uri = named_uri.unwrap_or_default();
                self.out
                    .notes
                    .push(format!("time before {hole_end}: {uri} and older digests have expired"));
            }
            None if known || self.context.expired_before.is_some() => {
                self.report_missing(index, hole_end - HOUR, hole_end, named);
                self.out.begins = Some(hole_end - HOUR);
            }
            None => {
                let uri = named_uri.unwrap_or_default();
                if self.context.start.is_some_and(|start| start < hole_end) {
                    let from = self.context.start.unwrap_or(hole_end);
                    let message = format!("the digests before {hole_end} are not there");
                    let finding = Finding::new(Code::ChainHeadAbsent, &self.scope, message);
                    self.out.findings.push(finding.object(uri).span(from, hole_end));
                    self.out.spans.push(Span { from, to: hole_end, state: State::Absent });
                } else {
                    self.out.notes.push(format!(
                        "time before {hole_end}: {uri} and older digests are not there"
                    ));
                }
            }
        }
        older
    }

    /// Names the digests of a hole: the linked one by its key, the others in steps of an hour,
    /// by the key they would have when the hole is made of whole hours.
    fn report_missing(
        &mut self,
        index: usize,
        hole_start: Timestamp,
        hole_end: Timestamp,
        named: Option<(&str, &str)>,
    ) {
        let record = &self.records[index];
        let bucket = named.map_or(record.address.0.as_str(), |(bucket, _)| bucket);
        let named_key = named.and_then(|(_, key)| key.parse::<DigestKey>().ok());
        let mut end = named_key.as_ref().map_or(hole_end, |k| k.end).min(hole_end);
        let whole_hours = end.seconds_since(hole_start) % 3600 == 0;
        let mut object = named.map(|(bucket, key)| format!("s3://{bucket}/{key}"));
        let template = named_key.unwrap_or_else(|| record.key.clone());
        loop {
            let start = (end - HOUR).max(hole_start).min(end);
            let message = match &object {
                Some(_) => "the next digest names it as its predecessor, and it is not there",
                None => "the digest of this time is not there",
            };
            let predicted = || DigestKey { end, ..template.clone() };
            let uri = object
                .take()
                .or_else(|| whole_hours.then(|| format!("s3://{bucket}/{}", predicted())));
            let mut finding = Finding::new(Code::DigestMissing, &self.scope, message)
                .digest(record.uri())
                .span(start, end.max(start));
            finding.object = uri;
            self.out.findings.push(finding);
            self.out.missing += 1;
            if start <= hole_start {
                break;
            }
            end = start;
        }
        self.out.spans.push(Span {
            from: hole_start.min(hole_end),
            to: hole_end,
            state: State::Missing,
        });
    }

    /// Past a digest that proves nothing: on to the next older one by name.
    fn step_unlinked(&mut self, index: usize, window_start: Timestamp) -> Option<usize> {
        let older = self.next_older(index)?;
        let ended = self.records[older].parsed().map_or(self.records[older].key.end, |p| p.end);
        if ended < window_start {
            let named = self.records[index].parsed().and_then(|p| p.body.previous());
            let named = named.filter(|n| !self.by_address.contains_key(n));
            self.report_missing(index, ended, window_start, named);
        }
        Some(older)
    }

    /// A valid digest's word about its predecessor against the predecessor itself. When the
    /// predecessor is not authentic, that is the cause and already a finding.
    fn compare_link(&mut self, index: usize, older: usize) {
        if self.out.standing[index] != Some(Standing::Authentic)
            || self.out.standing[older] != Some(Standing::Authentic)
        {
            return;
        }
        let (Some(body), Some(before)) =
            (self.records[index].parsed().map(|p| &p.body), self.records[older].parsed())
        else {
            return;
        };
        let hash = before.hash.to_string();
        let stated = body.previous_digest_hash_value.as_deref().unwrap_or("null");
        if stated != hash {
            let message =
                format!("states another hash for its predecessor {}", self.records[older].uri());
            let finding =
                self.finding(Code::DigestChainMismatch, index, message).values(hash, stated);
            self.out.findings.push(finding);
            return;
        }
        let signature = body.previous_digest_signature.as_deref().unwrap_or("null");
        let own = self.records[older].metadata(META_SIGNATURE);
        if let Some(own) = own.filter(|own| !own.eq_ignore_ascii_case(signature)) {
            let message = format!(
                "states another signature for its predecessor {}",
                self.records[older].uri()
            );
            let finding =
                self.finding(Code::DigestChainMismatch, index, message).values(own, signature);
            self.out.findings.push(finding);
        }
    }

    fn compare_times(&mut self, index: usize, older: usize) {
        let (Some(newer), Some(before)) =
            (self.records[index].parsed(), self.records[older].parsed())
        else {
            return;
        };
        let (start, end, previous_end) = (newer.start, newer.end, before.end);
        if self.out.standing[older] != Some(Standing::Authentic) {
            return;
        }
        if end <= previous_end {
            let message =
                format!("ends no later than its predecessor {}", self.records[older].uri());
            let finding = self.finding(Code::DigestTimeReversed, index, message);
            self.out
                .findings
                .push(finding.values(format!("after {previous_end}"), end.to_string()));
        } else if start < previous_end {
            let message =
                format!("begins before the end of its predecessor {}", self.records[older].uri());
            let finding = self.finding(Code::DigestTimeOverlap, index, message);
            self.out.findings.push(finding.values(previous_end.to_string(), start.to_string()));
        } else if start > previous_end {
            let message = "no digest covers the time between two linked digests";
            let finding = self.finding(Code::ChainGap, index, message);
            self.out.findings.push(finding.span(previous_end, start));
            self.out.spans.push(Span { from: previous_end, to: start, state: State::Gap });
        }
    }

    /// Digests with a valid name that the walk never came to.
    fn judge_unreached(&mut self) {
        let records = self.records;
        let mut successor: HashMap<(&str, &str), usize> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            let previous = record.parsed().and_then(|p| p.body.previous());
            if let (true, Some(previous)) = (self.out.reached[index], previous) {
                successor.insert(previous, index);
            }
        }
        for index in 0..records.len() {
            if self.out.reached[index] {
                continue;
            }
            if let Some(fault) = self.faults[index].take() {
                self.out.findings.push(fault);
                continue;
            }
            let previous = records[index].parsed().and_then(|p| p.body.previous());
            let twin = previous.and_then(|p| successor.get(&p));
            let finding = match twin {
                Some(&twin) => {
                    let message = format!("has the same predecessor as {}", records[twin].uri());
                    self.finding(Code::DigestChainFork, index, message)
                }
                None => {
                    let message = "is validly signed, but no digest of the chain leads to it";
                    self.finding(Code::DigestUnlinked, index, message)
                }
            };
            self.out.findings.push(finding);
        }
    }
}

/// Whether a digest begins a chain: it names no predecessor at all.
pub(crate) fn is_restart(body: &Digest) -> bool {
    body.previous_digest_s3_bucket.is_none()
        && body.previous_digest_s3_object.is_none()
        && body.previous_digest_signature.is_none()
}
