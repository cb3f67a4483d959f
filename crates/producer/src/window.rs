//! Digest windows: where a chain's time is cut, and which log file falls into which window.

use std::time::Duration;

use trail::{Sha256, Timestamp};

/// The shortest window there is, and the step between two stamps of a chain.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A log file that is in the bucket and confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) key: String,
    /// Of its uncompressed bytes.
    pub(crate) hash: Sha256,
    pub(crate) oldest: Timestamp,
    pub(crate) newest: Timestamp,
    /// When it was delivered.
    pub(crate) at: Timestamp,
}

/// A digest to be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) logs: Vec<Delivered>,
}

/// Cuts [`start`, `end`] at the multiples of `interval` and files each log under the first
/// window that ends at or after its delivery, so that each is in exactly one. A window of more
/// than `max` logs is cut where the last of them was delivered; when even seconds do not
/// suffice, logs move to the next window, and windows of a second are added after `end`.
pub(crate) fn plan(
    start: Timestamp,
    end: Timestamp,
    interval: Duration,
    mut logs: Vec<Delivered>,
    max: usize,
) -> Vec<Window> {
    logs.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    let mut logs = logs.into_iter().peekable();
    let mut windows = Vec::new();
    let mut from = start;
    while from < end || logs.peek().is_some() {
        let boundary = from.floor_to(interval) + interval;
        let mut to = if from < end { boundary.min(end) } else { from + SECOND };
        let mut named = Vec::new();
        while named.len() < max
            && let Some(log) = logs.next_if(|l| l.at <= to || from >= end)
        {
            named.push(log);
        }
        let full = logs.peek().is_some_and(|l| l.at <= to);
        if let (true, Some(last)) = (full, named.last()) {
            to = to.min(last.at.max(from + SECOND));
        }
        windows.push(Window { start: from, end: to, logs: named });
        from = to;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn t(s: &str) -> Timestamp {
        format!("2026-01-01T{s}Z").parse().unwrap()
    }

    fn log(at: &str) -> Delivered {
        let at = t(at);
        Delivered { key: format!("{at}"), hash: Sha256([0; 32]), oldest: at, newest: at, at }
    }

    fn shape(windows: &[Window]) -> Vec<(String, String, usize)> {
        let text = |t: Timestamp| t.to_string()[11..19].to_owned();
        windows.iter().map(|w| (text(w.start), text(w.end), w.logs.len())).collect()
    }

    fn planned(start: &str, end: &str, logs: &[&str], max: usize) -> Vec<(String, String, usize)> {
        let logs = logs.iter().map(|l| log(l)).collect();
        shape(&plan(t(start), t(end), HOUR, logs, max))
    }

    fn expect(list: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
        list.iter().map(|(a, b, n)| ((*a).into(), (*b).into(), *n)).collect()
    }

    #[test]
    fn cut_at_hours_with_empty_ones_between() {
        assert_eq!(
            planned("10:20:40", "13:05:10", &["13:05:10", "10:20:40", "11:00:00"], 9),
            expect(&[
                ("10:20:40", "11:00:00", 2),
                ("11:00:00", "12:00:00", 0),
                ("12:00:00", "13:00:00", 0),
                ("13:00:00", "13:05:10", 1),
            ])
        );
        assert_eq!(planned("11:00:00", "11:00:01", &[], 9), expect(&[("11:00:00", "11:00:01", 0)]));
        assert_eq!(planned("11:00:00", "11:00:00", &[], 9), expect(&[]));
    }

    #[test]
    fn full_windows_are_cut_early_and_no_log_is_left() {
        assert_eq!(
            planned("10:00:00", "11:00:00", &["10:10:00", "10:20:00", "10:30:00", "10:50:00"], 2),
            expect(&[("10:00:00", "10:20:00", 2), ("10:20:00", "11:00:00", 2)])
        );
        assert_eq!(
            planned("10:00:00", "10:00:02", &["10:00:01"; 7], 2),
            expect(&[
                ("10:00:00", "10:00:01", 2),
                ("10:00:01", "10:00:02", 2),
                ("10:00:02", "10:00:03", 2),
                ("10:00:03", "10:00:04", 1),
            ])
        );
        assert_eq!(
            planned("12:00:00", "11:00:00", &["10:00:00"], 2),
            expect(&[("12:00:00", "12:00:01", 1)]),
            "a log from before the chain's end is still named"
        );
    }

    proptest::proptest! {
        #[test]
        fn windows_are_contiguous_and_every_log_is_in_exactly_one(
            start in 0i64..20_000, length in 0i64..20_000, max in 1usize..5,
            ats in proptest::collection::vec(0i64..40_000, 0..40),
        ) {
            let (start, end) = (Timestamp::from_unix(start), Timestamp::from_unix(start + length));
            let logs: Vec<_> = ats.iter().enumerate().map(|(i, at)| {
                let at = Timestamp::from_unix(*at).min(end);
                Delivered { key: i.to_string(), hash: Sha256([0; 32]), oldest: at, newest: at, at }
            }).collect();
            let windows = plan(start, end, HOUR, logs, max);
            let mut from = start;
            for w in &windows {
                proptest::prop_assert_eq!(w.start, from);
                proptest::prop_assert!(w.end > w.start && w.logs.len() <= max);
                proptest::prop_assert!(w.end <= w.start.floor_to(HOUR) + HOUR);
                from = w.end;
            }
            proptest::prop_assert!(from >= end);
            let mut keys: Vec<_> = windows.iter().flat_map(|w| &w.logs).map(|l| &l.key).collect();
            keys.sort_unstable();
            keys.dedup();
            proptest::prop_assert_eq!(keys.len(), ats.len());
        }
    }
}
