//! The HTML report in a real browser: Debian's Chromium, driven by Playwright (`html.py`).

use std::path::Path;

use report::html::render;
use tempfile::TempDir;
use verifier::Report;

#[path = "../../../crates/report/tests/html/from_json.rs"]
mod from_json;
#[path = "../../../crates/report/tests/html/samples.rs"]
mod samples;

use super::{demo_reports, validate};

/// Runs one check of `html.py` on the page of each report.
#[track_caller]
fn look(check: &str, reports: &[Report]) {
    let dir = TempDir::new().unwrap();
    for (at, report) in reports.iter().enumerate() {
        let page = dir.path().join(format!("{at}.html"));
        std::fs::write(&page, render(report)).unwrap();
        let args = [Path::new(env!("CHROMIUM")), Path::new(check), &page];
        validate(include_str!("html.py"), &args);
    }
}

fn demo() -> [Report; 2] {
    let reports = demo_reports();
    [from_json::report(&reports.verified), from_json::report(&reports.tampered)]
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn it_loads_in_silence_and_fits_desktop_and_phone() {
    let [verified, tampered] = demo();
    look("loads", &[verified, tampered, samples::tampered()]);
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn it_is_accessible_by_light_and_dark() {
    let [verified, tampered] = demo();
    look("accessible", &[verified, tampered, samples::tampered()]);
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn findings_are_searched_and_filtered() {
    look("filters", &[samples::tampered()]);
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn hostile_names_are_text() {
    look("hostile", &[samples::tampered()]);
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn a_year_of_fifty_chains_stays_responsive() {
    look("year", &[samples::year(50)]);
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn it_prints_whole() {
    let [verified, tampered] = demo();
    look("prints", &[verified, tampered]);
}

#[test]
#[cfg_attr(not(all(has_chromium, has_validators)), ignore = "no Chromium, or no Playwright for it")]
fn it_needs_no_scripts() {
    let [_, tampered] = demo();
    look("without_scripts", &[tampered]);
}

/// What the page tells a reader to type must work as it stands: on the demo's copy, with a
/// stand-in for `aws` that answers from it, because there is no AWS here to ask.
#[test]
#[cfg_attr(not(has_recipe_tools), ignore = "one of bash, jq, xxd, openssl, sha256sum is missing")]
fn the_commands_for_checking_by_hand_work() {
    let [_, tampered] = demo();
    let page = render(&tampered);
    let plain = |text: &str| {
        let text = text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
        text.replace("&amp;", "&")
    };
    let blocks = page.split("<pre tabindex=\"0\"><code>").skip(1);
    let commands: Vec<_> = blocks.map(|b| plain(b.split("</code>").next().unwrap())).collect();
    let by_hand: Vec<_> = commands.iter().filter(|c| c.contains("$DIGEST")).cloned().collect();
    assert_eq!(by_hand.len(), 2);

    let dir = TempDir::new().unwrap();
    let aws = dir.path().join("aws");
    std::fs::write(&aws, AWS).unwrap();
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("chmod +x aws; set -eo pipefail; {}", by_hand.join("\n"))])
        .current_dir(dir.path())
        .env("PATH", format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap()))
        .env("COPY", demo_reports().dir().join("copy"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let mismatch = tampered.findings.iter().find(|f| f.code == "log.hash-mismatch").unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with(mismatch.actual.as_deref().unwrap()), "{said}");
    assert_eq!(lines[1], mismatch.expected.as_deref().unwrap());
    assert_eq!(lines[2], "Verified OK");
}

const AWS: &str = r#"#!/bin/bash
set -e
lists="$COPY/.trailseal"
under() { printf '%s' "${1#*AWSLogs/}"; }
case "$1 $2" in
"s3 cp") cat "$COPY/AWSLogs/$(under "$3")" ;;
"s3api head-object") jq -r --arg key "AWSLogs/$(under "$6")" \
    'select(.key == $key) | .metadata.signature' "$lists/objects.ndjson" ;;
"cloudtrail list-public-keys") jq -r --arg query "${10}" \
    '.PublicKeyList[] | select(.Fingerprint as $f | $query | contains($f)) | .Value' \
    "$lists/public-keys.json" ;;
*) exit 2 ;;
esac
"#;
