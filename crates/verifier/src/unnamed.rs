//! Log objects that no digest names (contract section 5, "Unnamed logs").

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use trail::key::LogKey;
use trail::ports::ListEntry;
use trail::{AccountId, Region, Timestamp};

use crate::finding::{Code, Finding, Scope};

/// A log may be stamped this much before or after the window it was delivered in.
const STAMP_SLACK: Duration = Duration::from_secs(10 * 60);
/// A stamp may be this much later than now (it is rounded up, and clocks differ).
const STAMP_AHEAD: Duration = Duration::from_secs(15 * 60);
/// In a copy without dates, the newest logs may still have been waiting for their digest.
const PLAIN_COPY_TAIL: Duration = Duration::from_secs(15 * 60);

/// What the sweep knows of an account and region.
#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage {
    /// Proven time of all its chains, in order.
    pub(crate) proven: Vec<(Timestamp, Timestamp)>,
    /// Time whose digests are lost. Its logs were named once, and nobody can say which.
    pub(crate) lost: Vec<(Timestamp, Timestamp)>,
    /// Whether any chain is there at all.
    pub(crate) has_chain: bool,
    /// Where the chains begin.
    pub(crate) begins: Option<Timestamp>,
    /// Kinds of logs that its digests have named.
    pub(crate) kinds: BTreeSet<&'static str>,
    /// End of its newest digest.
    pub(crate) newest: Option<Timestamp>,
}

/// What the sweep is asked.
pub(crate) struct Sweep<'a> {
    pub(crate) now: Timestamp,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) grace: Duration,
    pub(crate) backfill_grace: Duration,
    /// Original addresses that digests name.
    pub(crate) named: &'a HashSet<String>,
    /// An offline copy: whether it lists its objects.
    pub(crate) sidecar: Option<bool>,
}

/// What the sweep counted.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) findings: Vec<Finding>,
    pub(crate) unreferenced: u64,
    pub(crate) undigested: u64,
    pub(crate) pending: u64,
    /// Named by no digest, listed by the copy, and not there.
    pub(crate) missing: u64,
}

enum Verdict {
    Fine,
    Pending,
    AwaitingBackfill,
    Unreferenced(&'static str),
    Undigested,
}

impl Sweep<'_> {
    /// Judges the objects of one region's folder (or strays of a kind's folder). `original`
    /// gives an object's original key.
    pub(crate) fn folder(
        &self,
        account: &AccountId,
        region: Option<&Region>,
        bucket: &str,
        entries: &[(ListEntry, String)],
        coverage: &Coverage,
    ) -> Swept {
        let scope = Scope { account: Some(account.clone()), region: region.cloned(), trail: None };
        let mut swept = Swept::default();
        // Undigested logs of one stretch between proven times are one finding.
        let mut stretches: BTreeMap<usize, Vec<(Timestamp, String)>> = BTreeMap::new();
        for (entry, original) in entries {
            let uri = format!("s3://{bucket}/{original}");
            if entry.size == 0 || self.named.contains(&uri) {
                continue;
            }
            let key = original.parse::<LogKey>();
            let finding =
                |code, message: &str| Finding::new(code, &scope, message).object(uri.clone());
            match self.judge(entry, key.as_ref().ok(), coverage) {
                Verdict::Fine => {}
                Verdict::Pending => swept.pending += 1,
                Verdict::AwaitingBackfill => {
                    let message = "is late, and its backfill digest may still come";
                    swept.findings.push(finding(Code::LogAwaitingBackfill, message));
                }
                Verdict::Unreferenced(message) => {
                    swept.unreferenced += 1;
                    swept.findings.push(finding(Code::LogUnreferenced, message));
                }
                Verdict::Undigested => {
                    swept.undigested += 1;
                    let stamp = key.map_or(self.now, |k| k.stamp);
                    let hole = coverage.proven.iter().filter(|(from, _)| *from < stamp).count();
                    stretches.entry(hole).or_default().push((stamp, uri));
                }
            }
        }
        for mut logs in stretches.into_values() {
            logs.sort();
            let (first, last) = (logs[0].0, logs[logs.len() - 1].0);
            let message = match logs.len() {
                1 => "a log of a time that no digest covers".to_owned(),
                n => format!("{n} logs of a time that no digest covers"),
            };
            let objects: Vec<String> = logs.into_iter().map(|(_, uri)| uri).collect();
            let mut finding = Finding::new(Code::LogUndigested, &scope, message).span(first, last);
            if let [only] = &objects[..] {
                finding.object = Some(only.clone());
            }
            swept.findings.push(finding.objects(objects));
        }
        swept
    }

    fn judge(&self, entry: &ListEntry, key: Option<&LogKey>, coverage: &Coverage) -> Verdict {
        let Some(key) = key else {
            return Verdict::Unreferenced(
                "no digest names it, and its name is not that of a log file",
            );
        };
        if key.stamp > self.now + STAMP_AHEAD {
            return Verdict::Unreferenced("no digest names it, and its name lies in the future");
        }
        let asked_from = self.start.or(coverage.begins);
        if asked_from.is_some_and(|t| key.stamp < t) || self.end.is_some_and(|t| key.stamp > t) {
            return Verdict::Fine;
        }
        if self.sidecar == Some(true) && entry.last_modified.is_none() {
            return Verdict::Unreferenced(
                "no digest names it, and the copy's own list does not know it",
            );
        }
        let age = entry.last_modified.map(|t| self.now.seconds_since(t));
        let younger = |d: Duration| age.is_some_and(|a| a < d.as_secs() as i64);
        let stamp = key.stamp;
        let inside = |(from, to): &(Timestamp, Timestamp)| {
            *from - STAMP_SLACK <= stamp && stamp <= *to + STAMP_SLACK
        };
        let lost = coverage.lost.iter().any(|(from, to)| *from < stamp && stamp <= *to);
        let proven = !lost && coverage.proven.iter().any(inside);
        let kind_known =
            key.kind.as_str() == "CloudTrail" || coverage.kinds.contains(key.kind.as_str());
        let plain = self.sidecar == Some(false) && age.is_none();
        if plain && coverage.newest.is_some_and(|t| stamp + PLAIN_COPY_TAIL > t && proven) {
            return Verdict::Pending;
        }
        if proven && kind_known {
            return if younger(self.grace) {
                Verdict::Pending
            } else if younger(self.backfill_grace) {
                Verdict::AwaitingBackfill
            } else {
                Verdict::Unreferenced("no digest names it, and digests name every log of its time")
            };
        }
        // The stretch after the newest digest is still being written.
        let after_newest = coverage.newest.is_some_and(|t| stamp + STAMP_SLACK > t);
        if coverage.has_chain && after_newest && !lost && younger(self.grace) {
            return Verdict::Pending;
        }
        Verdict::Undigested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const NAME: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/";

    fn at(seconds_before_now: i64) -> Timestamp {
        Timestamp::from_unix(NOW - seconds_before_now)
    }

    fn key(stamp: Timestamp) -> String {
        let (date, minute) = (stamp.date_folders(), stamp.minute_stamp());
        format!("{NAME}{date}/111122223333_CloudTrail_us-east-1_{minute}_ABCDEFGHIJKLMNOP.json.gz")
    }

    fn codes(
        entries: &[(String, u64, Option<i64>)],
        proven: &[(i64, i64)],
        sidecar: Option<bool>,
    ) -> Vec<Code> {
        let named = HashSet::new();
        let hour = Duration::from_secs(3600);
        let sweep = Sweep {
            now: at(0),
            start: None,
            end: None,
            grace: 2 * hour,
            backfill_grace: 72 * hour,
            named: &named,
            sidecar,
        };
        let proven: Vec<_> = proven.iter().map(|(a, b)| (at(*a), at(*b))).collect();
        let coverage = Coverage {
            begins: proven.first().map(|p| p.0),
            newest: proven.last().map(|p| p.1),
            has_chain: !proven.is_empty(),
            proven,
            lost: Vec::new(),
            kinds: BTreeSet::new(),
        };
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, size, age)| {
                let last_modified = age.map(at);
                (
                    ListEntry { key: key.clone(), size: *size, last_modified, archived: false },
                    key.clone(),
                )
            })
            .collect();
        let account = "111122223333".parse().unwrap();
        let swept = sweep.folder(&account, None, "b", &entries, &coverage);
        swept.findings.iter().map(|f| f.code).collect()
    }

    #[test]
    fn age_decides_inside_proven_time() {
        let day = 24 * 3600;
        let week = [(7 * day, 0)];
        let log = |age: i64| vec![(key(at(age)), 9, Some(age))];
        assert_eq!(codes(&log(3600), &week, None), []);
        assert_eq!(codes(&log(day), &week, None), [Code::LogAwaitingBackfill]);
        assert_eq!(codes(&log(4 * day), &week, None), [Code::LogUnreferenced]);
        assert_eq!(codes(&log(8 * day), &week, None), [], "before the chain begins");
    }

    #[test]
    fn outside_proven_time_a_stretch_is_one_finding() {
        let day = 24 * 3600;
        let logs: Vec<_> = [30, 31, 32].map(|h| (key(at(h * 3600)), 9, Some(h * 3600))).into();
        assert_eq!(codes(&logs, &[(3 * day, 2 * day), (day, 0)], None), [Code::LogUndigested]);
        assert_eq!(codes(&logs, &[], None), [Code::LogUndigested]);
    }

    #[test]
    fn names_that_cannot_be_are_unreferenced_at_once() {
        let day = 24 * 3600;
        for name in [
            format!("{NAME}x.json.gz"),
            key(at(-3600)),
            key(at(day)).replacen("/CloudTrail/us-east-1/20", "/CloudTrail/us-east-1/19", 1),
        ] {
            assert_eq!(
                codes(&[(name.clone(), 9, Some(1))], &[(day, 0)], None),
                [Code::LogUnreferenced],
                "{name}"
            );
        }
        assert_eq!(codes(&[(format!("{NAME}x.json.gz"), 0, Some(1))], &[(day, 0)], None), []);
    }

    #[test]
    fn copies_without_dates() {
        let recent = [(key(at(600)), 9, None)];
        assert_eq!(codes(&recent, &[(86400, 0)], Some(false)), [], "may have been pending");
        assert_eq!(codes(&recent, &[(86400, 0)], Some(true)), [Code::LogUnreferenced], "was added");
        // Where no digest covers its time, only the copy's own list tells an added log from one
        // that was never digested.
        assert_eq!(codes(&recent, &[], Some(true)), [Code::LogUnreferenced], "was added");
        assert_eq!(codes(&recent, &[], Some(false)), [Code::LogUndigested]);
        let old = [(key(at(7200)), 9, None)];
        assert_eq!(codes(&old, &[(86400, 0)], Some(false)), [Code::LogUnreferenced]);
    }
}
