//! Findings, grouped by what was found, with what to do about it.

use std::fmt::Write as _;

use verifier::Report;
use verifier::report::ReportedFinding;

use crate::output::{counted, grouped};
use crate::text::{Painter, printable};

/// Findings of one code, and objects of one finding, that are printed.
const SHOWN: usize = 10;

/// All findings of a report, most severe first.
pub(super) fn all(out: &mut String, report: &Report, painter: &Painter) {
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
        let (class, code) = (painter.class(first.class), painter.bold(&first.code));
        let _ = writeln!(out, "\n  {class} {code} ({}){times}", first.severity);
        painter.prose(out, 4, 2, &format!("→ {}", first.remedy));
        group.iter().take(SHOWN).for_each(|f| one(out, f, painter));
        if group.len() > SHOWN {
            let more = grouped((group.len() - SHOWN) as u64);
            painter.prose(out, 4, 2, &format!("and {more} more; --format json lists them"));
        }
    }
}

/// One finding, without its code and remedy.
pub(super) fn one(out: &mut String, f: &ReportedFinding, painter: &Painter) {
    let place: Vec<&str> =
        [&f.account, &f.region, &f.trail].into_iter().filter_map(|p| p.as_deref()).collect();
    // An address is never broken: it is there to be copied.
    let subject = f.object.as_deref().map_or_else(|| place.join(" "), printable);
    let _ = writeln!(out, "    {subject}");
    let span = match (f.from, f.to) {
        (Some(from), Some(to)) => format!(" [{from} – {to}]"),
        _ => String::new(),
    };
    painter.prose(out, 6, 0, &format!("{}{span}", printable(&f.message)));
    if let (Some(expected), Some(actual)) = (&f.expected, &f.actual) {
        let _ = writeln!(out, "      expected {}", printable(expected));
        let _ = writeln!(out, "      found    {}", printable(actual));
    }
    if f.object.is_none() || f.objects.len() > 1 {
        objects(out, f);
    }
}

/// Objects by folder: what they have in common is said once.
fn objects(out: &mut String, f: &ReportedFinding) {
    let shown = &f.objects[..f.objects.len().min(SHOWN)];
    let split = |o: &String| o.rfind('/').unwrap_or(0);
    for folder in shown.chunk_by(|a, b| a[..split(a)] == b[..split(b)]) {
        let at = split(&folder[0]);
        if folder.len() == 1 || at == 0 {
            folder.iter().for_each(|o| {
                let _ = writeln!(out, "      · {}", printable(o));
            });
            continue;
        }
        let _ = writeln!(out, "      in {}", printable(&folder[0][..=at]));
        for object in folder {
            let _ = writeln!(out, "      · {}", printable(&object[at + 1..]));
        }
    }
    if f.count > shown.len() as u64 && !shown.is_empty() {
        let _ = writeln!(out, "      · and {} more", grouped(f.count - shown.len() as u64));
    }
}
