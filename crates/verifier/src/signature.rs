//! RSA signatures of digests: PKCS#1 v1.5 with SHA-256 (RFC 8017, section 8.2.2), nothing else.
//!
//! The encoded message is recovered and compared whole with the one that SHA-256 demands, so
//! no field of it is parsed. Only when it differs is it looked at further, to tell a signature
//! made with another hash from one that is plainly wrong.

use rsa::hazmat::rsa_encrypt;
use rsa::pkcs1::{DecodeRsaPublicKey as _, RsaPublicKeyRef};
use rsa::pkcs8::SubjectPublicKeyInfoRef;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PublicKey};
use trail::Sha256;

/// DigestInfo of SHA-256, up to the hash (RFC 8017, section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// DigestInfos of the hashes that a forger could hope to slip in, each up to its hash.
const OTHER_HASHES: [(&str, &[u8], usize); 5] = [
    (
        "MD5",
        &[0x30, 0x20, 0x30, 0x0c, 6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5, 5, 0, 4, 0x10],
        16,
    ),
    ("SHA-1", &[0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14], 20),
    (
        "SHA-224",
        &[0x30, 0x2d, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4, 5, 0, 4, 0x1c],
        28,
    ),
    (
        "SHA-384",
        &[0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30],
        48,
    ),
    (
        "SHA-512",
        &[0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40],
        64,
    ),
];

/// Keys below this many bits are refused.
pub const KEY_BITS_MIN: u32 = 2048;

/// An RSA public key, ready to verify.
#[derive(Debug, Clone)]
pub struct VerifyingKey(PublicKey);

/// Why a key's bytes are not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Neither PKCS#1 nor SubjectPublicKeyInfo.
    #[error("neither a PKCS#1 nor an X.509 RSA public key: {0}")]
    Malformed(String),
    /// Too short to be trusted.
    #[error("an RSA key of {bits} bits, fewer than 2048")]
    Weak {
        /// Its modulus' length.
        bits: u32,
    },
}

/// What a signature turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is the key's signature over the message.
    Valid,
    /// It is not.
    Invalid,
    /// The key signed something, but not with SHA-256.
    OtherHash(&'static str),
}

impl VerifyingKey {
    /// Reads DER as ListPublicKeys gives it: PKCS#1, or SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When the bytes are no RSA key, or one of fewer than [`KEY_BITS_MIN`] bits.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyFault> {
        let malformed = |e: &dyn std::fmt::Display| KeyFault::Malformed(e.to_string());
        let inner = match SubjectPublicKeyInfoRef::try_from(der) {
            Ok(spki) => spki.subject_public_key.as_bytes().unwrap_or(der),
            Err(_) => der,
        };
        // Measured by hand first: the library refuses short keys with an error of no name.
        let numbers = RsaPublicKeyRef::try_from(inner).map_err(|e| malformed(&e))?;
        let modulus = numbers.modulus.as_bytes();
        let bits = modulus.len() as u32 * 8 - modulus.first().map_or(0, |b| b.leading_zeros());
        if bits < KEY_BITS_MIN {
            return Err(KeyFault::Weak { bits });
        }
        PublicKey::from_pkcs1_der(inner).map(Self).map_err(|e| malformed(&e))
    }

    /// Verifies `signature` over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Outcome {
        let Some(encoded) = self.recover(signature) else { return Outcome::Invalid };
        if encoded == encode(&SHA256_PREFIX, &Sha256::of(message).0, encoded.len()) {
            return Outcome::Valid;
        }
        OTHER_HASHES
            .iter()
            .find(|(_, prefix, len)| {
                let at = encoded.len() - len;
                encode(prefix, &encoded[at..], encoded.len()) == encoded
            })
            .map_or(Outcome::Invalid, |(name, _, _)| Outcome::OtherHash(name))
    }

    /// The encoded message inside a signature: `signature^e mod n`, as long as the modulus.
    /// None when the signature has another length or is not below the modulus.
    #[must_use]
    pub fn recover(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let size = self.0.size();
        if signature.len() != size {
            return None;
        }
        let bits = self.0.n_bits_precision();
        let s = BoxedUint::from_be_slice(signature, bits).ok()?;
        // RFC 8017, section 5.2.2, step 1; the library leaves it to us. Without it, the modulus
        // added to a signature would be another one of the same message.
        if s >= **self.0.n() {
            return None;
        }
        let message = rsa_encrypt(&self.0, &s).ok()?;
        let bytes = message.to_be_bytes();
        let cut = bytes.len().checked_sub(size)?;
        Some(bytes[cut..].to_vec())
    }
}

/// EMSA-PKCS1-v1_5: `00 01 ff…ff 00 || prefix || hash`.
fn encode(prefix: &[u8], hash: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0xff; len];
    let at = len - hash.len() - prefix.len();
    (out[0], out[1], out[at - 1]) = (0, 1, 0);
    out[at..at + prefix.len()].copy_from_slice(prefix);
    out[at + prefix.len()..].copy_from_slice(hash);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        for der in [&b""[..], b"\x30\x00", b"-----BEGIN PUBLIC KEY-----", &[0x30; 300]] {
            assert!(matches!(VerifyingKey::from_der(der), Err(KeyFault::Malformed(_))));
        }
        // 512 bits, as the AWS CLI's own tests use: modulus 0xff…, exponent 65537.
        let mut weak = vec![0x30, 0x48, 0x02, 0x41, 0x00];
        weak.extend([0xff; 64]);
        weak.extend([0x02, 0x03, 1, 0, 1]);
        assert_eq!(VerifyingKey::from_der(&weak).unwrap_err(), KeyFault::Weak { bits: 512 });
    }
}
