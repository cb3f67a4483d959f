//! A report as signed evidence: an in-toto statement in a DSSE envelope, one file.
//!
//! The statement's subject is the report's JSON, by its hash, and the report itself lies within,
//! byte for byte: whoever has the file and the signer's public key needs nothing else. Statement
//! and envelope are functions of the report and the signature; with a deterministic signature
//! (RSA PKCS#1 v1.5, Ed25519) the same report gives the same bytes.
//!
//! The predicate is our own. The nearest of the vetted ones, the Simple Verification Result
//! (<https://in-toto.io/attestation/svr/v0.1>), lists only properties that hold, and a
//! Verification Summary (SLSA) only a build level: neither can say that a trail was tampered
//! with. Names of members that both have (`verifier.id`, `timeCreated`) are those of SVR.

mod dsse;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trail::{Sha256, Timestamp};

pub use crate::evidence::dsse::{PublicKey, Signature, pae};
use crate::past::{Past, PastError, refuse_repeated_names};

/// Of envelopes around in-toto statements.
/// <https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md>
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Of the statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Of the predicate. What [`statement`] writes under this name never changes.
pub const PREDICATE_TYPE: &str = "https://trailseal.dev/attestation/verification/v1";
/// The largest report that is made evidence: over a year of hours of 100 chains, in JSON.
pub const REPORT_BYTES_MAX: usize = 256 << 20;
/// The largest envelope that is read. Base64 within base64 makes 16/9 of a report.
pub const ENVELOPE_BYTES_MAX: usize = 512 << 20;

/// Why an envelope is no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// More than is read or made.
    #[error("the {what} has {bytes} bytes; at most {max} are taken")]
    TooLarge {
        /// `report` or `envelope`.
        what: &'static str,
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// Not what its form demands.
    #[error("the {what} is malformed: {reason}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// How.
        reason: String,
    },
    /// No signature at all.
    #[error("the envelope carries no signature: it is not evidence")]
    Unsigned,
    /// No key given.
    #[error("no public key was given; expected the signer's")]
    NoKeys,
    /// No signature is of a given key over this content.
    #[error(
        "none of the {signatures} signatures is valid under the {keys} public keys given: another \
         key signed, or the content was changed since"
    )]
    NotVouchedFor {
        /// Signatures in the envelope.
        signatures: usize,
        /// Keys tried.
        keys: usize,
    },
    /// Signed, but something else.
    #[error("the {what} is {found:?}; expected {expected:?}")]
    OtherType {
        /// Which type.
        what: &'static str,
        /// What it says.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// The statement is signed, but does not fit the report within it.
    #[error("the statement does not fit the report in it: {0} differs")]
    Inconsistent(&'static str),
    /// The report within is none.
    #[error("the report in the evidence: {0}")]
    Report(#[from] PastError),
}

/// Evidence that holds.
#[derive(Debug)]
pub struct Verified {
    /// The report's JSON, byte for byte as it was signed.
    pub report_json: Vec<u8>,
    /// The report.
    pub report: Past,
    /// Ids of the given keys that signed; at least one.
    pub key_ids: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    verifier: Verifier,
    time_created: Timestamp,
    verdict: &'a str,
    request: &'a BTreeMap<String, Value>,
    period: Period,
    counts: Counts<'a>,
    coverage: Option<f64>,
    not_proven: &'a [String],
    report: Embedded,
}

#[derive(Serialize)]
struct Verifier {
    id: String,
}

/// The time that is spoken of: the earliest and the latest of all chains.
#[derive(Serialize)]
struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts<'a> {
    chains: u64,
    digests: &'a BTreeMap<String, u64>,
    backfill_digests: &'a BTreeMap<String, u64>,
    logs: &'a BTreeMap<String, u64>,
    findings: &'a BTreeMap<String, u64>,
}

/// The report, as an in-toto resource descriptor.
/// <https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md>
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    name: String,
    media_type: String,
    digest: BTreeMap<String, String>,
    content: String,
}

/// The in-toto statement over a report's JSON, itself in JSON; to be signed with [`sign`].
///
/// # Errors
/// When the bytes are no report, or more than [`REPORT_BYTES_MAX`].
pub fn statement(report_json: &[u8]) -> Result<Vec<u8>, EvidenceError> {
    bounded("report", report_json, REPORT_BYTES_MAX)?;
    let report = Past::parse(report_json)?;
    let hash = Sha256::of(report_json).to_string();
    let digest = BTreeMap::from([("sha256".to_owned(), hash)]);
    let summary = &report.summary;
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: vec![Subject {
            name: report.asked("target").unwrap_or("_").to_owned(),
            digest: digest.clone(),
        }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            verifier: Verifier {
                id: format!("https://trailseal.dev/verifier/{}", report.tool.version),
            },
            time_created: report.generated_at,
            verdict: &report.verdict,
            request: &report.request,
            period: Period {
                from: report.coverage.iter().map(|c| c.from).min(),
                to: report.coverage.iter().map(|c| c.to).max(),
            },
            counts: Counts {
                chains: summary.chains,
                digests: &summary.digests,
                backfill_digests: &summary.backfill_digests,
                logs: &summary.logs,
                findings: &summary.by_class,
            },
            coverage: summary.coverage,
            not_proven: &report.not_proven,
            report: Embedded {
                name: "report.json".to_owned(),
                media_type: "application/json".to_owned(),
                digest,
                content: BASE64_STANDARD.encode(report_json),
            },
        },
    };
    Ok(serde_json::to_vec(&statement).expect("strings and numbers serialize"))
}

/// The envelope around a statement, with a line feed at the end. `signer` is given the bytes to
/// sign, not their hash (DSSE's pre-authentication encoding), and signs them with RSA PKCS#1 v1.5
/// SHA-256, ECDSA (P-256 with SHA-256 or P-384 with SHA-384, in ASN.1) or Ed25519.
///
/// # Errors
/// Whatever the signer fails with.
pub fn sign<E>(
    statement: &[u8],
    signer: impl FnOnce(&[u8]) -> Result<Signature, E>,
) -> Result<Vec<u8>, E> {
    let signature = signer(&pae(PAYLOAD_TYPE, statement))?;
    Ok(dsse::envelope(PAYLOAD_TYPE, statement, &signature))
}

/// Checks an envelope: one of its signatures is by one of `keys`, and its statement and report
/// fit each other. That the signer told the truth is for the reader to trust.
///
/// # Errors
/// When it is no evidence, or not of these keys; see [`EvidenceError`].
pub fn verify(envelope: &[u8], keys: &[PublicKey]) -> Result<Verified, EvidenceError> {
    bounded("envelope", envelope, ENVELOPE_BYTES_MAX)?;
    let opened = dsse::open(envelope, keys)?;
    expect("envelope's payload type", &opened.payload_type, PAYLOAD_TYPE)?;
    let malformed = |e: serde_json::Error| malformed("statement", &e);
    refuse_repeated_names(&opened.payload).map_err(malformed)?;
    // The types come first: of a statement of another kind nothing else is known.
    let signed: Statement<Value> = serde_json::from_slice(&opened.payload).map_err(malformed)?;
    expect("statement's type", &signed.kind, STATEMENT_TYPE)?;
    expect("statement's predicate type", &signed.predicate_type, PREDICATE_TYPE)?;
    let embedded = signed.predicate.get("report").cloned().unwrap_or_default();
    let embedded: Embedded = serde_json::from_value(embedded).map_err(malformed)?;
    let report_json =
        BASE64_STANDARD.decode(&embedded.content).map_err(|e| self::malformed("report", &e))?;
    // The statement is a function of the report: made again, it must be what was signed.
    let made = statement(&report_json)?;
    let made: Statement<Value> = serde_json::from_slice(&made).map_err(malformed)?;
    if made.subject != signed.subject {
        return Err(EvidenceError::Inconsistent("the subject"));
    }
    if made.predicate != signed.predicate {
        return Err(EvidenceError::Inconsistent("the predicate"));
    }
    let report = Past::parse(&report_json)?;
    Ok(Verified { report_json, report, key_ids: opened.key_ids })
}

fn bounded(what: &'static str, bytes: &[u8], max: usize) -> Result<(), EvidenceError> {
    let bytes = bytes.len();
    if bytes > max { Err(EvidenceError::TooLarge { what, bytes, max }) } else { Ok(()) }
}

fn malformed(what: &'static str, reason: &dyn std::fmt::Display) -> EvidenceError {
    EvidenceError::Malformed { what, reason: reason.to_string() }
}

fn expect(what: &'static str, found: &str, expected: &'static str) -> Result<(), EvidenceError> {
    if found == expected {
        return Ok(());
    }
    Err(EvidenceError::OtherType { what, found: found.to_owned(), expected })
}
