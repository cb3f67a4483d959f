//! The published JSON Schema (`docs/report.schema.json`): real reports are valid by it, and what
//! is no report is not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::reports::{demo_reports, samples, validate};
use crate::support::workspace;

/// By the command line tool, as the docs tell a reader to.
const CHECK: &str = r#"
import subprocess, sys
tool = [sys.executable, "-m", "check_jsonschema", "--schemafile", *sys.argv[1:]]
sys.exit(subprocess.run(tool).returncode)
"#;

/// The same with nothing allowed that the schema does not describe: it has to keep up.
const DESCRIBED: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
def close(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            close(part)
schema = json.load(open(sys.argv[1]))
del schema["$defs"]["record"]
close(schema)
Draft202012Validator.check_schema(schema)
for path in sys.argv[2:]:
    for error in Draft202012Validator(schema).iter_errors(json.load(open(path))):
        sys.exit(f"{path}: {error.json_path}: {error.message}")
"#;

/// Each line by `$defs/record`.
const LINES: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
one = Draft202012Validator({"$ref": "#/$defs/record", "$defs": schema["$defs"]})
for path in sys.argv[2:]:
    for line in open(path, encoding="utf-8", newline="\n"):
        record = json.loads(line)
        one.validate(record)
        for field in record:
            less = {k: v for k, v in record.items() if k != field}
            assert not one.is_valid(less), (record["record"], field)
"##;

/// Takes a valid report, and leaves out or spoils each of its values in turn. Prints what the
/// schema let through.
const SPOIL: &str = r#"
import copy, json, sys
from jsonschema import Draft202012Validator
one = Draft202012Validator(json.load(open(sys.argv[1])))
report = json.load(open(sys.argv[2]))
one.validate(report)
def places(value, path=()):
    for key in list(value) if isinstance(value, dict) else range(min(len(value), 3)):
        yield path + (key,)
        if isinstance(value[key], (dict, list)):
            yield from places(value[key], path + (key,))
tried, passed = 0, []
for path in list(places(report)):
    *above, last = path
    for spoilt in (None, {"no": []}, -1.5):
        other = copy.deepcopy(report)
        value = other
        for key in above:
            value = value[key]
        if spoilt is None:
            del value[last]
        else:
            value[last] = spoilt
        tried += 1
        if one.is_valid(other) and not (spoilt is None and isinstance(last, int)):
            passed.append(["without" if spoilt is None else spoilt, ".".join(map(str, path))])
assert tried > 300, tried
print(json.dumps(passed))
"#;

fn schema() -> PathBuf {
    workspace().join("docs/report.schema.json")
}

/// Reports of the real program: as delivered, tampered with, a plain copy, every event read, a
/// place where nothing is.
fn real_reports(dir: &TempDir) -> Vec<PathBuf> {
    let demo = demo_reports().dir();
    let mut reports = vec![demo.join("report-clean.json"), demo.join("report-tampered.json")];
    let plain = dir.path().join("plain");
    crate::support::copy_tree(&demo.join("copy"), &plain);
    fs::remove_dir_all(plain.join(".trailseal")).unwrap();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut report = |name: &str, target: &Path, more: &[&str], code| {
        let call = trailseal!["verify", target, "--format", "json"].args(more);
        let path = dir.path().join(name);
        fs::write(&path, call.run().exits(code).stdout).unwrap();
        reports.push(path);
    };
    report("plain.json", &plain, &[], 1);
    report("events.json", &demo.join("copy"), &["--depth", "events"], 1);
    report("nothing.json", &empty, &[], 3);
    reports
}

fn sample_reports(dir: &TempDir) -> Vec<PathBuf> {
    let write = |(name, report): (&str, verifier::Report)| {
        let path = dir.path().join(format!("{name}.sample.json"));
        fs::write(&path, report.to_json()).unwrap();
        path
    };
    samples::all().into_iter().map(write).collect()
}

fn with_schema<'a>(schema: &'a Path, reports: &'a [PathBuf]) -> Vec<&'a Path> {
    std::iter::once(schema).chain(reports.iter().map(PathBuf::as_path)).collect()
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn real_reports_are_valid_and_have_nothing_that_it_does_not_describe() {
    let dir = TempDir::new().unwrap();
    let mut reports = real_reports(&dir);
    reports.extend(sample_reports(&dir));
    validate(CHECK, &with_schema(&schema(), &reports));
    validate(DESCRIBED, &with_schema(&schema(), &reports));
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn every_line_of_ndjson_is_valid_and_none_can_lose_a_field() {
    let dir = TempDir::new().unwrap();
    let mut paths = Vec::new();
    // The large one is left out: it has no other kinds of lines.
    for (name, report) in samples::all().into_iter().filter(|(name, _)| *name != "year") {
        let path = dir.path().join(name);
        fs::write(&path, report::ndjson::render(&report)).unwrap();
        paths.push(path);
    }
    validate(LINES, &with_schema(&schema(), &paths));
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn a_report_with_any_value_left_out_or_spoilt_is_refused() {
    let dir = TempDir::new().unwrap();
    let report = demo_reports().dir().join("report-tampered.json");
    // What version 1 need not have: the request's details, which grow with the options.
    let optional = [
        "accounts",
        "backfill_grace",
        "bucket_region",
        "depth",
        "grace",
        "regions",
        "trail_arn",
        "trail_name",
    ];
    let passed = validate(SPOIL, &[&schema(), &report]);
    let passed: Vec<(Value, String)> = serde_json::from_str(&passed).unwrap();
    let optional = optional.map(|field| (Value::from("without"), format!("request.{field}")));
    assert_eq!(passed, optional);
    let hostile = dir.path().join("hostile.json");
    fs::write(&hostile, samples::hostile().to_json()).unwrap();
    assert_eq!(validate(SPOIL, &[&schema(), &hostile]).trim(), r#"[["without", "request.depth"]]"#);
}
