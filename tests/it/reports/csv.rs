//! CSV, read back by Python's reader: one line a row, nothing lost, nothing that runs.

use std::fs;

use crate::reports::{samples, validate};

const READ: &str = r#"
import csv, json, sys
with open(sys.argv[1], encoding="utf-8", newline="") as f:
    rows = list(csv.DictReader(f, strict=True))
assert all(None not in row and None not in row.values() for row in rows), "ragged"
for row in rows:
    for column, cell in row.items():
        assert not cell.lstrip().startswith(tuple("=+-@")), (column, cell)
        assert cell.isprintable(), (column, cell)
print(json.dumps(rows))
"#;

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn it_is_read_back_whole_by_another_reader() {
    let dir = tempfile::tempdir().unwrap();
    for (name, report) in samples::all() {
        let path = dir.path().join(name);
        let text = report::csv::render(&report);
        fs::write(&path, &text).unwrap();
        let rows: serde_json::Value = serde_json::from_str(&validate(READ, &[&path])).unwrap();
        let rows = rows.as_array().unwrap();
        let (findings, coverage): (Vec<_>, Vec<_>) =
            rows.iter().partition(|r| r["record"] == "finding");
        assert_eq!(findings.len(), report.every_finding.len(), "{name}");
        assert_eq!(coverage.len(), report.coverage.len(), "{name}");
        assert!(text.ends_with("\r\n") && text.lines().count() == rows.len() + 1, "{name}");
        for (row, finding) in findings.iter().zip(&report.every_finding) {
            assert_eq!(
                (&row["id"], &row["code"]),
                (&(*finding.id).into(), &(*finding.code).into())
            );
            assert_eq!(
                (&row["class"], &row["state"]),
                (&finding.class.into(), &finding.state.into())
            );
            assert_eq!(row["count"], finding.count.to_string());
        }
        for (row, line) in coverage.iter().zip(&report.coverage) {
            assert_eq!(
                (&row["path"], &row["state"]),
                (&(*line.path).into(), &line.state.as_str().into())
            );
        }
    }
}
