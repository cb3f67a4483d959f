//! `verify`: proves a trail and writes the report in every form asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier::finding::Class;
use verifier::report::{Report, Verdict};

use crate::args::{FailOn, Format, Global, Verify};
use crate::error::CliError;
use crate::progress::Bar;
use crate::text::{self, Painter};
use crate::{backend, output};

pub(crate) async fn run(global: &Global, options: &Verify) -> Result<u8, CliError> {
    let outputs = pair(&options.format, &options.output)?;
    let bar = Arc::new(Bar::new());
    let target = options.target.as_deref();
    let mut opened = backend::open_target(global, target, &options.scope, bar.clone()).await?;
    backend::apply(&options.checks, &mut opened.request)?;
    let report = verifier::verify(&opened.request, &opened.ports).await;
    bar.finish();
    let report = report?;
    for (format, output) in &outputs {
        write(&report, *format, output.as_deref())?;
    }
    Ok(exit_code(&report, &options.fail_on))
}

/// The n-th output is for the n-th format; formats without one go to stdout, at most one.
fn pair(
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

pub(crate) fn write(
    report: &Report,
    format: Format,
    output: Option<&Path>,
) -> Result<(), CliError> {
    let color = output.is_none() && output::colored();
    let text = match format {
        Format::Text => text::report(report, &Painter { color }),
        Format::Json => report.to_json(),
    };
    match output {
        None => output::print(&text),
        Some(path) => std::fs::write(path, text)
            .map_err(|e| CliError::file("cannot write the report", path, e)),
    }
}

fn exit_code(report: &Report, fail_on: &[FailOn]) -> u8 {
    let failing = |class: Class| match class {
        Class::Tampered => fail_on.contains(&FailOn::Tampered),
        Class::Incomplete => fail_on.contains(&FailOn::Incomplete),
        Class::Unverifiable => fail_on.contains(&FailOn::Unverifiable),
        Class::Noncompliant => fail_on.contains(&FailOn::Noncompliant),
        Class::Info => fail_on.contains(&FailOn::Info),
    };
    let of = |text: &str| Class::ALL.into_iter().find(|c| c.as_str() == text);
    let classes: Vec<Class> =
        report.findings.iter().filter_map(|f| of(f.class)).filter(|c| failing(*c)).collect();
    let code = Verdict::of(classes.iter().copied(), &Class::ALL).exit_code();
    // Info has no verdict of its own; asked to fail on it, it is the mildest that fails.
    if code == 0 && classes.contains(&Class::Info) {
        Verdict::Noncompliant.exit_code()
    } else {
        code
    }
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
}
