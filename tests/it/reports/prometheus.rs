//! Prometheus: parsed by the official client's parsers, by promtool where there is one.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use verifier::Report;

use crate::reports::{refuse, samples, validate};

/// The parser of the text format, and that of OpenMetrics, which is the stricter one.
const PARSE: &str = r##"
import json, math, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format
page = open(sys.argv[1], encoding="utf-8", newline="").read()
strict = list(openmetrics(page + "# EOF\n"))
families = list(text_format(page))
assert [f.name for f in strict] == [f.name for f in families]
seen, out = set(), []
for family in families:
    assert family.type == "gauge" and family.documentation, family
    assert family.name not in seen, "a metric in two places: " + family.name
    seen.add(family.name)
    for s in family.samples:
        key = (s.name, tuple(sorted(s.labels.items())))
        assert key not in seen, key
        seen.add(key)
        value = str(s.value) if not math.isfinite(s.value) else s.value
        out.append([s.name.removeprefix("trailseal_verify_"), s.labels, value])
print(json.dumps(out))
"##;

type Samples = Vec<(String, BTreeMap<String, String>, Value)>;

fn parsed(report: &Report) -> Samples {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trailseal.prom");
    fs::write(&path, report::prometheus::render(report)).unwrap();
    serde_json::from_str(&validate(PARSE, &[&path])).unwrap()
}

fn value<'a>(samples: &'a Samples, name: &str, labels: &[(&str, &str)]) -> &'a Value {
    let has = |l: &BTreeMap<String, String>| labels.iter().all(|(k, v)| l[*k] == *v);
    let found: Vec<_> = samples.iter().filter(|(n, l, _)| n == name && has(l)).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    &found[0].2
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn the_official_parsers_read_what_the_report_says() {
    let report = samples::hostile();
    let samples = parsed(&report);
    let found = samples.iter().filter(|(name, ..)| name == "findings");
    let found: f64 = found.map(|(.., value)| value.as_f64().unwrap()).sum();
    assert_eq!(found, report.every_finding.iter().map(|f| f.count).sum::<u64>() as f64);
    let of = |name: &str, labels: &[(&str, &str)]| value(&samples, name, labels).as_f64().unwrap();
    assert_eq!(of("exit_code", &[]), 1.0);
    assert_eq!(of("verdict", &[("verdict", "tampered")]), 1.0);
    assert_eq!(of("verdict", &[("verdict", "verified")]), 0.0);
    assert_eq!(of("coverage_ratio", &[]), 0.9583);
    assert_eq!(of("digests", &[("kind", "regular"), ("state", "valid")]), 48.0);
    let missing = [("code", "log.missing"), ("class", "tampered"), ("state", "open")];
    assert_eq!(of("findings", &missing), 151.0);
    let chain = [("region", "us-east-1"), ("state", "missing")];
    assert_eq!(of("chain_coverage_seconds", &chain), 43_200.0);
    let noon = 1_767_225_600.0 + 43_200.0;
    assert_eq!(of("chain_proven_until_timestamp_seconds", &[("region", "us-east-1")]), noon);
    assert_eq!(of("chain_lag_seconds", &[("region", "us-east-1")]), 43_260.0);
    let never = [("region", "eu-west-1")];
    assert_eq!(of("chain_proven_until_timestamp_seconds", &never), 0.0);
    assert_eq!(value(&samples, "chain_lag_seconds", &never), "inf");
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn what_was_not_counted_is_not_a_number() {
    let samples = parsed(&samples::nothing());
    assert_eq!(value(&samples, "coverage_ratio", &[]), "nan");
    assert!(!samples.iter().any(|(name, ..)| name == "events" || name.starts_with("chain_")));
}

#[test]
fn what_lies_in_the_bucket_makes_no_series() {
    let hostile = report::prometheus::render(&samples::hostile());
    for name in samples::HOSTILE {
        assert!(!hostile.contains(name), "{name}");
    }
    // 9 states and 2 times for each of 50 chains, and what does not grow with chains.
    let lines = |text: &str| text.lines().filter(|l| !l.starts_with('#')).count();
    let fixed = lines(&report::prometheus::render(&samples::verified())) - 2 * 11;
    assert_eq!(lines(&report::prometheus::render(&samples::year())), fixed + 50 * 11 + 1);
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn the_parsers_refuse_what_is_no_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.prom");
    let report = samples::verified();
    parsed(&report);
    let page = report::prometheus::render(&report);
    for bad in [page.replace("\"} ", "} "), page.replace(" gauge", " gouge"), page.repeat(2)] {
        fs::write(&path, bad).unwrap();
        refuse(PARSE, &[&path]);
    }
}

#[test]
#[cfg_attr(not(has_promtool), ignore = "promtool is not installed")]
fn promtool_finds_nothing_to_say() {
    for (name, report) in samples::all() {
        let mut promtool = Command::new("promtool");
        let piped = promtool.args(["check", "metrics"]).stdin(Stdio::piped());
        let mut child = piped.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let page = report::prometheus::render(&report);
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), page.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}
