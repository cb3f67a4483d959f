//! Log files being filled, one for each account × region, and when they are closed.

use std::collections::HashMap;
use std::fmt;

use trail::event::Event;
use trail::log_file::{LogFile, LogFileBuilder};
use trail::{AccountId, Region, Timestamp};

use crate::Cutting;

/// All open log files together, in bytes. With hundreds of accounts × regions, each just below
/// its own bound, memory would have none; the largest is closed early instead.
const OPEN_BYTES_MAX: usize = 256 << 20;

/// What one chain of digests is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChainId {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// A closed log file.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) chain: ChainId,
    pub(crate) file: LogFile,
    /// When a replay delivers it; otherwise it is delivered when it is.
    pub(crate) at: Option<Timestamp>,
}

struct Open {
    builder: LogFileBuilder,
    since: Timestamp,
    at: Option<Timestamp>,
}

impl Open {
    fn close(self, chain: ChainId) -> Cut {
        Cut { chain, file: self.builder.finish(), at: self.at }
    }
}

/// The log files being filled.
pub(crate) struct OpenLogs {
    cutting: Cutting,
    open: HashMap<ChainId, Open>,
    bytes: usize,
    bytes_max: usize,
}

impl OpenLogs {
    pub(crate) fn new(cutting: Cutting) -> Self {
        Self { cutting, open: HashMap::new(), bytes: 0, bytes_max: OPEN_BYTES_MAX }
    }

    /// Adds an event that arrives at `now`; what had to be closed for it is returned. Events of
    /// different `at` never share a log file.
    pub(crate) fn push(
        &mut self,
        chain: &ChainId,
        event: &Event,
        now: Timestamp,
        at: Option<Timestamp>,
    ) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let Cutting { max_log_size, max_log_events, flush_interval, .. } = self.cutting;
        if let Some(open) = self.open.get(chain)
            && (open.at != at
                || open.builder.events() >= max_log_events
                || open.builder.size_with(event) > max_log_size
                || (at.is_none() && open.since + flush_interval <= now))
        {
            cuts.extend(self.close(&chain.clone()));
        }
        self.bytes += event.bytes.len();
        match self.open.get_mut(chain) {
            Some(open) => open.builder.push(event),
            None => {
                let open = Open { builder: LogFileBuilder::new(event), since: now, at };
                self.open.insert(chain.clone(), open);
            }
        }
        while self.bytes > self.bytes_max {
            let largest = self.open.iter().max_by_key(|(_, open)| open.builder.size());
            let Some(largest) = largest.map(|(chain, _)| chain.clone()) else { break };
            cuts.extend(self.close(&largest));
        }
        cuts
    }

    fn close(&mut self, chain: &ChainId) -> Option<Cut> {
        let cut = self.open.remove(chain)?.close(chain.clone());
        self.bytes = self.open.values().map(|o| o.builder.size()).sum();
        Some(cut)
    }

    /// When the oldest open log file is due.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.open.values().map(|open| open.since + self.cutting.flush_interval).min()
    }

    /// Closes what is due at `now`.
    pub(crate) fn close_due(&mut self, now: Timestamp) -> Vec<Cut> {
        let interval = self.cutting.flush_interval;
        let due = self.open.iter().filter(|(_, open)| open.since + interval <= now);
        let mut due: Vec<_> = due.map(|(chain, _)| chain.clone()).collect();
        due.sort();
        due.iter().filter_map(|chain| self.close(chain)).collect()
    }

    /// Closes all.
    pub(crate) fn close_all(&mut self) -> Vec<Cut> {
        self.close_due(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(START + seconds)
    }

    fn chain(account: u64) -> ChainId {
        ChainId {
            account: format!("{account:012}").parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
        }
    }

    fn event(padding: usize) -> Event {
        let json = format!(
            r#"{{"eventID":"e","eventTime":"2026-01-01T00:00:00Z","x":"{}"}}"#,
            "y".repeat(padding)
        );
        Event::parse(json.into_bytes()).unwrap()
    }

    fn logs(max_log_size: usize, max_log_events: usize) -> OpenLogs {
        OpenLogs::new(Cutting {
            flush_interval: Duration::from_secs(10),
            max_log_size,
            max_log_events,
            ..Cutting::default()
        })
    }

    #[test]
    fn cut_by_count_and_by_exact_size() {
        let mut open = logs(10_000, 2);
        let cuts: usize = (0..5).map(|_| open.push(&chain(1), &event(1), at(0), None).len()).sum();
        assert_eq!((cuts, open.close_all()[0].file.events), (2, 1));

        let two = LogFileBuilder::new(&event(5)).size_with(&event(7));
        let mut fits = logs(two, 99);
        fits.push(&chain(1), &event(5), at(0), None);
        assert!(fits.push(&chain(1), &event(7), at(0), None).is_empty());
        assert_eq!(fits.push(&chain(1), &event(0), at(0), None)[0].file.bytes.len(), two);
        let mut over = logs(two - 1, 99);
        over.push(&chain(1), &event(5), at(0), None);
        assert_eq!(over.push(&chain(1), &event(7), at(0), None).len(), 1);
        assert!(over.push(&chain(2), &event(20_000), at(0), None).is_empty(), "larger than any");
    }

    #[test]
    fn cut_by_age_and_replay_slot() {
        let mut open = logs(10_000, 99);
        open.push(&chain(1), &event(1), at(0), None);
        open.push(&chain(2), &event(1), at(4), None);
        assert_eq!(open.due(), Some(at(10)));
        assert!(open.close_due(at(9)).is_empty());
        assert_eq!(open.close_due(at(10)).len(), 1);
        assert_eq!(open.push(&chain(2), &event(1), at(14), None).len(), 1);
        let mut open = logs(10_000, 99);
        open.push(&chain(1), &event(1), at(0), Some(at(5)));
        assert!(open.push(&chain(1), &event(1), at(99), Some(at(5))).is_empty());
        assert_eq!(open.push(&chain(1), &event(1), at(99), Some(at(6)))[0].at, Some(at(5)));
    }

    #[test]
    fn all_together_stay_below_the_bound() {
        let mut open = logs(10_000, 99);
        open.bytes_max = 1000;
        assert!(open.push(&chain(1), &event(600), at(0), None).is_empty());
        let cuts = open.push(&chain(2), &event(500), at(0), None);
        assert_eq!(cuts.iter().map(|c| &c.chain).collect::<Vec<_>>(), [&chain(1)]);
    }
}
