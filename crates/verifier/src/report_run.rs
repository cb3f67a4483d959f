//! From a finished run to its report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use trail::name::TrailArn;
use trail::{AccountId, Timestamp};

use crate::chain::{Content, Standing};
use crate::coverage::{Span, State, flatten, proven_seconds};
use crate::encryption::{self, TrailKey};
use crate::finding::{Class, Code, Finding, Scope};
use crate::key_facts;
use crate::logs::Fate;
use crate::report::{
    CoverageLine, DigestCounts, EncryptionLine, KeyLine, LogCounts, Report, ReportedFinding,
    Summary, Tool, Verdict, fold, sort,
};
use crate::request::{Depth, SseDemand};
use crate::run::{Chain, Run, dedup_by_id};

const HOUR: Duration = Duration::from_secs(3600);
/// Predicted keys of an absent tail that a finding lists.
const PREDICTED_MAX: usize = 100;

pub(crate) async fn report(mut run: Run<'_>) -> Report {
    let mut findings = std::mem::take(&mut run.findings);
    let mut notes = std::mem::take(&mut run.notes);
    let (coverage, proven, demanded) = coverage(&mut run, &mut findings, &mut notes);
    for chain in &run.chains {
        findings.extend(chain.result.findings.iter().cloned());
        notes.extend(chain.result.notes.iter().cloned());
    }
    let seen = run.seen();
    let mut lines = Vec::new();
    for (scope, seen) in &seen {
        let (key, account) = trail_key(&run, scope);
        let region = run.bucket_region.as_ref();
        findings.extend(encryption::judge(run.request, seen, &key, account.as_ref(), region));
        lines.extend(encryption::lines(seen));
    }
    findings.extend(trail_state(&run));
    findings.extend(key_facts(&run, &lines, &mut notes).await);
    for log in &mut run.looked {
        findings.append(&mut log.findings);
    }
    findings.append(&mut run.swept.findings);
    dedup_by_id(&mut findings);
    sort(&mut findings);
    limits_of_proof(&run, &mut notes);
    notes.sort();
    notes.dedup();
    let summary = Summary {
        coverage: (demanded > 0).then(|| (proven as f64 / demanded as f64 * 1e4).floor() / 1e4),
        ..summarize(&run, &findings)
    };
    Report {
        schema: "trailseal.report/v1",
        tool: Tool { name: "trailseal", version: env!("CARGO_PKG_VERSION") },
        generated_at: run.ports.now,
        request: request(&run),
        verdict: Verdict::of(findings.iter().map(|f| f.class), &Class::ALL),
        summary,
        coverage,
        encryption: lines.iter().map(encryption_line).collect(),
        keys: key_lines(&run),
        every_finding: findings.iter().map(ReportedFinding::from).collect(),
        findings: fold(findings),
        not_proven: notes,
    }
}

/// Coverage of every chain, with the findings of what is absent at its newest end.
fn coverage(
    run: &mut Run<'_>,
    findings: &mut Vec<Finding>,
    notes: &mut Vec<String>,
) -> (Vec<CoverageLine>, i64, i64) {
    let (request, end) = (run.request, plain_copy_end(run).unwrap_or(run.end));
    let demand_to = end.min(run.now - request.grace);
    let (mut lines, mut proven, mut demanded) = (Vec::new(), 0, 0);
    let mut begins: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for chain in run.chains.iter_mut().filter(|c| !c.backfill) {
        let Some(own) = chain.result.begins.or_else(|| chain.records.first().map(|r| r.key.end))
        else {
            continue;
        };
        let from = request.start.unwrap_or(own);
        if own > from && !chain.result.spans.iter().any(|s| s.from < own) {
            // Begins later than asked, by a genuine first digest: nothing older ever was.
            let message = format!("the chain begins at {own}, later than the time asked");
            let finding = Finding::new(Code::ChainHeadAbsent, &chain.id.scope(), message);
            let already = chain.result.findings.iter().any(|f| f.code == Code::ChainHeadAbsent);
            if !already {
                findings.push(finding.span(from, own.min(demand_to.max(from))));
            }
            chain.result.spans.push(Span { from, to: own, state: State::Absent });
        }
        if request.start.is_none() {
            *begins.entry(own).or_default() += 1;
        }
        // Where no digest is genuine, that is the cause, and has findings of its own.
        let newest = absent_from(&chain.result.spans, own.max(from), demand_to);
        if newest < demand_to && chain.result.begins.is_some() {
            findings.push(tail_absent(chain, newest, demand_to));
            chain.result.spans.push(Span { from: newest, to: demand_to, state: State::Absent });
        }
        chain.result.spans.push(Span {
            from: newest.max(demand_to),
            to: end,
            state: State::Pending,
        });
        let spans = flatten(&chain.result.spans, from, end);
        demanded += demand_to.seconds_since(from).max(0);
        proven += proven_seconds(&spans, from, demand_to.max(from));
        lines.extend(spans.iter().map(|span| line(chain, span)));
    }
    for (begin, chains) in begins {
        let of = if chains == 1 { "1 chain".to_owned() } else { format!("{chains} chains") };
        notes.push(format!("events before {begin} ({of} beginning there)"));
    }
    (lines, proven, demanded)
}

/// From when on nothing at all is known of a chain: the end of what adjoins its proven time.
/// What lies further on, such as a digest with a name in the future, fills no hole before it.
fn absent_from(spans: &[Span], begins: Timestamp, demand_to: Timestamp) -> Timestamp {
    let covered = flatten(spans, begins, demand_to.max(begins));
    let proven = covered.iter().rposition(|s| s.state == State::Proven);
    let mut end = proven.map_or(begins, |at| covered[at].to);
    for span in covered.iter().skip(proven.map_or(0, |at| at + 1)) {
        if span.from > end {
            break;
        }
        end = span.to;
    }
    end
}

/// The end of the time that a plain copy can speak of: its newest digest's end.
fn plain_copy_end(run: &Run<'_>) -> Option<Timestamp> {
    let copy = run.request.copy.as_ref()?;
    if copy.taken_at.is_some() || run.request.end.is_some() {
        return None;
    }
    let newest = run.chains.iter().flat_map(|c| &c.records).map(|r| r.key.end).max();
    newest.map(|end| end.min(run.ports.now))
}

fn tail_absent(chain: &Chain, newest: Timestamp, demand_to: Timestamp) -> Finding {
    let message = format!("no digest covers the time from {newest} to {demand_to}");
    let finding =
        Finding::new(Code::ChainTailAbsent, &chain.id.scope(), message).span(newest, demand_to);
    let mut windows = chain.records.iter().rev().filter_map(|r| r.parsed()).take(2);
    let hourly = windows.all(|p| p.start + HOUR == p.end);
    let Some(last) = chain.records.last().filter(|r| hourly && r.key.end == newest) else {
        return finding;
    };
    let mut objects = Vec::new();
    let mut end = newest + HOUR;
    while end <= demand_to && objects.len() < PREDICTED_MAX {
        let key = trail::key::DigestKey { end, ..last.key.clone() };
        objects.push(format!("s3://{}/{key}", last.address.0));
        end = end + HOUR;
    }
    let count = demand_to.seconds_since(newest) / 3600;
    let mut finding = finding.objects(objects);
    finding.count = u64::try_from(count).unwrap_or(1).max(1);
    finding
}

fn line(chain: &Chain, span: &Span) -> CoverageLine {
    let id = &chain.id;
    let path = chain
        .records
        .last()
        .map(|r| trail::key::DigestKey::region_folder(&r.key.folder, &r.key.region));
    CoverageLine {
        account: id.account.to_string(),
        region: id.region.to_string(),
        trail: id.trail.to_string(),
        home_region: id.home_region.to_string(),
        path: path.unwrap_or_default(),
        from: span.from,
        to: span.to,
        state: span.state,
    }
}

/// The trail's KMS key, and the account that may own keys, of the trail that a scope names.
fn trail_key(run: &Run<'_>, scope: &Scope) -> (TrailKey, Option<AccountId>) {
    let chain = run.chains.iter().find(|c| c.id.scope() == *scope);
    let trail = chain.and_then(|c| run.trail_of(&c.id));
    let account = trail.and_then(|t| t.trail_arn.parse::<TrailArn>().ok()).map(|a| a.account);
    (trail.map(|t| t.kms_key_id.clone()), account)
}

/// Whether settings of now say anything about the time asked.
fn concerns_now(run: &Run<'_>) -> bool {
    run.request.copy.is_none() && run.end + run.request.grace >= run.ports.now
}

fn trail_state(run: &Run<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for chain in &run.chains {
        let Some(trail) = run.trail_of(&chain.id) else { continue };
        if !seen.insert(trail.trail_arn.clone()) {
            continue;
        }
        let scope = Scope { trail: Some(chain.id.trail.clone()), ..Scope::default() };
        let mut found = |code: Code, message: &str| {
            let finding = Finding::new(code, &scope, message).object(&trail.trail_arn);
            findings.push(if concerns_now(run) { finding } else { finding.class(Class::Info) });
        };
        if trail.kms_key_id.is_none()
            && run.request.log_sse == SseDemand::Kms
            && run.request.kms_keys.is_empty()
        {
            found(Code::TrailUnencrypted, "the trail has no KMS key");
        }
        if !trail.log_file_validation_enabled {
            found(Code::TrailValidationOff, "the trail is set to write no digests");
        }
        if !trail.is_multi_region_trail {
            found(Code::TrailNotMultiRegion, "the trail records one region only");
        }
        if !trail.include_global_service_events {
            found(Code::TrailNoGlobalEvents, "the trail leaves out events of global services");
        }
    }
    findings
}

/// Of every KMS key that objects are encrypted with.
async fn key_facts(
    run: &Run<'_>,
    lines: &[encryption::Line],
    notes: &mut Vec<String>,
) -> Vec<Finding> {
    let Some(kms) = &run.ports.kms else { return Vec::new() };
    let arns: BTreeSet<&str> = lines.iter().filter_map(|l| l.sse.kms_key.as_deref()).collect();
    let findings = key_facts::judge(&**kms, arns, notes).await;
    let graded = |f: Finding| if concerns_now(run) { f } else { f.class(Class::Info) };
    findings.into_iter().map(graded).collect()
}

fn limits_of_proof(run: &Run<'_>, notes: &mut Vec<String>) {
    let request = run.request;
    notes.push("what the source of the events did not record or did not send".into());
    if request.depth == Depth::Digests {
        notes.push("the content of logs: only digests were asked for".into());
    }
    if !request.unreferenced {
        notes.push(
            "that no log lies there which no digest names: left out by --no-unreferenced".into(),
        );
    }
    if request.skip_archived {
        notes.push("archived logs: left out by --skip-archived".into());
    }
    if let Some(copy) = &request.copy {
        match &copy.source {
            Some((bucket, prefix)) => notes.push(format!(
                "that the copy was taken from s3://{bucket}/{prefix}: its own list says so"
            )),
            None => notes.push(
                "encryption and dates of the objects: a plain copy does not keep them".into(),
            ),
        }
        if copy.sidecar {
            notes.push(
                "encryption and dates of the objects: they are what the copy's list claims".into(),
            );
        }
    }
    if run.chains.iter().any(|c| run.trail_of(&c.id).is_none()) && request.kms_keys.is_empty() {
        notes.push(
            "that logs are encrypted as the trail demands: the trail's settings are not known"
                .into(),
        );
    }
}

fn request(run: &Run<'_>) -> BTreeMap<&'static str, Value> {
    let request = run.request;
    let given = !request.accounts.is_empty() || !request.regions.is_empty();
    let secs = |d: Duration| format!("{}s", d.as_secs());
    let end = plain_copy_end(run).unwrap_or(run.end);
    BTreeMap::from([
        ("target", json!(request.target)),
        ("start", json!(request.start)),
        ("end", json!(end)),
        ("scope", json!(if given { "given" } else { "discovered" })),
        ("accounts", json!(request.accounts)),
        ("regions", json!(request.regions)),
        ("trail_arn", json!(request.trail_arn.as_ref().map(ToString::to_string))),
        ("trail_name", json!(request.trail_name)),
        ("grace", json!(secs(request.grace))),
        ("backfill_grace", json!(secs(request.backfill_grace))),
        (
            "depth",
            json!(match request.depth {
                Depth::Digests => "digests",
                Depth::Logs => "logs",
                Depth::Events => "events",
            }),
        ),
        ("bucket_region", json!(run.bucket_region)),
    ])
}

fn encryption_line(line: &encryption::Line) -> EncryptionLine {
    let sse = match (line.sse.customer_key, line.sse.algorithm) {
        (true, _) => Some("SSE-C".to_owned()),
        (false, algorithm) => algorithm.map(|a| a.as_str().to_owned()),
    };
    EncryptionLine {
        account: line.scope.account.as_ref().map(ToString::to_string),
        region: line.scope.region.as_ref().map(ToString::to_string),
        kind: line.kind,
        sse,
        key: line.sse.kms_key.clone(),
        bucket_key: line.sse.bucket_key,
        from: line.from,
        to: line.to,
        objects: line.objects,
    }
}

fn key_lines(run: &Run<'_>) -> Vec<KeyLine> {
    let mut used: BTreeMap<(String, String), u64> = BTreeMap::new();
    for chain in &run.chains {
        for (fingerprint, count) in &chain.result.keys {
            *used.entry((chain.id.region.to_string(), fingerprint.clone())).or_default() += count;
        }
    }
    let lines = used.into_iter().filter_map(|((region, fingerprint), digests)| {
        let known = run.ring.find(&region.parse().ok()?, &fingerprint)?;
        Some(KeyLine {
            valid_from: known.key.valid_from,
            valid_to: known.key.valid_to,
            source: known.source.to_string(),
            fingerprint,
            region,
            digests,
        })
    });
    lines.collect()
}

fn summarize(run: &Run<'_>, findings: &[Finding]) -> Summary {
    let mut summary = Summary::default();
    for class in Class::ALL {
        let count = findings.iter().filter(|f| f.class == class).map(|f| f.count).sum();
        summary.by_class.insert(class.as_str(), count);
    }
    summary.by_class.insert("accepted", 0);
    for chain in &run.chains {
        summary.chains += u64::from(!chain.backfill);
        let counts =
            if chain.backfill { &mut summary.backfill_digests } else { &mut summary.digests };
        count_digests(chain, counts);
    }
    summary.logs = LogCounts {
        unreferenced: run.swept.unreferenced,
        undigested: run.swept.undigested,
        pending: run.swept.pending,
        missing: run.swept.missing,
        checked: run.swept.missing,
        ..LogCounts::default()
    };
    let mut events = 0;
    for log in &run.looked {
        let logs = &mut summary.logs;
        logs.checked += u64::from(!matches!(log.fate, Fate::Skipped | Fate::Expired));
        match log.fate {
            Fate::Valid => logs.valid += 1,
            Fate::Invalid => logs.invalid += 1,
            Fate::Missing => logs.missing += 1,
            Fate::Unreadable => logs.unreadable += 1,
            Fate::Expired => logs.expired += 1,
            Fate::Skipped => {}
        }
        summary.bytes_inflated += log.inflated;
        events += log.events;
    }
    summary.events = (run.request.depth == Depth::Events).then_some(events);
    summary
}

fn count_digests(chain: &Chain, counts: &mut DigestCounts) {
    let accused: std::collections::BTreeSet<&str> = chain
        .result
        .findings
        .iter()
        .filter(|f| f.class == Class::Tampered)
        .filter_map(|f| f.object.as_deref())
        .collect();
    for (record, standing) in chain.records.iter().zip(&chain.result.standing) {
        counts.checked += 1;
        if matches!(record.content, Content::Bad(Code::DigestMissing, _)) {
            counts.missing += 1;
            continue;
        }
        match standing {
            Some(Standing::Authentic) if !accused.contains(record.uri().as_str()) => {
                counts.valid += 1;
            }
            Some(Standing::Unreadable) => counts.unreadable += 1,
            _ => counts.invalid += 1,
        }
    }
    counts.checked += chain.result.missing;
    counts.missing += chain.result.missing;
}
