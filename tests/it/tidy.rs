//! The house rules that no compiler checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::support::*;

const LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 110;

fn sources() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for top in ["crates", "tests"] {
        let dir = workspace().join(top);
        out.extend(files(&dir).into_iter().filter(|f| f.ends_with(".rs")).map(|f| dir.join(f)));
    }
    assert!(out.len() > 50);
    out
}

#[test]
fn every_source_says_what_it_is_and_is_of_a_size_to_be_read() {
    let mut faults = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(workspace()).unwrap().display().to_string();
        if !text.starts_with("//!") {
            faults.push(format!("{name}: does not open with //!"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{name}: {lines} lines, more than {LINES_MAX}"));
        }
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX && !line.contains('"') {
                faults.push(format!("{name}:{}: more than {COLUMNS_MAX} columns", number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together, so that this file is not its own fault.
    let forbidden = ["todo", "dbg", "unimplemented"].map(|w| format!("{w}!("));
    let mut faults = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = forbidden.iter().find(|w| line.contains(w.as_str())) {
                faults.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The dependencies of a crate, those for its tests aside.
fn dependencies(name: &str) -> BTreeSet<String> {
    let path = workspace().join("crates").join(name).join("Cargo.toml");
    let table: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let of = |t: &toml::Value| t.as_table().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    table.get("dependencies").map(of).unwrap_or_default()
}

#[test]
fn imports_go_one_way() {
    let crates = fs::read_dir(workspace().join("crates")).unwrap();
    let crates: BTreeSet<String> =
        crates.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    for (name, allowed) in [
        ("trail", &[][..]),
        ("encryptor", &["trail"]),
        ("policy", &["trail"]),
        ("producer", &["trail"]),
        ("report", &["trail", "verifier"]),
        ("verifier", &["policy", "trail"]),
        ("report", &["trail", "verifier"]),
        ("notify", &["trail", "verifier"]),
        ("local", &["encryptor", "policy", "trail"]),
    ] {
        let ours: BTreeSet<_> = dependencies(name).intersection(&crates).cloned().collect();
        let allowed: BTreeSet<_> = allowed.iter().map(|a| (*a).to_owned()).collect();
        assert!(ours.is_subset(&allowed), "{name} depends on {ours:?}, not only {allowed:?}");
    }
    assert!(!dependencies("trail").contains("tokio"), "trail has no runtime");
}
