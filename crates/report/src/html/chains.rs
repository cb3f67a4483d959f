//! The chains of a report, each with its stretches of time, and the section that lists them.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::{Span, State};
use verifier::report::{CoverageLine, ReportedFinding};

use super::text::{address, counted, length, number, percent, period_text, time_text, visible};

/// Chains that the page lists one by one.
pub(super) const CHAINS_MAX: usize = 400;
/// Stretches that the page lists, over all chains.
const STRETCHES_MAX: usize = 5_000;
/// Chains that stand open although nothing is wrong with them.
const OPEN_MAX: usize = 4;

/// One chain's time.
pub(super) struct Chain<'a> {
    /// The first line: all have the same names.
    pub(super) line: &'a CoverageLine,
    /// In order of time.
    pub(super) spans: Vec<Span>,
    /// How many findings concern it.
    pub(super) findings: u64,
}

impl Chain<'_> {
    pub(super) fn from(&self) -> Timestamp {
        self.spans.iter().map(|s| s.from).min().unwrap_or(Timestamp::EPOCH)
    }

    pub(super) fn to(&self) -> Timestamp {
        self.spans.iter().map(|s| s.to).max().unwrap_or(Timestamp::EPOCH)
    }

    /// Whether all of it is proven, but for what is too recent to be.
    pub(super) fn whole(&self) -> bool {
        self.spans.iter().all(|s| proven(s.state) || s.state == State::Pending)
    }

    /// The proven part of the time demanded.
    pub(super) fn share(&self) -> Option<String> {
        let seconds = |wanted: fn(State) -> bool| -> i64 {
            let spans = self.spans.iter().filter(|s| wanted(s.state));
            spans.map(|s| s.to.seconds_since(s.from)).sum()
        };
        percent(seconds(proven), seconds(|s| s != State::Pending))
    }
}

/// Whether a finding is more than a note and nobody has accepted it.
pub(super) fn counts(f: &ReportedFinding) -> bool {
    f.class != "info" && f.state == "open"
}

pub(super) fn proven(state: State) -> bool {
    matches!(state, State::Proven | State::ProvenEarlier)
}

/// The chains, those with anything not proven or found first.
pub(super) fn of(report: &Report) -> Vec<Chain<'_>> {
    let mut by_name: BTreeMap<_, Vec<&CoverageLine>> = BTreeMap::new();
    for line in &report.coverage {
        let name = (&line.account, &line.region, &line.trail, &line.home_region, &line.path);
        by_name.entry(name).or_default().push(line);
    }
    let mut found: BTreeMap<_, Vec<Option<&str>>> = BTreeMap::new();
    for f in report.findings.iter().filter(|f| counts(f)) {
        let place = (f.account.as_deref(), f.region.as_deref());
        found.entry(place).or_default().push(f.trail.as_deref());
    }
    let mut chains: Vec<_> = by_name
        .into_values()
        .map(|mut lines| {
            lines.sort_by_key(|l| l.from);
            let line = lines[0];
            let concerning = found.get(&(Some(&*line.account), Some(&*line.region)));
            let findings = concerning.into_iter().flatten();
            let own = findings.filter(|trail| trail.is_none_or(|t| t == line.trail));
            Chain {
                line,
                findings: own.count() as u64,
                spans: lines
                    .iter()
                    .map(|l| Span { from: l.from, to: l.to, state: l.state })
                    .collect(),
            }
        })
        .collect();
    chains.sort_by_key(|c| (c.whole(), c.findings == 0));
    chains
}

/// The sign of a state, so that its colour is not needed; the text report uses the like.
pub(super) fn sign(state: State) -> &'static str {
    match state {
        State::Proven => "✓",
        State::ProvenEarlier => "«",
        State::Pending => "~",
        State::Invalid => "×",
        State::Unreadable => "?",
        State::Missing => "!",
        State::Expired => "†",
        State::Gap => "–",
        State::Absent => "○",
    }
}

/// What a state means.
pub(super) fn meaning(state: State) -> &'static str {
    match state {
        State::Proven => "a valid digest covers it",
        State::ProvenEarlier => "an earlier run proved it",
        State::Pending => "too recent to have its digest",
        State::Invalid => "its digest is not valid",
        State::Unreadable => "its digest could not be read or trusted",
        State::Missing => "its digest is missing",
        State::Expired => "its digest may have expired",
        State::Gap => "the chain has a gap here",
        State::Absent => "no digest at this end of the chain",
    }
}

pub(super) fn section(chains: &[Chain<'_>]) -> Markup {
    let shown = &chains[..chains.len().min(CHAINS_MAX)];
    let each = (STRETCHES_MAX / shown.len().max(1)).clamp(10, 100);
    html! {
        section #chains aria-labelledby="chains-title" {
            h2 #chains-title { "Chains" }
            p .lead {
                "A chain is the line of signed digests of one account, region and trail: each "
                "digest vouches for the one before it and for the logs it names. Times are UTC."
            }
            @for (at, chain) in shown.iter().enumerate() {
                (one(chain, !chain.whole() && at < 50 || at < OPEN_MAX, each))
            }
            @if shown.len() < chains.len() {
                p .note {
                    (counted((chains.len() - shown.len()) as u64, "more chain"))
                    " are in the JSON report."
                }
            }
        }
    }
}

fn one(chain: &Chain<'_>, open: bool, stretches_max: usize) -> Markup {
    let line = chain.line;
    let share = chain.share();
    html! {
        details .chain open[open] {
            summary {
                span .name {
                    b { (visible(&line.account)) } " " b .region { (visible(&line.region)) }
                    " " span .trail { (visible(&line.trail)) }
                }
                span .when { (period_text(chain.from(), chain.to())) }
                span .share .bad[!chain.whole()] {
                    @match share {
                        Some(share) => { (share) " proven" }
                        None => "nothing demanded",
                    }
                }
            }
            p .facts {
                "home region " (visible(&line.home_region)) " · "
                @if chain.findings > 0 {
                    a href="#findings" { (counted(chain.findings, "finding")) }
                } @else { "no finding" }
                br;
                (address(&line.path))
            }
            ol .links {
                @for span in chain.spans.iter().take(stretches_max) {
                    li class={ "s-" (span.state.as_str()) } {
                        i aria-hidden="true" { (sign(span.state)) }
                        b { (span.state.as_str()) }
                        span { (time_text(span.from)) " – " (time_text(span.to)) }
                        span .muted {
                            (length(span.to.seconds_since(span.from))) ", " (meaning(span.state))
                        }
                    }
                }
            }
            @if chain.spans.len() > stretches_max {
                p .note {
                    (number((chain.spans.len() - stretches_max) as u64))
                    " more stretches are in the JSON report."
                }
            }
        }
    }
}
