//! A report as it came out of the real program, as a value again.

use serde_json::Value;
use trail::Timestamp;
use verifier::Report;
use verifier::coverage::State;
use verifier::finding::Class;
use verifier::report::{
    CoverageLine, DigestCounts, EncryptionLine, KeyLine, LogCounts, ReportedFinding, Summary, Tool,
    Verdict,
};

pub(crate) fn report(json: &Value) -> Report {
    let summary = &json["summary"];
    let findings: Vec<_> = list(&json["findings"]).iter().map(finding).collect();
    Report {
        schema: fixed(&json["schema"]),
        tool: Tool { name: fixed(&json["tool"]["name"]), version: fixed(&json["tool"]["version"]) },
        generated_at: time(&json["generated_at"]),
        request: json["request"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (&*name.clone().leak(), value.clone()))
            .collect(),
        verdict: [
            Verdict::Verified,
            Verdict::Tampered,
            Verdict::Incomplete,
            Verdict::Unverifiable,
            Verdict::Noncompliant,
        ]
        .into_iter()
        .find(|v| json["verdict"] == v.as_str())
        .unwrap(),
        summary: Summary {
            chains: number(&summary["chains"]),
            digests: digests(&summary["digests"]),
            backfill_digests: digests(&summary["backfill_digests"]),
            logs: logs(&summary["logs"]),
            by_class: Class::ALL
                .map(|c| (c.as_str(), number(&summary["by_class"][c.as_str()])))
                .into(),
            bytes_inflated: number(&summary["bytes_inflated"]),
            events: summary["events"].as_u64(),
            coverage: summary["coverage"].as_f64(),
        },
        coverage: list(&json["coverage"]).iter().map(coverage).collect(),
        encryption: list(&json["encryption"]).iter().map(encryption).collect(),
        keys: list(&json["keys"]).iter().map(key).collect(),
        every_finding: findings.clone(),
        findings,
        not_proven: list(&json["not_proven"]).iter().map(text).collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn fixed(value: &Value) -> &'static str {
    text(value).leak()
}

fn maybe(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

fn digests(v: &Value) -> DigestCounts {
    DigestCounts {
        checked: number(&v["checked"]),
        valid: number(&v["valid"]),
        invalid: number(&v["invalid"]),
        missing: number(&v["missing"]),
        unreadable: number(&v["unreadable"]),
    }
}

fn logs(v: &Value) -> LogCounts {
    LogCounts {
        checked: number(&v["checked"]),
        valid: number(&v["valid"]),
        invalid: number(&v["invalid"]),
        missing: number(&v["missing"]),
        unreadable: number(&v["unreadable"]),
        unreferenced: number(&v["unreferenced"]),
        undigested: number(&v["undigested"]),
        pending: number(&v["pending"]),
        expired: number(&v["expired"]),
    }
}

fn coverage(v: &Value) -> CoverageLine {
    let states = [
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
    CoverageLine {
        account: text(&v["account"]),
        region: text(&v["region"]),
        trail: text(&v["trail"]),
        home_region: text(&v["home_region"]),
        path: text(&v["path"]),
        from: time(&v["from"]),
        to: time(&v["to"]),
        state: states.into_iter().find(|s| v["state"] == s.as_str()).unwrap(),
    }
}

fn encryption(v: &Value) -> EncryptionLine {
    EncryptionLine {
        account: maybe(&v["account"]),
        region: maybe(&v["region"]),
        kind: fixed(&v["kind"]),
        sse: maybe(&v["sse"]),
        key: maybe(&v["key"]),
        bucket_key: v["bucket_key"].as_bool(),
        from: time(&v["from"]),
        to: time(&v["to"]),
        objects: number(&v["objects"]),
    }
}

fn key(v: &Value) -> KeyLine {
    KeyLine {
        fingerprint: text(&v["fingerprint"]),
        region: text(&v["region"]),
        valid_from: time(&v["valid_from"]),
        valid_to: time(&v["valid_to"]),
        source: text(&v["source"]),
        digests: number(&v["digests"]),
    }
}

fn finding(v: &Value) -> ReportedFinding {
    let instant = |v: &Value| v.as_str().map(|_| time(v));
    ReportedFinding {
        id: text(&v["id"]),
        code: text(&v["code"]),
        class: fixed(&v["class"]),
        severity: fixed(&v["severity"]),
        state: fixed(&v["state"]),
        account: maybe(&v["account"]),
        region: maybe(&v["region"]),
        trail: maybe(&v["trail"]),
        object: maybe(&v["object"]),
        digest: maybe(&v["digest"]),
        from: instant(&v["from"]),
        to: instant(&v["to"]),
        count: number(&v["count"]),
        objects: list(&v["objects"]).iter().map(text).collect(),
        expected: maybe(&v["expected"]),
        actual: maybe(&v["actual"]),
        message: text(&v["message"]),
        remedy: fixed(&v["remedy"]),
    }
}
