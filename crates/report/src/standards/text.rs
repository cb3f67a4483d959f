//! The map as Markdown, for people.

use std::fmt::Write;

use verifier::Report;

use super::{Control, Outcome, Scope, controls};

/// The standards map of a report as Markdown: one table per framework.
#[must_use]
pub fn text(report: &Report) -> String {
    let controls = controls(report);
    let mut out = String::from("# What this run says about controls\n");
    if let Some(first) = controls.first() {
        let _ = writeln!(out, "\n{}\n", scope(&first.scope));
    }
    out.push_str(
        "Satisfied: this run proved what the control asks of these logs. Not satisfied: it found \
         evidence against it. Not assessed: neither.\n",
    );
    for group in controls.chunk_by(|a, b| (a.framework, a.version) == (b.framework, b.version)) {
        let count = |outcome| group.iter().filter(|c| c.outcome == outcome).count();
        let _ = writeln!(
            out,
            "\n## {} {}\n\n{} satisfied, {} not satisfied, {} not assessed.\n\n\
             | control | asks | outcome | why |\n|---|---|---|---|",
            group[0].framework,
            group[0].version,
            count(Outcome::Satisfied),
            count(Outcome::NotSatisfied),
            count(Outcome::NotAssessed),
        );
        for control in group {
            let _ = writeln!(out, "{}", line(control));
        }
    }
    out.push_str("\n## Not proven by this run\n\n");
    for note in &report.not_proven {
        let _ = writeln!(out, "- {}", plain(note));
    }
    out
}

fn line(control: &Control) -> String {
    format!(
        "| {} | {} | {} | {} |",
        control.id,
        control.title,
        control.outcome.as_str(),
        plain(&control.reason)
    )
}

fn scope(scope: &Scope) -> String {
    let list = |set: &std::collections::BTreeSet<String>| {
        let names: Vec<_> = set.iter().map(|s| plain(s)).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let time = |t: Option<trail::Timestamp>| t.map_or("unknown".to_owned(), |t| t.to_string());
    format!(
        "Accounts: {}. Regions: {}. Period: {} to {}, for each chain the part that it covers.",
        list(&scope.accounts),
        list(&scope.regions),
        time(scope.from),
        time(scope.to)
    )
}

/// Text from outside, which must end no cell, begin no markup and break no line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '<' | '>' | '[' | ']' | '`' | '*' | '_' | '\\' | '#' | '&' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    // Parsers make links of bare addresses, too; of those of mail no escape keeps them.
    out.replace("://", ":\\//").replace("www.", "www\\.")
}
