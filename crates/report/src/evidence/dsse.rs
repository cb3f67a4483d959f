//! Dead Simple Signing Envelope, version 1.0: the protocol and its JSON envelope.
//! <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use trail::Sha256;

use crate::evidence::{EvidenceError, malformed};
use crate::past::refuse_repeated_names;

/// Signatures that are tried; each costs one verification per key.
const SIGNATURES_MAX: usize = 100;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A signature, and a hint at the key that made it.
#[derive(Debug)]
pub struct Signature {
    /// Its bytes.
    pub signature: Vec<u8>,
    /// The key's id, such as [`PublicKey::id`]; readers take it as a hint only.
    pub key_id: String,
}

/// A key that may have signed: RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, or Ed25519.
/// Each kind verifies with one algorithm only.
pub struct PublicKey {
    key: ParsedPublicKey,
    id: String,
}

impl PublicKey {
    /// From PEM with `BEGIN PUBLIC KEY`, as openssl and `aws kms get-public-key` give it.
    ///
    /// # Errors
    /// When it is none, or of another kind.
    pub fn from_pem(pem: &str) -> Result<Self, EvidenceError> {
        let (label, der) =
            pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|e| malformed("public key", &e))?;
        if label != "PUBLIC KEY" {
            let reason = format!("it is a {label}; expected BEGIN PUBLIC KEY");
            return Err(malformed("public key", &reason));
        }
        Self::from_spki(&der)
    }

    /// From X.509 `SubjectPublicKeyInfo`, DER.
    ///
    /// # Errors
    /// As [`PublicKey::from_pem`].
    pub fn from_spki(der: &[u8]) -> Result<Self, EvidenceError> {
        // Each algorithm takes its own kind of key only.
        let algorithms: [&'static dyn VerificationAlgorithm; 4] = [
            &RSA_PKCS1_2048_8192_SHA256,
            &ECDSA_P256_SHA256_ASN1,
            &ECDSA_P384_SHA384_ASN1,
            &ED25519,
        ];
        let key = algorithms.into_iter().find_map(|a| ParsedPublicKey::new(a, der).ok());
        let key = key.ok_or_else(|| {
            malformed("public key", &"expected RSA, ECDSA on P-256 or P-384, or Ed25519")
        })?;
        Ok(Self { key, id: Self::id_of(der) })
    }

    /// The id of the key with this `SubjectPublicKeyInfo`: its SHA-256, in hex.
    #[must_use]
    pub fn id_of(spki: &[u8]) -> String {
        Sha256::of(spki).to_string()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The bytes that are signed: type and body, each with its length.
#[must_use]
pub fn pae(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len());
    [head.as_bytes(), body].concat()
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    // Empty fields may be omitted.
    #[serde(default)]
    payload: String,
    #[serde(rename = "payloadType", default)]
    payload_type: String,
    #[serde(default)]
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}

/// The envelope's JSON, with a line feed at the end.
pub(super) fn envelope(payload_type: &str, body: &[u8], signature: &Signature) -> Vec<u8> {
    let envelope = Envelope {
        payload: BASE64_STANDARD.encode(body),
        payload_type: payload_type.to_owned(),
        signatures: vec![EnvelopeSignature {
            keyid: Some(signature.key_id.clone()),
            sig: BASE64_STANDARD.encode(&signature.signature),
        }],
    };
    let mut json = serde_json::to_vec(&envelope).expect("strings serialize");
    json.push(b'\n');
    json
}

/// An envelope that at least one of the keys signed.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) payload_type: String,
    pub(super) payload: Vec<u8>,
    /// Of the keys that signed, each once.
    pub(super) key_ids: Vec<String>,
}

pub(super) fn open(json: &[u8], keys: &[PublicKey]) -> Result<Opened, EvidenceError> {
    let wrong = |e: serde_json::Error| malformed("envelope", &e);
    refuse_repeated_names(json).map_err(wrong)?;
    let envelope: Envelope = serde_json::from_slice(json).map_err(wrong)?;
    let signatures = envelope.signatures.len();
    match signatures {
        0 => return Err(EvidenceError::Unsigned),
        1..=SIGNATURES_MAX => {}
        _ => {
            let reason = format!("it has {signatures} signatures, more than {SIGNATURES_MAX}");
            return Err(malformed("envelope", &reason));
        }
    }
    if keys.is_empty() {
        return Err(EvidenceError::NoKeys);
    }
    let payload = decode("payload", &envelope.payload)?;
    let signed = pae(&envelope.payload_type, &payload);
    let decoded: Vec<Vec<u8>> = envelope
        .signatures
        .iter()
        .map(|s| decode("signature", &s.sig))
        .collect::<Result<_, _>>()?;
    // The key id is a hint by whoever made the envelope: every key is tried.
    let accepted =
        |key: &&PublicKey| decoded.iter().any(|s| key.key.verify_sig(&signed, s).is_ok());
    let mut key_ids: Vec<String> = keys.iter().filter(accepted).map(|k| k.id.clone()).collect();
    key_ids.sort_unstable();
    key_ids.dedup();
    if key_ids.is_empty() {
        return Err(EvidenceError::NotVouchedFor { signatures, keys: keys.len() });
    }
    Ok(Opened { payload_type: envelope.payload_type, payload, key_ids })
}

/// Either alphabet, with padding or without, as the protocol demands of readers.
fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, EvidenceError> {
    GeneralPurpose::new(&STANDARD, LENIENT)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&URL_SAFE, LENIENT).decode(text))
        .map_err(|e| malformed(what, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_of_bytes_and_an_empty_body_keeps_its_place() {
        // The first is the protocol's own example.
        let hello = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(hello, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(pae("\u{e4}", b""), b"DSSEv1 2 \xc3\xa4 0 ");
    }
}
