//! The chain of custody of one object: who vouches for it, and what is proven of it.

use std::collections::BTreeSet;

use serde::Serialize;
use trail::key::{DigestKey, LogKey};

use crate::chain::{Record, Standing};
use crate::finding::{Class, Finding};
use crate::logs::Fate;
use crate::report::{ReportedFinding, Verdict, fold};
use crate::run::{Chain, Run};
use crate::{Ports, Request, VerifyError};

/// What is known of one object.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Its original address.
    pub object: String,
    /// `log` or `digest`.
    pub kind: &'static str,
    /// Whether all of it is proven.
    pub proven: bool,
    /// As for a run over this object alone.
    pub verdict: Verdict,
    /// The digest that names it (a log), or its successor (a digest).
    pub named_by: Option<String>,
    /// The hash it must have.
    pub expected_hash: Option<String>,
    /// The hash it has (a digest; a log's equals the expected one when it is valid).
    pub actual_hash: Option<String>,
    /// What became of the signature of the digest concerned.
    pub signature: Option<String>,
    /// The fingerprint of the key that signed.
    pub key: Option<String>,
    /// Where that key came from.
    pub key_source: Option<String>,
    /// The digest before the one concerned.
    pub previous: Option<String>,
    /// The digest after the one concerned.
    pub next: Option<String>,
    /// How the object is encrypted.
    pub encryption: Option<String>,
    /// What is proven, in words.
    pub proves: Vec<String>,
    /// What is not, in words.
    pub not_proven: Vec<String>,
    /// Findings about the object and the digest that names it.
    pub findings: Vec<ReportedFinding>,
}

/// Explains `object`: an original `s3://` address, or a key below the target.
///
/// # Errors
/// When the target cannot be listed, or the object is neither a log nor a digest of it.
pub async fn explain(
    request: &Request,
    ports: &Ports,
    object: &str,
) -> Result<Explanation, VerifyError> {
    let refuse = |reason: &str| VerifyError::NotExplainable {
        object: object.to_owned(),
        target: request.target.clone(),
        reason: reason.to_owned(),
    };
    let key = match object.strip_prefix("s3://") {
        Some(rest) => rest.split_once('/').map_or(rest, |(_, key)| key),
        None => object,
    };
    let log = key.parse::<LogKey>();
    let digest = key.parse::<DigestKey>();
    let (folder, region) = match (&log, &digest) {
        (Ok(log), _) => (&log.folder, &log.region),
        (_, Ok(digest)) => (&digest.folder, &digest.region),
        (Err(e), Err(_)) => return Err(refuse(&e.to_string())),
    };
    let narrowed = Request {
        accounts: BTreeSet::from([folder.account.clone()]),
        regions: BTreeSet::from([region.clone()]),
        ..request.clone()
    };
    let mut run = Run::new(&narrowed, ports).await?;
    // The tail of the key is the same wherever the object lies now.
    let tail = key.find("AWSLogs/").map_or(key, |at| &key[at..]).to_owned();
    let is_it = move |uri: &str| uri.ends_with(&format!("/{tail}"));
    if log.is_ok() {
        run.read_logs(&is_it).await;
        if let Some(explanation) = explain_log(&run, &is_it) {
            return Ok(explanation);
        }
        run.sweep().await;
        explain_unnamed(&run, key, &is_it)
            .await
            .ok_or_else(|| refuse("no digest names it, and it is not there"))
    } else {
        explain_digest(&run, &is_it).ok_or_else(|| refuse("there is no such digest"))
    }
}

fn explain_log(run: &Run<'_>, is_it: impl Fn(&str) -> bool) -> Option<Explanation> {
    let naming = run.chains.iter().find_map(|chain| {
        chain.records.iter().enumerate().find_map(|(index, record)| {
            let entries = &record.parsed()?.body.log_files;
            let uri = |e: &trail::digest::LogEntry| format!("s3://{}/{}", e.s3_bucket, e.s3_object);
            let entry = entries.iter().find(|e| is_it(&uri(e)))?;
            Some((chain, index, uri(entry), entry.hash_value.clone()))
        })
    });
    let (chain, index, uri, hash) = naming?;
    let record = &chain.records[index];
    let looked = run.looked.iter().find(|l| l.uri == uri);
    let mut out = about(run, chain, index, uri.clone(), "log");
    out.named_by = Some(record.uri());
    out.expected_hash = Some(hash.clone());
    let valid = looked.is_some_and(|l| l.fate == Fate::Valid);
    if let Some(log) = looked {
        let findings = log.findings.clone();
        out.findings.extend(fold(findings));
        out.encryption = log.sse.as_ref().and_then(encryption_text);
    }
    if valid {
        out.actual_hash = Some(hash);
        out.proves.push("its content is what the digest was signed over".into());
    } else {
        out.not_proven.push("that its content is what was delivered".into());
    }
    out.proven &= valid;
    conclude(&mut out);
    Some(out)
}

/// A log that no digest names: what the sweep says of it, if it is there or was.
async fn explain_unnamed(
    run: &Run<'_>,
    key: &str,
    is_it: impl Fn(&str) -> bool,
) -> Option<Explanation> {
    let concerns = |f: &&Finding| f.object.iter().chain(&f.objects).any(|o| is_it(o));
    let findings: Vec<Finding> = run.swept.findings.iter().filter(concerns).cloned().collect();
    let named = findings.iter().flat_map(|f| f.object.iter().chain(&f.objects)).find(|o| is_it(o));
    let uri = match named {
        Some(uri) => uri.clone(),
        None => {
            // Nothing is wrong with it, so that it waits for its digest; but it must be there.
            let root = run.roots.iter().find(|r| r.stored(&r.bucket, key).is_some())?;
            let place = run.locate(&root.bucket, key)?;
            run.ports.store.head(&place.bucket, &place.key).await.ok()?;
            format!("s3://{}/{key}", root.bucket)
        }
    };
    let mut out = bare(uri, "log");
    out.not_proven.push("anything: no digest names it".into());
    out.findings = fold(findings);
    conclude(&mut out);
    Some(out)
}

fn explain_digest(run: &Run<'_>, is_it: impl Fn(&str) -> bool) -> Option<Explanation> {
    for chain in &run.chains {
        if let Some(index) = chain.records.iter().position(|r| is_it(&r.uri())) {
            let record = &chain.records[index];
            let mut out = about(run, chain, index, record.uri(), "digest");
            out.named_by.clone_from(&out.next);
            out.expected_hash = chain.records.iter().find_map(|r| {
                let body = &r.parsed()?.body;
                let names = body.previous() == Some((&record.address.0, &record.address.1));
                names.then(|| body.previous_digest_hash_value.clone()).flatten()
            });
            out.actual_hash = record.parsed().map(|p| p.hash.to_string());
            out.encryption = record.meta.as_ref().and_then(|m| encryption_text(&m.sse));
            conclude(&mut out);
            return Some(out);
        }
        let missing =
            chain.result.findings.iter().find(|f| f.object.as_deref().is_some_and(&is_it));
        if let Some(finding) = missing {
            let mut out = bare(finding.object.clone().unwrap_or_default(), "digest");
            out.named_by.clone_from(&finding.digest);
            out.not_proven.push("anything: the object is not there".into());
            out.findings = fold(vec![finding.clone()]);
            conclude(&mut out);
            return Some(out);
        }
    }
    None
}

fn bare(object: String, kind: &'static str) -> Explanation {
    Explanation {
        object,
        kind,
        proven: false,
        verdict: Verdict::Verified,
        named_by: None,
        expected_hash: None,
        actual_hash: None,
        signature: None,
        key: None,
        key_source: None,
        previous: None,
        next: None,
        encryption: None,
        proves: Vec::new(),
        not_proven: Vec::new(),
        findings: Vec::new(),
    }
}

/// What the digest at `index` adds to the custody of an object.
fn about(
    run: &Run<'_>,
    chain: &Chain,
    index: usize,
    object: String,
    kind: &'static str,
) -> Explanation {
    let record: &Record = &chain.records[index];
    let mut out = bare(object, kind);
    let standing = chain.result.standing[index];
    out.proven = standing == Some(Standing::Authentic);
    if let Some(parsed) = record.parsed() {
        let fingerprint = parsed.body.digest_public_key_fingerprint.clone();
        out.key_source =
            run.ring.find(&chain.id.region, &fingerprint).map(|k| k.source.to_string());
        out.key = Some(fingerprint);
        out.previous = parsed.body.previous().map(|(b, k)| format!("s3://{b}/{k}"));
        if out.proven {
            let window = format!("signed for the window from {} to {}", parsed.start, parsed.end);
            out.proves.push(format!("the digest {} is {window}", record.uri()));
        }
    }
    let here = (record.address.0.as_str(), record.address.1.as_str());
    let names = |r: &&Record| r.parsed().is_some_and(|p| p.body.previous() == Some(here));
    out.next = chain.records.iter().find(names).map(Record::uri);
    match &out.next {
        Some(next) => out.proves.push(format!("the digest after it, {next}, names it")),
        None => out.not_proven.push("that the chain goes on: no digest after it names it".into()),
    }
    out.signature = Some(match standing {
        Some(Standing::Authentic) => "valid".to_owned(),
        Some(Standing::Unreadable) => "not checked".to_owned(),
        _ => "not valid".to_owned(),
    });
    let uri = record.uri();
    let concerns = chain.result.findings.iter().filter(|f| f.object.as_ref() == Some(&uri));
    out.findings = fold(concerns.cloned().collect());
    out
}

fn encryption_text(sse: &trail::ports::SseState) -> Option<String> {
    let algorithm = sse.algorithm?.as_str();
    Some(match &sse.kms_key {
        Some(key) => format!("{algorithm} {key}"),
        None => algorithm.to_owned(),
    })
}

fn conclude(out: &mut Explanation) {
    let classes =
        out.findings.iter().filter_map(|f| Class::ALL.into_iter().find(|c| c.as_str() == f.class));
    out.verdict = Verdict::of(classes, &Class::ALL);
    out.proven &= out.verdict == Verdict::Verified;
    if !out.proven && out.verdict == Verdict::Verified {
        out.verdict = Verdict::Unverifiable;
    }
}
