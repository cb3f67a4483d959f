//! A table for spreadsheets: findings and coverage, one row each, the same columns for both
//! ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).
//!
//! Cells are data, never formulas: one that a spreadsheet would run gets a leading apostrophe
//! ([OWASP, CSV injection](https://owasp.org/www-community/attacks/CSV_Injection)).

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};
use verifier::Report;
use verifier::report::{CoverageLine, ReportedFinding};

use crate::visible::visible;

/// The first row.
const COLUMNS: [&str; 21] = [
    "record",
    "state",
    "severity",
    "class",
    "code",
    "account",
    "region",
    "trail",
    "home_region",
    "path",
    "object",
    "digest",
    "from",
    "to",
    "count",
    "objects",
    "expected",
    "actual",
    "message",
    "remedy",
    "id",
];

/// The report's findings, each by itself, and its coverage.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut writer =
        WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::with_capacity(4096));
    let rows = report.every_finding.iter().map(finding);
    let rows = rows.chain(report.coverage.iter().map(coverage));
    let header = COLUMNS.map(str::to_owned);
    for row in std::iter::once(header).chain(rows) {
        let cells = row.each_ref().map(|cell| guarded(cell));
        writer.write_record(cells.iter().map(|cell| &**cell)).expect("memory takes it");
    }
    let bytes = writer.into_inner().expect("memory takes it");
    String::from_utf8(bytes).expect("cells are UTF-8")
}

fn finding(f: &ReportedFinding) -> [String; COLUMNS.len()] {
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    let time = |t: Option<trail::Timestamp>| t.map(|t| t.to_string()).unwrap_or_default();
    [
        "finding".into(),
        f.state.into(),
        f.severity.into(),
        f.class.into(),
        f.code.clone(),
        text(&f.account),
        text(&f.region),
        text(&f.trail),
        String::new(),
        String::new(),
        text(&f.object),
        text(&f.digest),
        time(f.from),
        time(f.to),
        f.count.to_string(),
        f.objects.join("; "),
        text(&f.expected),
        text(&f.actual),
        f.message.clone(),
        f.remedy.into(),
        f.id.clone(),
    ]
}

fn coverage(line: &CoverageLine) -> [String; COLUMNS.len()] {
    let mut row = [const { String::new() }; COLUMNS.len()];
    for (column, value) in [
        ("record", "coverage".to_owned()),
        ("state", line.state.as_str().to_owned()),
        ("account", line.account.clone()),
        ("region", line.region.clone()),
        ("trail", line.trail.clone()),
        ("home_region", line.home_region.clone()),
        ("path", line.path.clone()),
        ("from", line.from.to_string()),
        ("to", line.to.to_string()),
    ] {
        let at = COLUMNS.iter().position(|c| *c == column).expect("a column of the table");
        row[at] = value;
    }
    row
}

/// The cell, on one line, and such that no spreadsheet takes it for a formula. White space before
/// the sign does not help; East Asian versions take the full-width signs too.
fn guarded(cell: &str) -> Cow<'_, str> {
    let cell = visible(cell);
    match cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        true => Cow::Owned(format!("'{cell}")),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("＝1", "'＝1"),
            ("\t=1", "\\u{9}=1"),
            ("\r=1", "\\u{d}=1"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), shown);
        }
    }
}
