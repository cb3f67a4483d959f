//! Finds out what this machine has that some tests need. Where it is absent they are *ignored*,
//! with the reason, which the harness counts as such: a test that did not run has not passed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TRAILSEAL_TEST_EVENTS");
    // The path is only watched where it exists; a watched path that is absent means "always".
    let events = std::env::var_os("TRAILSEAL_TEST_EVENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/stratus"),
        PathBuf::from,
    );
    if events.exists() {
        println!("cargo::rerun-if-changed={}", events.display());
    }
    // In a mount name space of its own, so that nothing of it is left.
    let mount = ["--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"];
    let found = [
        ("has_events", events.is_dir()),
        ("has_tar", runs("tar", &["--version"])),
        ("has_tmpfs", runs("unshare", &mount)),
    ];
    for (name, has) in found {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if has {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

fn runs(program: &str, args: &[&str]) -> bool {
    let mut call = Command::new(program);
    let call = call.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    call.status().is_ok_and(|status| status.success())
}
