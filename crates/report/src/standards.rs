//! What a run says about controls of published standards, and no more than that.
//!
//! A control is *satisfied* only when this run proved all of what it asks of the logs, *not
//! satisfied* when the run found evidence against it, and otherwise *not assessed*, with the
//! reason. Controls that also ask for what no verifier sees (reviews, alerts, who may read) are
//! never satisfied; what the run proved towards them stands in their reason.

mod judge;
mod table;
mod text;

use std::collections::BTreeSet;

use serde::Serialize;
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;

pub use table::{Framework, Question};
pub use text::text;

/// What a run says of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// This run proved what the control asks, within the scope.
    #[serde(rename = "satisfied")]
    Satisfied,
    /// This run found evidence against it.
    #[serde(rename = "not satisfied")]
    NotSatisfied,
    /// This run neither proved nor disproved it.
    #[serde(rename = "not assessed")]
    NotAssessed,
}

impl Outcome {
    /// The words in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::NotSatisfied => "not satisfied",
            Self::NotAssessed => "not assessed",
        }
    }
}

/// A control, the checks of the run that bear on it, and what they say.
#[derive(Debug, Clone, Serialize)]
pub struct Control {
    /// Who asks for it.
    pub framework: &'static str,
    /// The framework's version.
    pub version: &'static str,
    /// The control's id there.
    pub id: &'static str,
    /// What it asks, in our words.
    pub title: &'static str,
    /// Finding codes that bear on it; one that ends in a dot stands for all that begin so.
    pub codes: Vec<&'static str>,
    /// Parts of the report that bear on it.
    pub facts: &'static [&'static str],
    /// What the run says.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// The ids of the findings that decided, most severe first.
    pub findings: Vec<String>,
    /// For what it says so.
    pub scope: Scope,
}

/// What a run looked at: chains of these accounts and regions, within this period. Each chain's
/// own time stands in the report's coverage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The accounts.
    pub accounts: BTreeSet<String>,
    /// The regions.
    pub regions: BTreeSet<String>,
    /// Start of the earliest stretch looked at.
    pub from: Option<Timestamp>,
    /// End of the latest stretch that need not still be awaited.
    pub to: Option<Timestamp>,
}

impl Scope {
    fn of(report: &Report) -> Self {
        let lines = &report.coverage;
        let settled = lines.iter().filter(|l| l.state != State::Pending);
        Self {
            accounts: lines.iter().map(|l| l.account.clone()).collect(),
            regions: lines.iter().map(|l| l.region.clone()).collect(),
            from: lines.iter().map(|l| l.from).min(),
            to: settled.map(|l| l.to).max(),
        }
    }
}

/// Every control of the map, with what `report` says of it, framework by framework.
#[must_use]
pub fn controls(report: &Report) -> Vec<Control> {
    let scope = Scope::of(report);
    let control = |row: &table::Row| {
        let answer = judge::answer(report, row);
        Control {
            framework: row.framework.name(),
            version: row.framework.version(),
            id: row.id,
            title: row.title,
            codes: row.question.codes(),
            facts: row.question.facts(),
            outcome: answer.outcome,
            reason: answer.reason,
            findings: answer.findings,
            scope: scope.clone(),
        }
    };
    table::ROWS.iter().map(control).collect()
}

/// The controls that findings of `code` bear on, as `FRAMEWORK VERSION/ID`.
#[must_use]
pub fn requirements(code: &str) -> Vec<String> {
    let bears = |row: &&table::Row| row.question.codes().iter().any(|c| covers(c, code));
    table::ROWS.iter().filter(bears).map(table::Row::requirement).collect()
}

/// Whether `pattern`, a code or the beginning of codes, covers `code`.
fn covers(pattern: &str, code: &str) -> bool {
    pattern == code || pattern.ends_with('.') && code.starts_with(pattern)
}
