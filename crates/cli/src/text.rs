//! Text for a person, as wide as the terminal and in colour where it has any.

mod finding;
mod map;
mod report;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSplitter};
use trail::Timestamp;
use verifier::explain::Explanation;
use verifier::report::Verdict;
use verifier::status::ChainStatus;

use crate::output;

pub(crate) use crate::text::report::report;

/// Narrower than this, text is not fitted: it would be torn to shreds.
const WIDTH_MIN: usize = 40;
/// Lines of prose longer than this are hard to read.
const PROSE_MAX: usize = 100;

/// Colours and lines for where a text goes.
pub(crate) struct Painter {
    color: bool,
    /// Columns; None: as long as lines get, which is what a pipe or a file is to have.
    width: Option<usize>,
}

fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

impl Painter {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        let width = terminal_size_of(std::io::stdout()).map(|(Width(w), _)| usize::from(w));
        Self { color: output::colored(), width: width.map(|w| w.max(WIDTH_MIN)) }
    }

    /// For a file.
    pub(crate) fn file() -> Self {
        Self { color: false, width: None }
    }

    /// Prose, indented, with its further lines indented deeper. Words, such as keys, stay whole.
    fn prose(&self, out: &mut String, indent: usize, hang: usize, text: &str) {
        let (first, rest) = (" ".repeat(indent), " ".repeat(indent + hang));
        let width = self.width.map_or(usize::MAX, |w| w.min(PROSE_MAX));
        let options = Options::new(width)
            .initial_indent(&first)
            .subsequent_indent(&rest)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        for line in textwrap::wrap(text, options) {
            let _ = writeln!(out, "{line}");
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn verdict(&self, verdict: Verdict) -> String {
        let style = match verdict {
            Verdict::Verified => color(AnsiColor::Green).bold(),
            Verdict::Tampered => color(AnsiColor::Red).bold(),
            _ => color(AnsiColor::Yellow).bold(),
        };
        self.paint(style, &verdict.as_str().to_uppercase())
    }

    fn class(&self, class: &str) -> String {
        let style = match class {
            "tampered" => color(AnsiColor::Red).bold(),
            "info" => color(AnsiColor::Cyan),
            _ => color(AnsiColor::Yellow),
        };
        self.paint(style, class)
    }
}

/// The chains of a target.
pub(crate) fn status(chains: &[ChainStatus], painter: &Painter) -> String {
    let mut out = String::new();
    let time = |t: Option<Timestamp>| t.map_or("-".to_owned(), |t| t.to_string());
    let width = |f: fn(&ChainStatus) -> usize, title: usize| {
        chains.iter().map(f).max().unwrap_or(0).max(title)
    };
    let region = width(|c| c.region.len(), 6);
    let trail = width(|c| c.trail.as_ref().map_or(1, String::len), 5);
    let title = format!(
        "{:12}  {:region$}  {:trail$}  {:>7}  {:20}  {:20}  {:>9}  LOGS",
        "ACCOUNT", "REGION", "TRAIL", "DIGESTS", "FIRST", "LAST", "LAG"
    );
    let _ = writeln!(out, "{}", painter.bold(&title));
    for chain in chains {
        let kinds: Vec<&str> = chain.log_kinds.iter().map(String::as_str).collect();
        let lag = chain.lag_seconds.map_or("-".to_owned(), lag_text);
        let _ = writeln!(
            out,
            "{:12}  {:region$}  {:trail$}  {:>7}  {:20}  {:20}  {:>9}  {}",
            chain.account,
            chain.region,
            chain.trail.as_deref().unwrap_or("-"),
            chain.digests + chain.backfill_digests,
            time(chain.first),
            time(chain.last),
            lag,
            kinds.join(","),
        );
    }
    out
}

fn lag_text(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// One object's chain of custody.
pub(crate) fn explanation(e: &Explanation, painter: &Painter) -> String {
    let mut out = String::new();
    let title = if e.proven {
        painter.paint(color(AnsiColor::Green).bold(), "PROVEN")
    } else {
        painter.verdict(e.verdict)
    };
    let _ = writeln!(out, "{title}  {} ({})", printable(&e.object), e.kind);
    let mut line = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name:13} {}", printable(value));
        }
    };
    line("named by", &e.named_by);
    line("expected hash", &e.expected_hash);
    line("actual hash", &e.actual_hash);
    line("signature", &e.signature);
    line("key", &e.key);
    line("key source", &e.key_source);
    line("previous", &e.previous);
    line("next", &e.next);
    line("encryption", &e.encryption);
    for (title, lines) in [("Proven", &e.proves), ("Not proven", &e.not_proven)] {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{}", painter.bold(title));
            for line in lines {
                let _ = writeln!(out, "  - {}", printable(line));
            }
        }
    }
    if !e.findings.is_empty() {
        let _ = writeln!(out, "\n{}", painter.bold("Findings"));
        for f in &e.findings {
            let _ = writeln!(out, "  {} {}", painter.class(f.class), painter.bold(&f.code));
            finding::one(&mut out, f, painter);
            painter.prose(&mut out, 4, 2, &format!("→ {}", f.remedy));
        }
    }
    out
}

/// Object names come from whoever could write to the bucket: no control character reaches the
/// terminal, nor one that reverses what stands beside it (Unicode TR 36, section 2.4).
fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}
