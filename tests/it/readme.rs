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
