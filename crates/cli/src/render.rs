//! A report in the forms that it is asked for.

use std::path::{Path, PathBuf};

use verifier::report::Report;

use crate::args::Format;
use crate::error::CliError;
use crate::output;
use crate::text::{self, Painter};

/// The n-th output is for the n-th format; formats without one go to stdout, at most one.
pub(crate) fn pair(
    formats: &[Format],
    outputs: &[PathBuf],
) -> Result<Vec<(Format, Option<PathBuf>)>, CliError> {
    let formats = if formats.is_empty() { &[Format::Text][..] } else { formats };
    if outputs.len() > formats.len() {
        return Err(CliError::usage("there are more --output than --format"));
    }
    if formats.len() > outputs.len() + 1 {
        return Err(CliError::usage("at most one --format goes without --output"));
    }
    Ok(formats.iter().enumerate().map(|(i, f)| (*f, outputs.get(i).cloned())).collect())
}

/// Writes one form. `previous` is the JSON of the report before, which ASFF closes findings by.
pub(crate) fn write(
    report: &Report,
    format: Format,
    output: Option<&Path>,
    previous: Option<&serde_json::Value>,
) -> Result<(), CliError> {
    let failed = |form: &str, e: &dyn std::fmt::Display| {
        CliError::usage(format!("the report cannot be written as {form}: {e}"))
    };
    let text = match format {
        Format::Text => {
            let painter = output.map_or_else(Painter::stdout, |_| Painter::file());
            text::report(report, &painter)
        }
        Format::Json => report.to_json(),
        Format::Ndjson => report::ndjson::render(report),
        Format::Csv => report::csv::render(report),
        Format::Html => report::html::render(report),
        Format::Junit => report::junit::render(report),
        Format::Sarif => report::sarif::render(report),
        Format::Asff => report::asff::render(report, previous).map_err(|e| failed("asff", &e))?,
        Format::Ocsf => report::ocsf::render(report).map_err(|e| failed("ocsf", &e))?,
        Format::Oscal => report::oscal::render(report).map_err(|e| failed("oscal", &e))?,
        Format::Prometheus => report::prometheus::render(report),
        Format::Standards => report::standards::text(report),
    };
    match output {
        None => output::print(&text),
        Some(path) => save(path, text.as_bytes()),
    }
}

/// Writes a file, whole or not at all: a collector may read it at any time.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |e| CliError::file("cannot write the report", path, e);
    // A pipe, a terminal or /dev/stdout is written to as it is.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(failed);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temp = path.with_file_name(name);
    let written = std::fs::write(&temp, bytes).and_then(|()| std::fs::rename(&temp, path));
    written.map_err(|e| {
        // What is left of it helps nobody; the error that counts is the first one.
        let _ = std::fs::remove_file(&temp);
        failed(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_outputs_pair_in_order() {
        let path = PathBuf::from("r.json");
        let paired = pair(&[Format::Json, Format::Text], std::slice::from_ref(&path)).unwrap();
        assert_eq!(paired, [(Format::Json, Some(path.clone())), (Format::Text, None)]);
        assert_eq!(pair(&[], &[]).unwrap(), [(Format::Text, None)]);
        assert!(pair(&[Format::Json, Format::Text], &[]).is_err());
        assert!(pair(&[Format::Json], &[path.clone(), path]).is_err());
    }

    #[test]
    fn a_file_appears_whole_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.prom");
        save(&path, b"one").unwrap();
        save(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(save(&dir.path().join("none/report"), b"x").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
