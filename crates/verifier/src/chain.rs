//! One chain's digests: each checked by itself, then linked from the newest to the oldest.
//!
//! Pure: what was read comes in, findings and coverage come out. The walk follows only what a
//! valid signature vouches for; past a digest that cannot be trusted it goes on with the next
//! older one by name.

mod authenticate;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use trail::digest::Digest;
use trail::key::DigestKey;
use trail::ports::ObjectMeta;
use trail::{AccountId, Region, Sha256, Timestamp, TrailName};

use crate::coverage::Span;
use crate::finding::{Code, Finding, Scope};
use crate::keys::KeyRing;

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
    for (index, record) in records.iter().enumerate() {
        walk.out.reached[index] = true;
        walk.out.findings.extend(walk.faults[index].take());
        let Some((bucket, key)) = record.parsed().and_then(|p| p.body.previous()) else { continue };
        match walk.by_address.get(&(bucket, key)) {
            Some(&older) => walk.compare_link(index, older),
            None => walk.backfill_predecessor(index, bucket, key),
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
    /// The oldest digest that is genuine.
    first_authentic: Option<usize>,
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
            first_authentic: None,
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
}

/// Whether a digest begins a chain: it names no predecessor at all.
pub(crate) fn is_restart(body: &Digest) -> bool {
    body.previous_digest_s3_bucket.is_none()
        && body.previous_digest_s3_object.is_none()
        && body.previous_digest_signature.is_none()
}
