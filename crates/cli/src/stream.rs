//! NDJSON as the run goes: findings when they are found, the rest when it ends.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use report::ndjson::{Record, records};
use verifier::report::{Report, ReportedFinding};
use verifier::request::Progress;

use crate::error::CliError;
use crate::progress::Bar;

/// What a run is watched by: a person at a terminal, and a reader of NDJSON if there is one.
pub(crate) struct Watch {
    pub(crate) bar: Arc<Bar>,
    /// Set when the run is about to begin: a question that cannot be asked spoils no file.
    pub(crate) stream: OnceLock<Stream>,
}

impl Progress for Watch {
    fn begin(&self, what: &'static str, objects: u64) {
        self.bar.begin(what, objects);
    }
    fn done(&self, bytes: u64) {
        self.bar.done(bytes);
    }
    fn found(&self, finding: &ReportedFinding) {
        if let Some(stream) = self.stream.get() {
            stream.found(finding);
        }
    }
}

/// Where the lines go. A write that fails is told at the end: the run goes on for the others.
pub(crate) struct Stream(Mutex<Lines>);

struct Lines {
    out: Box<dyn Write + Send>,
    /// Findings are told once, whichever part of the run meets them.
    told: HashSet<(String, String)>,
    written: usize,
    failed: Option<io::Error>,
}

impl Stream {
    /// To a file, or to stdout.
    pub(crate) fn open(output: Option<&Path>) -> Result<Self, CliError> {
        let out: Box<dyn Write + Send> = match output {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(
                std::fs::File::create(path)
                    .map_err(|e| CliError::file("cannot write the report", path, e))?,
            ),
        };
        Ok(Self::to(out))
    }

    fn to(out: Box<dyn Write + Send>) -> Self {
        let told = HashSet::new();
        Self(Mutex::new(Lines { out, told, written: 0, failed: None }))
    }

    fn found(&self, finding: &ReportedFinding) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.told.insert((finding.id.clone(), finding.message.clone())) {
            lines.write(&Record::Finding(finding));
        }
    }

    /// All that was not told yet, and the last line.
    pub(crate) fn finish(&self, report: &Report) -> io::Result<()> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records(report) {
            match &record {
                Record::Finding(f) if lines.told.contains(&(f.id.clone(), f.message.clone())) => {}
                Record::End { .. } => {
                    let records = lines.written;
                    lines.write(&Record::End { records });
                }
                _ => lines.write(&record),
            }
        }
        lines.failed.take().map_or(Ok(()), Err)
    }
}

impl Lines {
    fn write(&mut self, record: &Record<'_>) {
        if self.failed.is_some() {
            return;
        }
        let written = self.out.write_all(record.line().as_bytes()).and_then(|()| self.out.flush());
        self.written += 1;
        self.failed = written.err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verifier::finding::{Code, Finding, Scope};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_finding_is_there_when_it_is_found_and_only_once() {
        let shared = Shared::default();
        let stream = Stream::to(Box::new(shared.clone()));
        let finding = Finding::new(Code::LogMissing, &Scope::default(), "gone");
        let finding = ReportedFinding::from(&finding);
        stream.found(&finding);
        stream.found(&finding);
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("log.missing"), "{text}");
    }
}
