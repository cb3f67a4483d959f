//! Real events of real attack techniques, where they are at hand: delivered, proven, tampered.

use std::fs;
use std::path::PathBuf;

use crate::support::*;

/// Named by `TRAILSEAL_TEST_EVENTS`, or beside the workspace.
fn attack_events() -> Vec<PathBuf> {
    let dir = std::env::var_os("TRAILSEAL_TEST_EVENTS")
        .map_or_else(|| workspace().join("../shared/data/stratus"), PathBuf::from);
    let entries = fs::read_dir(dir).unwrap();
    let mut found: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "json"));
    found.sort();
    found
}

#[test]
#[cfg_attr(not(has_events), ignore = "set TRAILSEAL_TEST_EVENTS to a directory of JSON files")]
fn real_events_are_delivered_proven_and_their_tampering_named() {
    let inputs = attack_events();
    let site = Site::new();
    let call = inputs.iter().fold(site.deliver().arg("--json"), |call, file| call.arg(file));
    let summary = call.run().exits(0).json();
    assert_eq!((&summary["delivered"], &summary["rejected"]), (&310.into(), &0.into()));
    let report = site.verify().args(&["--depth", "events"]).run().exits(0).report();
    assert_eq!(report.verdict(), "verified");
    assert_eq!(*report.summary("/events"), 310);
    // Each invented region is its own chain with its own signing key.
    let regions = summary["chains"].as_array().unwrap().iter().map(|c| c["region"].to_string());
    let regions: std::collections::BTreeSet<_> = regions.collect();
    assert!(regions.len() > 10, "{regions:?}");
    assert_eq!(report.0["keys"].as_array().unwrap().len(), regions.len());

    let (copy, keys) = (site.mirror("copy"), site.public_keys());
    let (digests, logs) = objects(&copy);
    let after = |name: &str, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let path = copy.join(name);
        let before = fs::read(&path).unwrap();
        match change(&before) {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let call = trailseal!["verify", &copy, "--public-keys", &keys, "--format", "json"];
        let report = call.run().exits(1).report();
        fs::write(&path, before).unwrap();
        report.codes_of(&original(name)).join(" ")
    };
    let edited = |b: &[u8]| Some(gzip(&[&gunzip(b)[..], b" "].concat()));
    for log in &logs {
        assert_eq!(after(log, &edited), "log.hash-mismatch", "{log}");
        assert_eq!(after(log, &|_| None), "log.missing", "{log}");
    }
    for digest in &digests {
        assert_eq!(after(digest, &edited), "digest.signature-invalid", "{digest}");
        assert_eq!(after(digest, &|_| None), "digest.missing", "{digest}");
    }
}
