//! Offline copies: plain ones lose metadata, and say so; a `.tar` is as good as a directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::*;

fn copy_of(trail: &Trail) -> (PathBuf, PathBuf) {
    (trail.site.mirror("copy"), trail.site.public_keys())
}

#[track_caller]
fn verify(copy: &Path, keys: Option<&Path>, code: i32) -> Report {
    let call = trailseal!["verify", copy, "--format", "json"];
    let call = match keys {
        Some(keys) => call.arg("--public-keys").arg(keys),
        None => call,
    };
    call.run().exits(code).report()
}

#[test]
fn a_mirror_is_proven_without_the_store() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    let report = verify(&copy, Some(&keys), 0);
    assert!(report.findings().is_empty());
    let of = |pointer: &str| report.summary(pointer).as_u64().unwrap();
    assert_eq!((of("/digests/valid"), of("/logs/valid"), of("/chains")), (24, 48, 4));
    // What only the copy's own list says is no proof.
    assert!(report.not_proven().contains("claim"), "{}", report.not_proven());
}

#[test]
fn keys_that_only_the_copy_holds_are_untrusted() {
    let trail = Trail::new();
    let (copy, _) = copy_of(&trail);
    let report = verify(&copy, None, 4);
    assert_eq!(report.verdict(), "unverifiable");
    assert!(!report.only("keys.untrusted").is_empty());
    assert!(report.0["keys"].as_array().unwrap().iter().all(|k| k["source"] == "target"));
}

#[test]
fn keys_of_another_store_prove_nothing() {
    let trail = Trail::new();
    let (copy, _) = copy_of(&trail);
    fs::remove_dir_all(copy.join(".trailseal")).unwrap();
    let other = Site::new();
    other.delivered(events(1).as_bytes(), &[]);
    let report = verify(&copy, Some(&other.public_keys()), 4);
    assert!(report.codes().contains(&"digest.key-unknown"), "{:?}", report.codes());
    assert_eq!(*report.summary("/digests/valid"), 0);
}

#[test]
fn a_plain_copy_lacks_the_signature_of_each_chains_newest_digest() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    fs::remove_dir_all(copy.join(".trailseal")).unwrap();
    let report = verify(&copy, Some(&keys), 4);
    assert_eq!(report.verdict(), "unverifiable");
    let newest = report.only("digest.signature-missing");
    assert_eq!(newest.len(), 4, "one for each chain");
    let stamp = trail.end.second_stamp();
    assert!(newest.iter().all(|f| f["object"].as_str().unwrap().contains(&stamp)));
    // Where it was, only the digests say.
    assert!(newest.iter().all(|f| f["object"].as_str().unwrap().starts_with(TARGET)));
    assert!(report.not_proven().contains(TARGET), "{}", report.not_proven());
}

#[test]
fn in_a_plain_copy_tampering_is_still_found() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    fs::remove_dir_all(copy.join(".trailseal")).unwrap();
    let (digests, logs) = objects(&copy);
    let changed = &logs[2];
    let text = String::from_utf8(gunzip(&fs::read(copy.join(changed)).unwrap())).unwrap();
    fs::write(copy.join(changed), gzip(text.replace("user-", "root-").as_bytes())).unwrap();
    let (gone, lost) = (&logs[15], &digests[8]);
    fs::remove_file(copy.join(gone)).unwrap();
    fs::remove_file(copy.join(lost)).unwrap();
    let report = verify(&copy, Some(&keys), 1);
    assert_eq!(report.codes_of(&original(changed)), ["log.hash-mismatch"]);
    assert_eq!(report.codes_of(&original(gone)), ["log.missing"]);
    assert_eq!(report.codes_of(&original(lost)), ["digest.missing"]);
}

#[test]
fn a_copy_is_found_at_any_depth() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    fs::remove_dir_all(copy.join(".trailseal")).unwrap();
    let deep = trail.site.path("deep");
    copy_tree(&copy, &deep.join("some/where/corp"));
    let report = verify(&deep, Some(&keys), 4);
    assert_eq!(report.only("digest.signature-missing").len(), 4);
}

#[test]
#[cfg_attr(not(has_tar), ignore = "there is no tar program here")]
fn a_tar_gives_what_its_directory_gives() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    let pack = |name: &str| {
        let tar = trail.site.path(name);
        let done = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&copy).arg(".").status();
        assert!(done.unwrap().success());
        tar
    };
    let same = |tar: &Path, code: i32| {
        let [mut a, mut b] = [&*copy, tar].map(|p| verify(p, Some(&keys), code).0);
        for report in [&mut a, &mut b] {
            report["generated_at"] = Value::Null;
            report["request"]["target"] = Value::Null;
        }
        assert_eq!(a, b);
    };
    same(&pack("clean.tar"), 0);
    let (digests, logs) = objects(&copy);
    fs::write(copy.join(&logs[7]), b"no gzip").unwrap();
    fs::remove_file(copy.join(&digests[3])).unwrap();
    same(&pack("tampered.tar"), 1);
    fs::remove_dir_all(copy.join(".trailseal")).unwrap();
    same(&pack("plain.tar"), 1);
}

#[test]
fn a_mirror_resumes_and_copies_nothing_twice() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    let before = contents(&copy.join("AWSLogs"));
    let (_, logs) = objects(&copy);
    fs::remove_file(copy.join(&logs[3])).unwrap();
    let call = trailseal!["mirror", TARGET, &copy, "--store", trail.site.store()];
    let said = call.run().exits(0).stdout;
    assert!(said.starts_with("1 object copied") && said.contains("71 there already"), "{said}");
    assert_eq!(contents(&copy.join("AWSLogs")), before);
    verify(&copy, Some(&keys), 0);
}

#[test]
fn a_mirror_of_a_damaged_store_says_what_it_could_not_read() {
    let trail = Trail::new();
    let root = trail.site.store().join("buckets").join(BUCKET).join("objects");
    let file = files(&root).into_iter().find(|f| f.contains("/CloudTrail/")).unwrap();
    fs::write(root.join(&file), b"tsealed\n").unwrap();
    let call = trailseal!["mirror", TARGET, trail.site.path("copy"), "--store", trail.site.store()];
    call.run().exits(4).says(&[file.strip_suffix(".sealed").unwrap()]);
}

#[test]
fn reports_of_one_evidence_are_the_same_bytes() {
    let trail = Trail::new();
    let (copy, keys) = copy_of(&trail);
    let (_, logs) = objects(&copy);
    fs::write(copy.join(&logs[7]), b"").unwrap();
    fs::remove_file(copy.join(&logs[9])).unwrap();
    let mut texts = Vec::new();
    for concurrency in ["1", "7"] {
        let call = trailseal!["verify", &copy, "--public-keys", &keys, "--format", "json"];
        let text = call.args(&["--concurrency", concurrency]).run().exits(1).stdout;
        let at = text.find("\"generated_at\"").unwrap();
        let line = at..at + text[at..].find('\n').unwrap();
        texts.push(format!("{}{}", &text[..line.start], &text[line.end..]));
    }
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn several_formats_go_to_their_outputs() {
    let trail = Trail::new();
    let file = trail.site.path("report.json");
    let call = trail.site.verify().args(&["--output"]).arg(&file).args(&["--format", "text"]);
    let outcome = call.run().exits(0);
    assert!(outcome.stdout.starts_with("VERIFIED"), "{}", outcome.stdout);
    let report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(report["verdict"], "verified");
}

#[test]
fn keys_are_archived_without_loss_or_doubles() {
    let trail = Trail::new();
    let file = trail.site.path("archive.json");
    let archive = || {
        let call = trailseal!["keys", "archive", &file, "--store", trail.site.store()];
        call.run().exits(0);
        serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap()
    };
    let first = archive();
    assert_eq!(first["PublicKeyList"].as_array().unwrap().len(), 2);
    assert_eq!(archive(), first);
    let generate = ["keys", "generate", "ap-south-1"];
    Call::new().args(&generate).arg("--store").arg(trail.site.store()).run().exits(0);
    assert_eq!(archive()["PublicKeyList"].as_array().unwrap().len(), 3);
    let (copy, _) = copy_of(&trail);
    verify(&copy, Some(&file), 0);
}

#[test]
fn explain_says_of_a_log_that_no_digest_names_that_nothing_is_proven() {
    let trail = Trail::new();
    let (copy, keys) = (trail.site.mirror("copy"), trail.site.public_keys());
    let (_, logs) = objects(&copy);
    let (head, _) = logs[0].rsplit_once('_').unwrap();
    let forged = format!("{head}_0000000000forged.json.gz");
    fs::copy(copy.join(&logs[0]), copy.join(&forged)).unwrap();
    let explain = |object: &str| {
        trailseal!["explain", &copy, object, "--public-keys", &keys]
            .args(&["--format", "json"])
            .run()
    };
    let explained = explain(&original(&forged)).exits(1).json();
    assert_eq!(explained["proven"], false);
    assert_eq!(explained["findings"][0]["code"], "log.unreferenced");
    assert_eq!(explain(&original(&logs[0])).exits(0).json()["proven"], true);
    fs::remove_file(copy.join(&forged)).unwrap();
    explain(&original(&forged)).exits(2).says(&["no digest names it", "not there"]);
}
