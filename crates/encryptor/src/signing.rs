//! RSA keys that sign: PKCS#1 v1.5 over SHA-256, as CloudTrail's digests and KMS's
//! `RSASSA_PKCS1_V1_5_SHA_256`.
//!
//! Private operations are aws-lc's (constant time); the `rsa` crate only reads PEM.

use std::future::Future;
use std::pin::Pin;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use rsa::PrivateKey as RsaPrivate;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rsa::traits::PublicKeyParts as _;
use trail::error::KeyError;
use trail::ports::Signer;
use trail::public_key::{PublicKey, fingerprint};
use trail::{Region, Sha256, Timestamp};
use zeroize::Zeroizing;

/// The shortest modulus that signs, in bits.
pub const MODULUS_BITS_MIN: usize = 2048;

/// 9999-01-01T00:00:00Z, in seconds since the epoch; well before the last time that can be written.
const YEAR_9999: i64 = 253_370_764_800;

/// Why a signing key cannot be used. Never carries key bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// Not an RSA private key in PEM.
    #[error(
        "not an RSA private key: expected PEM with BEGIN PRIVATE KEY (PKCS#8) or \
         BEGIN RSA PRIVATE KEY (PKCS#1), without a passphrase"
    )]
    NotRsaPem,
    /// The modulus is too short.
    #[error("the RSA key has {bits} bits; use one of at least {MODULUS_BITS_MIN}")]
    Weak {
        /// Bits of the modulus.
        bits: usize,
    },
    /// The key's numbers do not fit each other, or its size is not supported.
    #[error("the RSA key is refused: its numbers are inconsistent, or it has more than 8192 bits")]
    Rejected,
    /// Generation failed in the crypto library.
    #[error("generating an RSA key failed in the cryptographic library")]
    Generation,
}

/// What a key is listed with: the region it signs for and when.
#[derive(Debug, Clone)]
pub struct Validity {
    /// None: every region.
    pub region: Option<Region>,
    /// Start of its time.
    pub from: Timestamp,
    /// End of its time.
    pub to: Timestamp,
}

/// An RSA private key.
pub struct RsaKey(RsaKeyPair);

impl RsaKey {
    /// Makes a key of 2048, 3072 or 4096 bits; takes tens to hundreds of milliseconds.
    ///
    /// # Errors
    /// When the crypto library fails, or for another size.
    pub fn generate(modulus_bits: usize) -> Result<Self, SigningKeyError> {
        let size = match modulus_bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(SigningKeyError::Generation),
        };
        RsaKeyPair::generate(size).map(Self).map_err(|_| SigningKeyError::Generation)
    }

    /// From PKCS#8 DER, as [`RsaKey::to_pkcs8`] gives it.
    ///
    /// # Errors
    /// When it is no RSA key of 2048 to 8192 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        RsaKeyPair::from_pkcs8(der).map(Self).map_err(|_| SigningKeyError::Rejected)
    }

    /// From PEM, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// When it is no RSA private key, or one of less than 2048 bits.
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        let key = RsaPrivate::from_pkcs8_pem(pem)
            .or_else(|_| RsaPrivate::from_pkcs1_pem(pem))
            .map_err(|_| SigningKeyError::NotRsaPem)?;
        let bits = key.n().bit_width() as usize;
        if bits < MODULUS_BITS_MIN {
            return Err(SigningKeyError::Weak { bits });
        }
        let der = key.to_pkcs8_der().map_err(|_| SigningKeyError::Rejected)?;
        Self::from_pkcs8(der.as_bytes())
    }

    /// The private key as PKCS#8 DER; to be sealed before it is kept.
    ///
    /// # Errors
    /// When the crypto library cannot encode it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let der = self.0.as_der().map_err(|_| SigningKeyError::Rejected)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public half, PKCS#1 `RSAPublicKey`.
    #[must_use]
    pub fn public_pkcs1(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The public half, X.509 `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// When the crypto library cannot encode it.
    pub fn public_spki(&self) -> Result<Vec<u8>, SigningKeyError> {
        let der = self.0.public_key().as_der().map_err(|_| SigningKeyError::Rejected)?;
        Ok(der.as_ref().to_vec())
    }

    /// Signs the message that has this hash; takes about a quarter of a millisecond with 2048
    /// bits.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn sign(&self, hash: &Sha256) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        imported(hash)
            .and_then(|d| self.0.sign_digest(&RSA_PKCS1_SHA256, &d, &mut signature).ok())
            .ok_or_else(|| KeyError::Internal { reason: "RSA signing failed".to_owned() })?;
        Ok(signature)
    }

    /// Whether `signature` is this key's over the message that has this hash.
    #[must_use]
    pub fn verify(&self, hash: &Sha256, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.public_pkcs1());
        imported(hash).is_some_and(|d| public.verify_digest(&d, signature).is_ok())
    }
}

fn imported(hash: &Sha256) -> Option<Digest> {
    Digest::import_less_safe(&hash.0, &SHA256).ok()
}

/// A private key that signs digests, with what it is listed with.
pub struct SigningKey {
    key: RsaKey,
    public: PublicKey,
}

impl SigningKey {
    /// Makes an RSA-2048 key; takes some tens of milliseconds.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn generate(validity: Validity) -> Result<Self, SigningKeyError> {
        Ok(Self::new(RsaKey::generate(MODULUS_BITS_MIN)?, validity))
    }

    /// From PEM, PKCS#8 or PKCS#1; valid for every region, from 1970 to the year 9999.
    ///
    /// # Errors
    /// As [`RsaKey::from_pem`].
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        // Nobody says when such a key begins or ends.
        let (from, to) = (Timestamp::EPOCH, Timestamp::from_unix(YEAR_9999));
        Ok(Self::new(RsaKey::from_pem(pem)?, Validity { region: None, from, to }))
    }

    /// A key with what it is listed with.
    #[must_use]
    pub fn new(key: RsaKey, Validity { region, from, to }: Validity) -> Self {
        let der = key.public_pkcs1().to_vec();
        let fingerprint = fingerprint(&der);
        let public = PublicKey { der, fingerprint, valid_from: from, valid_to: to, region };
        Self { key, public }
    }

    /// The private key as PKCS#8 DER; to be sealed before it is kept.
    ///
    /// # Errors
    /// When the crypto library cannot encode it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        self.key.to_pkcs8()
    }

    /// The public half, PKCS#1 `RSAPublicKey`, with its fingerprint.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`; takes about a quarter of a millisecond with 2048 bits.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.key.sign(&Sha256::of(message))
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Signer for SigningKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    // Written out as `async_trait` would: there is nothing to await, so nothing to hold.
    fn sign<'a, 'b, 'f>(&'a self, message: &'b [u8]) -> BoxFuture<'f, Result<Vec<u8>, KeyError>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        Box::pin(std::future::ready(Self::sign(self, message)))
    }
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1::EncodeRsaPrivateKey as _;
    use rsa::pkcs8::LineEnding;

    use super::*;

    fn window() -> Validity {
        Validity {
            region: Some("us-east-1".parse().unwrap()),
            from: Timestamp::EPOCH,
            to: Timestamp::MAX,
        }
    }

    fn verifies(public: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public.der)
            .verify(message, signature)
            .is_ok()
    }

    #[test]
    fn signs_and_survives_pkcs8() {
        let key = SigningKey::generate(window()).unwrap();
        let public = key.public_key().clone();
        assert_eq!((public.der.len(), &public.der[..4]), (270, &[0x30, 0x82, 0x01, 0x0a][..]));
        assert_eq!(public.fingerprint, fingerprint(&public.der));
        let again = RsaKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        let again = SigningKey::new(again, window());
        assert_eq!(again.public_key(), &public);
        let signature = again.sign(b"message").unwrap();
        assert_eq!(signature.len(), 256);
        assert!(verifies(&public, b"message", &signature));
        assert!(!verifies(&public, b"messagE", &signature));
    }

    #[test]
    fn both_pem_forms_are_read() {
        let key = SigningKey::generate(window()).unwrap();
        let rsa =
            <RsaPrivate as rsa::pkcs8::DecodePrivateKey>::from_pkcs8_der(&key.to_pkcs8().unwrap())
                .unwrap();
        for pem in
            [rsa.to_pkcs8_pem(LineEnding::LF).unwrap(), rsa.to_pkcs1_pem(LineEnding::LF).unwrap()]
        {
            let read = SigningKey::from_pem(&pem).unwrap();
            assert_eq!(read.public_key().fingerprint, key.public_key().fingerprint);
            assert_eq!(read.public_key().valid_to.to_string(), "9999-01-01T00:00:00Z");
        }
        assert_eq!(SigningKey::from_pem("nonsense").err(), Some(SigningKeyError::NotRsaPem));
    }

    #[test]
    fn every_size_signs_what_it_then_verifies() {
        let (hash, other) = (Sha256::of(b"message"), Sha256::of(b"messagE"));
        for bits in [2048, 3072, 4096] {
            let key = RsaKey::generate(bits).unwrap();
            let mut signature = key.sign(&hash).unwrap();
            assert_eq!(signature.len() * 8, bits);
            assert!(key.verify(&hash, &signature) && !key.verify(&other, &signature));
            // The same key in its other form verifies the same.
            let spki =
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_spki().unwrap());
            assert!(spki.verify(b"message", &signature).is_ok());
            signature[7] ^= 1;
            assert!(!key.verify(&hash, &signature));
        }
        assert!(RsaKey::generate(1024).is_err());
    }

    #[test]
    fn short_keys_are_refused_by_their_size() {
        let pem = include_str!("../../../fixtures/keys/throwaway-rsa-1024.pem");
        assert_eq!(SigningKey::from_pem(pem).err(), Some(SigningKeyError::Weak { bits: 1024 }));
    }
}
