//! Signed evidence of real reports, opened with the in-toto project's own tools: its statement's
//! protocol buffer, and securesystemslib's envelope. And the other way: what they signed, opened
//! with ours.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use encryptor::signing::RsaKey;
use report::evidence::{PublicKey, Signature, sign, statement, verify};
use tempfile::TempDir;
use trail::Sha256;

use super::{demo_reports, refuse, validate};

/// Arguments: envelope, public key in PEM, the report. Prints the verdict.
const OPEN: &str = r#"
import hashlib, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.v1 import resource_descriptor_pb2, statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

envelope, key, report = (open(path, "rb").read() for path in sys.argv[1:])
envelope = json.loads(envelope)
key_id = envelope["signatures"][0]["keyid"]
key = SSlibKey.from_crypto(load_pem_public_key(key), key_id, "rsa-pkcs1v15-sha256")
envelope = Envelope.from_dict(envelope)
envelope.verify([key], 1)
assert envelope.payload_type == "application/vnd.in-toto+json"
read = json_format.Parse(envelope.payload, statement_pb2.Statement())
Statement.copy_from_pb(read).validate()
digest = {"sha256": hashlib.sha256(report).hexdigest()}
assert [dict(subject.digest) for subject in read.subject] == [digest]
predicate = json_format.MessageToDict(read.predicate)
within = json_format.ParseDict(predicate["report"], resource_descriptor_pb2.ResourceDescriptor())
ResourceDescriptor.copy_from_pb(within).validate()
assert within.content == report and dict(within.digest) == digest
print(predicate["verdict"])
"#;

/// Arguments: statement; then, to be written, an envelope and a public key in PEM, twice.
const SIGN: &str = r#"
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

statement = open(sys.argv[1], "rb").read()
signers = [CryptoSigner.generate_ecdsa(), CryptoSigner.generate_ed25519()]
for signer, envelope, key in zip(signers, sys.argv[2::2], sys.argv[3::2]):
    signed = Envelope(statement, "application/vnd.in-toto+json", {})
    signed.sign(signer)
    json.dump(signed.to_dict(), open(envelope, "w"))
    public = signer._private_key.public_key()
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    open(key, "wb").write(pem)
"#;

fn pem(spki: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(spki);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn in_totos_tools_open_what_we_signed() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (key, other) = (RsaKey::generate(2048).unwrap(), RsaKey::generate(2048).unwrap());
    let spki = key.public_spki().unwrap();
    fs::write(path("key.pem"), pem(&spki)).unwrap();
    fs::write(path("other.pem"), pem(&other.public_spki().unwrap())).unwrap();
    for (name, verdict) in [("report-clean.json", "verified"), ("report-tampered.json", "tampered")]
    {
        let report = demo_reports().dir().join(name);
        let made = statement(&fs::read(&report).unwrap()).unwrap();
        let envelope = sign::<Infallible>(&made, |signed| {
            let signature = key.sign(&Sha256::of(signed)).unwrap();
            Ok(Signature { signature, key_id: PublicKey::id_of(&spki) })
        });
        let (envelope, file) = (envelope.unwrap(), path("evidence.json"));
        fs::write(&file, &envelope).unwrap();
        let opened = validate(OPEN, &[&file, &path("key.pem"), &report]);
        assert_eq!(opened.trim(), verdict);
        refuse(OPEN, &[&file, &path("other.pem"), &report]);
        // One bit of the payload.
        let mut changed = envelope;
        changed[40] ^= 1;
        fs::write(&file, &changed).unwrap();
        refuse(OPEN, &[&file, &path("key.pem"), &report]);
    }
}

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn what_in_totos_tools_signed_opens_with_ours() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let report = fs::read(demo_reports().dir().join("report-tampered.json")).unwrap();
    fs::write(path("statement"), statement(&report).unwrap()).unwrap();
    let files = ["statement", "ecdsa", "ecdsa.pem", "ed25519", "ed25519.pem"].map(path);
    let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
    validate(SIGN, &files);
    let read = |name: &str| fs::read(path(name)).unwrap();
    let key = |name: &str| PublicKey::from_pem(&fs::read_to_string(path(name)).unwrap()).unwrap();
    for kind in ["ecdsa", "ed25519"] {
        let verified = verify(&read(kind), &[key(&format!("{kind}.pem"))]).unwrap();
        assert_eq!(verified.report_json, report);
    }
    assert!(verify(&read("ecdsa"), &[key("ed25519.pem")]).is_err());
}
