//! One event: its bytes as they came, and the four facts that delivery needs.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::name::{AccountId, Region};
use crate::{Timestamp, limits};

/// An event as contract section 2 defines it: a JSON object of at most
/// [`limits::EVENT_BYTES_MAX`] bytes, UTF-8, without duplicate keys, with a string `eventID` and
/// an RFC 3339 `eventTime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The object's bytes, exactly as read.
    pub bytes: Vec<u8>,
    /// `eventID`.
    pub id: String,
    /// `eventTime`, to the second.
    pub time: Timestamp,
    /// `recipientAccountId`, when it is there and twelve digits.
    pub account: Option<AccountId>,
    /// `awsRegion`, when it is there and could be a region.
    pub region: Option<Region>,
}

/// Why some bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// More than [`limits::EVENT_BYTES_MAX`] bytes.
    #[error("{size} bytes, more than the 1,048,576 that an event may have")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not UTF-8.
    #[error("not UTF-8: byte {at} is invalid; send UTF-8")]
    NotUtf8 {
        /// Offset of the first invalid byte.
        at: usize,
    },
    /// Not a JSON object, with duplicate keys, or without what an event must have.
    #[error("{0}")]
    Json(String),
}

impl Event {
    /// Takes `bytes` (without surrounding white space) as an event.
    ///
    /// # Errors
    /// When they are none: why, with the bytes, which somebody may want to keep.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, (NotAnEvent, Vec<u8>)> {
        match Facts::of(&bytes) {
            Ok(Facts { id, time, account, region }) => {
                Ok(Self { bytes, id, time, account, region })
            }
            Err(why) => Err((why, bytes)),
        }
    }
}

struct Facts {
    id: String,
    time: Timestamp,
    account: Option<AccountId>,
    region: Option<Region>,
}

impl Facts {
    fn of(bytes: &[u8]) -> Result<Self, NotAnEvent> {
        if bytes.len() > limits::EVENT_BYTES_MAX {
            return Err(NotAnEvent::TooLarge { size: bytes.len() });
        }
        let text =
            std::str::from_utf8(bytes).map_err(|e| NotAnEvent::NotUtf8 { at: e.valid_up_to() })?;
        let fields = Fields::read(text).map_err(|e| NotAnEvent::Json(e.to_string()))?;
        let missing = |what: &str| NotAnEvent::Json(format!("no event: it has no {what}"));
        let id = fields.id.ok_or_else(|| missing("eventID"))?;
        let time = fields.time.ok_or_else(|| missing("eventTime"))?;
        let time = Timestamp::parse_rfc3339(&time)
            .map_err(|e| NotAnEvent::Json(format!("eventTime: {e}")))?;
        Ok(Self {
            id: id.into_owned(),
            time,
            account: fields.account.and_then(|a| a.parse().ok()),
            region: fields.region.and_then(|r| r.parse().ok()),
        })
    }
}

/// The top-level fields, filled in one pass that also refuses duplicate keys at every depth.
#[derive(Default)]
struct Fields<'de> {
    id: Option<Cow<'de, str>>,
    time: Option<Cow<'de, str>>,
    account: Option<Cow<'de, str>>,
    region: Option<Cow<'de, str>>,
}

impl<'de> Fields<'de> {
    fn read(text: &'de str) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = deserializer.deserialize_map(TopLevel)?;
        deserializer.end()?;
        Ok(fields)
    }
}

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        let mut keys = Keys { open: Vec::with_capacity(64) };
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                "eventID" => fields.id = Some(map.next_value_seed(Text("eventID"))?),
                "eventTime" => fields.time = Some(map.next_value_seed(Text("eventTime"))?),
                "recipientAccountId" => fields.account = map.next_value_seed(AnyText(&mut keys))?,
                "awsRegion" => fields.region = map.next_value_seed(AnyText(&mut keys))?,
                _ => map.next_value_seed(Walk(&mut keys))?,
            }
            keys.open.push(key);
        }
        keys.close(0)?;
        Ok(fields)
    }
}

/// A field that must be a string, and an object's key: borrowed where it holds no escapes.
struct Text(&'static str);

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Cow<'de, str>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string as {}", self.0)
    }
    fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(s))
    }
    fn visit_str<E: de::Error>(self, s: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(s.to_owned()))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Cow<'de, str>, D::Error> {
        d.deserialize_str(Text("key"))
    }
}

/// Keys of the objects that are open, the innermost object's last: one list for all of them,
/// because an allocation for each object would cost more than looking at its keys.
struct Keys<'de> {
    open: Vec<Cow<'de, str>>,
}

impl Keys<'_> {
    /// Up to here every key is compared with every other; beyond, sorting is faster.
    const FEW: usize = 24;

    /// Ends the object whose keys begin at `base`.
    fn close<E: de::Error>(&mut self, base: usize) -> Result<(), E> {
        let keys = &mut self.open[base..];
        let twice = if keys.len() <= Self::FEW {
            keys.iter().enumerate().find(|(i, key)| keys[..*i].contains(key)).map(|(i, _)| i)
        } else {
            keys.sort_unstable();
            keys.windows(2).position(|pair| pair[0] == pair[1])
        };
        if let Some(index) = twice {
            let key: String = keys[index].chars().take(100).collect();
            return Err(E::custom(format_args!("key {key:?} occurs twice in one object")));
        }
        self.open.truncate(base);
        Ok(())
    }
}

/// Any value, walked for duplicate keys.
struct Walk<'k, 'de>(&'k mut Keys<'de>);

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let base = self.0.open.len();
        while let Some(key) = map.next_key_seed(Key)? {
            self.0.open.push(key);
            map.next_value_seed(Walk(self.0))?;
        }
        self.0.close(base)
    }
}

/// Any value, walked as [`Walk`] does; a string is handed back.
struct AnyText<'k, 'de>(&'k mut Keys<'de>);

impl<'de> DeserializeSeed<'de> for AnyText<'_, 'de> {
    type Value = Option<Cow<'de, str>>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyText<'_, 'de> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(s)))
    }
    fn visit_str<E>(self, s: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(s.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Walk(self.0).visit_seq(seq).map(|()| None)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Walk(self.0).visit_map(map).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(s: &str) -> Result<Event, NotAnEvent> {
        Event::parse(s.as_bytes().to_vec()).map_err(|(why, bytes)| {
            assert_eq!(bytes, s.as_bytes(), "refused bytes come back");
            why
        })
    }

    #[test]
    fn the_four_facts() {
        let json = r#"{"eventID":"e-1","eventTime":"2024-07-30T01:02:03Z","recipientAccountId":
            "123456789012","awsRegion":"sagov-westsouth-1r","a":{"a":[{"a":1},{"a":1.5e3},null]}}"#;
        let event = parse(json).unwrap();
        assert_eq!(event.bytes, json.as_bytes());
        assert_eq!(event.id, "e-1");
        assert_eq!(event.time.to_string(), "2024-07-30T01:02:03Z");
        assert_eq!(event.account.unwrap().as_str(), "123456789012");
        assert_eq!(event.region.unwrap().as_str(), "sagov-westsouth-1r");
    }

    #[test]
    fn odd_accounts_and_regions_are_still_events() {
        for field in [
            r#""recipientAccountId":null"#,
            r#""recipientAccountId":12"#,
            r#""recipientAccountId":{"a":1}"#,
            r#""awsRegion":"../../etc""#,
            r#""awsRegion":["us-east-1"]"#,
        ] {
            let json = format!(r#"{{"eventID":"e","eventTime":"2024-07-30T01:02:03Z",{field}}}"#);
            let event = parse(&json).unwrap();
            assert_eq!((event.account, event.region), (None, None), "{field}");
        }
    }

    #[test]
    fn what_is_no_event_says_why() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for (json, why) in [
            ("", "EOF"),
            ("nonsense", "expected"),
            ("[1]", "an event, which is a JSON object"),
            ("{}", "no eventID"),
            (r#"{"eventID":"e"}"#, "no eventTime"),
            (r#"{"eventID":1,"eventTime":"2024-07-30T01:02:03Z"}"#, "a string as eventID"),
            (r#"{"eventID":"e","eventTime":"yesterday"}"#, "RFC 3339"),
            (r#"{"eventID":"e","eventTime":1722301323}"#, "a string as eventTime"),
            (r#"{"eventID":"e","eventID":"e","eventTime":"2024-07-30T01:02:03Z"}"#, "occurs twice"),
            (
                r#"{"eventID":"e","event\u0049D":"f","eventTime":"2024-07-30T01:02:03Z"}"#,
                "occurs twice",
            ),
            (
                r#"{"eventID":"e","eventTime":"2024-07-30T01:02:03Z","x":[{"a":1,"a":2}]}"#,
                "occurs twice",
            ),
            (r#"{"eventID":"e","eventTime":"2024-07-30T01:02:03Z"} x"#, "trailing"),
            (&format!(r#"{{"eventID":"e","x":{deep}}}"#), "recursion"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
        let invalid = b"{\"eventID\":\"\xff\"}".to_vec();
        assert_eq!(Event::parse(invalid).unwrap_err().0, NotAnEvent::NotUtf8 { at: 12 });
    }

    #[test]
    fn many_keys_are_all_compared() {
        let keys = |n: usize| (0..n).map(|i| format!(r#""k{i}":0,"#)).collect::<String>();
        let tail = r#""eventID":"e","eventTime":"2024-07-30T01:02:03Z""#;
        assert!(parse(&format!("{{{}{tail}}}", keys(500))).is_ok());
        for twice in ["k0", "k23", "k24", "k499"] {
            let json = format!(r#"{{{}{tail},"{twice}":1}}"#, keys(500));
            assert!(parse(&json).is_err(), "{twice}");
        }
    }

    #[test]
    fn the_size_bound_is_exact() {
        let sized = |n: usize| {
            let head = r#"{"eventID":"e","eventTime":"2024-07-30T01:02:03Z","x":""#;
            format!("{head}{}\"}}", "y".repeat(n - head.len() - 2))
        };
        assert!(parse(&sized(limits::EVENT_BYTES_MAX)).is_ok());
        let over = limits::EVENT_BYTES_MAX + 1;
        assert_eq!(parse(&sized(over)), Err(NotAnEvent::TooLarge { size: over }));
    }
}
