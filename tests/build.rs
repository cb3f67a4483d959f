//! Finds out what this machine has that some tests need. Where it is absent they are *ignored*,
//! with the reason, which the harness counts as such: a test that did not run has not passed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=validators.txt");
    println!("cargo::rerun-if-env-changed=TRAILSEAL_TEST_EVENTS");
    // The path is only watched where it exists; a watched path that is absent means "always".
    let events = std::env::var_os("TRAILSEAL_TEST_EVENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/stratus"),
        PathBuf::from,
    );
    if events.exists() {
        println!("cargo::rerun-if-changed={}", events.display());
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let chromium = names.into_iter().find(|name| runs(name, &["--version"])).and_then(path_of);
    println!("cargo::rustc-env=CHROMIUM={}", chromium.clone().unwrap_or_default().display());
    let by_hand = ["bash", "jq", "openssl", "sha256sum", "xxd"];
    // In a mount name space of its own, so that nothing of it is left.
    let mount = ["--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"];
    let found = [
        ("has_chromium", chromium.is_some()),
        ("has_events", events.is_dir()),
        ("has_recipe_tools", by_hand.iter().all(|name| path_of(name).is_some())),
        ("has_tar", runs("tar", &["--version"])),
        ("has_tmpfs", runs("unshare", &mount)),
        ("has_promtool", runs("promtool", &["--version"])),
        ("has_validators", has_validators()),
    ];
    for (name, has) in found {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if has {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

/// Whether the Python packages of `validators.txt` are there, after installing them once into a
/// virtual environment below the target directory; its interpreter is `VALIDATORS_PYTHON`.
fn has_validators() -> bool {
    let wanted = fs::read_to_string("validators.txt").expect("validators.txt");
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    // OUT_DIR is TARGET/PROFILE/build/NAME/out.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = out.ancestors().nth(4).expect("OUT_DIR is below the target directory");
    let venv = target.join("validators").join(format!("{:016x}", hasher.finish()));
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let complete = venv.join("complete");
    println!("cargo::rustc-env=VALIDATORS_PYTHON={}", python.display());
    if complete.exists() {
        return true;
    }
    match install(&venv, &python).and_then(|()| fs::write(&complete, "").map_err(|e| e.to_string()))
    {
        Ok(()) => true,
        Err(why) => {
            println!("cargo::warning=no report validators, their tests are ignored: {why}");
            // Absent, so that the next build tries again.
            println!("cargo::rerun-if-changed={}", complete.display());
            false
        }
    }
}

fn install(venv: &Path, python: &Path) -> Result<(), String> {
    // The rest of an attempt that was cut short.
    if venv.exists() {
        fs::remove_dir_all(venv).map_err(|e| e.to_string())?;
    }
    let mut create = Command::new("python3");
    succeed(create.args(["-m", "venv"]).arg(venv))?;
    let mut pip = Command::new(python);
    let pip = pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    succeed(pip.args(["--requirement", "validators.txt"]))
}

fn succeed(call: &mut Command) -> Result<(), String> {
    let output = call.stdin(Stdio::null()).output().map_err(|e| format!("{call:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{call:?}: {}", said.lines().last().unwrap_or("failed")))
}

/// Where a program of this name is; Playwright takes only paths.
fn path_of(program: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn runs(program: &str, args: &[&str]) -> bool {
    let mut call = Command::new(program);
    let call = call.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    call.status().is_ok_and(|status| status.success())
}
