//! The chain from its newest digest to its oldest.

use std::collections::HashMap;
use std::time::Duration;

use trail::Timestamp;
use trail::digest::META_SIGNATURE;
use trail::key::DigestKey;

use super::{Parsed, Standing, Walk, is_restart};
use crate::coverage::{Span, State};
use crate::finding::{Code, Finding};

/// Digests cover at most an hour each (AWS writes one an hour; ours at least that often).
const HOUR: Duration = Duration::from_secs(3600);

impl Walk<'_> {
    /// From the newest digest to the oldest.
    pub(super) fn follow(&mut self) {
        let mut at = self.records.len().checked_sub(1);
        // The start of what is accounted for so far; everything older is still open.
        let mut edge: Option<Timestamp> = None;
        // Whether a genuine digest was met. Before that, a name in the far future proves no time.
        let mut anchored = false;
        while let Some(index) = at {
            self.out.reached[index] = true;
            let window = self.account_for(index, edge);
            at = if self.out.standing[index] == Some(Standing::Authentic) {
                anchored = true;
                self.step_linked(index)
            } else {
                self.step_unlinked(index, window, anchored)
            };
            edge = Some(window);
        }
    }

    /// Whether a genuine digest is older: a mere name there proves no time either.
    fn survives(&self, index: usize) -> bool {
        self.first_authentic.is_some_and(|first| first < index)
    }

    /// Reports a digest's own fault and paints its window; gives the window's start.
    fn account_for(&mut self, index: usize, edge: Option<Timestamp>) -> Timestamp {
        let record = &self.records[index];
        let (start, end) = match record.parsed() {
            // What says that it belongs elsewhere says nothing about this place.
            Some(p) if p.start <= p.end && p.end == record.key.end => (p.start, p.end),
            _ => {
                let end = record.key.end;
                let older = self.next_older(index).map(|i| self.records[i].key.end);
                (older.unwrap_or(end - HOUR).max(end - HOUR), end)
            }
        };
        let end = edge.map_or(end, |e| e.min(end));
        let start = start.min(end);
        let state = match self.out.standing[index] {
            Some(Standing::Authentic) => State::Proven,
            Some(Standing::Unreadable) => State::Unreadable,
            _ => State::Invalid,
        };
        if let Some(mut fault) = self.faults[index].take() {
            // A fault of the region's keys is the same for all its digests: one finding.
            if fault.object.is_some() {
                fault = fault.span(start, end);
            }
            self.out.findings.push(fault);
        }
        let empty_start =
            record.parsed().is_some_and(|p| is_restart(&p.body) && p.body.log_files.is_empty());
        if state == State::Proven && empty_start {
            // The hour before logging began: a starting digest that names no log proves no time.
            self.out.begins = Some(self.out.begins.map_or(end, |b| b.min(end)));
            return end;
        }
        self.out.spans.push(Span { from: start, to: end, state });
        if state == State::Proven {
            self.out.begins = Some(self.out.begins.map_or(start, |b| b.min(start)));
        }
        start
    }

    /// The newest unreached digest whose name is older.
    fn next_older(&self, index: usize) -> Option<usize> {
        (0..index).rev().find(|&i| !self.out.reached[i])
    }

    fn step_linked(&mut self, index: usize) -> Option<usize> {
        let records = self.records;
        let parsed = records[index].parsed()?;
        if is_restart(&parsed.body) {
            return self.step_restart(index, parsed);
        }
        let Some((bucket, key)) = parsed.body.previous() else {
            let message = "names a predecessor only in part";
            let finding = self.finding(Code::DigestChainMismatch, index, message);
            self.out.findings.push(finding);
            return self.next_older(index);
        };
        match self.by_address.get(&(bucket, key)).copied() {
            Some(older) if self.out.reached[older] => {
                let message = format!("its predecessor s3://{bucket}/{key} comes after it");
                let finding = self.finding(Code::DigestChainLoop, index, message);
                self.out.findings.push(finding);
                self.next_older(index)
            }
            Some(older) => {
                self.compare_link(index, older);
                self.compare_times(index, older);
                Some(older)
            }
            None => self.step_absent(index, parsed.start, Some((bucket, key))),
        }
    }

    fn step_restart(&mut self, index: usize, parsed: &Parsed) -> Option<usize> {
        let older = self.next_older(index)?;
        let authentic =
            |i: &usize| !self.out.reached[*i] && self.out.standing[*i] == Some(Standing::Authentic);
        // Without a genuine digest before it, this is where the chain begins: what else bears an
        // older name was put there, and has a finding of its own.
        if let Some(before) = (0..index).rev().find(authentic) {
            let begins = if parsed.body.log_files.is_empty() { parsed.end } else { parsed.start };
            let ended = self.end_of(before);
            let from = ended.min(begins);
            let message = "the chain starts anew here: logging or validation was off before, or \
                           the trail was made anew";
            let finding = self.finding(Code::ChainGap, index, message);
            self.out.findings.push(finding.span(from, begins));
            self.out.spans.push(Span { from, to: begins, state: State::Gap });
        }
        Some(older)
    }

    /// Where a digest's window ends; that of one that can be trusted is also what it says.
    fn end_of(&self, index: usize) -> Timestamp {
        self.records[index].key.end
    }

    /// The predecessor that a valid digest names is not there.
    fn step_absent(
        &mut self,
        index: usize,
        hole_end: Timestamp,
        named: Option<(&str, &str)>,
    ) -> Option<usize> {
        let older = self.next_older(index);
        let known = named.is_some_and(|(_, key)| self.context.known.contains(key));
        let named_uri = named.map(|(bucket, key)| format!("s3://{bucket}/{key}"));
        let expired = self.context.expired_before.is_some_and(|t| hole_end <= t);
        match older.filter(|_| self.survives(index)) {
            Some(older) => {
                let hole_start = self.end_of(older);
                self.report_missing(index, hole_start, hole_end, named);
            }
            None if expired => {
                self.out.expired += 1;
                let uri = named_uri.unwrap_or_default();
                self.out
                    .notes
                    .push(format!("time before {hole_end}: {uri} and older digests have expired"));
            }
            None if known || self.context.expired_before.is_some() => {
                self.report_missing(index, hole_end - HOUR, hole_end, named);
                self.out.begins = Some(hole_end - HOUR);
            }
            None => {
                let uri = named_uri.unwrap_or_default();
                if self.context.start.is_some_and(|start| start < hole_end) {
                    let from = self.context.start.unwrap_or(hole_end);
                    let message = format!("the digests before {hole_end} are not there");
                    let finding = Finding::new(Code::ChainHeadAbsent, &self.scope, message);
                    self.out.findings.push(finding.object(uri).span(from, hole_end));
                    self.out.spans.push(Span { from, to: hole_end, state: State::Absent });
                } else {
                    self.out.notes.push(format!(
                        "time before {hole_end}: {uri} and older digests are not there"
                    ));
                }
            }
        }
        older
    }

    /// Names the digests of a hole: the linked one by its key, the others in steps of an hour,
    /// by the key they would have when the hole is made of whole hours.
    fn report_missing(
        &mut self,
        index: usize,
        hole_start: Timestamp,
        hole_end: Timestamp,
        named: Option<(&str, &str)>,
    ) {
        let record = &self.records[index];
        let bucket = named.map_or(record.address.0.as_str(), |(bucket, _)| bucket);
        let named_key = named.and_then(|(_, key)| key.parse::<DigestKey>().ok());
        let mut end = named_key.as_ref().map_or(hole_end, |k| k.end).min(hole_end);
        let whole_hours = end.seconds_since(hole_start) % 3600 == 0;
        let mut object = named.map(|(bucket, key)| format!("s3://{bucket}/{key}"));
        let template = named_key.unwrap_or_else(|| record.key.clone());
        loop {
            let start = (end - HOUR).max(hole_start).min(end);
            let message = match &object {
                Some(_) => "the next digest names it as its predecessor, and it is not there",
                None => "the digest of this time is not there",
            };
            let predicted = || DigestKey { end, ..template.clone() };
            let uri = object
                .take()
                .or_else(|| whole_hours.then(|| format!("s3://{bucket}/{}", predicted())));
            let mut finding = Finding::new(Code::DigestMissing, &self.scope, message)
                .digest(record.uri())
                .span(start, end.max(start));
            finding.object = uri;
            self.out.findings.push(finding);
            self.out.missing += 1;
            if start <= hole_start {
                break;
            }
            end = start;
        }
        self.out.spans.push(Span {
            from: hole_start.min(hole_end),
            to: hole_end,
            state: State::Missing,
        });
    }

    /// Past a digest that proves nothing: on to the next older one by name.
    fn step_unlinked(
        &mut self,
        index: usize,
        window_start: Timestamp,
        anchored: bool,
    ) -> Option<usize> {
        let older = self.next_older(index)?;
        let ended = self.end_of(older);
        if ended < window_start && anchored && self.survives(index) {
            let in_place = |p: &&Parsed| p.end == self.records[index].key.end;
            let parsed = self.records[index].parsed().filter(in_place);
            let named = parsed.and_then(|p| p.body.previous());
            let named = named.filter(|n| !self.by_address.contains_key(n));
            self.report_missing(index, ended, window_start, named);
        }
        Some(older)
    }

    /// A backfill digest's predecessor that is not there: missing when an older one survives, or
    /// when it is known to have been there; else it may have expired.
    pub(super) fn backfill_predecessor(&mut self, index: usize, bucket: &str, key: &str) {
        let authentic = self.out.standing[index] == Some(Standing::Authentic);
        let named = key.parse::<DigestKey>().ok();
        let older = |k: &DigestKey| self.records.iter().any(|r| r.key.end < k.end);
        let missing = named.as_ref().is_some_and(older) || self.context.known.contains(key);
        if authentic && missing {
            let message =
                "the next backfill digest names it as its predecessor, and it is not there";
            let finding = Finding::new(Code::DigestMissing, &self.scope, message)
                .object(format!("s3://{bucket}/{key}"))
                .digest(self.records[index].uri());
            self.out.findings.push(finding);
            self.out.missing += 1;
        }
    }

    /// A valid digest's word about its predecessor against the predecessor itself. When the
    /// predecessor is not authentic, that is the cause and already a finding.
    pub(super) fn compare_link(&mut self, index: usize, older: usize) {
        if self.out.standing[index] != Some(Standing::Authentic)
            || self.out.standing[older] != Some(Standing::Authentic)
        {
            return;
        }
        let (Some(body), Some(before)) =
            (self.records[index].parsed().map(|p| &p.body), self.records[older].parsed())
        else {
            return;
        };
        let hash = before.hash.to_string();
        let stated = body.previous_digest_hash_value.as_deref().unwrap_or("null");
        if stated != hash {
            let message =
                format!("states another hash for its predecessor {}", self.records[older].uri());
            let finding =
                self.finding(Code::DigestChainMismatch, index, message).values(hash, stated);
            self.out.findings.push(finding);
            return;
        }
        let signature = body.previous_digest_signature.as_deref().unwrap_or("null");
        let own = self.records[older].metadata(META_SIGNATURE);
        if let Some(own) = own.filter(|own| !own.eq_ignore_ascii_case(signature)) {
            let message = format!(
                "states another signature for its predecessor {}",
                self.records[older].uri()
            );
            let finding =
                self.finding(Code::DigestChainMismatch, index, message).values(own, signature);
            self.out.findings.push(finding);
        }
    }

    fn compare_times(&mut self, index: usize, older: usize) {
        let (Some(newer), Some(before)) =
            (self.records[index].parsed(), self.records[older].parsed())
        else {
            return;
        };
        let (start, end, previous_end) = (newer.start, newer.end, before.end);
        if self.out.standing[older] != Some(Standing::Authentic) {
            return;
        }
        if end <= previous_end {
            let message =
                format!("ends no later than its predecessor {}", self.records[older].uri());
            let finding = self.finding(Code::DigestTimeReversed, index, message);
            self.out
                .findings
                .push(finding.values(format!("after {previous_end}"), end.to_string()));
        } else if start < previous_end {
            let message =
                format!("begins before the end of its predecessor {}", self.records[older].uri());
            let finding = self.finding(Code::DigestTimeOverlap, index, message);
            self.out.findings.push(finding.values(previous_end.to_string(), start.to_string()));
        } else if start > previous_end {
            let message = "no digest covers the time between two linked digests";
            let finding = self.finding(Code::ChainGap, index, message);
            self.out.findings.push(finding.span(previous_end, start));
            self.out.spans.push(Span { from: previous_end, to: start, state: State::Gap });
        }
    }

    /// Digests with a valid name that the walk never came to.
    pub(super) fn judge_unreached(&mut self) {
        let records = self.records;
        let mut successor: HashMap<(&str, &str), usize> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            let previous = record.parsed().and_then(|p| p.body.previous());
            if let (true, Some(previous)) = (self.out.reached[index], previous) {
                successor.insert(previous, index);
            }
        }
        for index in 0..records.len() {
            if self.out.reached[index] {
                continue;
            }
            if let Some(fault) = self.faults[index].take() {
                self.out.findings.push(fault);
                continue;
            }
            let previous = records[index].parsed().and_then(|p| p.body.previous());
            let twin = previous.and_then(|p| successor.get(&p));
            let finding = match twin {
                Some(&twin) => {
                    let message = format!("has the same predecessor as {}", records[twin].uri());
                    self.finding(Code::DigestChainFork, index, message)
                }
                None => {
                    let message = "is validly signed, but no digest of the chain leads to it";
                    self.finding(Code::DigestUnlinked, index, message)
                }
            };
            self.out.findings.push(finding);
        }
    }
}
