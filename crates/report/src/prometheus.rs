//! Gauges for the node exporter's
//! [textfile collector](https://github.com/prometheus/node_exporter#textfile-collector), in the
//! [text exposition format](https://prometheus.io/docs/instrumenting/exposition_formats/).
//!
//! Names and labels are stable. A series exists whether or not there is anything to count, so
//! that an alert can compare it; only findings by code come and go. Labels name chains and codes,
//! never objects: their number is bounded by the trail, not by what somebody puts into a bucket.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::report::{CoverageLine, DigestCounts, ReportedFinding, Verdict};

const VERDICTS: [Verdict; 5] = [
    Verdict::Verified,
    Verdict::Tampered,
    Verdict::Incomplete,
    Verdict::Unverifiable,
    Verdict::Noncompliant,
];

const STATES: [State; 9] = [
    State::Proven,
    State::ProvenEarlier,
    State::Pending,
    State::Gap,
    State::Missing,
    State::Invalid,
    State::Unreadable,
    State::Absent,
    State::Expired,
];

/// The report's gauges.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut page = Page::default();
    run(report, &mut page);
    objects(report, &mut page);
    findings(report, &mut page);
    chains(report, &mut page);
    page.0
}

fn run(report: &Report, page: &mut Page) {
    let version = [("version", report.tool.version), ("schema", report.schema)];
    page.gauge("build_info", "The program that made the report; always 1.").add(&version, 1);
    page.gauge("last_run_timestamp_seconds", "When the run was made, in Unix time.")
        .add(&[], report.generated_at.unix());
    let mut verdict = page.gauge("verdict", "1 for the verdict of the run, 0 for the others.");
    for one in VERDICTS {
        verdict.add(&[("verdict", one.as_str())], u8::from(one == report.verdict));
    }
    page.gauge("exit_code", "The exit code of the verdict; 0 is verified.")
        .add(&[], report.verdict.exit_code());
    // Time that nobody asked for has no ratio: there is no number for "nothing was demanded".
    let help = "Proven part of the time demanded, 0 to 1; NaN when none was demanded.";
    let ratio = report.summary.coverage.map_or_else(|| "NaN".to_owned(), |c| c.to_string());
    page.gauge("coverage_ratio", help).add(&[], ratio);
}

fn objects(report: &Report, page: &mut Page) {
    let summary = &report.summary;
    page.gauge("chains", "Digest chains looked at.").add(&[], summary.chains);
    let kinds = [("regular", &summary.digests), ("backfill", &summary.backfill_digests)];
    let mut checked = page.gauge("digests_checked", "Digests checked, missing ones included.");
    for (kind, counts) in kinds {
        checked.add(&[("kind", kind)], counts.checked);
    }
    let mut digests = page.gauge("digests", "Digests by what the check found.");
    for (kind, counts) in kinds {
        let DigestCounts { checked: _, valid, invalid, missing, unreadable } = *counts;
        let states = [
            ("valid", valid),
            ("invalid", invalid),
            ("missing", missing),
            ("unreadable", unreadable),
        ];
        for (state, count) in states {
            digests.add(&[("kind", kind), ("state", state)], count);
        }
    }
    page.gauge("logs_checked", "Logs that digests name and that were checked, missing ones too.")
        .add(&[], summary.logs.checked);
    let mut logs = page.gauge("logs", "Logs by what the check found.");
    for (state, count) in [
        ("valid", summary.logs.valid),
        ("invalid", summary.logs.invalid),
        ("missing", summary.logs.missing),
        ("unreadable", summary.logs.unreadable),
        ("unreferenced", summary.logs.unreferenced),
        ("undigested", summary.logs.undigested),
        ("pending", summary.logs.pending),
        ("expired", summary.logs.expired),
    ] {
        logs.add(&[("state", state)], count);
    }
    page.gauge("inflated_bytes", "Bytes of log content that were hashed.")
        .add(&[], summary.bytes_inflated);
    if let Some(events) = summary.events {
        page.gauge("events", "Events looked at, of a run with depth events.").add(&[], events);
    }
}

fn findings(report: &Report, page: &mut Page) {
    let help = "Things found, by class; accepted ones are a class of their own.";
    let mut classes = page.gauge("class_findings", help);
    for (class, count) in &report.summary.by_class {
        classes.add(&[("class", class)], count);
    }
    let mut counts: BTreeMap<[&str; 4], u64> = BTreeMap::new();
    for finding in &report.every_finding {
        let ReportedFinding { code, class, severity, state, count, .. } = finding;
        *counts.entry([code, class, severity, state]).or_default() += count;
    }
    let mut codes = page.gauge("findings", "Things found, by code; only codes that were found.");
    for ([code, class, severity, state], count) in counts {
        let labels = [("code", code), ("class", class), ("severity", severity), ("state", state)];
        codes.add(&labels, count);
    }
}

/// What is known of one chain's time. Folders are added up: a trail that was moved goes on.
#[derive(Default)]
struct Chain {
    seconds: BTreeMap<&'static str, i64>,
    proven_until: Option<Timestamp>,
}

fn chains(report: &Report, page: &mut Page) {
    let mut chains: BTreeMap<[&str; 4], Chain> = BTreeMap::new();
    for line in &report.coverage {
        let CoverageLine { account, region, trail, home_region, from, to, state, .. } = line;
        let chain = chains.entry([account, region, trail, home_region]).or_default();
        *chain.seconds.entry(state.as_str()).or_default() += to.seconds_since(*from);
        if matches!(state, State::Proven | State::ProvenEarlier) {
            chain.proven_until = chain.proven_until.max(Some(*to));
        }
    }
    let help = "Time of a chain by state of its coverage.";
    let mut seconds = page.gauge("chain_coverage_seconds", help);
    for (id, chain) in &chains {
        let [account, region, trail, home_region] = labels(*id);
        for state in STATES.map(State::as_str) {
            let value = chain.seconds.get(state).copied().unwrap_or(0);
            seconds.add(&[account, region, trail, home_region, ("state", state)], value);
        }
    }
    let help = "End of a chain's newest proven stretch, in Unix time; 0 when nothing is proven.";
    let mut until = page.gauge("chain_proven_until_timestamp_seconds", help);
    for (id, chain) in &chains {
        until.add(&labels(*id), chain.proven_until.map_or(0, Timestamp::unix));
    }
    let help = "From there to the time of the run; +Inf when nothing is proven.";
    let mut lag = page.gauge("chain_lag_seconds", help);
    for (id, chain) in &chains {
        let seconds = chain.proven_until.map(|t| report.generated_at.seconds_since(t).max(0));
        lag.add(&labels(*id), seconds.map_or_else(|| "+Inf".to_owned(), |s| s.to_string()));
    }
}

fn labels([account, region, trail, home_region]: [&str; 4]) -> [(&str, &str); 4] {
    [("account", account), ("region", region), ("trail", trail), ("home_region", home_region)]
}

/// The page so far.
#[derive(Default)]
struct Page(String);

/// One metric of the page.
struct Gauge<'a> {
    page: &'a mut String,
    name: String,
}

impl Page {
    /// Begins a metric; its samples follow.
    fn gauge(&mut self, name: &str, help: &str) -> Gauge<'_> {
        let name = format!("trailseal_verify_{name}");
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge").expect("memory takes it");
        Gauge { page: &mut self.0, name }
    }
}

impl Gauge<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.page.push_str(&self.name);
        for (i, (name, value)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            write!(self.page, "{open}{name}=\"{}\"", escaped(value)).expect("memory takes it");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.page, "{close} {value}").expect("memory takes it");
    }
}

/// A label's value as the format wants it: backslash, quote and line feed escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.gauge("x", "X.").add(&[("a", "q\"b\\s\nl"), ("b", "ü")], 1);
        assert!(page.0.ends_with("trailseal_verify_x{a=\"q\\\"b\\\\s\\nl\",b=\"ü\"} 1\n"));
    }
}
