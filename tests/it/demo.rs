//! The demo: what somebody sees first must be right, twice.

use std::fs;

use crate::support::*;

#[test]
fn it_runs_again_over_its_own_leftovers_and_names_what_it_tampered_with() {
    let site = Site::new();
    let dir = site.path("demo");
    for _ in 0..2 {
        let out = trailseal!["demo", &dir].run().exits(0).stdout;
        for part in [
            "VERIFIED",
            "TAMPERED",
            "log.hash-mismatch",
            "log.missing",
            "digest.missing",
            "log.unreferenced",
            "4 chains",
            "report-tampered.json",
            "--end",
        ] {
            assert!(out.contains(part), "no {part:?} in\n{out}");
        }
        let clean = fs::read(dir.join("report-clean.json")).unwrap();
        let clean = Report(serde_json::from_slice(&clean).unwrap());
        assert_eq!((clean.verdict(), clean.findings().len()), ("verified", 0));
        let chains = clean.0["coverage"].as_array().unwrap();
        assert_eq!(chains.len(), 4, "2 accounts × 2 regions");
        for chain in chains {
            let [from, to] = ["from", "to"]
                .map(|n| trail::Timestamp::parse_rfc3339(chain[n].as_str().unwrap()).unwrap());
            assert!(to.seconds_since(from) >= 4 * 3600, "{chain}");
        }
    }
}

#[test]
fn the_commands_it_prints_work() {
    let site = Site::new();
    let dir = site.path("demo");
    let out = trailseal!["demo", &dir].run().exits(0).stdout;
    let commands = out.lines().filter_map(|l| l.strip_prefix("trailseal verify "));
    let mut codes = Vec::new();
    for command in commands.filter(|c| !c.contains("--output")) {
        let call = Call::new().arg("verify").env("TRAILSEAL_STORE", dir.join("store"));
        let words: Vec<&str> = command.split_whitespace().collect();
        codes.push(call.args(&words).run().code);
    }
    assert_eq!(codes, [0, 1], "the trail verifies, the copy does not");
}

#[test]
fn a_directory_of_somebody_else_is_refused_untouched() {
    let site = Site::new();
    let dir = site.path("mine");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("thesis.txt"), "years of work").unwrap();
    let name = dir.display().to_string();
    trailseal!["demo", &dir].run().exits(2).says(&[&name, "not empty"]);
    assert_eq!(files(&dir), ["thesis.txt"]);
}
