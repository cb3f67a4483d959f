//! The heat map: chains down, time across.
//!
//! A table, because it is one: a screen reader reads it, a printer fits it, and a run of equal
//! columns is one cell, so that a year of fifty chains is a few hundred of them.

use maud::{Markup, html};
use trail::Timestamp;
use verifier::coverage::{Span, State};

use super::chains::{CHAINS_MAX, Chain, meaning, proven, sign};
use super::text::{number, period_text, scrolling, time_text, visible};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// More columns than these do not fit a sheet of paper.
const COLUMNS_MAX: i64 = 96;
const LABELS_MAX: usize = 12;
/// Days that the hourly map lists, in all and of one chain.
const DAYS_MAX: usize = 120;
const DAYS_EACH: usize = 7;

/// The states, the worst last: a column that holds several shows the worst.
const STATES: [State; 9] = [
    State::Proven,
    State::ProvenEarlier,
    State::Pending,
    State::Expired,
    State::Unreadable,
    State::Absent,
    State::Gap,
    State::Missing,
    State::Invalid,
];

/// The columns of a map: how many, how long, from when.
#[derive(Clone, Copy)]
struct Scale {
    origin: i64,
    unit: i64,
    columns: usize,
}

impl Scale {
    /// The hours of any one day.
    const DAY: Self = Self { origin: 0, unit: HOUR, columns: 24 };

    /// Hours where they fit, else the next longer unit that does.
    fn over(from: Timestamp, to: Timestamp) -> Self {
        let (from, to) = (from.unix(), to.unix().max(from.unix() + 1));
        let units = [HOUR, 6 * HOUR, DAY, WEEK];
        let longer = (2..).map(|n| n * 2 * WEEK);
        let fitting = units.into_iter().chain(longer).find_map(|unit| {
            let origin = from - from.rem_euclid(unit);
            let columns = (to - origin + unit - 1) / unit;
            let columns = usize::try_from(columns).ok().filter(|_| columns <= COLUMNS_MAX)?;
            Some(Self { origin, unit, columns })
        });
        fitting.expect("some unit is long enough")
    }

    fn start(&self, column: usize) -> Timestamp {
        Timestamp::from_unix(self.origin + self.unit * i64::try_from(column).unwrap_or(i64::MAX))
    }

    fn name(&self) -> String {
        match self.unit {
            HOUR => "an hour".to_owned(),
            DAY => "a day".to_owned(),
            WEEK => "a week".to_owned(),
            unit if unit < DAY => format!("{} hours", unit / HOUR),
            unit => format!("{} weeks", unit / WEEK),
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    /// The worst state in it; none where nothing was asked.
    worst: Option<State>,
    /// Whether it also holds proven time, and so is only partly in that state.
    partly: bool,
}

/// The columns of a chain.
fn cells(spans: &[Span], scale: Scale) -> Vec<Cell> {
    let rank = |state: State| STATES.iter().position(|s| *s == state);
    let mut cells = vec![(None, false); scale.columns];
    for span in spans.iter().filter(|s| s.from < s.to) {
        let column = |t: i64| usize::try_from((t - scale.origin) / scale.unit).unwrap_or(0);
        let first = column(span.from.unix().max(scale.origin)).min(scale.columns);
        let end = (span.to.unix() - 1).max(scale.origin - scale.unit);
        let end = if end < scale.origin { 0 } else { (column(end) + 1).min(scale.columns) };
        for (worst, any_proven) in cells.iter_mut().take(end).skip(first) {
            *worst = (*worst).max(rank(span.state));
            *any_proven |= proven(span.state);
        }
    }
    let cell = |(worst, any_proven): (Option<usize>, bool)| {
        let worst = worst.map(|at| STATES[at]);
        Cell { worst, partly: any_proven && worst.is_some_and(|s| !proven(s)) }
    };
    cells.into_iter().map(cell).collect()
}

pub(super) fn section(chains: &[Chain<'_>]) -> Markup {
    let from = chains.iter().map(Chain::from).min();
    let to = chains.iter().map(Chain::to).max();
    html! {
        section #coverage aria-labelledby="coverage-title" {
            h2 #coverage-title { "Coverage" }
            @match (from, to) {
                (Some(from), Some(to)) => (maps(chains, Scale::over(from, to))),
                _ => p .lead { "No chain of digests covers any time." },
            }
        }
    }
}

fn maps(chains: &[Chain<'_>], scale: Scale) -> Markup {
    let shown = &chains[..chains.len().min(CHAINS_MAX)];
    html! {
        p .lead {
            "Which time the digests prove, chain by chain. A column is " (scale.name())
            " (UTC); it shows the worst it holds, half-filled where the rest of it is proven. "
            "The chains below give every stretch to the second."
        }
        (legend(chains))
        (table("Coverage of each chain over time", scale, shown.iter().map(|chain| Row {
            head: html! {
                b { (visible(&chain.line.account)) } " " span .region { (visible(&chain.line.region)) }
                " " span .trail { (visible(&chain.line.trail)) }
            },
            share: chain.share(),
            cells: cells(&chain.spans, scale),
            scale,
        })))
        @if shown.len() < chains.len() {
            p .note {
                (number((chains.len() - shown.len()) as u64)) " more chains, "
                (number(chains[shown.len()..].iter().filter(|c| !c.whole()).count() as u64))
                " of them not proven throughout, are in the JSON report."
            }
        }
        @if scale.unit > HOUR { (hourly(shown)) }
    }
}

/// The days of a chain that hold both proven time and time that is not.
fn broken_days(spans: &[Span]) -> Vec<i64> {
    let broken = spans.iter().filter(|s| !proven(s.state) && s.state != State::Pending);
    let edges = broken.flat_map(|s| [s.from.unix(), s.to.unix() - 1]);
    let mut days: Vec<_> = edges.map(|t| t - t.rem_euclid(DAY)).collect();
    days.dedup();
    days.retain(|day| {
        let first = spans.partition_point(|s| s.to.unix() <= *day);
        let within = spans[first..].iter().take_while(|s| s.from.unix() < day + DAY);
        within.into_iter().any(|s| proven(s.state))
    });
    days
}

/// The same by the hour. Each chain has some rows, lest the worst take them all.
fn hourly(chains: &[Chain<'_>]) -> Markup {
    let mut rows = Vec::new();
    let mut left = 0;
    for chain in chains {
        let days = broken_days(&chain.spans);
        let room = DAYS_MAX.saturating_sub(rows.len()).min(DAYS_EACH).min(days.len());
        rows.extend(days[..room].iter().map(|day| day_row(chain, *day)));
        left += days.len() - room;
    }
    html! {
        @if !rows.is_empty() {
            h3 { "The same by the hour, for days proven in part" }
            (table("Days proven in part, by the hour", Scale::DAY, rows.into_iter()))
        }
        @if left > 0 {
            p .note { (number(left as u64)) " more such days are not drawn; see the chains below." }
        }
    }
}

fn day_row(chain: &Chain<'_>, day: i64) -> Row {
    let scale = Scale { origin: day, ..Scale::DAY };
    let date = time_text(Timestamp::from_unix(day));
    Row {
        head: html! {
            b { (visible(&chain.line.account)) } " " span .region { (visible(&chain.line.region)) }
            " " span .trail { (date[..10]) }
        },
        share: None,
        cells: cells(&chain.spans, scale),
        scale,
    }
}

struct Row {
    head: Markup,
    share: Option<String>,
    cells: Vec<Cell>,
    /// Its own, because rows of the hourly map begin on different days.
    scale: Scale,
}

impl Row {
    /// Runs of equal cells, each with its first column and length.
    fn runs(&self) -> Vec<(usize, usize, Cell)> {
        let mut at = 0;
        let runs = self.cells.chunk_by(|a, b| a == b).map(|run| {
            at += run.len();
            (at - run.len(), run.len(), run[0])
        });
        runs.collect()
    }
}

fn table(caption: &str, scale: Scale, rows: impl Iterator<Item = Row>) -> Markup {
    let rows: Vec<_> = rows.collect();
    let shares = rows.iter().any(|r| r.share.is_some());
    let table = html! {
            table .map .wide[scale.columns > 30] {
                caption .vh { (caption) }
                colgroup { col .head; }
                colgroup span=(scale.columns) {}
                @if shares { colgroup { col .share; } }
                thead { (header(scale, shares)) }
                tbody {
                    @for row in &rows {
                        tr {
                            th scope="row" { (row.head) }
                            @for (at, length, cell) in row.runs() { (run(row.scale, at, length, cell)) }
                            @if shares { td .share { (row.share.as_deref().unwrap_or("–")) } }
                        }
                    }
                }
            }
    };
    scrolling(caption, &table)
}

fn run(scale: Scale, at: usize, length: usize, cell: Cell) -> Markup {
    let (from, to) = (scale.start(at), scale.start(at + length));
    let Some(state) = cell.worst else {
        return html! { td .none colspan=(length) { span .vh { "not asked" } } };
    };
    let part = if cell.partly { "in part " } else { "" };
    let text = format!("{part}{}: {}", state.as_str(), period_text(from, to));
    html! {
        td class={ "run s-" (state.as_str()) @if cell.partly { " partly" } }
            colspan=(length) title=(text) {
            i aria-hidden="true" { (sign(state)) }
            span .vh { (text) }
        }
    }
}

/// Two lines: the date (or month, or year), and what changes within it.
fn header(scale: Scale, shares: bool) -> Markup {
    let (upper, lower) = match scale.unit {
        _ if scale.origin == 0 && scale.unit == HOUR => (0..0, 11..13),
        unit if unit < DAY => (0..10, 11..16),
        DAY => (0..7, 8..10),
        _ => (0..4, 5..10),
    };
    let texts: Vec<_> = (0..scale.columns).map(|c| time_text(scale.start(c))).collect();
    let step = (1..).find(|n| scale.columns.div_ceil(*n) <= LABELS_MAX).unwrap_or(1);
    // Hours are counted in parts of a day.
    let step = if scale.unit < DAY { [1, 2, 3, 6, 12][usize::min(step, 5) - 1] } else { step };
    let cut = |text: &str, range: std::ops::Range<usize>| text[range].to_owned();
    // A date has no room over a few columns; its month and day may.
    let short = if upper.len() == 10 { 5..10 } else { 0..0 };
    let room = |group: &[String]| {
        if group.len() * LABELS_MAX < scale.columns { short.clone() } else { upper.clone() }
    };
    html! {
        @if !upper.is_empty() {
            tr .upper {
                td {}
                @for group in texts.chunk_by(|a, b| a[upper.clone()] == b[upper.clone()]) {
                    th scope="colgroup" colspan=(group.len()) { (cut(&group[0], room(group))) }
                }
                @if shares { td {} }
            }
        }
        tr .lower {
            td {}
            @for group in texts.chunks(step) {
                th scope="col" colspan=(group.len()) { (cut(&group[0], lower.clone())) }
            }
            @if shares { th .share scope="col" { "proven" } }
        }
    }
}

fn legend(chains: &[Chain<'_>]) -> Markup {
    let present = |state: &State| {
        *state == State::Proven || chains.iter().any(|c| c.spans.iter().any(|s| s.state == *state))
    };
    html! {
        ul .legend aria-label="Legend" {
            @for state in STATES.into_iter().filter(present) {
                li {
                    i class={ "key s-" (state.as_str()) } aria-hidden="true" { (sign(state)) }
                    b { (state.as_str()) } " " span .muted { (meaning(state)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_unix(hours * HOUR)
    }

    fn span(from: i64, to: i64, state: State) -> Span {
        Span { from: at(from), to: at(to), state }
    }

    #[test]
    fn the_unit_is_the_shortest_that_fits() {
        let unit = |hours: i64| {
            let scale = Scale::over(at(5), at(5 + hours));
            assert!(scale.columns as i64 <= COLUMNS_MAX);
            assert!(scale.start(0) <= at(5) && scale.start(scale.columns) >= at(5 + hours));
            scale.unit
        };
        assert_eq!([1, 96, 97, 400, 2_000].map(unit), [HOUR, HOUR, 6 * HOUR, 6 * HOUR, DAY]);
        assert_eq!(unit(24 * 365), WEEK);
        assert_eq!(unit(24 * 365 * 2), 4 * WEEK);
        assert!(Scale::over(Timestamp::EPOCH, Timestamp::MAX).columns as i64 <= COLUMNS_MAX);
    }

    #[test]
    fn a_column_shows_the_worst_it_holds_however_short() {
        let scale = Scale { origin: 0, unit: DAY, columns: 4 };
        let spans = [
            span(0, 30, State::Proven),
            span(30, 31, State::Missing),
            span(31, 48, State::Proven),
            span(48, 72, State::Gap),
        ];
        let cells = cells(&spans, scale);
        let expected = [
            (Some(State::Proven), false),
            (Some(State::Missing), true),
            (Some(State::Gap), false),
            (None, false),
        ];
        assert_eq!(cells.iter().map(|c| (c.worst, c.partly)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn time_outside_the_columns_is_not_drawn_into_them() {
        let scale = Scale { origin: 48 * HOUR, unit: HOUR, columns: 24 };
        let outside = [span(0, 48, State::Gap), span(72, 99, State::Gap)];
        assert!(cells(&outside, scale).iter().all(|c| c.worst.is_none()));
        let across = [span(0, 49, State::Gap), span(71, 99, State::Missing)];
        let drawn: Vec<_> = cells(&across, scale).iter().map(|c| c.worst).collect();
        assert_eq!((drawn[0], drawn[1], drawn[23]), {
            (Some(State::Gap), None, Some(State::Missing))
        });
    }
}
