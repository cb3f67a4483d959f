//! Whoever changes, removes, adds or renames an object of a copy is found, and the object named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;

/// A mirrored trail with the keys from elsewhere; every change is undone after its run.
struct Bench {
    copy: PathBuf,
    keys: PathBuf,
    end: String,
    digests: Vec<String>,
    logs: Vec<String>,
    _trail: Trail,
}

impl Bench {
    fn new() -> Self {
        let trail = Trail::new();
        let (copy, keys) = (trail.site.mirror("copy"), trail.site.public_keys());
        let (digests, logs) = objects(&copy);
        assert_eq!((digests.len(), logs.len()), (4 * 6, 4 * 12));
        let end = trail.end.to_string();
        let bench = Self { copy, keys, end, digests, logs, _trail: trail };
        assert_eq!(bench.verify().findings().len(), 0, "untouched");
        bench
    }

    fn verify(&self) -> Report {
        let call = trailseal!["verify", &self.copy, "--public-keys", &self.keys];
        let outcome = call.args(&["--format", "json", "--end", &self.end]).run();
        let report = outcome.report();
        let codes = [("verified", 0), ("tampered", 1), ("incomplete", 3), ("unverifiable", 4)];
        assert!(codes.contains(&(report.verdict(), outcome.code)), "{outcome:?}");
        report
    }

    /// The report after a change, which is then undone.
    #[track_caller]
    fn after(&self, change: impl FnOnce(&Path)) -> Report {
        let before = contents(&self.copy);
        change(&self.copy);
        let report = self.verify();
        for (name, bytes) in contents(&self.copy) {
            if before.get(&name) != Some(&bytes) {
                fs::remove_file(self.copy.join(name)).unwrap();
            }
        }
        for (name, bytes) in before {
            let path = self.copy.join(name);
            if !path.exists() {
                fs::write(path, bytes).unwrap();
            }
        }
        report
    }

    /// Oldest, middle and newest digest of a chain; first, middle and last log of another.
    fn sample(&self) -> Vec<&str> {
        [&self.digests[0], &self.digests[3], &self.digests[5]]
            .into_iter()
            .chain([&self.logs[12], &self.logs[17], &self.logs[23]])
            .map(String::as_str)
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.digests.iter().chain(&self.logs).map(String::as_str)
    }
}

fn is_digest(name: &str) -> bool {
    name.contains("/CloudTrail-Digest/")
}

/// The name with another, valid end: a digest a second later, a log with another unique string.
fn sibling(name: &str) -> String {
    if is_digest(name) {
        let (head, stamp) = name.rsplit_once('_').unwrap();
        let end = stamp.strip_suffix(".json.gz").unwrap();
        let end = trail::Timestamp::parse_second_stamp(end).unwrap();
        let later = end + std::time::Duration::from_secs(1);
        format!("{head}_{}.json.gz", later.second_stamp())
    } else {
        let (head, _) = name.rsplit_once('_').unwrap();
        format!("{head}_0000000000forged.json.gz")
    }
}

/// What is done to the bytes of an object, and the code of a log and of a digest to which it is.
struct Edit {
    what: &'static str,
    change: fn(&[u8]) -> Vec<u8>,
    log: &'static str,
    digest: &'static str,
}

const EDITS: [Edit; 9] = [
    Edit {
        what: "a byte in the middle flipped",
        change: |b| {
            let mut b = b.to_vec();
            let middle = b.len() / 2;
            b[middle] ^= 0xff;
            b
        },
        log: "log.malformed",
        digest: "digest.malformed",
    },
    Edit {
        what: "one hexadecimal digit changed and compressed again",
        change: |b| {
            let text = String::from_utf8(gunzip(b)).unwrap();
            let at = ["hashValue\":\"", "eventID\":\""]
                .iter()
                .find_map(|m| Some(text.find(m)? + m.len()));
            let mut bytes = text.into_bytes();
            let at = at.unwrap();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            gzip(&bytes)
        },
        log: "log.hash-mismatch",
        digest: "digest.signature-invalid",
    },
    Edit {
        what: "white space added and compressed again",
        change: |b| gzip(&[&gunzip(b)[..], b"\n"].concat()),
        log: "log.hash-mismatch",
        digest: "digest.signature-invalid",
    },
    Edit {
        what: "emptied of events and compressed again",
        change: |_| gzip(br#"{"Records":[]}"#),
        log: "log.hash-mismatch",
        digest: "digest.malformed",
    },
    Edit {
        what: "cut in half",
        change: |b| b[..b.len() / 2].to_vec(),
        log: "log.malformed",
        digest: "digest.malformed",
    },
    Edit {
        what: "cut to nothing",
        change: |_| Vec::new(),
        log: "log.malformed",
        digest: "digest.malformed",
    },
    Edit {
        what: "bytes appended",
        change: |b| [b, b"\n"].concat(),
        log: "log.trailing-data",
        digest: "digest.trailing-data",
    },
    Edit {
        what: "a second gzip member appended",
        change: |b| [b, &gzip(b"{}")].concat(),
        log: "log.trailing-data",
        digest: "digest.trailing-data",
    },
    Edit {
        what: "stored uncompressed",
        change: gunzip,
        log: "log.malformed",
        digest: "digest.malformed",
    },
];

impl Edit {
    fn apply(&self, copy: &Path, name: &str) {
        let path = copy.join(name);
        fs::write(&path, (self.change)(&fs::read(&path).unwrap())).unwrap();
    }

    #[track_caller]
    fn check(&self, bench: &Bench, name: &str) {
        let report = bench.after(|copy| self.apply(copy, name));
        let expected = if is_digest(name) { self.digest } else { self.log };
        assert_eq!(report.codes_of(&original(name)), [expected], "{name}: {}", self.what);
        assert_eq!(report.verdict(), "tampered", "{name}: {}", self.what);
        let part = if is_digest(name) { "/digests/invalid" } else { "/logs/invalid" };
        assert_eq!(*report.summary(part), 1, "{name}: {}", self.what);
    }
}

#[test]
fn every_edit_of_a_sample_has_its_own_code() {
    let bench = Bench::new();
    for edit in &EDITS {
        for name in bench.sample() {
            edit.check(&bench, name);
        }
    }
}

#[test]
fn a_change_of_any_one_object_names_it() {
    let bench = Bench::new();
    for name in bench.all() {
        EDITS[1].check(&bench, name);
    }
}

#[test]
fn the_absence_of_any_one_object_names_it() {
    let bench = Bench::new();
    for name in bench.all() {
        let report = bench.after(|copy| fs::remove_file(copy.join(name)).unwrap());
        let expected = if is_digest(name) { "digest.missing" } else { "log.missing" };
        assert_eq!(report.codes_of(&original(name)), [expected]);
        let part = if is_digest(name) { "/digests/missing" } else { "/logs/missing" };
        assert_eq!(*report.summary(part), 1, "{name}");
    }
}

#[test]
fn the_renaming_of_any_one_object_names_both() {
    let bench = Bench::new();
    for name in bench.all() {
        let new = sibling(name);
        let report = bench.after(|copy| fs::rename(copy.join(name), copy.join(&new)).unwrap());
        let [gone, come] = match is_digest(name) {
            true => ["digest.missing", "digest.relocated"],
            false => ["log.missing", "log.unreferenced"],
        };
        assert_eq!(report.codes_of(&original(name)), [gone], "{name}");
        assert_eq!(report.codes_of(&original(&new)), [come], "{new}");
    }
}

#[test]
fn an_object_added_is_named() {
    let bench = Bench::new();
    for name in bench.sample() {
        let folder = name.rsplit_once('/').unwrap().0;
        let region = name.split('/').take(4).collect::<Vec<_>>().join("/");
        // A genuine digest says itself where it belongs, whatever it is called.
        let expected = if is_digest(name) { "digest.relocated" } else { "log.unreferenced" };
        for new in [
            sibling(name),
            format!("{folder}/notes.txt"),
            format!("{folder}/copy of {}", name.rsplit_once('/').unwrap().1),
            format!("{region}/1999/01/01/{}", name.rsplit_once('/').unwrap().1),
            format!("{region}/stray.json.gz"),
        ] {
            let report = bench.after(|copy| {
                fs::create_dir_all(copy.join(&new).parent().unwrap()).unwrap();
                fs::copy(copy.join(name), copy.join(&new)).unwrap();
            });
            assert_eq!(report.codes_of(&original(&new)), [expected], "{new}");
            assert_eq!(report.codes_of(&original(name)), [""; 0], "the genuine one is proven");
        }
    }
}

#[test]
fn an_object_in_the_place_of_another_is_named() {
    let bench = Bench::new();
    let (digest, log) = (&bench.digests[2], &bench.logs[20]);
    for (name, by, expected) in [
        (digest, &bench.digests[3], "digest.relocated"),
        (digest, &bench.digests[14], "digest.relocated"),
        (digest, log, "digest.malformed"),
        (log, &bench.logs[21], "log.hash-mismatch"),
        (log, &bench.logs[40], "log.hash-mismatch"),
        (log, digest, "log.hash-mismatch"),
    ] {
        let report = bench.after(|copy| {
            fs::copy(copy.join(by), copy.join(name)).unwrap();
        });
        assert_eq!(report.codes_of(&original(name)), [expected], "{name} by {by}");
    }
}

#[test]
fn two_logs_exchanged_are_both_named() {
    let bench = Bench::new();
    let [a, b] = [&bench.logs[3], &bench.logs[30]];
    let report = bench.after(|copy| {
        let [of_a, of_b] = [a, b].map(|n| fs::read(copy.join(n)).unwrap());
        fs::write(copy.join(a), of_b).unwrap();
        fs::write(copy.join(b), of_a).unwrap();
    });
    for name in [a, b] {
        assert_eq!(report.codes_of(&original(name)), ["log.hash-mismatch"]);
    }
}

#[test]
fn many_changes_are_all_found_in_one_run() {
    let bench = Bench::new();
    let report = bench.after(|copy| {
        for name in &bench.logs[..10] {
            EDITS[1].apply(copy, name);
        }
        for name in &bench.logs[10..14] {
            fs::remove_file(copy.join(name)).unwrap();
        }
        EDITS[0].apply(copy, &bench.digests[20]);
    });
    assert_eq!(*report.summary("/logs/invalid"), 10);
    assert_eq!(*report.summary("/logs/missing"), 4);
    assert_eq!(report.codes_of(&original(&bench.digests[20])), ["digest.malformed"]);
}

#[test]
fn a_log_and_the_digest_made_to_fit_it_are_not_enough() {
    let bench = Bench::new();
    // Whoever has no signing key can keep the hashes consistent, but not the signature.
    let digest = &bench.digests[3];
    let content = gunzip(&fs::read(bench.copy.join(digest)).unwrap());
    let body = trail::digest::Digest::parse(&content).unwrap();
    let log = body.log_files[0].s3_object.strip_prefix("corp/").unwrap().to_owned();
    let report = bench.after(|copy| {
        let events = String::from_utf8(gunzip(&fs::read(copy.join(&log)).unwrap())).unwrap();
        let forged = events.replace("198.51.100.7", "203.0.113.9");
        fs::write(copy.join(&log), gzip(forged.as_bytes())).unwrap();
        let hash = trail::Sha256::of(forged.as_bytes()).to_string();
        let fitted = String::from_utf8(content.clone()).unwrap();
        let fitted = fitted.replace(&body.log_files[0].hash_value, &hash);
        fs::write(copy.join(digest), gzip(fitted.as_bytes())).unwrap();
    });
    assert_eq!(report.codes_of(&original(digest)), ["digest.signature-invalid"]);
}

#[test]
fn a_signature_exchanged_in_the_copys_list_is_found() {
    let bench = Bench::new();
    let list = ".trailseal/objects.ndjson";
    let text = fs::read_to_string(bench.copy.join(list)).unwrap();
    let line = |name: &str| text.lines().find(|l| l.contains(name)).unwrap();
    let signature = |line: &str| {
        line.split("\"signature\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let [a, b] = [&bench.digests[2], &bench.digests[3]];
    let changed = line(a).replace(&signature(line(a)), &signature(line(b)));
    let changed = text.replace(line(a), &changed);
    let report = bench.after(|copy| fs::write(copy.join(list), changed).unwrap());
    assert_eq!(report.codes_of(&original(a)), ["digest.signature-invalid"]);
}

/// Together they could hide each other: the log is named by nothing that is left.
#[test]
fn a_digest_removed_with_a_log_that_it_names_hides_neither() {
    let bench = Bench::new();
    let digest = bench.digests.iter().find(|d| d.contains("/us-east-1/")).unwrap();
    let folder = digest.split("/CloudTrail-Digest/").next().unwrap();
    let logs = bench.logs.iter().filter(|l| l.starts_with(folder) && l.contains("/us-east-1/"));
    for log in logs {
        let report = bench.after(|copy| {
            for name in bench.digests.iter().filter(|d| d.starts_with(folder)) {
                fs::remove_file(copy.join(name)).unwrap();
            }
            fs::remove_file(copy.join(log)).unwrap();
        });
        assert_eq!(report.verdict(), "tampered");
        assert_eq!(report.codes_of(&original(log)), ["log.missing"], "{log}");
        assert_eq!(report.codes_of(&original(digest)), ["digest.missing"]);
    }
}
