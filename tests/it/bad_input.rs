//! Every refusal names what is wrong and where; nothing is dropped silently, nothing half written.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::*;

const EVENT_BYTES_MAX: usize = 1_048_576;

/// An event of exactly so many bytes.
fn sized(bytes: usize) -> String {
    let empty = event(ACCOUNTS[0], REGIONS[0], now(), 1, "").len();
    event(ACCOUNTS[0], REGIONS[0], now(), 1, &"x".repeat(bytes - empty))
}

/// The lines of a summary's rejects file, which only its owner may read.
fn rejects(site: &Site, summary: &Value) -> Vec<Value> {
    let path = PathBuf::from(summary["rejects"].as_str().unwrap());
    let run = summary["run"].as_str().unwrap();
    assert_eq!(path, site.path("spool/rejects").join(format!("{run}.ndjson")));
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn no_events_are_no_error() {
    for empty in ["", "\n\n", "[]", r#"{"Records":[]}"#] {
        let site = Site::new();
        let summary = site.delivered(empty.as_bytes(), &[]);
        assert_eq!((&summary["delivered"], &summary["rejected"]), (&0.into(), &0.into()));
    }
}

#[test]
fn a_line_that_is_no_event_is_rejected_with_its_reason_and_the_rest_is_delivered() {
    let good = event(ACCOUNTS[0], REGIONS[0], now(), 7, "");
    let changed = |from: &str, to: &str| {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        changed.into_bytes()
    };
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("not JSON", b"nonsense".to_vec(), "expected"),
        ("a number", b"17".to_vec(), "object"),
        ("cut off", good.as_bytes()[..100].to_vec(), "EOF"),
        ("two on one line", [good.as_bytes(), good.as_bytes()].concat(), "trailing"),
        ("a key twice", changed("{", r#"{"eventID":"x","#), "eventID"),
        ("a key twice, deep", changed(r#""type""#, r#""deepKey":1,"deepKey":2,"type""#), "deepKey"),
        ("no eventID", changed("eventID", "eventIdentity"), "eventID"),
        ("no eventTime", changed("eventTime", "eventTimes"), "eventTime"),
        (
            "eventID is a number",
            changed(r#""eventID":"00000000"#, r#""eventID":1,"x":"0"#),
            "eventID",
        ),
        (
            "eventTime is no time",
            changed(r#""eventTime":"2"#, r#""eventTime":"yesterday 2"#),
            "eventTime",
        ),
        (
            "not UTF-8",
            changed("user-7", "user-\u{1}")
                .iter()
                .map(|b| if *b == 1 { 0xff } else { *b })
                .collect(),
            "UTF-8",
        ),
        ("half a surrogate", changed("user-7", r"\ud800"), "escape"),
        ("one byte too long", sized(EVENT_BYTES_MAX + 1).into_bytes(), "1,048,576"),
        ("2 MB", sized(2 << 20).into_bytes(), "1,048,576"),
    ];
    for (what, bytes, reason) in cases {
        let site = Site::new();
        let file =
            site.write("mixed.ndjson", &[good.as_bytes(), &bytes, good.as_bytes()].join(&b'\n'));
        let outcome = site.deliver().arg("--json").arg(&file).run();
        assert_eq!(outcome.code, 1, "{what}: {outcome:?}");
        let summary = outcome.json();
        assert_eq!((&summary["delivered"], &summary["rejected"]), (&2.into(), &1.into()), "{what}");
        let rejected = rejects(&site, &summary);
        assert_eq!(rejected.len(), 1, "{what}");
        let line = &rejected[0];
        assert_eq!((&line["line"], &line["file"]), (&2.into(), &file.to_str().unwrap().into()));
        let told = line["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{what}: {told}");
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.len() <= 1 << 20 => assert_eq!(line["bytes"], *text, "{what}"),
            Ok(text) => assert_eq!(line["size"], text.len(), "{what}"),
            Err(_) => assert!(line["bytes_base64"].is_string(), "{what}"),
        }
        site.verify().run().exits(0);
    }
}

#[test]
fn an_event_of_exactly_a_mebibyte_is_delivered() {
    let site = Site::new();
    let summary = site.delivered(sized(EVENT_BYTES_MAX).as_bytes(), &[]);
    assert_eq!((&summary["delivered"], &summary["rejected"]), (&1.into(), &0.into()));
    site.verify().args(&["--depth", "events"]).run().exits(0);
}

#[test]
fn without_json_the_rejects_file_is_named_all_the_same() {
    let site = Site::new();
    let text = site.deliver().arg("-").stdin(b"nonsense\n").run().exits(1).stdout;
    assert!(text.contains("1 line rejected") && text.contains("rejects/"), "{text}");
}

#[test]
fn a_truncated_gzip_gives_what_it_holds_and_says_that_it_ends_early() {
    let site = Site::new();
    let whole = gzip(events(2000).as_bytes());
    let file = site.write("cut.gz", &whole[..whole.len() * 3 / 4]);
    let summary = site.deliver().arg("--json").arg(&file).run().exits(1).json();
    let delivered = summary["delivered"].as_u64().unwrap();
    assert!(delivered > 0 && delivered < 2000, "{delivered}");
    let last = rejects(&site, &summary).pop().unwrap();
    assert_eq!(last["file"], file.to_str().unwrap());
    assert!(last["reason"].as_str().unwrap().contains("gzip"), "{}", last["reason"]);
    site.verify().run().exits(0);
}

#[test]
fn a_gzip_bomb_is_refused_and_other_inputs_are_delivered() {
    let site = Site::new();
    let path = site.path("bomb.gz");
    let file = fs::File::create(&path).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::new(6));
    for _ in 0..200 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap();
    let good = site.write("good.ndjson", events(3).as_bytes());
    let call = site.deliver().arg("--json").arg(&path).arg(good);
    let summary = call.run().exits(1).json();
    assert_eq!(summary["delivered"], 3);
    let rejected = rejects(&site, &summary);
    let told = rejected[0]["reason"].as_str().unwrap();
    assert!(told.contains("bomb") || told.contains("67108864"), "{told}");
    assert!(fs::metadata(summary["rejects"].as_str().unwrap()).unwrap().len() < 8 << 20);
}

#[test]
fn an_input_that_cannot_be_read_is_named_before_anything_is_made() {
    let site = Site::new();
    let good = site.write("good.ndjson", events(1).as_bytes());
    let folder = site.path("folder");
    fs::create_dir(&folder).unwrap();
    for bad in [site.path("absent.ndjson"), folder] {
        let call = site.deliver().arg(&good).arg(&bad);
        call.run().exits(2).says(&[bad.to_str().unwrap(), "nothing was delivered"]);
        assert!(!site.store().exists());
    }
}

#[test]
fn a_wrong_configuration_is_refused_by_name_before_anything_is_made() {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let alias = "arn:aws:kms:eu-west-1:111122223333:alias/audit";
    let mut made = Vec::new();
    for (set, parts) in [
        ("trail.nmae=x", &["trail.nmae"][..]),
        ("trail", &["section.key=value"]),
        ("trail.account=12", &["12"]),
        ("trail.name=a b", &["a b"]),
        ("destination.url=https://audit-logs", &["https://audit-logs", "s3://BUCKET"]),
        ("encryption.logs=none", &["none", "sse-kms"]),
        ("delivery.max_log_size=big", &["big", "50MB"]),
        ("delivery.flush_interval=soon", &["soon"]),
        ("delivery.digest_interval=2h", &["digest_interval"]),
        ("delivery.digest_interval=30s", &["digest_interval"]),
        ("signing.key=mine", &["mine", "file:PATH.pem"]),
        (&format!("encryption.kms_key={key}"), &[key, "eu-west-1", "us-east-1"]),
        (&format!("encryption.kms_key={alias}"), &[alias, "eu-west-1", "us-east-1"]),
    ] {
        let site = Site::new();
        let call = site.deliver().args(&["--set", set, "-"]).stdin(events(1).as_bytes());
        call.run().exits(2).says(parts);
        if site.store().join("buckets").join(BUCKET).exists() {
            made.push(set.to_owned());
        }
    }
    assert_eq!(made, [""; 0], "refused, but only after a bucket was made");
    for (text, parts) in [
        (CONFIG.replacen("name =", "nmae =", 1), ["trail.toml", "nmae"]),
        (format!("{CONFIG}\n[tail]\nx = 1\n"), ["trail.toml", "tail"]),
        (CONFIG.replacen("kms_key", "# kms_key", 1), ["trail.toml", "encryption.kms_key"]),
        ("this is no TOML".to_owned(), ["trail.toml", "expected"]),
    ] {
        let site = Site::new();
        site.write("trail.toml", text.as_bytes());
        let call = site.deliver().arg("-").stdin(events(1).as_bytes());
        call.run().exits(2).says(&parts);
        assert!(!site.store().exists());
    }
    let call = trailseal!["deliver", "--store", "s", "--config", "absent.toml", "-"];
    call.run().exits(2).says(&["absent.toml"]);
}

#[test]
fn an_unknown_key_is_refused_and_leaves_the_store_as_it_was() {
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let site = Site::new();
    let set = format!("encryption.kms_key={key}");
    let refused = || {
        let call = site.deliver().args(&["--set", &set, "-"]).stdin(events(1).as_bytes());
        call.run().exits(2).says(&[key, "encryption.kms_key"]);
    };
    refused();
    assert!(!site.store().join("buckets").join(BUCKET).exists());
    site.delivered(events(1).as_bytes(), &[]);
    let before = contents(&site.store());
    refused();
    assert_eq!(contents(&site.store()), before);
}

#[test]
fn a_bucket_of_another_region_or_owner_is_refused() {
    let site = Site::new();
    site.delivered(events(1).as_bytes(), &[]);
    let before = contents(&site.store());
    for (set, parts) in [
        ("destination.region=eu-west-1", ["eu-west-1", "us-east-1"]),
        ("destination.expected_owner=999988887777", ["999988887777", ACCOUNTS[0]]),
        ("trail.account=999988887777", ["999988887777", ACCOUNTS[0]]),
    ] {
        let call = site.deliver().args(&["--set", set, "-"]).stdin(events(1).as_bytes());
        call.run().exits(2).says(&parts);
        assert_eq!(contents(&site.store()), before, "{set}");
    }
}

#[test]
fn a_store_that_is_none_or_too_new_is_refused_untouched() {
    let site = Site::new();
    let dir = site.store().display().to_string();
    site.verify().run().exits(2).says(&["there is no store", &dir]);
    assert!(!site.store().exists(), "reading makes nothing");
    fs::create_dir(site.store()).unwrap();
    fs::write(site.store().join("thesis.txt"), "x").unwrap();
    site.verify().run().exits(2).says(&["is not a store", &dir]);
    let call = site.deliver().arg("-").stdin(events(1).as_bytes());
    call.run().exits(2).says(&["is not a store", &dir]);
    assert_eq!(files(&site.store()), ["thesis.txt"]);

    let site = Site::new();
    let dir = site.store().display().to_string();
    site.delivered(events(1).as_bytes(), &[]);
    let file = site.store().join("store.json");
    let text = fs::read_to_string(&file).unwrap();
    let newer = text.replacen("\"version\": 1", "\"version\": 2", 1);
    assert_ne!(newer, text);
    fs::write(&file, newer).unwrap();
    let before = contents(&site.store());
    site.verify().run().exits(2).says(&[&dir, "version 2", "upgrade"]);
    site.deliver().arg("-").run().exits(2).says(&[&dir, "version 2", "upgrade"]);
    assert_eq!(contents(&site.store()), before);
}

#[test]
fn a_spool_that_cannot_be_used_is_named() {
    let site = Site::new();
    site.write("spool", b"a file");
    let outcome = site.deliver().arg("-").stdin(events(1).as_bytes()).run();
    assert!([2, 4].contains(&outcome.code), "{outcome:?}");
    outcome.says(&["spool"]);
}

/// Leaves an interrupted run in the spool: where the second account's logs of this year should
/// go stands a file, to be removed.
fn interrupted(site: &Site, lines: &str) -> PathBuf {
    site.delivered(events(1).as_bytes(), &[]);
    let objects = site.store().join("buckets").join(BUCKET).join("objects");
    let folder = objects.join("corp/AWSLogs").join(ACCOUNTS[1]).join("CloudTrail").join(REGIONS[0]);
    fs::create_dir_all(&folder).unwrap();
    let blocker = folder.join(&now().date_folders()[..4]);
    fs::write(&blocker, b"").unwrap();
    let call = site.deliver().arg("-").stdin(lines.as_bytes());
    call.run().exits(4).says(&["not all delivered", "run the same command"]);
    blocker
}

#[test]
fn what_was_interrupted_goes_on_and_is_not_delivered_twice() {
    let site = Site::new();
    let of = |account, n| event(account, REGIONS[0], now(), n, "MARKED");
    let lines: Vec<_> = (0..40).map(|n| of(ACCOUNTS[n % 2], n)).collect();
    let blocker = interrupted(&site, &lines.join("\n"));
    let spooled = contents(&site.path("spool/runs"));
    assert!(!spooled.is_empty());
    for (name, bytes) in &spooled {
        assert!(!bytes.windows(6).any(|w| w == b"MARKED"), "{name}");
        assert!(!bytes.windows(3).any(|w| w == [0x1f, 0x8b, 8]), "{name} is sealed");
    }
    fs::remove_file(blocker).unwrap();
    let summary = site.delivered(lines.join("\n").as_bytes(), &[]);
    assert_eq!(summary["accepted"], 40);
    let report = site.verify().args(&["--depth", "events"]).run().exits(0).report();
    assert_eq!(*report.summary("/events"), 41);
    assert!(files(&site.path("spool/runs")).is_empty());
}

#[test]
fn a_damaged_spool_entry_stops_a_delivery_and_is_named() {
    let site = Site::new();
    let blocker = interrupted(&site, &event(ACCOUNTS[1], REGIONS[0], now(), 1, ""));
    fs::remove_file(blocker).unwrap();
    let runs = site.path("spool/runs");
    let name = files(&runs).remove(0);
    let entry = runs.join(&name);
    let mut bytes = fs::read(&entry).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&entry, bytes).unwrap();
    let outcome = site.deliver().arg("-").stdin(events(1).as_bytes()).run();
    assert!([2, 4].contains(&outcome.code), "{outcome:?}");
    outcome.says(&["spool/runs", &name]);
}

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let options = format!("size={size},mode=0700");
        let mut call = Command::new("mount");
        call.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).stderr(Stdio::null());
        call.status().is_ok_and(|s| s.success()).then_some(Self(at))
    }

    fn grow(&self) {
        let mut call = Command::new("mount");
        let done = call.args(["-o", "remount,size=64m"]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// About 3 MB of events that hardly compress.
fn large_events() -> String {
    let noise = |n: usize| {
        let hex = (0..30).map(|i| trail::Sha256::of(format!("{n} {i}").as_bytes()).to_string());
        hex.collect::<String>()
    };
    let one = |n| event(ACCOUNTS[0], REGIONS[0], now(), n, &noise(n));
    (0..1200).map(one).collect::<Vec<_>>().join("\n")
}

#[test]
#[cfg_attr(not(has_tmpfs), ignore = "no tmpfs can be mounted here (that needs root)")]
fn a_full_disk_stops_a_delivery_which_goes_on_when_there_is_room() {
    for full in ["store", "spool"] {
        let site = Site::new();
        let disk = SmallDisk::mount(site.path(full), "1m").unwrap();
        site.delivered(events(1).as_bytes(), &[]);
        let file = site.write("large.ndjson", large_events().as_bytes());
        // Small logs, so that some fit and some do not.
        let deliver = || site.deliver().args(&["--set", "delivery.max_log_size=300KB"]).arg(&file);
        deliver().run().exits(4).says(&["not all delivered", "No space left", full]);
        let report = site.verify().run();
        assert_ne!(report.report().verdict(), "tampered", "{full}: {report:?}");
        disk.grow();
        deliver().run().exits(0);
        let report = site.verify().args(&["--depth", "events"]).run().exits(0).report();
        assert_eq!(*report.summary("/events"), 1201, "{full}: none lost, none twice");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let trail = Trail::new();
    for args in [&["man"][..], &["completions", "bash"], &["verify", TARGET], &["keys", "export"]] {
        let mut call = Call::new().args(args).env("TRAILSEAL_STORE", trail.site.store()).command;
        let mut child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*told), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn wrong_usage_exits_2_and_says_what_is_right() {
    let site = Site::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["verify"],
        &["verify", "s3://"],
        &["verify", "s3://audit-logs", "--frobnicate"],
        &["verify", "s3://audit-logs", "--grace", "soon"],
        &["verify", "s3://audit-logs", "--depth", "bottom"],
        &["verify", "s3://audit-logs", "--format", "json", "--format", "text"],
        &["verify", "no-such-directory"],
        &["verify", "s3://audit-logs", "--public-keys", "no-such-file"],
        &["deliver", "-"],
        &["mirror", "not-an-address", "copy"],
        &["status"],
        &["keys", "export"],
    ] {
        let outcome = Call::new().args(args).env("TRAILSEAL_STORE", site.store()).run();
        assert_eq!(outcome.code, 2, "{args:?}: {outcome:?}");
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{args:?}: {outcome:?}");
    }
    let outcome = trailseal!["verify", "s3://audit-logs"].run().exits(2);
    outcome.says(&["--store"]);
    for help in [&["--help"][..], &["verify", "--help"], &["keys", "archive", "--help"]] {
        let text = Call::new().args(help).run().exits(0).stdout;
        assert!(text.contains("Example: trailseal"), "{text}");
        for option in ["--log-level", "--color", "--store"] {
            assert!(text.contains(option), "{help:?} without {option}");
        }
    }
}
