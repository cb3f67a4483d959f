//! Bucket Keys: one data key of the key service for many objects of a bucket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use encryptor::keys::SecretKey;
use policy::Principal;
use trail::Timestamp;
use trail::error::KeyError;
use trail::ports::Pairs;

use crate::files::guard;

const AGE_SECONDS_MAX: i64 = 300;
const USES_MAX: u32 = 10_000;
const ENTRIES_MAX: usize = 1024;

/// A bucket-level key, in memory only.
pub(crate) struct BucketKey {
    pub(crate) key: SecretKey,
    pub(crate) wrapped: Vec<u8>,
}

struct Entry {
    key: Arc<BucketKey>,
    since: Timestamp,
    uses: u32,
}

/// What a Bucket Key is shared within: as in S3, each requester has its own, so that nobody
/// reads by what another was allowed. A service is another requester for each resource that it
/// acts for, because a key policy may tell them apart (`aws:SourceArn`).
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) requester: &'a Principal,
    pub(crate) source_arn: Option<&'a str>,
    pub(crate) context: &'a Pairs,
}

#[derive(PartialEq, Eq, Hash)]
enum Subject {
    /// Bucket and key ARN.
    Write(String, String),
    /// The wrapped key.
    Read(Vec<u8>),
}

type Name = (Subject, Principal, Option<String>, Pairs);

/// The Bucket Keys that are in use; each for five minutes and 10,000 objects at most, so that
/// the key service is asked again and again whether the key may still be used.
#[derive(Default)]
pub(crate) struct BucketKeys(Mutex<HashMap<Name, Entry>>);

impl BucketKeys {
    /// The key to write with.
    pub(crate) fn for_writing(
        &self,
        bucket: &str,
        arn: &str,
        shared: Shared<'_>,
        now: Timestamp,
        make: impl FnOnce() -> Result<BucketKey, KeyError>,
    ) -> Result<Arc<BucketKey>, KeyError> {
        self.take(Subject::Write(bucket.to_owned(), arn.to_owned()), shared, now, make)
    }

    /// The key to read with.
    pub(crate) fn for_reading(
        &self,
        wrapped: &[u8],
        shared: Shared<'_>,
        now: Timestamp,
        unwrap: impl FnOnce() -> Result<BucketKey, KeyError>,
    ) -> Result<Arc<BucketKey>, KeyError> {
        self.take(Subject::Read(wrapped.to_owned()), shared, now, unwrap)
    }

    fn take(
        &self,
        subject: Subject,
        shared: Shared<'_>,
        now: Timestamp,
        make: impl FnOnce() -> Result<BucketKey, KeyError>,
    ) -> Result<Arc<BucketKey>, KeyError> {
        let Shared { requester, source_arn, context } = shared;
        let name = (subject, requester.clone(), source_arn.map(str::to_owned), context.clone());
        // Held while the key is made, so that a burst of puts makes one.
        let mut entries = guard(&self.0);
        if let Some(entry) = entries.get_mut(&name)
            && entry.uses < USES_MAX
            && (0..AGE_SECONDS_MAX).contains(&now.seconds_since(entry.since))
        {
            entry.uses += 1;
            return Ok(Arc::clone(&entry.key));
        }
        let key = Arc::new(make()?);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(name, Entry { key: Arc::clone(&key), since: now, uses: 1 });
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_serves_five_minutes_and_ten_thousand_uses() {
        let keys = BucketKeys::default();
        let made = Cell::new(0);
        let account = "111122223333".parse().unwrap();
        let requester = &Principal::Root { partition: "aws".to_owned(), account };
        let take = |at: Timestamp| {
            let make = || {
                made.set(made.get() + 1);
                Ok(BucketKey { key: SecretKey::generate()?, wrapped: Vec::new() })
            };
            let shared = Shared { requester, source_arn: None, context: &Pairs::new() };
            keys.for_writing("b", "arn", shared, at, make).unwrap();
        };
        let start = Timestamp::EPOCH + Duration::from_secs(1000);
        for _ in 0..USES_MAX {
            take(start);
        }
        assert_eq!(made.get(), 1);
        take(start);
        assert_eq!(made.get(), 2);
        take(start + Duration::from_secs(299));
        assert_eq!(made.get(), 2);
        take(start + Duration::from_secs(300));
        assert_eq!(made.get(), 3);
        take(start);
        assert_eq!(made.get(), 4, "a clock that went back proves no age");
    }
}
