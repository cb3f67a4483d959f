//! Signed evidence: what holds, and everything that must not pass for it.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use encryptor::signing::RsaKey;
use report::evidence::{EvidenceError, PublicKey, Signature, pae, sign, statement, verify};
use serde_json::{Value, json};
use trail::Sha256;

/// A made key and its public half.
struct Signer(RsaKey);

impl Signer {
    fn new() -> Self {
        Self(RsaKey::generate(2048).unwrap())
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_spki(&self.0.public_spki().unwrap()).unwrap()
    }

    fn signature(&self, signed: &[u8]) -> Vec<u8> {
        self.0.sign(&Sha256::of(signed)).unwrap()
    }

    fn sign(&self, statement: &[u8]) -> Vec<u8> {
        sign::<Infallible>(statement, |signed| {
            let key_id = self.public().id().to_owned();
            Ok(Signature { signature: self.signature(signed), key_id })
        })
        .unwrap()
    }

    /// An envelope of any type around anything, validly signed.
    fn envelope(&self, payload_type: &str, payload: &[u8]) -> Value {
        json!({
            "payload": BASE64_STANDARD.encode(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": BASE64_STANDARD.encode(self.signature(&pae(payload_type, payload)))}],
        })
    }
}

/// A report of a tampered trail, in the form that verify writes: indented, with a line feed.
fn report() -> Vec<u8> {
    let counts = json!({"checked": 3, "valid": 2, "invalid": 1});
    let value = json!({
        "schema": "trailseal.report/v1", "tool": {"name": "trailseal", "version": "0.1.0"},
        "generated_at": "2026-11-23T12:00:00Z",
        "request": {"target": "s3://audit-logs/corp", "start": null, "end": "2026-11-23T12:00:00Z", "scope": "given"},
        "verdict": "tampered",
        "summary": {"chains": 1, "digests": counts, "backfill_digests": counts, "logs": counts,
            "by_class": {"tampered": 1}, "bytes_inflated": 1, "events": null, "coverage": 0.9473},
        "coverage": [{"account": "111122223333", "region": "eu-west-1", "trail": "main", "home_region": "eu-west-1",
            "path": "p", "from": "2026-11-23T01:00:00Z", "to": "2026-11-23T09:00:00Z", "state": "proven"}],
        "encryption": [], "keys": [],
        "findings": [{"id": "a", "code": "log.missing", "class": "tampered", "severity": "critical", "state": "open",
            "account": null, "region": null, "trail": null, "object": "s3://b/<script>\"\u{1}ü", "digest": null,
            "from": null, "to": null, "count": 1, "objects": [], "expected": null, "actual": null, "message": "m", "remedy": "r"}],
        "not_proven": ["events before 2026-11-23T01:00:00Z"],
    });
    (serde_json::to_string_pretty(&value).unwrap() + "\n").into_bytes()
}

fn refused(envelope: &Value, key: &Signer) -> EvidenceError {
    verify(envelope.to_string().as_bytes(), &[key.public()]).unwrap_err()
}

const IN_TOTO: &str = "application/vnd.in-toto+json";

#[test]
fn the_report_comes_back_byte_for_byte_and_the_statement_says_what_it_says() {
    let key = Signer::new();
    let (report, other) = (report(), Signer::new());
    let made = statement(&report).unwrap();
    let envelope = key.sign(&made);
    let verified = verify(&envelope, &[other.public(), key.public()]).unwrap();
    assert_eq!(verified.report_json, report);
    assert_eq!(verified.report.verdict, "tampered");
    assert_eq!(verified.key_ids, [key.public().id()]);
    // Same evidence, same bytes.
    assert_eq!(key.sign(&statement(&report).unwrap()), envelope);
    let statement: Value = serde_json::from_slice(&made).unwrap();
    let hash = Sha256::of(&report).to_string();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(
        statement["subject"],
        json!([{"name": "s3://audit-logs/corp", "digest": {"sha256": hash}}])
    );
    let predicate = &statement["predicate"];
    assert_eq!(predicate["verdict"], "tampered");
    assert_eq!(predicate["timeCreated"], "2026-11-23T12:00:00Z");
    assert_eq!(
        predicate["period"],
        json!({"from": "2026-11-23T01:00:00Z", "to": "2026-11-23T09:00:00Z"})
    );
    assert_eq!(
        (&predicate["counts"]["findings"], &predicate["coverage"]),
        (&json!({"tampered": 1}), &json!(0.9473))
    );
    assert_eq!(predicate["notProven"], json!(["events before 2026-11-23T01:00:00Z"]));
    assert_eq!(predicate["request"]["scope"], "given");
    assert_eq!(predicate["report"]["digest"]["sha256"], hash);
}

#[test]
fn every_changed_byte_of_the_payload_is_seen() {
    let key = Signer::new();
    let made = statement(&report()).unwrap();
    let envelope: Value = serde_json::from_slice(&key.sign(&made)).unwrap();
    for at in (0..made.len()).step_by(37) {
        let mut changed = made.clone();
        changed[at] ^= 1;
        let mut envelope = envelope.clone();
        envelope["payload"] = json!(BASE64_STANDARD.encode(&changed));
        assert!(
            matches!(refused(&envelope, &key), EvidenceError::NotVouchedFor { .. }),
            "byte {at}"
        );
    }
    let mut other = envelope.clone();
    other["payloadType"] = json!("application/json");
    assert!(matches!(refused(&other, &key), EvidenceError::NotVouchedFor { .. }));
    let stranger = refused(&envelope, &Signer::new());
    assert!(stranger.to_string().contains("another key signed"), "{stranger}");
}

#[test]
fn the_key_id_decides_nothing() {
    let (key, mallory) = (Signer::new(), Signer::new());
    let made = statement(&report()).unwrap();
    let mut envelope: Value = serde_json::from_slice(&mallory.sign(&made)).unwrap();
    envelope["signatures"][0]["keyid"] = json!(key.public().id());
    assert!(matches!(refused(&envelope, &key), EvidenceError::NotVouchedFor { .. }));
    // And without one, or with a wrong one, a good signature is found.
    for hint in [Value::Null, json!("another")] {
        let mut envelope: Value = serde_json::from_slice(&key.sign(&made)).unwrap();
        envelope["signatures"][0]["keyid"] = hint;
        assert!(verify(envelope.to_string().as_bytes(), &[key.public()]).is_ok());
    }
}

#[test]
fn signed_but_not_consistent_is_refused() {
    let key = Signer::new();
    let made: Value = serde_json::from_slice(&statement(&report()).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = made.clone();
        change(&mut value);
        refused(&key.envelope(IN_TOTO, value.to_string().as_bytes()), &key)
    };
    let text = String::from_utf8(report()).unwrap();
    let other_report = text.replace("\"verdict\": \"tampered\"", "\"verdict\": \"verified\"");
    assert_ne!(other_report, text);
    for (name, error) in [
        ("the predicate", changed(&|s| s["predicate"]["verdict"] = json!("verified"))),
        ("the predicate", changed(&|s| s["predicate"]["counts"]["findings"] = json!({}))),
        ("the predicate", changed(&|s| s["predicate"]["notProven"] = json!([]))),
        ("the predicate", changed(&|s| s["predicate"]["report"]["digest"]["sha256"] = json!("00"))),
        ("the subject", changed(&|s| s["subject"][0]["digest"]["sha256"] = json!("00"))),
        ("the subject", changed(&|s| s["subject"][0]["name"] = json!("s3://another"))),
        ("the subject", changed(&|s| s["subject"] = json!([]))),
        (
            "the subject",
            changed(&|s| {
                s["predicate"]["report"]["content"] = json!(BASE64_STANDARD.encode(&other_report));
            }),
        ),
    ] {
        assert!(
            matches!(&error, EvidenceError::Inconsistent(what) if *what == name),
            "{name}: {error:?}"
        );
    }
    let schema = String::from_utf8(report()).unwrap().replace("report/v1", "report/v9");
    let error =
        changed(&|s| s["predicate"]["report"]["content"] = json!(BASE64_STANDARD.encode(&schema)));
    assert!(error.to_string().contains("trailseal.report/v9"), "{error}");
    let error = changed(&|s| s["predicate"]["report"] = Value::Null);
    assert!(matches!(error, EvidenceError::Malformed { what: "statement", .. }), "{error:?}");
    let error = changed(&|s| s["predicate"]["report"]["content"] = json!("$"));
    assert!(matches!(error, EvidenceError::Malformed { what: "report", .. }), "{error:?}");
}

#[test]
fn other_types_are_refused_though_signed() {
    let key = Signer::new();
    let made = statement(&report()).unwrap();
    let other = |error| matches!(error, EvidenceError::OtherType { .. });
    assert!(other(refused(&key.envelope("application/json", &made), &key)));
    for (from, to) in [("Statement/v1", "Statement/v0.1"), ("verification/v1", "verification/v2")] {
        let text = String::from_utf8(made.clone()).unwrap().replacen(from, to, 1);
        assert!(other(refused(&key.envelope(IN_TOTO, text.as_bytes()), &key)), "{to}");
    }
    // A report signed as such, without a statement, is none.
    let error = refused(&key.envelope(IN_TOTO, &report()), &key);
    assert!(matches!(error, EvidenceError::Malformed { what: "statement", .. }), "{error:?}");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let key = Signer::new();
    let text = String::from_utf8(statement(&report()).unwrap()).unwrap();
    let twice = text.replacen("\"verdict\"", "\"verdict\":\"verified\",\"verdict\"", 1);
    let trailing = format!("{text} {{}}");
    for payload in [twice, trailing] {
        let error = refused(&key.envelope(IN_TOTO, payload.as_bytes()), &key);
        assert!(matches!(error, EvidenceError::Malformed { what: "statement", .. }), "{error:?}");
    }
    let envelope = key.envelope(IN_TOTO, text.as_bytes()).to_string();
    for bad in [
        format!("{envelope}{envelope}"),
        envelope.replacen("\"payload\"", "\"payload\":\"\",\"payload\"", 1),
        envelope.replacen("\"payloadType\"", "\"x\":{\"a\":1,\"\\u0061\":2},\"payloadType\"", 1),
        envelope[..envelope.len() - 2].to_owned(),
        envelope.replacen("\"sig\":\"", "\"sig\":\"*", 1),
        String::new(),
        "[]".to_owned(),
    ] {
        let error = verify(bad.as_bytes(), &[key.public()]).unwrap_err();
        assert!(
            matches!(error, EvidenceError::Malformed { .. } | EvidenceError::Unsigned),
            "{error:?}"
        );
    }
}

#[test]
fn signatures_none_several_and_too_many() {
    let (key, other) = (Signer::new(), Signer::new());
    let made = statement(&report()).unwrap();
    let envelope = key.envelope(IN_TOTO, &made);
    let good = envelope["signatures"][0].clone();
    let with = |signatures: Value| {
        let mut envelope = envelope.clone();
        envelope["signatures"] = signatures;
        verify(envelope.to_string().as_bytes(), &[key.public(), other.public(), key.public()])
    };
    assert!(matches!(with(json!([])).unwrap_err(), EvidenceError::Unsigned));
    let junk = json!({"keyid": "x", "sig": "AAAA"});
    assert!(matches!(
        with(json!([junk])).unwrap_err(),
        EvidenceError::NotVouchedFor { signatures: 1, keys: 3 }
    ));
    // One key that signed twice, and was given twice, is one.
    assert_eq!(with(json!([junk, good, good])).unwrap().key_ids.len(), 1);
    let second = other.envelope(IN_TOTO, &made)["signatures"][0].clone();
    assert_eq!(with(json!([second, good])).unwrap().key_ids.len(), 2);
    let many = vec![good; 101];
    assert!(with(json!(many)).unwrap_err().to_string().contains("more than 100"));
    let none = verify(envelope.to_string().as_bytes(), &[]).unwrap_err();
    assert!(matches!(none, EvidenceError::NoKeys));
}

#[test]
fn either_base64_alphabet_is_read() {
    let key = Signer::new();
    let made = statement(&report()).unwrap();
    let mut envelope = key.envelope(IN_TOTO, &made);
    envelope["payload"] = json!(BASE64_URL_SAFE_NO_PAD.encode(&made));
    assert!(verify(envelope.to_string().as_bytes(), &[key.public()]).is_ok());
}

#[test]
fn every_kind_of_key_verifies_what_it_signed() {
    let made = statement(&report()).unwrap();
    let rng = SystemRandom::new();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let mut signed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let message = pae(IN_TOTO, &made);
    let spki: PublicKeyX509Der<'_> = ed25519.public_key().as_der().unwrap();
    signed.push((spki.as_ref().to_vec(), ed25519.sign(&message).as_ref().to_vec()));
    for algorithm in [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING] {
        let key = EcdsaKeyPair::generate(algorithm).unwrap();
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        signed.push((spki.as_ref().to_vec(), key.sign(&rng, &message).unwrap().as_ref().to_vec()));
    }
    for (i, (spki, signature)) in signed.iter().enumerate() {
        let mut envelope = Signer::new().envelope(IN_TOTO, &made);
        envelope["signatures"][0]["sig"] = json!(BASE64_STANDARD.encode(signature));
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines(spki));
        let key = PublicKey::from_pem(&pem).unwrap();
        let verified = verify(envelope.to_string().as_bytes(), &[key]).unwrap();
        assert_eq!(verified.key_ids, [PublicKey::id_of(spki)]);
        let other = PublicKey::from_spki(&signed[(i + 1) % signed.len()].0).unwrap();
        assert!(verify(envelope.to_string().as_bytes(), &[other]).is_err());
    }
}

/// Base64 in lines of 64, as PEM has it.
fn lines(bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

#[test]
fn keys_of_other_kinds_are_refused_by_name() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = PublicKey::from_pem(pem).err().unwrap().to_string();
    assert!(error.contains("CERTIFICATE; expected BEGIN PUBLIC KEY"), "{error}");
    assert!(PublicKey::from_pem("nonsense").is_err());
    assert!(PublicKey::from_spki(&[0x30, 0]).is_err());
}

#[test]
fn what_is_no_report_is_no_evidence() {
    assert!(matches!(statement(b"{}"), Err(EvidenceError::Report(_))));
    let twice = String::from_utf8(report()).unwrap().replacen(
        "\"verdict\"",
        "\"verdict\":\"verified\",\"verdict\"",
        1,
    );
    assert!(matches!(statement(twice.as_bytes()), Err(EvidenceError::Report(_))));
}

#[test]
fn sizes_are_bounded() {
    let large = vec![b' '; report::evidence::REPORT_BYTES_MAX + 1];
    assert!(matches!(statement(&large), Err(EvidenceError::TooLarge { what: "report", .. })));
    let large = vec![b' '; report::evidence::ENVELOPE_BYTES_MAX + 1];
    assert!(matches!(verify(&large, &[]), Err(EvidenceError::TooLarge { what: "envelope", .. })));
}
