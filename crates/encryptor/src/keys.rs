//! 256-bit keys that forget themselves, and the root secret they derive from.
//!
//! ```compile_fail
//! fn debug<T: std::fmt::Debug>() {}
//! debug::<encryptor::keys::SecretKey>();
//! ```
//! ```compile_fail
//! fn clone<T: Clone>() {}
//! clone::<encryptor::keys::RootSecret>();
//! ```

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac, rand};
use zeroize::Zeroizing;

use crate::error::CryptoError;

/// Bytes of an AES-256 key.
pub const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;

const BLOB_VERSION: u8 = 1;

/// `N` bytes from the operating system's random source.
///
/// # Errors
/// When that source fails.
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| CryptoError::Library("the random source"))?;
    Ok(bytes)
}

/// A 256-bit secret key; its bytes are zeroed when it is dropped.
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// A random key.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate() -> Result<Self, CryptoError> {
        random().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// A key from its bytes.
    #[must_use]
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// A key from opened bytes, such as [`SecretKey::open`] gives.
    ///
    /// # Errors
    /// When there are not exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        let bytes = bytes.try_into().map_err(|_| CryptoError::Malformed("a key has 32 bytes"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The bytes, for whoever must hand the key on.
    #[must_use]
    pub fn bytes(&self) -> &Zeroizing<[u8; KEY_BYTES]> {
        &self.0
    }

    /// HKDF-SHA-256 of this key.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn derive(&self, salt: &[u8], info: &[&[u8]]) -> Result<Self, CryptoError> {
        let failed = |_| CryptoError::Library("HKDF");
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(self.0.as_slice());
        let okm = prk.expand(info, hkdf::HKDF_SHA256).map_err(failed)?;
        okm.fill(out.as_mut_slice()).map_err(failed)?;
        Ok(Self(out))
    }

    /// Seals a small secret: `version 1 (1) | random nonce (12) | ciphertext | tag (16)`.
    ///
    /// AES-256-GCM with random nonces is sound up to 2^32 messages under one key; every key used
    /// here wraps keys or spool segments and stays far below.
    ///
    /// # Errors
    /// When the random source or the cipher fails.
    pub fn seal(&self, aad: &[&[u8]], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let mut out = Vec::with_capacity(1 + NONCE_BYTES + plaintext.len() + TAG_BYTES);
        out.push(BLOB_VERSION);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let aad = Aad::from(framed(aad));
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                aad,
                &mut out[1 + NONCE_BYTES..],
            )
            .map_err(|_| CryptoError::Library("AES-GCM"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what [`SecretKey::seal`] gave under the same `aad`.
    ///
    /// # Errors
    /// When the blob was changed, or sealed under another key or `aad`.
    pub fn open(&self, aad: &[&[u8]], blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (version, rest) = blob.split_first().ok_or(CryptoError::Malformed("empty"))?;
        if *version != BLOB_VERSION {
            return Err(CryptoError::Malformed("unknown version of a sealed secret"));
        }
        let short = CryptoError::Malformed("shorter than nonce and tag");
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short.clone())?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(short)?;
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        self.cipher()?
            .open_separate_gather(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(framed(aad)),
                ciphertext,
                tag,
                &mut plaintext,
            )
            .map_err(|_| CryptoError::Authentication)?;
        Ok(plaintext)
    }

    pub(crate) fn cipher(&self) -> Result<LessSafeKey, CryptoError> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_slice());
        Ok(LessSafeKey::new(key.map_err(|_| CryptoError::Library("AES-GCM"))?))
    }
}

/// Each part behind its length, so that no two lists of parts give the same bytes.
pub(crate) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|p| p.len() + 8).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// The key of the MAC over object headers.
pub struct HeaderMacKey(pub(crate) hmac::Key);

/// A store's root secret, or a spool's: whoever has it and the files can read all of it.
pub struct RootSecret(SecretKey);

impl RootSecret {
    /// A random root secret.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate() -> Result<Self, CryptoError> {
        SecretKey::generate().map(Self)
    }

    /// From 64 hex digits, as its file holds them; white space around them is ignored.
    ///
    /// # Errors
    /// When there is anything else.
    pub fn from_hex(text: &str) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice())
            .map_err(|_| CryptoError::Malformed("a root secret is 64 hex digits"))?;
        Ok(Self(SecretKey(bytes)))
    }

    /// As 64 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.0.as_slice()))
    }

    /// The key that authenticates object headers.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn header_mac_key(&self) -> Result<HeaderMacKey, CryptoError> {
        let key = self.purpose(b"object header mac")?;
        Ok(HeaderMacKey(hmac::Key::new(hmac::HMAC_SHA256, key.0.as_slice())))
    }

    /// The key that KMS key material is sealed under.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn kms_wrap_key(&self) -> Result<SecretKey, CryptoError> {
        self.purpose(b"kms key material")
    }

    /// The key that SSE-S3 root keys are sealed under.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn s3_wrap_key(&self) -> Result<SecretKey, CryptoError> {
        self.purpose(b"sse-s3 root key")
    }

    /// The key that private signing keys are sealed under.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn signing_wrap_key(&self) -> Result<SecretKey, CryptoError> {
        self.purpose(b"signing key")
    }

    /// The key that a producer's spool is sealed under, of a secret of the spool's own.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn spool_key(&self) -> Result<SecretKey, CryptoError> {
        self.purpose(b"spool")
    }

    fn purpose(&self, purpose: &[u8]) -> Result<SecretKey, CryptoError> {
        self.0.derive(b"trailseal.store/v1", &[purpose])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_secrets_open_only_as_they_were_sealed() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let blob = key.seal(&[b"a", b"bc"], b"secret").unwrap();
        assert_eq!(key.open(&[b"a", b"bc"], &blob).unwrap().as_slice(), b"secret");
        for aad in [&[b"ab".as_slice(), b"c"][..], &[b"abc"], &[b"a", b"bc", b""], &[]] {
            assert!(key.open(aad, &blob).is_err());
        }
        assert!(other.open(&[b"a", b"bc"], &blob).is_err());
        for i in 0..blob.len() * 8 {
            let mut bad = blob.clone();
            bad[i / 8] ^= 1 << (i % 8);
            assert!(key.open(&[b"a", b"bc"], &bad).is_err());
        }
        for len in 0..blob.len() {
            assert!(key.open(&[b"a", b"bc"], &blob[..len]).is_err());
        }
    }

    #[test]
    fn purposes_give_different_keys_and_hex_survives() {
        let root = RootSecret::generate().unwrap();
        let again = RootSecret::from_hex(&format!("{}\n", root.to_hex().as_str())).unwrap();
        let kms = root.kms_wrap_key().unwrap();
        assert_eq!(kms.bytes(), again.kms_wrap_key().unwrap().bytes());
        assert_ne!(kms.bytes(), root.s3_wrap_key().unwrap().bytes());
        assert_ne!(kms.bytes(), root.signing_wrap_key().unwrap().bytes());
        assert!(RootSecret::from_hex("00").is_err());
    }
}
