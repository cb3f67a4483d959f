//! A verification report. Its first lines answer: verified or not, for what, until when, by whose
//! word; then what is wrong, most severe first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use verifier::Report;
use verifier::report::Verdict;

use crate::output::{counted, grouped};
use crate::text::{Painter, finding, map, printable};

/// Names listed before they are only counted.
const NAMES_SHOWN: usize = 3;
/// Columns of what stands before the answers: the longest is a class.
const LABEL: usize = 14;

/// The whole report.
pub(crate) fn report(report: &Report, painter: &Painter) -> String {
    let mut out = String::new();
    head(&mut out, report, painter);
    finding::all(&mut out, report, painter);
    map::coverage(&mut out, report, painter);
    encryption(&mut out, report, painter);
    if !report.not_proven.is_empty() {
        let _ = writeln!(out, "\n{}", painter.bold("Not proven"));
        for line in &report.not_proven {
            painter.prose(&mut out, 2, 2, &format!("- {}", printable(line)));
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
    painter.prose(out, 2, 0, means);
    let text = |name: &str| report.request.get(name).and_then(|t| t.as_str()).map(str::to_owned);
    let from = text("start")
        .or_else(|| report.coverage.iter().map(|c| c.from).min().map(|t| t.to_string()));
    let mut line = |name: &str, value: &str| {
        painter.prose(out, 2, LABEL, &format!("{name:LABEL$}{value}"));
    };
    if let (Some(from), Some(end)) = (from, text("end")) {
        let share = s.coverage.map_or("nothing demanded yet (all within the grace)".into(), |c| {
            format!("{} % of the time demanded is proven", (c * 1e4).floor() / 1e2)
        });
        line("time", &format!("{from} to {end}: {share}"));
    }
    let events = s.events.map(|n| format!("; {}", counted(n, "event"))).unwrap_or_default();
    line(
        "looked at",
        &format!(
            "{}; {} ({} valid); {} ({} valid){events}",
            counted(s.chains, "chain"),
            counted(s.digests.checked + s.backfill_digests.checked, "digest"),
            grouped(s.digests.valid + s.backfill_digests.valid),
            counted(s.logs.checked, "log"),
            grouped(s.logs.valid),
        ),
    );
    let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in &report.keys {
        sources.entry(&key.source).or_default().push(&key.fingerprint);
    }
    for (source, keys) in sources {
        line("signed", &format!("{} from {}", names("key", &keys), printable(source)));
    }
    let kms: std::collections::BTreeSet<&str> =
        report.encryption.iter().filter_map(|e| e.key.as_deref()).collect();
    if !kms.is_empty() {
        line("encrypted", &names("KMS key", &kms.into_iter().collect::<Vec<_>>()));
    }
    // One line per class, so that the worst is known before the first page is full.
    for group in report.findings.chunk_by(|a, b| a.class == b.class) {
        let mut codes: Vec<String> = Vec::new();
        for of_code in group.chunk_by(|a, b| a.code == b.code) {
            let count: u64 = of_code.iter().map(|f| f.count).sum();
            codes.push(format!("{} × {}", of_code[0].code, grouped(count)));
        }
        let class = group[0].class;
        let (label, gap) = (painter.class(class), LABEL.saturating_sub(class.len()));
        painter.prose(out, 2, LABEL, &format!("{label}{:gap$}{}", "", codes.join(", ")));
    }
}

/// `1 key (ab…)`, and of many only how many.
fn names(what: &str, names: &[&str]) -> String {
    let count = counted(names.len() as u64, what);
    if names.len() > NAMES_SHOWN {
        return count;
    }
    let names: Vec<String> = names.iter().map(|n| printable(n)).collect();
    format!("{count} ({})", names.join(", "))
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
        let how = printable(&how);
        painter.prose(out, 2, 13, &format!("{:12} {how}", counted(objects, kind)));
    }
}
