//! A report read back from its JSON form (contract section 4), of this run or an earlier one.
//!
//! Reports are kept for years and handed around, so what is read is not trusted to be well made:
//! another schema, a name given twice and bytes after the end are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use trail::Timestamp;

/// The only schema that is read.
pub const SCHEMA: &str = "trailseal.report/v1";

/// Why bytes are no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PastError {
    /// Not JSON, a name given twice, or a member that is absent or of another type.
    #[error("not a report: {0}; expected what verify --format json wrote, unchanged")]
    Malformed(#[from] serde_json::Error),
    /// Of another schema.
    #[error("the report's schema is {0:?}; this version reads {SCHEMA}")]
    Schema(String),
}

/// A report as it was written.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Past {
    /// Name and version of the program that wrote it.
    pub tool: PastTool,
    /// When that run was made.
    pub generated_at: Timestamp,
    /// What was asked; which members there are depends on the version.
    pub request: BTreeMap<String, Value>,
    /// The verdict's name.
    pub verdict: String,
    /// Counts.
    pub summary: PastSummary,
    /// Which time is covered, and how.
    pub coverage: Vec<PastCoverage>,
    /// How the objects are encrypted.
    pub encryption: Vec<PastEncryption>,
    /// Which keys signed.
    pub keys: Vec<PastKey>,
    /// What was found.
    pub findings: Vec<PastFinding>,
    /// What that run did not prove.
    pub not_proven: Vec<String>,
}

/// Who wrote a report.
#[derive(Debug, Clone, Deserialize)]
pub struct PastTool {
    /// The program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The counts that are read back.
#[derive(Debug, Clone, Deserialize)]
pub struct PastSummary {
    /// Chains looked at.
    pub chains: u64,
    /// Regular digests, by outcome.
    pub digests: BTreeMap<String, u64>,
    /// Backfill digests, by outcome.
    pub backfill_digests: BTreeMap<String, u64>,
    /// Logs, by outcome.
    pub logs: BTreeMap<String, u64>,
    /// Findings by class.
    pub by_class: BTreeMap<String, u64>,
    /// Proven part of the time demanded, 0 to 1; None when none is.
    pub coverage: Option<f64>,
}

/// A stretch of a chain's time.
#[derive(Debug, Clone, Deserialize)]
pub struct PastCoverage {
    /// The chain.
    #[serde(flatten)]
    pub chain: ChainName,
    /// Start.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// A coverage state's name.
    pub state: String,
}

/// What tells chains apart, folders aside: a chain may move from one to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
pub struct ChainName {
    /// The account.
    pub account: String,
    /// The source region.
    pub region: String,
    /// The trail.
    pub trail: String,
    /// The trail's home region.
    pub home_region: String,
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, region, trail, home_region } = self;
        write!(f, "{account} {region} {trail} ({home_region})")
    }
}

/// Objects under one encryption.
#[derive(Debug, Clone, Deserialize)]
pub struct PastEncryption {
    /// The account.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// `log` or `digest`.
    pub kind: String,
    /// As the response header names it; None: not encrypted.
    pub sse: Option<String>,
    /// The KMS key's ARN.
    pub key: Option<String>,
    /// Whether a Bucket Key was used.
    pub bucket_key: Option<bool>,
    /// How many.
    pub objects: u64,
}

/// A key that signed digests.
#[derive(Debug, Clone, Deserialize)]
pub struct PastKey {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The region it signs for.
    pub region: String,
    /// `api`, `file:…` or `target`.
    pub source: String,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Deserialize, serde::Serialize)]
pub struct PastFinding {
    /// Stable from run to run.
    pub id: String,
    /// Contract section 5.
    pub code: String,
    /// Its class's name.
    pub class: String,
    /// Its severity's name.
    pub severity: String,
    /// `open` or `accepted`.
    pub state: String,
    /// The account concerned.
    pub account: Option<String>,
    /// The region concerned.
    pub region: Option<String>,
    /// The trail concerned.
    pub trail: Option<String>,
    /// The object concerned.
    pub object: Option<String>,
    /// The digest that speaks of it.
    pub digest: Option<String>,
    /// Start of the time concerned.
    pub from: Option<Timestamp>,
    /// End of the time concerned.
    pub to: Option<Timestamp>,
    /// How many things it stands for.
    pub count: u64,
    /// The first 100 of them.
    pub objects: Vec<String>,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Past {
    /// Reads a report's JSON. How large it may be is the caller's to bound, before it is read.
    ///
    /// # Errors
    /// When it is no report of the schema `trailseal.report/v1`.
    pub fn parse(json: &[u8]) -> Result<Self, PastError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        refuse_repeated_names(json)?;
        let head: Head = serde_json::from_slice(json)?;
        if head.schema != SCHEMA {
            return Err(PastError::Schema(head.schema));
        }
        Ok(serde_json::from_slice(json)?)
    }

    /// A member of the request, when it is a string.
    #[must_use]
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.request.get(name).and_then(Value::as_str)
    }
}

/// Refuses JSON in which an object has a name twice (RFC 8259 section 4: readers differ in which
/// of the two they see). What follows the one value is the next reader's to refuse.
pub(crate) fn refuse_repeated_names(json: &[u8]) -> Result<(), serde_json::Error> {
    NamesOnce.deserialize(&mut serde_json::Deserializer::from_slice(json))
}

/// Reads any value and keeps nothing.
#[derive(Clone, Copy)]
struct NamesOnce;

impl<'de> DeserializeSeed<'de> for NamesOnce {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NamesOnce {
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

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(self)?;
            if let Some(twice) = names.replace(name) {
                return Err(A::Error::custom(format_args!("it has {twice:?} twice")));
            }
        }
        Ok(())
    }
}
