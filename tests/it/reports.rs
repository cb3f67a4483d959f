//! Every form of the report, opened by tools that others wrote (`tests/validators.txt`).
//!
//! A test that needs them says
//! `#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

mod asff;
mod cli;
mod csv;
mod diff;
mod evidence;
mod html;
mod junit;
mod ndjson;
mod ocsf;
mod oscal;
mod prometheus;
mod samples;
mod sarif;
mod schema;
mod standards;

/// What `trailseal demo` leaves: reports of the real program on real trails.
pub(crate) struct DemoReports {
    dir: TempDir,
    /// The report of the trail as delivered.
    pub(crate) verified: Value,
    /// The report of its copy after tampering.
    pub(crate) tampered: Value,
}

impl DemoReports {
    /// The directory of the demo, with its store, copy and reports.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("demo")
    }
}

/// The demo's reports, made once.
pub(crate) fn demo_reports() -> &'static DemoReports {
    static REPORTS: OnceLock<DemoReports> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let dir = TempDir::new().unwrap();
        let demo = dir.path().join("demo");
        trailseal!["demo", &demo].run().exits(0);
        let read = |name| serde_json::from_slice(&std::fs::read(demo.join(name)).unwrap()).unwrap();
        let (verified, tampered) = (read("report-clean.json"), read("report-tampered.json"));
        DemoReports { dir, verified, tampered }
    })
}

/// Runs a Python script with the validators at hand, `args` as its `sys.argv[1:]`; it must
/// succeed. Returns what it printed.
#[track_caller]
pub(crate) fn validate(script: &str, args: &[&Path]) -> String {
    let output = python(script, args);
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

/// The same, but it must refuse: what a validator lets through whatever it gets proves nothing.
#[track_caller]
pub(crate) fn refuse(script: &str, args: &[&Path]) {
    let output = python(script, args);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "not refused:\n{stdout}");
}

fn python(script: &str, args: &[&Path]) -> std::process::Output {
    let mut call = Command::new(env!("VALIDATORS_PYTHON"));
    call.arg("-c").arg(script).args(args).output().unwrap()
}

#[test]
fn the_demo_leaves_a_verified_and_a_tampered_report() {
    let reports = demo_reports();
    assert_eq!(reports.verified["verdict"], "verified");
    assert_eq!(reports.tampered["verdict"], "tampered");
    assert!(reports.dir().join("report-tampered.json").is_file());
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn the_validators_run_and_their_refusals_are_seen() {
    assert_eq!(validate("import sys; print(len(sys.argv))", &[Path::new("a")]), "2\n");
    refuse("raise SystemExit('no')", &[]);
}
