//! What must not be read by whoever reads the disk, is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use flate2::bufread::GzDecoder;

use crate::support::*;

const MARK: &str = "MARKED-TEXT-OF-AN-EVENT";

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

/// Whether the text is there, plain or in any gzip member that begins anywhere.
fn holds(bytes: &[u8], text: &[u8]) -> bool {
    let inflated = |at: usize| {
        let mut out = Vec::new();
        let _ = std::io::Read::read_to_end(&mut GzDecoder::new(&bytes[at..]), &mut out);
        contains(&out, text)
    };
    contains(bytes, text)
        || (0..bytes.len().saturating_sub(2))
            .any(|i| bytes[i..i + 3] == [0x1f, 0x8b, 8] && inflated(i))
}

fn marked(count: usize) -> String {
    let one = |n| event(ACCOUNTS[n % 2], REGIONS[n % 2], now(), n, MARK);
    (0..count).map(one).collect::<Vec<_>>().join("\n")
}

fn root_key(site: &Site) -> String {
    fs::read_to_string(site.store().join("root.key")).unwrap().trim().to_owned()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Every directory below `dir`, itself too.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut out = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            out.extend(folders(&entry.path()));
        }
    }
    out
}

#[test]
fn the_search_itself_finds_what_is_hidden_in_gzip() {
    let hidden = [b"xx", &gzip(marked(1).as_bytes())[..], b"yy"].concat();
    assert!(holds(&hidden, MARK.as_bytes()) && !contains(&hidden, MARK.as_bytes()));
}

#[test]
fn no_file_of_store_or_spool_holds_an_event_in_clear() {
    let site = Site::new();
    site.delivered(marked(20).as_bytes(), &[]);
    site.delivered(marked(20).as_bytes(), &["--set", "encryption.logs=sse-s3"]);
    let mut sealed = 0;
    for dir in [site.store(), site.path("spool")] {
        for (name, bytes) in contents(&dir) {
            for text in [MARK, "DescribeInstances", "198.51.100.7", r#"{"Records""#] {
                assert!(!holds(&bytes, text.as_bytes()), "{name} holds {text}");
            }
            sealed += usize::from(name.ends_with(".sealed"));
        }
    }
    assert!(sealed >= 8);
    // They are there all the same.
    let (_, logs) = objects(&site.mirror("copy"));
    let log = fs::read(site.path("copy").join(&logs[0])).unwrap();
    assert!(holds(&log, MARK.as_bytes()));
}

#[test]
fn no_digest_lies_in_the_store_in_clear() {
    let site = Site::new();
    site.delivered(marked(4).as_bytes(), &[]);
    for (name, bytes) in contents(&site.store()) {
        assert!(!holds(&bytes, b"previousDigestSignature"), "{name}");
    }
}

#[test]
fn no_file_but_its_own_holds_the_root_key_and_none_a_private_key() {
    let site = Site::new();
    let pem = fs::read_to_string(fixture("keys/throwaway-test-signing-key.pem")).unwrap();
    let own = site.write("signing.pem", pem.as_bytes());
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    site.delivered(marked(4).as_bytes(), &[]);
    let elsewhere =
        ["--set", "signing.key=file:signing.pem", "--set", "destination.url=s3://audit-logs/b"];
    site.delivered(marked(4).as_bytes(), &elsewhere);
    let body: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(&body).unwrap();
    // The end of the key: primes and exponents, nothing that is public.
    let private = &der[der.len() - 400..][..48];
    let root = root_key(&site);
    let upper = root.to_uppercase();
    for dir in [site.store(), site.path("spool")] {
        for (name, bytes) in contents(&dir) {
            assert!(!contains(&bytes, b"PRIVATE KEY"), "{name}");
            assert!(!contains(&bytes, private), "{name}");
            assert!(!contains(&bytes, &body.as_bytes()[1100..1140]), "{name}");
            let hex: String = private.iter().map(|b| format!("{b:02x}")).collect();
            assert!(!contains(&bytes, hex.as_bytes()), "{name}");
            if name != "root.key" {
                let forms = [root.as_bytes(), upper.as_bytes(), &unhex(&root)];
                assert!(!forms.iter().any(|f| contains(&bytes, f)), "{name} holds the root key");
            }
        }
    }
}

#[test]
fn only_the_owner_may_read_store_and_spool() {
    let site = Site::new();
    site.deliver().arg("-").stdin([marked(4), "nonsense".into()].join("\n").as_bytes()).run();
    for dir in [site.store(), site.path("spool")] {
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        for folder in folders(&dir) {
            assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        }
        for file in files(&dir) {
            assert_eq!(mode(&dir.join(&file)), 0o600, "{file}");
        }
    }
}

#[test]
fn the_root_key_can_live_outside_the_store() {
    let site = Site::new();
    let key = site.path("elsewhere.key");
    let with = |call: Call| call.arg("--root-key-file").arg(&key);
    let call = with(site.deliver()).arg("-").stdin(marked(4).as_bytes());
    call.run().exits(0);
    assert!(!site.store().join("root.key").exists());
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    with(site.verify()).run().exits(0);
    site.verify().env("TRAILSEAL_ROOT_KEY_FILE", &key).run().exits(0);
    let root = fs::read_to_string(&key).unwrap();
    for (name, bytes) in contents(&site.store()) {
        assert!(!contains(&bytes, root.trim().as_bytes()), "{name}");
        assert!(!contains(&bytes, &unhex(root.trim())), "{name}");
    }
    // Without it nothing opens, and no new one is made in its place.
    site.verify().run().exits(2).says(&["root.key", "does not exist"]);
    let call = site.deliver().arg("-").stdin(marked(4).as_bytes());
    call.run().exits(2).says(&["root.key", "does not exist"]);
    assert!(!site.store().join("root.key").exists());
}

#[test]
fn a_wrong_or_open_root_key_is_refused() {
    let site = Site::new();
    site.delivered(marked(4).as_bytes(), &[]);
    let path = site.store().join("root.key");
    let right = fs::read(&path).unwrap();
    let zeros = "0".repeat(64);
    for (text, part) in [(&*zeros, "root.key"), ("nonsense", "root.key"), ("", "root.key")] {
        fs::write(&path, text).unwrap();
        site.verify().run().exits(2).says(&[part]);
    }
    fs::write(&path, right).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    site.verify().run().exits(2).says(&["root.key", "0644", "chmod 600"]);
}

#[test]
fn nothing_secret_is_logged_at_any_level() {
    let site = Site::new();
    let trace = ["--log-level", "trace"];
    let mut told = String::new();
    let call = site.deliver().args(&trace).arg("-").stdin(marked(4).as_bytes());
    let mut hear = |outcome: Outcome| told.push_str(&(outcome.stdout + &outcome.stderr));
    hear(call.run().exits(0));
    hear(site.verify().args(&trace).args(&["--depth", "events"]).run().exits(0));
    for args in [&["keys", "list"][..], &["keys", "export"], &["status", TARGET]] {
        let call = Call::new().args(args).args(&trace).arg("--store").arg(site.store());
        hear(call.run().exits(0));
    }
    hear(
        trailseal!["mirror", TARGET, site.path("copy"), "--store", site.store()].args(&trace).run(),
    );
    let root = root_key(&site);
    assert!(!told.to_lowercase().contains(&root));
    assert!(!told.contains(MARK), "no event's text is logged");
    assert!(!told.contains("PRIVATE KEY"));
    // A mirror is evidence to hand out: the keys in it are public ones.
    for (name, bytes) in contents(&site.path("copy")) {
        assert!(!contains(&bytes, root.as_bytes()), "{name}");
        assert!(!contains(&bytes, b"\"private\""), "{name}");
    }
}
