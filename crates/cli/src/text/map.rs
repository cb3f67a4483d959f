//! Each chain's time as one line of cells.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::report::CoverageLine;

use crate::text::{Painter, printable};

/// Cells of a map where the width is not known, and the most it gets.
const CELLS: usize = 48;
const CELLS_MAX: usize = 96;
/// With fewer beside its name, a map goes below it.
const CELLS_MIN: usize = 24;

/// The coverage of every chain.
pub(super) fn coverage(out: &mut String, report: &Report, painter: &Painter) {
    let mut chains: BTreeMap<[&str; 4], Vec<&CoverageLine>> = BTreeMap::new();
    for line in &report.coverage {
        let id = [&*line.account, &*line.region, &*line.trail, &*line.home_region];
        chains.entry(id).or_default().push(line);
    }
    let Some(from) = report.coverage.iter().map(|l| l.from).min() else { return };
    let to = report.coverage.iter().map(|l| l.to).max().unwrap_or(from);
    // One scale for all, so that one hour stands in one column.
    let _ = writeln!(out, "\n{}  {from} – {to}", painter.bold("Coverage"));
    let names: Vec<String> = chains
        .keys()
        .map(|[account, region, trail, _]| format!("{account} {region} {trail}"))
        .collect();
    let name_width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let free = painter.width.map(|w| w.saturating_sub(name_width + 5));
    let beside = free.is_none_or(|f| f >= CELLS_MIN);
    let cells = match (beside, painter.width) {
        (true, _) => free.unwrap_or(CELLS).min(CELLS_MAX),
        (false, width) => width.unwrap_or(CELLS).saturating_sub(5).min(CELLS_MAX),
    };
    let mut shown = BTreeSet::new();
    for (name, lines) in names.iter().zip(chains.values()) {
        let map = map(lines, from, to, cells, &mut shown);
        let name = printable(name);
        let _ = if beside {
            writeln!(out, "  {name:name_width$}  {map}")
        } else {
            writeln!(out, "  {name}\n    {map}")
        };
    }
    let legend: Vec<&str> = LEGEND.iter().filter(|(g, _)| shown.contains(g)).map(|l| l.1).collect();
    painter.prose(out, 2, 0, &legend.join("  "));
}

const LEGEND: [(char, &str); 7] = [
    ('█', "█ proven"),
    ('▓', "▓ proven earlier"),
    ('~', "~ pending"),
    ('X', "X invalid"),
    ('?', "? unreadable"),
    ('!', "! missing"),
    ('·', "· gap, absent or expired"),
];

/// How bad a state is, and its sign.
fn sign(state: State) -> (u8, char) {
    match state {
        State::Proven => (0, '█'),
        State::ProvenEarlier => (1, '▓'),
        State::Pending => (2, '~'),
        State::Expired => (3, '·'),
        State::Gap | State::Absent => (4, '·'),
        State::Unreadable => (5, '?'),
        State::Missing => (6, '!'),
        State::Invalid => (7, 'X'),
    }
}

/// A chain's time; where several states share a cell, the worst is shown. Blank: not asked.
fn map(
    lines: &[&CoverageLine],
    from: Timestamp,
    to: Timestamp,
    cells: usize,
    shown: &mut BTreeSet<char>,
) -> String {
    let (from, to, cells) = (from.unix(), to.unix(), cells as i64);
    let bound = |index: i64| from + (to - from) * index / cells;
    let cell = |index: i64| {
        let (start, end) = (bound(index), bound(index + 1).max(bound(index) + 1));
        let inside = lines.iter().filter(|l| l.from.unix() < end && start < l.to.unix());
        inside.map(|l| sign(l.state)).max().map_or(' ', |(_, glyph)| glyph)
    };
    let map: String = (0..cells).map(cell).collect();
    shown.extend(map.chars());
    map.trim_end().to_owned()
}
