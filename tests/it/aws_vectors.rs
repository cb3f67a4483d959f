//! Facts that AWS published, and digests with the features of real ones.

use std::fs;

use base64::Engine as _;
use serde_json::Value;
use trail::Sha256;
use trail::digest::{self, Digest};
use trail::key::{DigestKey, LogKey};
use trail::public_key::fingerprint;
use verifier::signature::{Outcome, VerifyingKey};

use crate::support::fixture;

/// `00 01 ff…ff 00`, then DigestInfo of SHA-256, then the hash (RFC 8017, section 9.2).
fn padded(hash: &str) -> Vec<u8> {
    let tail = [&unhex("003031300d060960864801650304020105000420")[..], &unhex(hash)].concat();
    let mut out = vec![0xff; 256 - tail.len()];
    (out[0], out[1]) = (0, 1);
    [out, tail].concat()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn vectors() -> Value {
    serde_json::from_slice(&fs::read(fixture("aws/vectors.json")).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn keys(vectors: &Value) -> Vec<(String, Vec<u8>, String)> {
    let decode = |k: &Value| base64::engine::general_purpose::STANDARD.decode(text(k, "Value"));
    let list = vectors["keys"].as_array().unwrap();
    list.iter()
        .map(|k| (text(k, "Fingerprint").into(), decode(k).unwrap(), text(k, "form").into()))
        .collect()
}

#[test]
fn published_keys_of_both_forms_are_read_and_have_their_fingerprints() {
    let keys = keys(&vectors());
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().any(|k| k.2 == "PKCS#1") && keys.iter().any(|k| k.2 != "PKCS#1"));
    for (expected, der, _) in &keys {
        VerifyingKey::from_der(der).unwrap();
        assert_eq!(fingerprint(der), *expected);
    }
}

#[test]
fn published_signatures_recover_exact_padding_under_their_key_and_no_other() {
    let vectors = vectors();
    let signatures = vectors["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 2);
    for signature in signatures {
        let bytes = unhex(text(signature, "signature"));
        let expected = padded(text(signature, "recovered_sha256"));
        for (print, der, _) in keys(&vectors) {
            let key = VerifyingKey::from_der(&der).unwrap();
            let own = print == text(signature, "fingerprint");
            assert_eq!(key.recover(&bytes).is_some_and(|m| m == expected), own, "{print}");
            // What was signed is not published, so any message of ours must fail.
            assert_eq!(key.verify(b"not what was signed", &bytes), Outcome::Invalid);
        }
    }
}

#[test]
fn the_string_to_sign_is_the_one_that_aws_tests() {
    let check = &vectors()["signing_string_check"];
    let mut digest = Digest::parse(&fs::read(fixture("digests/starting.json")).unwrap()).unwrap();
    digest.digest_end_time = text(check, "digestEndTime").into();
    digest.digest_s3_bucket = text(check, "digestS3Bucket").into();
    digest.digest_s3_object = text(check, "digestS3Object").into();
    let hash = Sha256::of(text(check, "content").as_bytes());
    assert_eq!(digest::signing_string(&digest, &hash), text(check, "expect"));
}

#[test]
fn a_digest_with_escaped_slashes_of_a_region_that_is_not_home_is_read() {
    let bytes = fs::read(fixture("digests/escaped-slashes-other-home.json")).unwrap();
    assert!(bytes.windows(2).any(|w| w == br"\/"));
    let digest = Digest::parse(&bytes).unwrap();
    let key: DigestKey = digest.digest_s3_object.parse().unwrap();
    assert_eq!((key.region.as_str(), key.home_region.as_str()), ("ap-northeast-1", "us-west-2"));
    assert_eq!(key.end, digest.end().unwrap());
    assert_eq!(key.folder.account.as_str(), digest.aws_account_id);
    let (bucket, previous) = digest.previous().unwrap();
    assert_eq!(bucket, digest.digest_s3_bucket);
    assert_eq!(previous.parse::<DigestKey>().unwrap().end, digest.start().unwrap());
    assert_eq!(digest.log_files.len(), 3);
    for log in &digest.log_files {
        assert_eq!(log.s3_object.parse::<LogKey>().unwrap().region, key.region);
        assert_eq!(log.hash_algorithm, digest::HASH_ALGORITHM);
    }
    // Hash and signature are over the bytes as they are; what is written has plain slashes.
    assert_ne!(digest.to_bytes(), bytes);
    let string = digest::signing_string(&digest, &Sha256::of(&bytes));
    assert!(string.contains("example-audit/AWSLogs/123456789012/") && !string.contains('\\'));
}

#[test]
fn a_starting_digest_has_nulls_and_signs_the_word() {
    let bytes = fs::read(fixture("digests/starting.json")).unwrap();
    let digest = Digest::parse(&bytes).unwrap();
    assert_eq!(digest.previous(), None);
    assert_eq!((&digest.newest_event_time, &digest.oldest_event_time), (&None, &None));
    assert!(digest.log_files.is_empty());
    assert_eq!(digest.end().unwrap().seconds_since(digest.start().unwrap()), 3600);
    assert!(digest::signing_string(&digest, &Sha256::of(&bytes)).ends_with("\nnull"));
    assert_eq!(digest.to_bytes(), bytes, "field for field in the order of real ones");
}

#[test]
fn what_is_no_digest_is_refused() {
    let folder = fixture("digests/malformed");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        seen += 1;
        let parsed = Digest::parse(&fs::read(&path).unwrap());
        // Times are looked at later than fields, by whoever needs them.
        let refused = parsed.is_err_and(|_| true) || {
            let digest = Digest::parse(&fs::read(&path).unwrap()).unwrap();
            digest.start().is_err() || digest.end().is_err()
        };
        assert!(refused, "{}", path.display());
    }
    assert!(seen >= 8);
}
