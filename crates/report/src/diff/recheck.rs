//! Whether the newer run looked again where the older one found something.
//!
//! When in doubt it did not: a reader takes "resolved" for "repaired".

use serde_json::Value;
use trail::Timestamp;
use trail::key::{DigestKey, LogKey};

use crate::diff::coverage::{by_chain, state_at};
use crate::past::{ChainName, Past, PastCoverage, PastFinding};

/// Options that bound what is looked at; the others say how it is judged.
const SCOPE: [&str; 8] =
    ["target", "start", "end", "scope", "accounts", "regions", "trail_arn", "trail_name"];

/// Why a finding that is gone was not looked for again; None: it was, and is not there.
pub(super) fn not_rechecked(finding: &PastFinding, old: &Past, new: &Past) -> Option<String> {
    if old.asked("target") != new.asked("target") {
        return Some("the newer run looked at another target".to_owned());
    }
    outside(&finding.account, &finding.region, &finding.trail, new)
        .or_else(|| left_out(finding, old, new))
        .or_else(|| judged_otherwise(finding, old, new))
        .or_else(|| unproven_time(finding, old, new))
}

/// Why a chain is outside what a run was asked; None: it was asked for.
pub(super) fn out_of_scope(chain: &ChainName, new: &Past) -> Option<String> {
    let some = |s: &String| Some(s.clone());
    outside(&some(&chain.account), &some(&chain.region), &some(&chain.trail), new)
}

fn outside(
    account: &Option<String>,
    region: &Option<String>,
    trail: &Option<String>,
    new: &Past,
) -> Option<String> {
    let lists = |name: &str, value: &Option<String>| {
        let asked = new.request.get(name).and_then(Value::as_array).filter(|a| !a.is_empty());
        let lacks = |asked: &Vec<Value>| {
            value.as_deref().is_some_and(|v| asked.iter().all(|a| a.as_str() != Some(v)))
        };
        asked.is_some_and(lacks)
    };
    let named = new
        .asked("trail_name")
        .or_else(|| new.asked("trail_arn").and_then(|arn| arn.rsplit_once('/')).map(|(_, n)| n));
    let what = if lists("accounts", account) {
        "account"
    } else if lists("regions", region) {
        "region"
    } else if matches!((named, trail), (Some(asked), Some(own)) if asked != own) {
        "trail"
    } else {
        return None;
    };
    Some(format!("the newer run was not asked about this {what}"))
}

/// Checks that the newer run left out, by its depth or by what it says it does not prove.
fn left_out(finding: &PastFinding, old: &Past, new: &Past) -> Option<String> {
    let (area, _) = finding.code.split_once('.')?;
    let depth = new.asked("depth").unwrap_or("digests");
    let shallow = match area {
        "event" => depth != "events",
        "log" | "version" => depth == "digests",
        "sse" => depth == "digests" && finding.code != "sse.digest-mode",
        _ => false,
    };
    if shallow {
        return Some(format!("the newer run went no deeper than {depth}"));
    }
    let notes = new.not_proven.iter().filter(|n| !old.not_proven.contains(n));
    let concerns = |note: &&String| match area {
        // The one note of every run that only tells where its time begins.
        _ if note.starts_with("events before ") => false,
        "log" | "event" | "version" => {
            note.starts_with("archived logs") || note.starts_with("that no log lies there")
        }
        "digest" | "backfill" | "chain" => false,
        _ => true,
    };
    let note = notes.clone().find(concerns)?;
    Some(format!("the newer run does not prove {note}"))
}

/// Options that say what is demanded of encryption, keys and settings differ.
fn judged_otherwise(finding: &PastFinding, old: &Past, new: &Past) -> Option<String> {
    let (area, _) = finding.code.split_once('.')?;
    if !matches!(area, "sse" | "key" | "trail" | "bucket") {
        return None;
    }
    let names = old.request.keys().chain(new.request.keys());
    let mut names = names.filter(|n| !SCOPE.contains(&n.as_str()) && *n != "depth");
    let other = names.find(|n| old.request.get(*n) != new.request.get(*n))?;
    Some(format!("the newer run judged by another {other}"))
}

/// Time, and what lies in it, is looked at again only where the newer run proves it: below a
/// digest that is missing, nobody knows which logs should be there.
fn unproven_time(finding: &PastFinding, old: &Past, new: &Past) -> Option<String> {
    let (area, _) = finding.code.split_once('.')?;
    if matches!(area, "keys" | "list" | "key" | "trail" | "bucket") {
        return None;
    }
    let chains = by_chain(new);
    let own = |c: &ChainName| {
        finding.account.as_ref().is_none_or(|a| *a == c.account)
            && finding.region.as_ref().is_none_or(|r| *r == c.region)
            && finding.trail.as_ref().is_none_or(|t| *t == c.trail)
    };
    let chains: Vec<_> = chains.into_iter().filter(|(name, _)| own(name)).collect();
    if chains.is_empty() {
        return Some("the newer report has no chain of it".to_owned());
    }
    let Some((from, to)) = time_of(finding) else {
        let narrower =
            old.asked("start") < new.asked("start") || new.asked("end") < old.asked("end");
        return narrower.then(|| "the newer run was asked about less time".to_owned());
    };
    // One chain of those it may belong to that proves all of its time is enough.
    let unproven: Vec<&str> =
        chains.iter().map(|(_, lines)| first_unproven(lines, from, to)).collect::<Option<_>>()?;
    unproven.first().map(|state| match *state {
        "not asked for" => "the newer run was not asked about its time".to_owned(),
        "proven-earlier" => "an earlier run proved its time; the newer one did not look".to_owned(),
        state => format!("its time is {state} in the newer report"),
    })
}

/// The first state within a stretch that is not `proven`.
fn first_unproven<'a>(
    lines: &[&'a PastCoverage],
    from: Timestamp,
    to: Timestamp,
) -> Option<&'a str> {
    let first = lines.partition_point(|l| l.to <= from);
    let bounds = lines[first..].iter().flat_map(|l| [l.from, l.to]);
    let inner = bounds.skip_while(|t| *t <= from).take_while(|t| *t < to);
    let states = std::iter::once(from).chain(inner).map(|at| state_at(lines, at));
    states.map(|s| s.unwrap_or("not asked for")).find(|s| *s != "proven")
}

/// The time a finding concerns: its own, else that of the digest that speaks of it or of the
/// object, by their names.
fn time_of(finding: &PastFinding) -> Option<(Timestamp, Timestamp)> {
    if let (Some(from), Some(to)) = (finding.from, finding.to) {
        return Some((from, to));
    }
    let named = [&finding.digest, &finding.object].into_iter().flatten();
    let mut listed = named.chain(finding.objects.first()).filter_map(|name| stamp(name));
    listed.next().map(|at| (at, at))
}

/// A moment of the window that a digest covers, or that a log was delivered in.
fn stamp(object: &str) -> Option<Timestamp> {
    let key = object.strip_prefix("s3://").and_then(|o| o.split_once('/')).map_or(object, |k| k.1);
    let second = std::time::Duration::from_secs(1);
    let digest = key.parse::<DigestKey>().ok().map(|d| d.end - second);
    digest.or_else(|| key.parse::<LogKey>().ok().map(|l| l.stamp))
}
