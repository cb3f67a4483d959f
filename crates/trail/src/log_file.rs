//! Log files: `{"Records":[…]}`, events verbatim, no white space of our own.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::Event;
use crate::{Timestamp, limits};

/// A log file being filled.
#[derive(Debug)]
pub struct LogFileBuilder {
    bytes: Vec<u8>,
    events: usize,
    oldest: Timestamp,
    newest: Timestamp,
}

/// A finished log file, before compression.
#[derive(Debug)]
pub struct LogFile {
    /// `{"Records":[…]}`
    pub bytes: Vec<u8>,
    /// How many events it holds; at least one.
    pub events: usize,
    /// The earliest `eventTime` in it.
    pub oldest: Timestamp,
    /// The latest `eventTime` in it.
    pub newest: Timestamp,
}

const HEAD: &[u8] = b"{\"Records\":[";
const TAIL: &[u8] = b"]}";

impl LogFileBuilder {
    /// A log file with its first event; a log file is never empty.
    #[must_use]
    pub fn new(first: &Event) -> Self {
        let (oldest, newest) = (first.time, first.time);
        let mut builder = Self { bytes: HEAD.to_vec(), events: 0, oldest, newest };
        builder.append(first);
        builder
    }

    /// Appends an event, byte for byte.
    pub fn push(&mut self, event: &Event) {
        self.bytes.push(b',');
        self.append(event);
    }

    fn append(&mut self, event: &Event) {
        self.bytes.extend_from_slice(&event.bytes);
        self.events += 1;
        self.oldest = self.oldest.min(event.time);
        self.newest = self.newest.max(event.time);
    }

    /// Its size in bytes before compression, if it were finished now.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + TAIL.len()
    }

    /// Its size in bytes before compression with `event` in it.
    #[must_use]
    pub fn size_with(&self, event: &Event) -> usize {
        self.size() + 1 + event.bytes.len()
    }

    /// How many events it holds.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// Closes it.
    #[must_use]
    pub fn finish(mut self) -> LogFile {
        self.bytes.extend_from_slice(TAIL);
        let Self { bytes, events, oldest, newest } = self;
        LogFile { bytes, events, oldest, newest }
    }
}

/// Splits a log file into its records' bytes. `{"Records":[…]}` as CloudTrail writes it, or a
/// bare list, as one user reports of aggregated files.
///
/// # Errors
/// When `bytes` is neither; the message is `serde_json`'s, with line and column.
pub fn records(bytes: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(rename = "Records", borrow)]
        records: Vec<&'a RawValue>,
    }
    debug_assert!(bytes.len() as u64 <= limits::LOG_INFLATED_BYTES_MAX);
    if bytes.first() == Some(&b'[') {
        return serde_json::from_slice(bytes);
    }
    serde_json::from_slice::<File<'_>>(bytes).map(|f| f.records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, time: &str) -> Event {
        let json = format!(r#"{{ "eventID":"{id}","eventTime":"{time}", "x": "\/" }}"#);
        Event::parse(json.into_bytes()).unwrap()
    }

    #[test]
    fn events_stay_verbatim_and_times_are_the_extremes() {
        let (a, b) = (event("a", "2024-01-01T00:00:05Z"), event("b", "2024-01-01T00:00:01Z"));
        let mut builder = LogFileBuilder::new(&a);
        assert_eq!(builder.size_with(&b), builder.size() + 1 + b.bytes.len());
        builder.push(&b);
        let file = builder.finish();
        let expected = [b"{\"Records\":[", &a.bytes[..], b",", &b.bytes[..], b"]}"].concat();
        assert_eq!(file.bytes, expected);
        assert_eq!((file.events, file.oldest, file.newest), (2, b.time, a.time));
        let records = records(&file.bytes).unwrap();
        assert_eq!(records[1].get().as_bytes(), &b.bytes[..]);
    }

    #[test]
    fn both_shapes_are_read_and_others_refused() {
        assert_eq!(records(b"[{},{}]").unwrap().len(), 2);
        assert_eq!(records(b"{\"Records\":[]}").unwrap().len(), 0);
        for bad in [&b"{}"[..], b"", b"{\"Records\":{}}", b"{\"Records\":[]}x"] {
            assert!(records(bad).is_err());
        }
    }
}
