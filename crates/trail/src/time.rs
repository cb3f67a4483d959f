//! Points in time, to the second, as trails write them.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::ParseError;

/// A point in time: whole seconds from 1970-01-01T00:00:00Z to 9999-12-30T22:00:00Z.
///
/// Its text form is `2015-08-17T15:01:31Z`, the one that digests and events use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// The last second whose civil time is in year 9999 in every time zone: jiff's own bound.
const MAX: i64 = 253_402_207_200;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-30T22:00:00Z.
    pub const MAX: Self = Self(MAX);

    /// From seconds since the epoch; clamped to the representable range.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(0, MAX))
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }

    /// Parses any RFC 3339 time, offsets honoured, fractions of a second cut off.
    ///
    /// # Errors
    /// When `s` is not RFC 3339 or outside the years 1970 to 9999.
    pub fn parse_rfc3339(s: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("time", s, "RFC 3339, such as 2015-08-17T15:01:31Z");
        let b = s.as_bytes();
        // jiff reads all of ISO 8601 and RFC 9557; RFC 3339 is narrower.
        let date_time = b.len() >= 20
            && b[4] == b'-'
            && b[7] == b'-'
            && matches!(b[10], b'T' | b't' | b' ')
            && b[13] == b':'
            && b[16] == b':'
            && b[17..19].iter().all(u8::is_ascii_digit);
        let tail = s.get(19..).ok_or_else(wrong)?;
        let zone = tail
            .strip_prefix('.')
            .map_or(tail, |f| f.trim_start_matches(|c: char| c.is_ascii_digit()));
        let offset = match zone.as_bytes() {
            [b'Z' | b'z'] => true,
            [b'+' | b'-', h1, h2, b':', m1, m2] => {
                [h1, h2, m1, m2].iter().all(|d| d.is_ascii_digit())
            }
            _ => false,
        };
        if !date_time || !offset || tail.starts_with(".Z") || tail.starts_with(".z") {
            return Err(wrong());
        }
        let parsed: jiff::Timestamp = s.parse().map_err(|_| wrong())?;
        let seconds = parsed.as_second() - i64::from(parsed.subsec_nanosecond() < 0);
        if (0..=MAX).contains(&seconds) { Ok(Self(seconds)) } else { Err(wrong()) }
    }

    fn civil(self) -> DateTime {
        let stamp = jiff::Timestamp::from_second(self.0).expect("clamped to jiff's range");
        Offset::UTC.to_datetime(stamp)
    }

    /// `YYYY/MM/DD`, the folders of a key.
    #[must_use]
    pub fn date_folders(self) -> String {
        let t = self.civil();
        format!("{:04}/{:02}/{:02}", t.year(), t.month(), t.day())
    }

    /// `YYYYMMDDTHHmmZ`, the stamp in a log file's name.
    #[must_use]
    pub fn minute_stamp(self) -> String {
        let t = self.civil();
        format!("{:04}{:02}{:02}T{:02}{:02}Z", t.year(), t.month(), t.day(), t.hour(), t.minute())
    }

    /// `YYYYMMDDTHHmmssZ`, the stamp in a digest's name.
    #[must_use]
    pub fn second_stamp(self) -> String {
        let t = self.civil();
        format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    /// Parses `YYYYMMDDTHHmmZ`, nothing else.
    ///
    /// # Errors
    /// When `s` is not exactly that.
    pub fn parse_minute_stamp(s: &str) -> Result<Self, ParseError> {
        parse_stamp(s, false)
    }

    /// Parses `YYYYMMDDTHHmmssZ`, nothing else.
    ///
    /// # Errors
    /// When `s` is not exactly that.
    pub fn parse_second_stamp(s: &str) -> Result<Self, ParseError> {
        parse_stamp(s, true)
    }

    /// The latest multiple of `step` that is not after this point.
    #[must_use]
    pub fn floor_to(self, step: Duration) -> Self {
        let step = seconds(step).max(1);
        Self(self.0 - self.0.rem_euclid(step))
    }

    /// The earliest multiple of `step` that is not before this point.
    #[must_use]
    pub fn ceil_to(self, step: Duration) -> Self {
        let floor = self.floor_to(step);
        if floor == self { self } else { floor + step }
    }

    /// Seconds from `earlier` to this point; negative when it is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

fn seconds(d: Duration) -> i64 {
    i64::try_from(d.as_secs()).unwrap_or(MAX)
}

fn parse_stamp(s: &str, with_seconds: bool) -> Result<Timestamp, ParseError> {
    let expected = if with_seconds { "YYYYMMDDTHHmmssZ" } else { "YYYYMMDDTHHmmZ" };
    let wrong = || ParseError::new("time stamp", s, expected);
    let b = s.as_bytes();
    if b.len() != expected.len() || b[8] != b'T' || b[b.len() - 1] != b'Z' {
        return Err(wrong());
    }
    let number = |from: usize, to: usize| -> Result<i16, ParseError> {
        b[from..to].iter().try_fold(0i16, |n, d| {
            if d.is_ascii_digit() { Ok(n * 10 + i16::from(d - b'0')) } else { Err(wrong()) }
        })
    };
    let small = |from: usize| number(from, from + 2).map(|n| n as i8);
    let second = if with_seconds { small(13)? } else { 0 };
    let civil =
        DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(9)?, small(11)?, second, 0)
            .map_err(|_| wrong())?;
    let unix = Offset::UTC.to_timestamp(civil).map_err(|_| wrong())?.as_second();
    if (0..=MAX).contains(&unix) { Ok(Timestamp(unix)) } else { Err(wrong()) }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    /// Parses exactly the text form, `2015-08-17T15:01:31Z`.
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let t = Self::parse_rfc3339(s)?;
        if t.to_string() == s {
            Ok(t)
        } else {
            Err(ParseError::new("time", s, "YYYY-MM-DDTHH:MM:SSZ"))
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self::from_unix(self.0.saturating_add(seconds(d)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self::from_unix(self.0.saturating_sub(seconds(d)))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = String::deserialize(d)?;
        Self::parse_rfc3339(&s).map_err(serde::de::Error::custom)
    }
}

/// Parses a duration such as `90s`, `5m`, `1h30m`, `72h`, `30d`, `2w`; a bare number is seconds.
///
/// # Errors
/// When `s` is empty, has another unit, or overflows.
pub fn parse_duration(s: &str) -> Result<Duration, ParseError> {
    let wrong = || ParseError::new("duration", s, "a number with a unit: 90s, 5m, 1h30m, 72h, 30d");
    if let Ok(n) = s.parse::<u64>() {
        return Ok(Duration::from_secs(n));
    }
    let mut rest = s;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let n: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |i| digits + i);
        let factor = match &rest[digits..unit] {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(wrong()),
        };
        total = n.checked_mul(factor).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
        rest = &rest[unit..];
    }
    if s.is_empty() { Err(wrong()) } else { Ok(Duration::from_secs(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_of_one_instant() {
        let t: Timestamp = "2015-08-17T15:01:31Z".parse().unwrap();
        assert_eq!(t.unix(), 1_439_823_691);
        assert_eq!(t.to_string(), "2015-08-17T15:01:31Z");
        assert_eq!(t.date_folders(), "2015/08/17");
        assert_eq!(t.minute_stamp(), "20150817T1501Z");
        assert_eq!(t.second_stamp(), "20150817T150131Z");
        assert_eq!(Timestamp::parse_second_stamp("20150817T150131Z"), Ok(t));
    }

    #[test]
    fn rfc3339_offsets_are_honoured_and_fractions_cut() {
        for s in ["2015-08-17T17:01:31+02:00", "2015-08-17T15:01:31.999Z", "2015-08-17t15:01:31z"] {
            assert_eq!(
                Timestamp::parse_rfc3339(s).unwrap().to_string(),
                "2015-08-17T15:01:31Z",
                "{s}"
            );
        }
    }

    #[test]
    fn what_is_not_rfc3339_is_refused() {
        for s in [
            "",
            "2015-08-17",
            "2015-08-17T15:01:31",
            "2015-08-17T15:01Z",
            "20150817T150131Z",
            "2015-08-17T15:01:31.Z",
            "2015-08-17T15:01:31+02",
            "2015-08-17T15:01:31Z[UTC]",
            "2015-13-17T15:01:31Z",
            "1969-12-31T23:59:59Z",
            "2015-08-17T15:01:31+02:00[Europe/Rome]",
            "2015-08-17T25:01:31Z",
            "٢015-08-17T15:01:31Z",
        ] {
            assert!(Timestamp::parse_rfc3339(s).is_err(), "{s}");
        }
    }

    #[test]
    fn stamps_are_exact() {
        for s in [
            "20150817T1501",
            "20150817T1501z",
            "2015081xT1501Z",
            "20150832T1501Z",
            "20150817T150131Z",
        ] {
            assert!(Timestamp::parse_minute_stamp(s).is_err(), "{s}");
        }
    }

    #[test]
    fn rounding_to_five_minutes() {
        let five = Duration::from_secs(300);
        let t: Timestamp = "2015-08-17T15:01:31Z".parse().unwrap();
        assert_eq!(t.ceil_to(five).to_string(), "2015-08-17T15:05:00Z");
        assert_eq!(t.floor_to(five).to_string(), "2015-08-17T15:00:00Z");
        assert_eq!(t.floor_to(five).ceil_to(five), t.floor_to(five));
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(parse_duration("72h").unwrap().as_secs(), 259_200);
        assert_eq!(parse_duration("45").unwrap().as_secs(), 45);
        for s in ["", "h", "5x", "5m3", "-5m", "99999999999999999999s", "5 m"] {
            assert!(parse_duration(s).is_err(), "{s}");
        }
    }

    #[test]
    fn the_extremes_are_printable() {
        for t in [Timestamp::EPOCH, Timestamp::MAX, Timestamp::from_unix(i64::MAX)] {
            assert_eq!(t.to_string().parse(), Ok(t));
            assert_eq!(Timestamp::parse_second_stamp(&t.second_stamp()), Ok(t));
        }
        assert_eq!(jiff::Timestamp::MAX.as_second(), MAX);
        assert!("9999-12-31T00:00:00Z".parse::<Timestamp>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_second_survives_its_text_forms(seconds in 0..=MAX) {
            let t = Timestamp(seconds);
            proptest::prop_assert_eq!(t.to_string().parse::<Timestamp>(), Ok(t));
            proptest::prop_assert_eq!(Timestamp::parse_second_stamp(&t.second_stamp()), Ok(t));
        }
    }
}
