//! What is odd about the events of a proven log: signed, but not what a log should hold.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use trail::digest::LogEntry;
use trail::key::{LogKey, LogKind};
use trail::{Timestamp, log_file};

use crate::finding::Code;

/// An event may be this much later than its digest's end (clocks differ).
const FUTURE: Duration = Duration::from_secs(15 * 60);
/// An event this much older than its digest's window is worth a note.
const OLD: Duration = Duration::from_secs(25 * 3600);

/// Services whose events are recorded in one region whatever region they concern (CloudTrail
/// user guide, "global service events").
const GLOBAL_SERVICES: [&str; 12] = [
    "iam.amazonaws.com",
    "sts.amazonaws.com",
    "signin.amazonaws.com",
    "cloudfront.amazonaws.com",
    "route53.amazonaws.com",
    "route53domains.amazonaws.com",
    "organizations.amazonaws.com",
    "waf.amazonaws.com",
    "shield.amazonaws.com",
    "globalaccelerator.amazonaws.com",
    "support.amazonaws.com",
    "account.amazonaws.com",
];

/// Calls that change what is recorded, or who can read or delete it.
const CONTROL_CALLS: [(&str, &[&str]); 3] = [
    (
        "cloudtrail.amazonaws.com",
        &[
            "StopLogging",
            "StartLogging",
            "DeleteTrail",
            "UpdateTrail",
            "CreateTrail",
            "PutEventSelectors",
            "PutInsightSelectors",
        ],
    ),
    (
        "kms.amazonaws.com",
        &[
            "DisableKey",
            "ScheduleKeyDeletion",
            "PutKeyPolicy",
            "DisableKeyRotation",
            "DeleteImportedKeyMaterial",
        ],
    ),
    (
        "s3.amazonaws.com",
        &[
            "PutBucketPolicy",
            "DeleteBucketPolicy",
            "PutBucketLifecycle",
            "PutBucketLifecycleConfiguration",
            "PutBucketVersioning",
            "PutObjectLockConfiguration",
            "PutBucketObjectLockConfiguration",
            "DeleteBucket",
            "PutBucketEncryption",
            "DeleteBucketEncryption",
        ],
    ),
];

/// What was found, with how often and the first example.
#[derive(Default)]
pub(crate) struct Oddities {
    pub(crate) events: u64,
    pub(crate) found: BTreeMap<Code, (u64, String)>,
}

impl Oddities {
    fn add(&mut self, code: Code, example: impl FnOnce() -> String) {
        self.found.entry(code).or_insert_with(|| (0, example())).0 += 1;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(rename = "eventID", alias = "eventId")]
    event_id: String,
    event_time: Option<String>,

    recipient_account_id: Option<serde_json::Value>,
    aws_region: Option<String>,
    event_source: Option<String>,
    event_name: Option<String>,
    event_category: Option<String>,
    event_type: Option<String>,
}

/// Looks at every event of a log whose hash is proven.
pub(crate) fn examine(content: &[u8], entry: &LogEntry, digest_end: Timestamp) -> Oddities {
    let mut oddities = Oddities::default();
    let key = entry.s3_object.parse::<LogKey>().ok();
    let records = match log_file::records(content) {
        Ok(records) => records,
        Err(e) => {
            oddities.add(Code::EventMalformed, || format!("it is no log file: {e}"));
            return oddities;
        }
    };
    let (mut oldest, mut newest) = (None, None);
    for (index, raw) in records.iter().enumerate() {
        oddities.events += 1;
        let record: Record = match serde_json::from_str(raw.get()) {
            Ok(record) => record,
            Err(e) => {
                oddities
                    .add(Code::EventMalformed, || format!("record {} is no event: {e}", index + 1));
                continue;
            }
        };
        let aggregated = key.as_ref().is_some_and(|k| k.kind == LogKind::Aggregated);
        match record.event_time.as_deref().map(Timestamp::parse_rfc3339) {
            Some(Ok(time)) => {
                oldest = Some(oldest.map_or(time, |o: Timestamp| o.min(time)));
                newest = Some(newest.map_or(time, |n: Timestamp| n.max(time)));
                examine_time(&mut oddities, &record, time, digest_end);
            }
            None if aggregated => {}
            _ => oddities.add(Code::EventMalformed, || {
                format!("event {} has no eventTime", record.event_id)
            }),
        }
        if let Some(key) = &key {
            examine_place(&mut oddities, &record, key);
        }
        examine_control(&mut oddities, &record);
    }
    let stated = |s: &str| Timestamp::parse_rfc3339(s).ok();
    let times = (stated(&entry.oldest_event_time), stated(&entry.newest_event_time));
    if oldest.is_some() && times != (oldest, newest) {
        let text = |t: Option<Timestamp>| t.map_or("none".to_owned(), |t| t.to_string());
        oddities.add(Code::DigestEventTimes, || {
            format!(
                "its events are from {} to {}, not as its digest says",
                text(oldest),
                text(newest)
            )
        });
    }
    oddities
}

fn examine_time(oddities: &mut Oddities, record: &Record, time: Timestamp, end: Timestamp) {
    if time > end + FUTURE {
        oddities.add(Code::EventFuture, || {
            format!("event {} of {time} is later than its digest's end, {end}", record.event_id)
        });
    } else if time + OLD < end {
        oddities.add(Code::EventOld, || {
            format!(
                "event {} of {time} is a day and more older than its digest's window",
                record.event_id
            )
        });
    }
}

fn examine_place(oddities: &mut Oddities, record: &Record, key: &LogKey) {
    let account = key.folder.account.as_str();
    if let Some(other) =
        record.recipient_account_id.as_ref().filter(|v| v.as_str() != Some(account))
    {
        oddities.add(Code::EventForeignAccount, || {
            format!("event {} is for account {other}, not {account}", record.event_id)
        });
    }
    let exempt = matches!(key.kind, LogKind::Insight | LogKind::Aggregated)
        || matches!(record.event_category.as_deref(), Some("Insight" | "Aggregated"))
        || record.event_type.as_deref() == Some("AwsConsoleSignIn")
        || record.event_source.as_deref().is_some_and(|s| GLOBAL_SERVICES.contains(&s));
    let region = key.region.as_str();
    if let Some(other) = record.aws_region.as_deref().filter(|r| !exempt && *r != region) {
        oddities.add(Code::EventForeignRegion, || {
            format!("event {} is of region {other}, not {region}", record.event_id)
        });
    }
}

fn examine_control(oddities: &mut Oddities, record: &Record) {
    let (Some(source), Some(name)) = (&record.event_source, &record.event_name) else { return };
    let control =
        CONTROL_CALLS.iter().any(|(s, names)| s == source && names.contains(&name.as_str()));
    if control {
        let time = record.event_time.as_deref().unwrap_or("an unknown time");
        oddities.add(Code::EventControlChange, || {
            format!("event {}: {name} at {time}", record.event_id)
        });
    }
}
