//! The README promises only what there is.

use std::fs;

use crate::support::*;

#[test]
fn it_is_short_and_its_commands_exist() {
    let text = fs::read_to_string(workspace().join("README.md")).expect("there is a README.md");
    let lines = text.lines().count();
    assert!(lines <= 200, "{lines} lines, more than 200");
    let help = trailseal!["--help"].run().exits(0).stdout;
    let known: Vec<&str> = help
        .lines()
        .skip_while(|l| !l.starts_with("Commands:"))
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(known.contains(&"verify"), "{help}");
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            continue;
        }
        let starts = ["$ trailseal ", "$ cargo run --release -- "];
        let Some(command) = starts.iter().find_map(|s| line.strip_prefix(s)) else { continue };
        let mut words = command.split_whitespace();
        let subcommand = words.find(|w| known.contains(w) || *w == "--help" || *w == "help");
        assert!(!inside || subcommand.is_some(), "no known command in: {line}");
    }
}

/// The lines of "Your own events", as a shell runs them one after the other.
#[test]
fn its_commands_for_ones_own_events_run_as_they_stand() {
    let text = fs::read_to_string(workspace().join("README.md")).unwrap();
    let section = text.split("## Your own events").nth(1).expect("the section");
    let block = section.split("```console\n").nth(1).and_then(|b| b.split("```").next()).unwrap();
    let site = Site::new();
    site.write("events.ndjson", events(40).as_bytes());
    site.write(
        "more.json.gz",
        &gzip(format!("[{}]", event(ACCOUNTS[0], REGIONS[0], now(), 99, "")).as_bytes()),
    );
    fs::create_dir(site.path("deploy")).unwrap();
    fs::copy(workspace().join("deploy/trail.toml"), site.path("deploy/trail.toml")).unwrap();
    let mut script = String::from("set -e\n");
    let mut commands = 0;
    for line in block.lines() {
        let command = line.strip_prefix("$ ").expect("only commands");
        if command.starts_with("cargo install") {
            continue; // the binary is built already
        }
        // The key of a log is another one each time.
        let command = command.replace(
            "AWSLogs/…/NAME.json.gz",
            "\"$(cd evidence && find AWSLogs -path '*/CloudTrail/*' -type f | head -n 1)\"",
        );
        script.push_str(&command);
        script.push('\n');
        commands += 1;
    }
    assert!(commands >= 8, "{script}");
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = binary().parent().unwrap().display();
    let run = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(site.path(""))
        .env("PATH", format!("{bin}:{path}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{script}\n{said}");
    let out = String::from_utf8_lossy(&run.stdout);
    assert!(out.contains("VERIFIED") && out.contains("PROVEN"), "{out}");
    let report = fs::read_to_string(site.path("report.json")).unwrap();
    assert!(report.contains("\"verdict\": \"verified\""), "{report}");
}
