//! One JSON object a line ([NDJSON](https://github.com/ndjson/ndjson-spec)), each with a
//! `record` that says what it is: for `jq`, log pipelines, and reports too large to hold.
//!
//! Readers go by `record`, not by the order of lines, so that a run may write findings as they
//! are found and the `report` record, which needs them all, after them. Only `end` has a place:
//! it is the last line and counts those before it. A file without it was cut short.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use trail::Timestamp;
use verifier::Report;
use verifier::report::{
    CoverageLine, EncryptionLine, KeyLine, ReportedFinding, Summary, Tool, Verdict,
};

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record<'a> {
    /// What was asked and what came of it; exactly one.
    Report(Head<'a>),
    /// A finding, each by itself, however many there are.
    Finding(&'a ReportedFinding),
    /// A stretch of a chain's time.
    Coverage(&'a CoverageLine),
    /// Objects under one encryption.
    Encryption(&'a EncryptionLine),
    /// A key that signed.
    Key(&'a KeyLine),
    /// What the run does not prove.
    NotProven {
        /// One line of it.
        text: &'a str,
    },
    /// The last line.
    End {
        /// How many lines stand before it.
        records: usize,
    },
}

/// The report without its lists.
#[derive(Debug, Serialize)]
pub struct Head<'a> {
    schema: &'a str,
    tool: &'a Tool,
    generated_at: Timestamp,
    request: &'a BTreeMap<&'static str, Value>,
    verdict: Verdict,
    summary: &'a Summary,
}

impl Record<'_> {
    /// The record as a line, with its line feed. JSON escapes line feeds inside.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("strings and numbers serialize");
        line.push('\n');
        line
    }
}

/// The records of a report, in the order [`render`] writes them.
pub fn records(report: &Report) -> impl Iterator<Item = Record<'_>> {
    let head = Head {
        schema: report.schema,
        tool: &report.tool,
        generated_at: report.generated_at,
        request: &report.request,
        verdict: report.verdict,
        summary: &report.summary,
    };
    let records = std::iter::once(Record::Report(head))
        .chain(report.every_finding.iter().map(Record::Finding))
        .chain(report.coverage.iter().map(Record::Coverage))
        .chain(report.encryption.iter().map(Record::Encryption))
        .chain(report.keys.iter().map(Record::Key))
        .chain(report.not_proven.iter().map(|text| Record::NotProven { text }));
    let count = 1
        + report.every_finding.len()
        + report.coverage.len()
        + report.encryption.len()
        + report.keys.len()
        + report.not_proven.len();
    records.chain(std::iter::once(Record::End { records: count }))
}

/// The whole report, a line per record.
#[must_use]
pub fn render(report: &Report) -> String {
    records(report).map(|record| record.line()).collect()
}
