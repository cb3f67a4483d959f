//! Data to stdout, everything else to stderr; a reader that closes the pipe is no error.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::args::{Color, Global};
use crate::error::CliError;

static STDOUT_COLOR: OnceLock<bool> = OnceLock::new();

/// Sets up logging and decides about colours once.
pub(crate) fn set_up(global: &Global) {
    let color = |terminal: bool| match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    };
    let _ = STDOUT_COLOR.set(color(std::io::stdout().is_terminal()));
    let filter = EnvFilter::try_new(&global.log_level).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color(std::io::stderr().is_terminal()))
        .with_target(false)
        .init();
}

/// Whether stdout takes colours.
pub(crate) fn colored() -> bool {
    STDOUT_COLOR.get().copied().unwrap_or(false)
}

/// Writes data to stdout.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| failed(None, e))
}

/// Why data could not be written to a file, or to stdout.
pub(crate) fn failed(output: Option<&Path>, e: std::io::Error) -> CliError {
    match output {
        Some(path) => CliError::file("cannot write the report", path, e),
        None if e.kind() == std::io::ErrorKind::BrokenPipe => CliError::ClosedPipe,
        None => CliError::file("cannot write to", Path::new("standard output"), e),
    }
}

/// Tells a person something, on stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Tells a person why a command failed, on stderr.
pub(crate) fn error(text: &str) {
    note(&format!("trailseal: {text}"));
}

/// `12,345`
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 log`, `2 logs`
pub(crate) fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}
