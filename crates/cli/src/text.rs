//! Reports for a person: the first screen answers verified or not, for what, until when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::explain::Explanation;
use verifier::report::{CoverageLine, ReportedFinding, Verdict};
use verifier::status::ChainStatus;

use crate::output::{counted, grouped};

/// Characters of a chain's coverage map.
const MAP_WIDTH: usize = 48;
/// Objects listed below a finding that stands for several.
const OBJECTS_SHOWN: usize = 10;

/// Text with or without colours.
pub(crate) struct Painter {
    pub(crate) color: bool,
}

impl Painter {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn verdict(&self, verdict: Verdict) -> String {
        let code = match verdict {
            Verdict::Verified => "1;32",
            Verdict::Tampered => "1;31",
            _ => "1;33",
        };
        self.paint(code, &verdict.as_str().to_uppercase())
    }

    fn class(&self, class: &str) -> String {
        let code = match class {
            "tampered" => "1;31",
            "info" => "36",
            _ => "33",
        };
        self.paint(code, class)
    }
}

/// A verification report.
pub(crate) fn report(report: &Report, painter: &Painter) -> String {
    let mut out = String::new();
    head(&mut out, report, painter);
    findings(&mut out, report, painter);
    coverage(&mut out, report, painter);
    encryption(&mut out, report, painter);
    if !report.not_proven.is_empty() {
        let _ = writeln!(out, "\n{}", painter.bold("Not proven"));
        for line in &report.not_proven {
            let _ = writeln!(out, "  - {}", printable(line));
        }
    }
    out
}

fn head(out: &mut String, report: &Report, painter: &Painter) {
    let s = &report.summary;
    let target = report.request.get("target").and_then(|t| t.as_str()).unwrap_or_default();
    let _ = writeln!(out, "{}  {}", painter.verdict(report.verdict), printable(target));
    let means = match report.verdict {
        Verdict::Verified => "all that was asked is proven",
        Verdict::Tampered => "evidence that something was changed, removed, added or forged",
        Verdict::Incomplete => {
            "no evidence of tampering, but a part of the time asked is not covered"
        }
        Verdict::Unverifiable => "some object, key or API could not be read or trusted",
        Verdict::Noncompliant => "integrity holds; something else is not as required",
    };
    let _ = writeln!(out, "  {means}");
    let _ = writeln!(
        out,
        "  {}; {} ({} valid); {} ({} valid){}",
        counted(s.chains, "chain"),
        counted(s.digests.checked + s.backfill_digests.checked, "digest"),
        grouped(s.digests.valid + s.backfill_digests.valid),
        counted(s.logs.checked, "log"),
        grouped(s.logs.valid),
        s.events.map(|n| format!("; {}", counted(n, "event"))).unwrap_or_default(),
    );
    let text = |name: &str| report.request.get(name).and_then(|t| t.as_str()).map(str::to_owned);
    let from = text("start")
        .or_else(|| report.coverage.iter().map(|c| c.from).min().map(|t| t.to_string()));
    if let (Some(from), Some(end)) = (from, text("end")) {
        let share = s.coverage.map_or("nothing demanded yet (all within the grace)".into(), |c| {
            format!("{} % of the time demanded is proven", (c * 1e4).floor() / 1e2)
        });
        let _ = writeln!(out, "  {from} to {end}: {share}");
    }
    let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
    for key in &report.keys {
        *sources.entry(&key.source).or_default() += 1;
    }
    let sources: Vec<String> =
        sources.iter().map(|(s, n)| format!("{} from {s}", counted(*n as u64, "key"))).collect();
    if !sources.is_empty() {
        let _ = writeln!(out, "  signed with {}", sources.join(", "));
    }
}

fn findings(out: &mut String, report: &Report, painter: &Painter) {
    if report.findings.is_empty() {
        return;
    }
    let title = counted(report.findings.len() as u64, "finding");
    let _ = writeln!(out, "\n{}", painter.bold(&title));
    let groups = report.findings.chunk_by(|a, b| (&a.code, a.class) == (&b.code, b.class));
    for group in groups {
        let first = &group[0];
        let total: u64 = group.iter().map(|f| f.count).sum();
        let times = if total > 1 { format!(" × {}", grouped(total)) } else { String::new() };
        let _ = writeln!(
            out,
            "\n  {} {} ({}){times}",
            painter.class(first.class),
            painter.bold(&first.code),
            first.severity
        );
        group.iter().for_each(|f| finding(out, f, painter));
        let _ = writeln!(out, "    {}", painter.dim(&format!("→ {}", first.remedy)));
    }
}

fn finding(out: &mut String, f: &ReportedFinding, painter: &Painter) {
    let place: Vec<&str> =
        [&f.account, &f.region, &f.trail].into_iter().filter_map(|p| p.as_deref()).collect();
    let subject = f.object.as_deref().map_or_else(|| place.join(" "), printable);
    let _ = writeln!(out, "    {subject}");
    let span = match (f.from, f.to) {
        (Some(from), Some(to)) => format!("  [{from} – {to}]"),
        _ => String::new(),
    };
    let _ = writeln!(out, "      {}{}", printable(&f.message), painter.dim(&span));
    if let (Some(expected), Some(actual)) = (&f.expected, &f.actual) {
        let _ = writeln!(out, "      expected {}", printable(expected));
        let _ = writeln!(out, "      found    {}", printable(actual));
    }
    if f.object.is_none() || f.objects.len() > 1 {
        for object in f.objects.iter().take(OBJECTS_SHOWN) {
            let _ = writeln!(out, "      · {}", printable(object));
        }
        if f.count as usize > OBJECTS_SHOWN && !f.objects.is_empty() {
            let _ = writeln!(out, "      · and {} more", grouped(f.count - OBJECTS_SHOWN as u64));
        }
    }
}

fn coverage(out: &mut String, report: &Report, painter: &Painter) {
    let mut chains: BTreeMap<[&str; 4], Vec<&CoverageLine>> = BTreeMap::new();
    for line in &report.coverage {
        let id = [&*line.account, &*line.region, &*line.trail, &*line.home_region];
        chains.entry(id).or_default().push(line);
    }
    if chains.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", painter.bold("Coverage"));
    let width = chains
        .keys()
        .map(|[_, region, trail, _]| region.len() + trail.len() + 1)
        .max()
        .unwrap_or(0);
    for ([account, region, trail, _], lines) in &chains {
        let name = format!("{region} {trail}");
        let (from, to) = (lines[0].from, lines[lines.len() - 1].to);
        let _ = writeln!(out, "  {account} {name:width$}  {}  {from} – {to}", map(lines));
    }
    let legend = "█ proven  ▓ proven earlier  ~ pending  X invalid  ? unreadable  ! missing  · gap or absent";
    let _ = writeln!(out, "  {}", painter.dim(legend));
}

/// A chain's time as one line; where several states share a cell, the worst is shown.
fn map(lines: &[&CoverageLine]) -> String {
    let (from, to) = (lines[0].from.unix(), lines[lines.len() - 1].to.unix());
    let width = MAP_WIDTH as i64;
    let cell = |index: i64| from + (to - from) * index / width;
    let rank = |state: State| match state {
        State::Proven => 0,
        State::ProvenEarlier => 1,
        State::Pending => 2,
        State::Expired => 3,
        State::Gap | State::Absent => 4,
        State::Unreadable => 5,
        State::Missing => 6,
        State::Invalid => 7,
    };
    let glyph = |state: State| match state {
        State::Proven => '█',
        State::ProvenEarlier => '▓',
        State::Pending => '~',
        State::Invalid => 'X',
        State::Unreadable => '?',
        State::Missing => '!',
        State::Expired | State::Gap | State::Absent => '·',
    };
    (0..width)
        .map(|i| {
            let (start, end) = (cell(i), cell(i + 1).max(cell(i) + 1));
            let inside = lines.iter().filter(|l| l.from.unix() < end && start < l.to.unix());
            inside.map(|l| l.state).max_by_key(|s| rank(*s)).map_or('·', glyph)
        })
        .collect()
}

fn encryption(out: &mut String, report: &Report, painter: &Painter) {
    let mut lines: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for line in &report.encryption {
        let mut how = line.sse.clone().unwrap_or_else(|| "not encrypted".into());
        if let Some(key) = &line.key {
            let _ = write!(how, " {key}");
        }
        if line.bucket_key == Some(true) {
            how.push_str(" (Bucket Key)");
        }
        *lines.entry((line.kind, how)).or_default() += line.objects;
    }
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", painter.bold("Encryption"));
    for ((kind, how), objects) in lines {
        let _ = writeln!(out, "  {:12} {how}", counted(objects, kind));
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
    let title = if e.proven { painter.paint("1;32", "PROVEN") } else { painter.verdict(e.verdict) };
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
            finding(&mut out, f, painter);
            let _ = writeln!(out, "    {}", painter.dim(&format!("→ {}", f.remedy)));
        }
    }
    out
}

/// Object names come from whoever could write to the bucket: no control characters reach the
/// terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
