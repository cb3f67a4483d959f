//! Log files against what digests say of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use sha2::Digest as _;
use trail::digest::LogEntry;
use trail::error::{KeyError, StoreError};
use trail::gzip::{self, GunzipError};
use trail::key::LogKey;
use trail::ports::{Object, ObjectStore, SseState};
use trail::{Sha256, Timestamp, limits};

use crate::events::{self, Oddities};
use crate::finding::{Code, Finding, Scope};
use crate::read::{Load, Place, read_all};
use crate::report::ReportedFinding;

/// A log that a digest names.
pub(crate) struct Named {
    /// The chain that names it.
    pub(crate) scope: Scope,
    /// The digest that names it.
    pub(crate) digest: String,
    /// The digest's window's end.
    pub(crate) digest_end: Timestamp,
    /// What it says.
    pub(crate) entry: LogEntry,
    /// Where it lies.
    pub(crate) place: Option<Place>,
}

/// What became of a named log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Valid,
    Invalid,
    Missing,
    Unreadable,
    Expired,
    Skipped,
}

/// A named log, looked at.
pub(crate) struct Looked {
    pub(crate) scope: Scope,
    pub(crate) uri: String,
    pub(crate) fate: Fate,
    pub(crate) findings: Vec<Finding>,
    pub(crate) sse: Option<SseState>,
    pub(crate) stamp: Timestamp,
    /// When it was delivered, as exactly as is known: its digest's end, and its own date.
    pub(crate) delivered: (Timestamp, Option<Timestamp>),
    pub(crate) inflated: u64,
    pub(crate) events: u64,
}

/// What is asked of logs.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) events: bool,
    pub(crate) skip_archived: bool,
    /// Logs of digests that end before this may have expired.
    pub(crate) expired_before: Option<Timestamp>,
}

/// Reads every named log and compares it.
pub(crate) async fn check(
    store: &Arc<dyn ObjectStore>,
    named: Vec<Named>,
    asked: &Asked,
    load: &Load,
) -> Vec<Looked> {
    let mut items = Vec::with_capacity(named.len());
    let mut outside = Vec::new();
    for log in named {
        match log.place.clone() {
            Some(place) => items.push((place, log)),
            None => outside.push(log),
        }
    }
    let (asked_of, progress) = (asked.clone(), Arc::clone(&load.progress));
    let mut looked =
        read_all(store, items, limits::LOG_STORED_BYTES_MAX, load, move |log, object| {
            let looked = look(log, object, &asked_of);
            for finding in &looked.findings {
                progress.found(&ReportedFinding::from(finding));
            }
            looked
        })
        .await;
    looked.extend(outside.into_iter().map(|log| {
        let message = "lies outside this copy, so that it cannot be read here";
        let finding = finding(Code::LogUnreadable, &log, message);
        done(log, Fate::Unreadable, vec![finding], None)
    }));
    looked
}

fn uri(entry: &LogEntry) -> String {
    format!("s3://{}/{}", entry.s3_bucket, entry.s3_object)
}

fn finding(code: Code, log: &Named, message: impl Into<String>) -> Finding {
    Finding::new(code, &log.scope, message).object(uri(&log.entry)).digest(log.digest.clone())
}

fn done(log: Named, fate: Fate, findings: Vec<Finding>, sse: Option<SseState>) -> Looked {
    let stamp = log.entry.s3_object.parse::<LogKey>().map_or(log.digest_end, |k| k.stamp);
    let uri = uri(&log.entry);
    let delivered = (log.digest_end, None);
    Looked { scope: log.scope, uri, fate, findings, sse, stamp, delivered, inflated: 0, events: 0 }
}

fn look(log: Named, object: Result<Object, StoreError>, asked: &Asked) -> Looked {
    match object {
        Ok(object) => {
            let delivered = (log.digest_end, object.meta.last_modified);
            Looked { delivered, ..look_into(log, object, asked) }
        }
        Err(e) => not_read(log, &e, asked),
    }
}

fn look_into(log: Named, object: Object, asked: &Asked) -> Looked {
    let sse = Some(object.meta.sse);
    let (hash, inflated, content) = match inflate_and_hash(&object.body, asked.events) {
        Ok(ok) => ok,
        Err(e) => {
            let code = match e {
                GunzipError::Malformed(_) => Code::LogMalformed,
                GunzipError::TrailingData { .. } => Code::LogTrailingData,
                GunzipError::TooLarge { .. } => Code::LogTooLarge,
            };
            let finding = finding(code, &log, e.to_string());
            return done(log, Fate::Invalid, vec![finding], sse);
        }
    };
    let actual = hash.to_string();
    if !log.entry.hash_value.eq_ignore_ascii_case(&actual) {
        let message = "its content is not what the digest was signed over";
        let finding = finding(Code::LogHashMismatch, &log, message);
        let finding = finding.values(log.entry.hash_value.clone(), actual);
        return Looked { inflated, ..done(log, Fate::Invalid, vec![finding], sse) };
    }
    let (mut findings, mut count) = (Vec::new(), 0);
    if let Some(content) = content {
        let oddities = events::examine(&content, &log.entry, log.digest_end);
        count = oddities.events;
        findings = report_oddities(&log, oddities);
    }
    Looked { inflated, events: count, ..done(log, Fate::Valid, findings, sse) }
}

fn report_oddities(log: &Named, oddities: Oddities) -> Vec<Finding> {
    let each = oddities.found.into_iter().map(|(code, (count, example))| {
        let mut finding = finding(code, log, example);
        finding.count = count;
        finding
    });
    each.collect()
}

fn not_read(log: Named, error: &StoreError, asked: &Asked) -> Looked {
    let (fate, code) = match error {
        StoreError::NotFound { .. } | StoreError::NoSuchBucket { .. } => {
            if asked.expired_before.is_some_and(|t| log.digest_end < t) {
                return done(log, Fate::Expired, vec![], None);
            }
            (Fate::Missing, Code::LogMissing)
        }
        StoreError::Damaged { .. }
        | StoreError::Key { source: KeyError::InvalidCiphertext, .. } => {
            (Fate::Invalid, Code::LogMalformed)
        }
        StoreError::TooLarge { .. } => (Fate::Invalid, Code::LogTooLarge),
        StoreError::Archived { .. } if asked.skip_archived => {
            return done(log, Fate::Skipped, vec![], None);
        }
        StoreError::Archived { .. } => (Fate::Unreadable, Code::LogArchived),
        _ => (Fate::Unreadable, Code::LogUnreadable),
    };
    let message = match fate {
        Fate::Missing => "the digest names it, and it is not there".to_owned(),
        _ => error.to_string(),
    };
    let finding = finding(code, &log, message);
    done(log, fate, vec![finding], None)
}

/// Hash and size of the inflated bytes, and the bytes themselves when `keep`.
fn inflate_and_hash(
    stored: &[u8],
    keep: bool,
) -> Result<(Sha256, u64, Option<Vec<u8>>), GunzipError> {
    thread_local! {
        // A fresh buffer for each of many small logs would cost more than inflating them.
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 128 << 10]);
    }
    let mut hasher = sha2::Sha256::new();
    let mut content = keep.then(Vec::new);
    let size = BUFFER.with_borrow_mut(|buffer| {
        gzip::inflate(stored, limits::LOG_INFLATED_BYTES_MAX, buffer, |piece| {
            hasher.update(piece);
            if let Some(content) = &mut content {
                content.extend_from_slice(piece);
            }
        })
    })?;
    Ok((Sha256(hasher.finalize().into()), size, content))
}

/// Logs that more than one entry names: the first of each hash is checked, further ones are a
/// finding unless a regular and a backfill digest agree.
pub(crate) fn without_doubles(named: Vec<(Named, bool)>) -> (Vec<Named>, Vec<Finding>) {
    let mut seen: HashMap<(String, String), (String, bool, String)> = HashMap::new();
    let (mut once, mut findings) = (Vec::new(), Vec::new());
    for (log, backfill) in named {
        let address = (log.entry.s3_bucket.clone(), log.entry.s3_object.clone());
        match seen.get(&address) {
            None => {
                let first = (log.entry.hash_value.clone(), backfill, log.digest.clone());
                seen.insert(address, first);
                once.push(log);
            }
            Some((hash, first_backfill, first_digest)) => {
                let agree = *hash == log.entry.hash_value;
                let both = backfill != *first_backfill && agree;
                let message = format!("is also named by {first_digest}");
                let mut finding = finding(Code::DigestDuplicateEntry, &log, message);
                if both {
                    finding = finding.class(crate::finding::Class::Info);
                }
                findings.push(finding);
                if !agree {
                    once.push(log);
                }
            }
        }
    }
    (once, findings)
}
