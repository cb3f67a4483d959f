//! Damage to the embedded store's own files is a finding that names the object, never data.

use std::fs;
use std::path::Path;

use crate::support::*;

struct Sealed {
    trail: Trail,
    end: String,
    files: Vec<String>,
}

impl Sealed {
    fn new() -> Self {
        let trail = Trail::new();
        let end = trail.end.to_string();
        let bucket = trail.site.store().join("buckets").join(BUCKET).join("objects");
        let files = files(&bucket).into_iter().filter(|f| f.contains("/AWSLogs/")).collect();
        Self { trail, end, files }
    }

    /// The report after a change of one file's bytes (None: deleted), which is then undone.
    fn after(&self, file: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Report {
        let path = self.trail.site.store().join("buckets").join(BUCKET).join("objects").join(file);
        let before = fs::read(&path).unwrap();
        match change(before.clone()) {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let call = self.trail.site.verify().args(&["--end", &self.end, "--grace", "0s"]);
        let outcome = call.run();
        fs::write(&path, before).unwrap();
        outcome.report()
    }

    fn digests(&self) -> Vec<&str> {
        self.files.iter().map(String::as_str).filter(|f| f.contains("-Digest/")).collect()
    }

    fn logs(&self) -> Vec<&str> {
        self.files.iter().map(String::as_str).filter(|f| !f.contains("-Digest/")).collect()
    }
}

fn uri(file: &str) -> String {
    format!("s3://{BUCKET}/{}", file.strip_suffix(".sealed").unwrap())
}

fn flip(at: impl Fn(usize) -> usize) -> impl Fn(Vec<u8>) -> Option<Vec<u8>> {
    move |mut bytes| {
        let at = at(bytes.len());
        bytes[at] ^= 1;
        Some(bytes)
    }
}

#[test]
fn a_bit_flipped_anywhere_in_a_sealed_file_is_malformed() {
    let sealed = Sealed::new();
    let (digests, logs) = (sealed.digests(), sealed.logs());
    for file in [digests[0], digests[3], digests[5], logs[0], logs[20], logs[47]] {
        let expected = if digests.contains(&file) { "digest.malformed" } else { "log.malformed" };
        // Magic, length, header, near the header's end, MAC or body, tag.
        let places: [fn(usize) -> usize; 7] =
            [|_| 0, |_| 8, |_| 40, |n| n / 2, |n| n * 3 / 4, |n| n - 17, |n| n - 1];
        for at in places {
            let report = sealed.after(file, flip(at));
            assert_eq!(report.codes_of(&uri(file)), [expected], "{file} at {}", at(1000));
            assert_eq!(report.verdict(), "tampered", "{file} at {}", at(1000));
        }
        let lengths: [fn(Vec<u8>) -> Vec<u8>; 3] =
            [|b| b[..b.len() - 1].to_vec(), |b| [&b[..], b"x"].concat(), |_| Vec::new()];
        for change in lengths {
            let report = sealed.after(file, |b| Some(change(b)));
            assert_eq!(report.codes_of(&uri(file)), [expected], "{file} of another length");
        }
    }
}

#[test]
fn a_bit_flipped_in_any_sealed_file_names_it() {
    let sealed = Sealed::new();
    for file in &sealed.files {
        let expected = if file.contains("-Digest/") { "digest.malformed" } else { "log.malformed" };
        let report = sealed.after(file, flip(|n| n - 20));
        assert_eq!(report.codes_of(&uri(file)), [expected], "{file}");
        assert_eq!(report.verdict(), "tampered", "{file}");
    }
}

#[test]
fn a_sealed_file_in_the_place_of_another_is_malformed() {
    let sealed = Sealed::new();
    let root = sealed.trail.site.store().join("buckets").join(BUCKET).join("objects");
    let read = |name: &str| fs::read(Path::new(&root).join(name)).unwrap();
    let (digests, logs) = (sealed.digests(), sealed.logs());
    for (file, by, expected) in [
        (digests[2], digests[3], "digest.malformed"),
        (logs[2], logs[3], "log.malformed"),
        (logs[2], digests[3], "log.malformed"),
    ] {
        let report = sealed.after(file, |_| Some(read(by)));
        assert_eq!(report.codes_of(&uri(file)), [expected], "{file} by {by}");
        assert_eq!(report.verdict(), "tampered");
    }
}

#[test]
fn a_sealed_file_deleted_is_missing() {
    let sealed = Sealed::new();
    let (digests, logs) = (sealed.digests(), sealed.logs());
    for log in [logs[0], logs[23], logs[47]] {
        let report = sealed.after(log, |_| None);
        assert_eq!(report.codes_of(&uri(log)), ["log.missing"]);
        assert_eq!(report.verdict(), "tampered");
    }
    for digest in [digests[1], digests[3], digests[4]] {
        let report = sealed.after(digest, |_| None);
        assert_eq!(report.codes_of(&uri(digest)), ["digest.missing"]);
        assert_eq!(report.verdict(), "tampered");
    }
}

#[test]
fn the_ends_of_a_chain_cannot_be_missed_by_their_links_but_by_the_time_asked() {
    let sealed = Sealed::new();
    let digests = sealed.digests();
    // The newest: what is asked goes further than what is there.
    let newest = sealed.after(digests[5], |_| None);
    assert_eq!(newest.verdict(), "incomplete");
    assert!(newest.codes().contains(&"chain.tail-absent"), "{:?}", newest.codes());
    // The oldest: its successor names it, and without --start that is a line only.
    let oldest = sealed.after(digests[0], |_| None);
    assert!(oldest.findings().is_empty(), "{:?}", oldest.codes());
    assert!(
        oldest.not_proven().contains(digests[0].strip_suffix(".sealed").unwrap())
            || oldest.not_proven().contains("events before"),
        "{}",
        oldest.not_proven()
    );
}

#[test]
fn a_damaged_signing_key_file_is_no_proof_and_no_panic() {
    let sealed = Sealed::new();
    let path = sealed.trail.site.store().join("signing/us-east-1.json");
    let before = fs::read(&path).unwrap();
    fs::write(&path, b"{").unwrap();
    let outcome = sealed.trail.site.verify().args(&["--end", &sealed.end]).run();
    assert!([2, 4].contains(&outcome.code), "{outcome:?}");
    fs::write(&path, before).unwrap();
    sealed.trail.site.verify().args(&["--end", &sealed.end]).run().exits(0);
}
