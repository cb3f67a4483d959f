//! Which time is proven, and why the rest is not.

use trail::Timestamp;

/// The state of a stretch of time. The order is the precedence where causes overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// A valid digest covers it.
    Proven,
    /// An earlier run proved it.
    ProvenEarlier,
    /// Its digest is not valid.
    Invalid,
    /// Its digest could not be read or trusted.
    Unreadable,
    /// Its digest is missing.
    Missing,
    /// Its digest may have expired.
    Expired,
    /// The chain has a gap.
    Gap,
    /// No digest at this end of the chain.
    Absent,
    /// So recent that its digest need not be there yet.
    Pending,
}

const STATES: [State; 9] = [
    State::Proven,
    State::ProvenEarlier,
    State::Invalid,
    State::Unreadable,
    State::Missing,
    State::Expired,
    State::Gap,
    State::Absent,
    State::Pending,
];

impl State {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::ProvenEarlier => "proven-earlier",
            Self::Invalid => "invalid",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Gap => "gap",
            Self::Absent => "absent",
            Self::Pending => "pending",
        }
    }
}

/// A stretch of time in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Its state.
    pub state: State,
}

/// Lays spans over each other between `from` and `to`: adjoining, in order, neighbours differ.
/// Time that no span covers is left out.
#[must_use]
pub fn flatten(spans: &[Span], from: Timestamp, to: Timestamp) -> Vec<Span> {
    let mut edges: Vec<(Timestamp, usize, i32)> = Vec::with_capacity(spans.len() * 2);
    for span in spans {
        let (start, end) = (span.from.max(from), span.to.min(to));
        if start < end {
            let state = STATES.iter().position(|s| *s == span.state).unwrap_or(0);
            edges.push((start, state, 1));
            edges.push((end, state, -1));
        }
    }
    edges.sort_unstable();
    let mut open = [0i32; STATES.len()];
    let mut out: Vec<Span> = Vec::new();
    for (i, &(at, state, step)) in edges.iter().enumerate() {
        open[state] += step;
        let Some(&(next, _, _)) = edges.get(i + 1) else { break };
        let Some(top) = open.iter().position(|n| *n > 0).filter(|_| next > at) else { continue };
        match out.last_mut() {
            Some(last) if last.to == at && last.state == STATES[top] => last.to = next,
            _ => out.push(Span { from: at, to: next, state: STATES[top] }),
        }
    }
    out
}

/// Seconds of `spans` that are proven, within [`from`, `to`].
#[must_use]
pub fn proven_seconds(spans: &[Span], from: Timestamp, to: Timestamp) -> i64 {
    spans
        .iter()
        .filter(|s| matches!(s.state, State::Proven | State::ProvenEarlier))
        .map(|s| s.to.min(to).seconds_since(s.from.max(from)).max(0))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64, state: State) -> Span {
        Span { from: Timestamp::from_unix(from), to: Timestamp::from_unix(to), state }
    }

    #[test]
    fn proof_wins_over_causes_and_neighbours_join() {
        let spans = [
            span(0, 10, State::Proven),
            span(10, 20, State::Proven),
            span(15, 40, State::Missing),
            span(50, 60, State::Pending),
            span(30, 30, State::Gap),
        ];
        let flat = flatten(&spans, Timestamp::from_unix(5), Timestamp::from_unix(55));
        let expected = [
            span(5, 20, State::Proven),
            span(20, 40, State::Missing),
            span(50, 55, State::Pending),
        ];
        assert_eq!(flat, expected);
        assert_eq!(proven_seconds(&flat, Timestamp::EPOCH, Timestamp::from_unix(12)), 7);
    }
}
