//! When to try again, and how long to wait until then.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use trail::Sha256;

/// Tries in all.
pub(crate) const ATTEMPTS_MAX: u32 = 5;
/// The first wait, before jitter; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(500);

/// Whether a status says that a later try may succeed (RFC 9110 section 15, RFC 6585 section 4).
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// The wait after try number `attempt`, the first being 0: between half of the backoff and all
/// of it. Jitter has to differ between senders, not to be unpredictable, so it is drawn from what
/// is sent.
pub(crate) fn backoff(body: &[u8], attempt: u32) -> Duration {
    let draw = Sha256::of(&[body, &attempt.to_be_bytes()].concat()).0[0];
    let full = BACKOFF * 2u32.saturating_pow(attempt);
    full / 2 + full / 2 * u32::from(draw) / 255
}

/// The wait that a `Retry-After` header demands: seconds, or a date (RFC 9110 section 10.2.3).
/// A date is compared with the response's own `Date`, so that no clock need be right.
pub(crate) fn demanded(retry_after: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let text = retry_after?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let parse = |s: &str| DateTimeParser::new().parse_timestamp(s).ok();
    let seconds = parse(text)?.as_second() - parse(date?)?.as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_between_half_and_all_of_the_backoff() {
        let mut differ = std::collections::BTreeSet::new();
        for sender in 0..50u8 {
            for attempt in 0..ATTEMPTS_MAX {
                let wait = backoff(&[sender], attempt);
                let full = BACKOFF * 2u32.pow(attempt);
                assert!(full / 2 <= wait && wait <= full, "{wait:?} of {full:?}");
            }
            differ.insert(backoff(&[sender], 1));
        }
        assert!(differ.len() > 20, "{differ:?}");
    }

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let seconds = Duration::from_secs;
        assert_eq!(demanded(Some("7"), None), Some(seconds(7)));
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(demanded(Some("Wed, 21 Oct 2015 07:28:09 GMT"), date), Some(seconds(9)));
        assert_eq!(demanded(Some("Wed, 21 Oct 2015 07:27:00 GMT"), date), Some(seconds(0)));
        assert_eq!(demanded(Some("Wed, 21 Oct 2015 07:28:09 GMT"), None), None);
        assert_eq!(demanded(Some("-3"), date), None);
        assert_eq!(demanded(Some("soon"), date), None);
        assert_eq!(demanded(None, date), None);
    }
}
