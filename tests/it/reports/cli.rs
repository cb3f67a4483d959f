//! The binary's own options: every form written, evidence, diff, webhook.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::demo_reports;
use crate::support::{Outcome, binary, fixture};

fn copy() -> PathBuf {
    demo_reports().dir().join("copy")
}

fn verify(args: &[&str]) -> Outcome {
    trailseal!["verify", copy()].args(args).run()
}

fn path(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_form_is_written_by_one_run_each_to_its_own_file() {
    let dir = TempDir::new().unwrap();
    let forms = [
        ("text", "TAMPERED"),
        ("json", "{\n  \"schema\": \"trailseal.report/v1\""),
        ("ndjson", "{\"record\":"),
        ("csv", "record,"),
        ("html", "<!DOCTYPE html>"),
        ("junit", "<?xml"),
        ("sarif", "{"),
        ("asff", "["),
        ("ocsf", "{"),
        ("oscal", "{"),
        ("prometheus", "# HELP trailseal_verify_"),
        ("standards", "# What this run says"),
    ];
    let mut call = trailseal!["verify", copy()];
    for (form, _) in forms {
        call = call.args(&["--format", form, "--output", &path(&dir, form)]);
    }
    let outcome = call.run().exits(1);
    assert_eq!(outcome.stdout, "");
    for (form, begins) in forms {
        let text = read(&path(&dir, form));
        assert!(text.starts_with(begins), "{form}: {}", &text[..text.len().min(80)]);
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), forms.len(), "no temporary file is left");
}

#[test]
fn ndjson_has_every_finding_once_and_ends_with_its_count() {
    let dir = TempDir::new().unwrap();
    let (lines, json) = (path(&dir, "r.ndjson"), path(&dir, "r.json"));
    verify(&["--format", "ndjson", "--output", &lines, "--format", "json", "--output", &json])
        .exits(1);
    let records: Vec<Value> =
        read(&lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| records.iter().filter(|r| r["record"] == kind).collect::<Vec<_>>();
    let (last, before) = records.split_last().unwrap();
    assert_eq!((&last["record"], &last["records"]), (&"end".into(), &before.len().into()));
    let report: Value = serde_json::from_str(&read(&json)).unwrap();
    let ids = |findings: &[&Value]| {
        let mut ids: Vec<_> = findings.iter().map(|f| f["id"].to_string()).collect();
        ids.sort();
        ids
    };
    let expected: Vec<&Value> = report["findings"].as_array().unwrap().iter().collect();
    assert_eq!(ids(&of("finding")), ids(&expected));
    assert_eq!(of("report").len(), 1);
    assert_eq!(of("report")[0]["verdict"], "tampered");
    // What digests say is told before any log was read, so before the report's own record.
    let first = records.iter().position(|r| r["record"] == "finding").unwrap();
    let head = records.iter().position(|r| r["record"] == "report").unwrap();
    assert!(first < head, "findings come as they are found");
}

#[test]
fn a_question_that_cannot_be_asked_spoils_no_earlier_report() {
    let dir = TempDir::new().unwrap();
    let lines = path(&dir, "r.ndjson");
    std::fs::write(&lines, "yesterday's").unwrap();
    let times = ["--start", "2026-02-01T00:00:00Z", "--end", "2026-01-01T00:00:00Z"];
    verify(&[&times[..], &["--format", "ndjson", "--output", &lines]].concat()).exits(2);
    assert_eq!(read(&lines), "yesterday's");
}

#[test]
fn evidence_is_signed_checked_and_refused_when_it_was_changed() {
    let dir = TempDir::new().unwrap();
    let pem = fixture("keys/throwaway-test-signing-key.pem");
    let (evidence, again) = (path(&dir, "e.dsse.json"), path(&dir, "again.dsse.json"));
    let sign = |to: &str| {
        verify(&[
            "--end",
            "2026-01-01T00:00:00Z",
            "--sign",
            pem.to_str().unwrap(),
            "--evidence",
            to,
        ])
    };
    sign(&evidence);
    sign(&again);
    let key = path(&dir, "key.pub");
    std::fs::write(&key, public_pem(&pem)).unwrap();
    let extracted = path(&dir, "report.json");
    let check = |file: &str| {
        trailseal!["report", "verify", file, "--public-key", &key, "--extract", &extracted].run()
    };
    check(&evidence).exits(0).prints(&["SIGNED", "the report says of"]);
    let report: Value = serde_json::from_str(&read(&extracted)).unwrap();
    assert_eq!(report["schema"], "trailseal.report/v1");
    // One character of the payload, and of the signature.
    let text = read(&evidence);
    for from in [text.find("\"payload\"").unwrap() + 40, text.find("\"sig\"").unwrap() + 20] {
        let mut bytes = text.clone().into_bytes();
        bytes[from] = if bytes[from] == b'A' { b'B' } else { b'A' };
        let bad = path(&dir, "bad.json");
        std::fs::write(&bad, bytes).unwrap();
        check(&bad).exits(1).prints(&["NOT PROVEN"]);
    }
    let other = path(&dir, "other.pub");
    std::fs::write(&other, "no key").unwrap();
    trailseal!["report", "verify", &evidence, "--public-key", &other].run().exits(2);
    verify(&["--sign", &path(&dir, "none.pem"), "--evidence", &path(&dir, "x")]).exits(2);
}

fn public_pem(private: &Path) -> String {
    use base64::Engine as _;
    let pem = std::fs::read_to_string(private).unwrap();
    let spki = encryptor::signing::RsaKey::from_pem(&pem).unwrap().public_spki().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(spki);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[test]
fn a_kms_key_of_the_store_signs_evidence() {
    let dir = TempDir::new().unwrap();
    let store_dir = demo_reports().dir().join("store");
    let copy_of = dir.path().join("store");
    crate::support::copy_tree(&store_dir, &copy_of);
    let clock = std::sync::Arc::new(local::SystemClock);
    let store = local::Store::open(&copy_of, &local::OpenOptions::default(), clock).unwrap();
    let region = "us-east-1".parse().unwrap();
    let kms = store.kms_as_root(&region);
    let asked = local::kms::CreateKey {
        spec: local::kms::KeySpec::Rsa2048,
        usage: local::kms::KeyUsage::SignVerify,
        ..Default::default()
    };
    let arn = kms.create_key(&asked).unwrap().arn.to_string();
    let evidence = path(&dir, "e.json");
    let store_arg = copy_of.to_str().unwrap();
    verify(&["--store", store_arg, "--sign", &arn, "--evidence", &evidence]).exits(1);
    let spki = kms.get_public_key(&arn).unwrap().spki;
    let key = report::evidence::PublicKey::from_spki(&spki).unwrap();
    let verified = report::evidence::verify(read(&evidence).as_bytes(), &[key]).unwrap();
    assert_eq!(verified.report.verdict, "tampered");
}

#[test]
fn diff_tells_worse_from_not_worse_by_its_exit_code() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (path(&dir, "old.json"), path(&dir, "new.json"));
    verify(&["--format", "json", "--output", &old]).exits(1);
    verify(&["--format", "json", "--output", &new]).exits(1);
    trailseal!["diff", &old, &new].run().exits(0);
    // The same trail before it was tampered with.
    let clean = demo_reports().dir().join("report-clean.json");
    trailseal!["diff", &clean, &new].run().exits(2).says(&["different targets"]);
    let worse = trailseal!["diff", &clean, &new, "--force", "--format", "json"].run().exits(1);
    let worse: Value = serde_json::from_str(&worse.stdout).unwrap();
    assert_eq!((&worse["schema"], &worse["worse"]), (&"trailseal.diff/v1".into(), &true.into()));
    let none = path(&dir, "none.json");
    std::fs::write(&none, "{}").unwrap();
    trailseal!["diff", &none, &new].run().exits(2);
}

#[test]
fn a_webhook_is_told_and_a_failing_one_changes_nothing_but_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=MARKED-TOKEN", listener.local_addr().unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let n = stream.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|l| {
                    l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
                });
                if body.len() >= length.unwrap() {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    return body.to_owned();
                }
            }
            assert!(n > 0, "cut: {text}");
        }
    });
    verify(&["--webhook", &url]).exits(1);
    let body: Value = serde_json::from_str(&receiver.join().unwrap()).unwrap();
    assert_eq!(body["verdict"], "tampered");
    // Nobody listens there any more.
    let outcome = verify(&["--webhook", &url, "--webhook-kind", "slack"]).exits(1);
    let outcome = outcome.says(&["webhook", "127.0.0.1"]);
    assert!(!outcome.stderr.contains("MARKED-TOKEN"), "{}", outcome.stderr);
    let plain = verify(&["--webhook", "http://example.com/x"]).exits(1);
    plain.says(&["https"]);
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let shell =
        format!("{} verify {} --format ndjson | head -n 1", binary().display(), copy().display());
    let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), 1);
}
