//! Encryption of what was read, against what is demanded (contract section 5, "SSE of logs").

use std::collections::{BTreeMap, BTreeSet};

use trail::name::KeyArn;
use trail::ports::{SseAlgorithm, SseState};
use trail::{AccountId, Region, Timestamp};

use crate::finding::{Code, Finding, Scope};
use crate::request::{AllowedKey, Request, SseDemand};

/// An object's encryption.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) scope: Scope,
    pub(crate) kind: &'static str,
    pub(crate) uri: String,
    /// The time that its name gives, for reports.
    pub(crate) at: Timestamp,
    /// When it was delivered, for order: many logs bear one stamp.
    pub(crate) delivered: (Timestamp, Option<Timestamp>),
    pub(crate) sse: SseState,
}

/// What the trail says of its key. None: the trail is not known.
pub(crate) type TrailKey = Option<Option<String>>;

/// A line of the report: objects of one chain and kind under one encryption.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) scope: Scope,
    pub(crate) kind: &'static str,
    pub(crate) sse: SseState,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) objects: u64,
}

/// Groups by chain, kind and encryption.
pub(crate) fn lines(seen: &[Seen]) -> Vec<Line> {
    let mut lines: BTreeMap<(&Scope, &str, &SseState), Line> = BTreeMap::new();
    for one in seen.iter().filter(|s| s.sse.known) {
        let line = lines.entry((&one.scope, one.kind, &one.sse)).or_insert_with(|| Line {
            scope: one.scope.clone(),
            kind: one.kind,
            sse: one.sse.clone(),
            from: one.at,
            to: one.at,
            objects: 0,
        });
        line.from = line.from.min(one.at);
        line.to = line.to.max(one.at);
        line.objects += 1;
    }
    lines.into_values().collect()
}

/// Judges the objects of one chain; `seen` in order of time.
pub(crate) fn judge(
    request: &Request,
    seen: &[Seen],
    trail_key: &TrailKey,
    trail_account: Option<&AccountId>,
    bucket_region: Option<&Region>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known: Vec<&Seen> = seen.iter().filter(|s| s.sse.known).collect();
    let logs: Vec<&Seen> = known.iter().copied().filter(|s| s.kind == "log").collect();
    for digest in known.iter().filter(|s| s.kind == "digest") {
        findings.extend(judge_digest(request, digest));
    }
    if !request.kms_keys.is_empty() {
        findings.extend(logs.iter().filter_map(|log| judge_strictly(&request.kms_keys, log)));
    } else if request.log_sse == SseDemand::Kms
        && let Some(Some(key)) = trail_key
    {
        findings.extend(judge_runs(&logs, key));
    }
    findings.extend(keys_elsewhere(request, &known, trail_account, bucket_region));
    findings
}

fn judge_digest(request: &Request, digest: &Seen) -> Option<Finding> {
    let demanded = match request.digest_sse {
        SseDemand::Any => return None,
        SseDemand::S3 => SseAlgorithm::Aes256,
        SseDemand::Kms => SseAlgorithm::Kms,
    };
    if digest.sse.algorithm == Some(demanded) {
        return None;
    }
    let message = "the digest is not encrypted as demanded";
    let finding = Finding::new(Code::SseDigestMode, &digest.scope, message).object(&digest.uri);
    Some(finding.values(demanded.as_str(), text(&digest.sse)))
}

fn text(sse: &SseState) -> String {
    match (sse.algorithm, &sse.kms_key) {
        _ if sse.customer_key => "SSE-C".to_owned(),
        (None, _) => "none".to_owned(),
        (Some(algorithm), Some(key)) => format!("{} {key}", algorithm.as_str()),
        (Some(algorithm), None) => algorithm.as_str().to_owned(),
    }
}

fn is_kms(sse: &SseState) -> bool {
    matches!(sse.algorithm, Some(SseAlgorithm::Kms | SseAlgorithm::KmsDsse))
}

/// The finding for a log that is not encrypted as `expected` says.
fn wrong(log: &Seen, expected: &str) -> Finding {
    let (code, message) = if log.sse.customer_key {
        (Code::SseCustomerKey, "is encrypted with a key that its writer keeps")
    } else if log.sse.algorithm.is_none() {
        (Code::SseNone, "is not encrypted")
    } else if is_kms(&log.sse) {
        (Code::SseWrongKey, "is encrypted with another KMS key")
    } else {
        (Code::SseNotKms, "is not encrypted with a KMS key")
    };
    let finding = Finding::new(code, &log.scope, message).object(&log.uri);
    finding.values(expected, text(&log.sse))
}

fn judge_strictly(allowed: &[AllowedKey], log: &Seen) -> Option<Finding> {
    let fits = allowed.iter().any(|key| {
        is_kms(&log.sse)
            && log.sse.kms_key.as_deref() == Some(&key.arn.to_string())
            && key.from.is_none_or(|t| t <= log.at)
            && key.to.is_none_or(|t| log.at <= t)
    });
    let expected = || {
        let keys: Vec<String> = allowed.iter().map(|k| k.arn.to_string()).collect();
        format!("aws:kms {}", keys.join(" or "))
    };
    (!fits).then(|| wrong(log, &expected()))
}

/// A trail's logs are encrypted in runs, each under one key, the last under the trail's own.
fn judge_runs(logs: &[&Seen], trail_key: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let expected = format!("aws:kms {trail_key}");
    let state = |log: &Seen| (is_kms(&log.sse), log.sse.customer_key, log.sse.kms_key.clone());
    let is_trails = |log: &Seen| is_kms(&log.sse) && log.sse.kms_key.as_deref() == Some(trail_key);
    let mut runs: Vec<Vec<&Seen>> = Vec::new();
    for log in logs {
        match runs.last_mut() {
            Some(run) if state(run[0]) == state(log) => run.push(log),
            _ => runs.push(vec![log]),
        }
    }
    // A run between two of one other state is a stray; without it those two are one run.
    let mut at = 1;
    while at + 1 < runs.len() {
        if state(runs[at - 1][0]) == state(runs[at + 1][0]) && !is_trails(runs[at][0]) {
            let stray = runs.remove(at);
            findings.extend(stray.iter().map(|log| wrong(log, &text(&runs[at - 1][0].sse))));
            let same = runs.remove(at);
            runs[at - 1].extend(same);
            at = at.saturating_sub(1).max(1);
        } else {
            at += 1;
        }
    }
    for (index, run) in runs.iter().enumerate() {
        let last = index + 1 == runs.len();
        let steps_back = index > 0 && is_kms(&runs[index - 1][0].sse) && !is_kms(&run[0].sse);
        if steps_back || (last && !is_trails(run[0])) {
            findings.extend(run.iter().map(|log| wrong(log, &expected)));
        } else if index > 0 {
            let before = text(&runs[index - 1][0].sse);
            let message = "the encryption of the trail's logs changed and stayed so";
            let finding = Finding::new(Code::SseChanged, &run[0].scope, message);
            let finding = finding.object(&run[0].uri).span(run[0].at, run[0].at);
            findings.push(finding.values(before, text(&run[0].sse)));
        }
    }
    findings
}

/// Keys of another region than the bucket's, or of an account that may not own keys.
fn keys_elsewhere(
    request: &Request,
    known: &[&Seen],
    trail_account: Option<&AccountId>,
    bucket_region: Option<&Region>,
) -> Vec<Finding> {
    let mut by_key: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in known {
        if let Some(key) = &seen.sse.kms_key {
            by_key.entry(key).or_default().push(seen);
        }
    }
    let accounts: BTreeSet<&AccountId> = match request.key_accounts.is_empty() {
        true => trail_account.into_iter().collect(),
        false => request.key_accounts.iter().collect(),
    };
    let mut findings = Vec::new();
    for (key, users) in by_key {
        let Ok(arn) = key.parse::<KeyArn>() else { continue };
        let first = users[0];
        let finding = |code, message: String| {
            let objects: Vec<String> = users.iter().take(100).map(|u| u.uri.clone()).collect();
            let mut finding = Finding::new(code, &first.scope, message).objects(objects);
            finding.object = Some(first.uri.clone());
            finding.count = users.len() as u64;
            finding
        };
        if let Some(region) = bucket_region.filter(|r| **r != arn.region) {
            let message = format!("KMS key {key} is not in the bucket's region, {region}");
            let finding = finding(Code::KeyRegionMismatch, message);
            findings.push(finding.values(region.to_string(), arn.region.to_string()));
        }
        if !accounts.is_empty() && !accounts.contains(&arn.account) {
            let message = format!("KMS key {key} belongs to an account that may not own keys");
            let expected: Vec<String> = accounts.iter().map(|a| a.to_string()).collect();
            let finding = finding(Code::SseForeignKeyAccount, message);
            findings.push(finding.values(expected.join(" or "), arn.account.to_string()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: &str = "arn:aws:kms:eu-west-1:111122223333:key/k";
    const L: &str = "arn:aws:kms:eu-west-1:111122223333:key/l";

    fn logs(states: &[&str]) -> Vec<Seen> {
        let sse = |s: &str| SseState {
            algorithm: Some(if s == "s3" { SseAlgorithm::Aes256 } else { SseAlgorithm::Kms }),
            kms_key: (s != "s3").then(|| s.to_owned()),
            known: true,
            ..SseState::default()
        };
        let one = |(i, s): (usize, &&str)| Seen {
            scope: Scope::default(),
            kind: "log",
            uri: i.to_string(),
            at: Timestamp::from_unix(i as i64),
            delivered: (Timestamp::from_unix(i as i64), None),
            sse: sse(s),
        };
        states.iter().enumerate().map(one).collect()
    }

    fn found(states: &[&str]) -> Vec<(Code, String)> {
        let request = Request::new("t", "b", "");
        let seen = logs(states);
        let findings = judge(&request, &seen, &Some(Some(K.to_owned())), None, None);
        findings.into_iter().map(|f| (f.code, f.object.unwrap())).collect()
    }

    #[test]
    fn runs_that_end_in_the_trails_key() {
        let at = |code, i: usize| (code, i.to_string());
        assert_eq!(found(&[K, K, K]), []);
        assert_eq!(found(&["s3", "s3", K, K]), [at(Code::SseChanged, 2)]);
        assert_eq!(found(&[L, L, K]), [at(Code::SseChanged, 2)]);
        assert_eq!(found(&[K, "s3", K]), [at(Code::SseNotKms, 1)]);
        assert_eq!(found(&[K, L, K, K]), [at(Code::SseWrongKey, 1)]);
        assert_eq!(found(&[K, K, L]), [at(Code::SseWrongKey, 2)]);
        assert_eq!(found(&[K, "s3", "s3"]), [at(Code::SseNotKms, 1), at(Code::SseNotKms, 2)]);
        assert_eq!(found(&["s3"]), [at(Code::SseNotKms, 0)]);
        assert_eq!(
            found(&[L, "s3", K]),
            [at(Code::SseNotKms, 1), at(Code::SseChanged, 2)],
            "a step back, and then the trail's key"
        );
    }

    #[test]
    fn an_unknown_trail_is_listed_not_judged() {
        let request = Request::new("t", "b", "");
        assert!(judge(&request, &logs(&["s3", K]), &None, None, None).is_empty());
        assert_eq!(lines(&logs(&["s3", K, K])).len(), 2);
    }

    #[test]
    fn a_key_of_another_region_or_account_is_always_found() {
        let request = Request::new("t", "b", "");
        let (region, account) = ("us-east-1".parse().unwrap(), "999999999999".parse().unwrap());
        let findings = judge(&request, &logs(&[K, K]), &None, Some(&account), Some(&region));
        let codes: Vec<_> = findings.iter().map(|f| (f.code, f.count)).collect();
        assert_eq!(codes, [(Code::KeyRegionMismatch, 2), (Code::SseForeignKeyAccount, 2)]);
    }

    #[test]
    fn strict_keys_and_their_times() {
        let mut request = Request::new("t", "b", "");
        let from = Some(Timestamp::from_unix(1));
        request.kms_keys = vec![AllowedKey { arn: K.parse().unwrap(), from, to: None }];
        let findings = judge(&request, &logs(&[K, K, L, "s3"]), &None, None, None);
        let codes: Vec<_> = findings.iter().map(|f| f.code).collect();
        assert_eq!(codes, [Code::SseWrongKey, Code::SseWrongKey, Code::SseNotKms]);
    }
}
