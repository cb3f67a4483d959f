//! SSE-C: keys that the customer sends with each request and the store never keeps.
//!
//! An object's key is HKDF-SHA-256 of the customer's, with a random salt, bound to bucket and
//! key; so one customer key may serve any number of objects. To recognise the customer's key, the
//! store keeps its HMAC-SHA-256 under another random salt and nothing else of it, as S3 does
//! (S3 user guide, "Using server-side encryption with customer-provided keys").
//!
//! ```compile_fail
//! fn debug<T: std::fmt::Debug>() {}
//! debug::<encryptor::customer_key::CustomerKey>();
//! ```
//! ```compile_fail
//! fn clone<T: Clone>() {}
//! clone::<encryptor::customer_key::CustomerKey>();
//! ```
//! ```compile_fail
//! fn serialize<T: serde::Serialize>() {}
//! serialize::<encryptor::customer_key::CustomerKey>();
//! ```

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use crate::envelope::{HexBytes, Method, ObjectKeys};
use crate::error::CryptoError;
use crate::keys::{KEY_BYTES, SecretKey, framed, random};

/// The only value of `x-amz-server-side-encryption-customer-algorithm`.
pub const ALGORITHM: &str = "AES256";

const SALT_BYTES: usize = 32;

/// Why a customer's key is not used. Never carries key bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustomerKeyError {
    /// The algorithm is not [`ALGORITHM`].
    #[error("the customer algorithm is not {ALGORITHM}, the only one that there is")]
    Algorithm,
    /// A key or its MD5 came without an algorithm.
    #[error("a customer key needs its algorithm: send {ALGORITHM} with it")]
    AlgorithmMissing,
    /// An algorithm came without a key.
    #[error("a customer algorithm needs a key: send it, 32 bytes in base64")]
    KeyMissing,
    /// A key came without its MD5.
    #[error("a customer key needs its MD5, in base64, so that a garbled key is seen")]
    Md5Missing,
    /// The key is not base64.
    #[error("the customer key is not base64")]
    Encoding,
    /// The MD5 is another key's, or is not one.
    #[error("the MD5 sent is not the customer key's: one of both was garbled")]
    Md5Mismatch,
    /// The key is not of 256 bits.
    #[error("the customer key has {bytes} bytes; {ALGORITHM} takes {KEY_BYTES}")]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// The object is encrypted with another customer key.
    #[error("the object is encrypted with another customer key")]
    Wrong,
    /// The object is not encrypted with a customer key.
    #[error("the object is not encrypted with a customer key: send none")]
    NotNeeded,
    /// The method kept with the object is damaged, or the crypto library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl CustomerKeyError {
    /// The code that S3 gives the error; its status is 403 for `AccessDenied`, 500 for
    /// `InternalError`, and else 400.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Algorithm => "InvalidEncryptionAlgorithmError",
            Self::Wrong => "AccessDenied",
            Self::NotNeeded => "InvalidRequest",
            Self::Crypto(_) => "InternalError",
            _ => "InvalidArgument",
        }
    }
}

/// A customer's key, for as long as a request lasts.
pub struct CustomerKey(SecretKey);

impl CustomerKey {
    /// A key from its bytes.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self(key)
    }

    /// From the values of `x-amz-server-side-encryption-customer-algorithm`, `…-key` and
    /// `…-key-MD5`, or of their `copy-source` counterparts; None when there are none of them.
    ///
    /// # Errors
    /// When only some are there, or one is not what it should be; checked in S3's order, the
    /// MD5 before the length.
    pub fn from_headers(
        algorithm: Option<&str>,
        key: Option<&str>,
        md5: Option<&str>,
    ) -> Result<Option<Self>, CustomerKeyError> {
        let Some(algorithm) = algorithm else {
            let none = key.is_none() && md5.is_none();
            return if none { Ok(None) } else { Err(CustomerKeyError::AlgorithmMissing) };
        };
        if algorithm != ALGORITHM {
            return Err(CustomerKeyError::Algorithm);
        }
        let key = key.ok_or(CustomerKeyError::KeyMissing)?;
        let md5 = md5.ok_or(CustomerKeyError::Md5Missing)?;
        let key = BASE64_STANDARD.decode(key).map_err(|_| CustomerKeyError::Encoding)?;
        let key = Zeroizing::new(key);
        if BASE64_STANDARD.encode(Md5::digest(&key)) != md5 {
            return Err(CustomerKeyError::Md5Mismatch);
        }
        match SecretKey::from_slice(&key) {
            Ok(key) => Ok(Some(Self(key))),
            Err(_) => Err(CustomerKeyError::Length { bytes: key.len() }),
        }
    }

    /// The key's MD5 in base64, as answers to requests repeat it.
    #[must_use]
    pub fn md5(&self) -> String {
        BASE64_STANDARD.encode(Md5::digest(self.0.bytes().as_slice()))
    }

    /// How a new object `bucket`/`key` is encrypted under this key, and with what.
    ///
    /// # Errors
    /// When the random source or the crypto library fails.
    pub fn method_for(&self, bucket: &str, key: &str) -> Result<(Method, ObjectKeys), CryptoError> {
        let (salt, check_salt) = (random::<SALT_BYTES>()?, random::<SALT_BYTES>()?);
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &check_salt);
        let check = hmac::sign(&hmac_key, self.0.bytes().as_slice());
        let method = Method::Customer {
            salt: HexBytes(salt.to_vec()),
            check_salt: HexBytes(check_salt.to_vec()),
            check: HexBytes(check.as_ref().to_vec()),
        };
        Ok((method, self.derive(&salt, bucket, key)?))
    }

    /// Whether `method` was made by [`CustomerKey::method_for`] of this very key; compared in
    /// constant time.
    #[must_use]
    pub fn matches(&self, method: &Method) -> bool {
        let Method::Customer { check_salt, check, .. } = method else { return false };
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &check_salt.0);
        hmac::verify(&hmac_key, self.0.bytes().as_slice(), &check.0).is_ok()
    }

    /// The keys of the object `bucket`/`key`, which is encrypted by `method`.
    ///
    /// # Errors
    /// When the object needs another key, or none.
    pub fn keys_for(
        &self,
        method: &Method,
        bucket: &str,
        key: &str,
    ) -> Result<ObjectKeys, CustomerKeyError> {
        let Method::Customer { salt, .. } = method else { return Err(CustomerKeyError::NotNeeded) };
        if !self.matches(method) {
            return Err(CustomerKeyError::Wrong);
        }
        Ok(self.derive(&salt.0, bucket, key)?)
    }

    fn derive(&self, salt: &[u8], bucket: &str, key: &str) -> Result<ObjectKeys, CryptoError> {
        let info = framed(&[b"trailseal sse-c/v1", bucket.as_bytes(), key.as_bytes()]);
        self.0.derive(salt, &[&info]).map(ObjectKeys::one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Header, VERSION, open, read_header, seal};
    use crate::keys::RootSecret;

    fn customer(byte: u8) -> CustomerKey {
        CustomerKey::new(SecretKey::new(Zeroizing::new([byte; KEY_BYTES])))
    }

    fn headers(bytes: &[u8]) -> (String, String) {
        (BASE64_STANDARD.encode(bytes), BASE64_STANDARD.encode(Md5::digest(bytes)))
    }

    #[test]
    fn headers_are_checked_as_s3_checks_them() {
        use CustomerKeyError::*;
        let (key, md5) = headers(&[7; 32]);
        let (short, short_md5) = headers(&[7; 31]);
        let (long, long_md5) = headers(&[7; 33]);
        let (empty, empty_md5) = headers(b"");
        let aes = Some("AES256");
        for (algorithm, key, md5, error, code) in [
            (
                Some("AES128"),
                Some(&*key),
                Some(&*md5),
                Algorithm,
                "InvalidEncryptionAlgorithmError",
            ),
            (Some("aes256"), Some(&key), Some(&md5), Algorithm, "InvalidEncryptionAlgorithmError"),
            (Some(""), None, None, Algorithm, "InvalidEncryptionAlgorithmError"),
            (None, Some(&key), Some(&md5), AlgorithmMissing, "InvalidArgument"),
            (None, Some(&key), None, AlgorithmMissing, "InvalidArgument"),
            (None, None, Some(&md5), AlgorithmMissing, "InvalidArgument"),
            (aes, None, Some(&md5), KeyMissing, "InvalidArgument"),
            (aes, None, None, KeyMissing, "InvalidArgument"),
            (aes, Some(&key), None, Md5Missing, "InvalidArgument"),
            (aes, Some("no base64!"), Some(&md5), Encoding, "InvalidArgument"),
            (aes, Some(&key), Some(&short_md5), Md5Mismatch, "InvalidArgument"),
            (aes, Some(&key), Some("no base64!"), Md5Mismatch, "InvalidArgument"),
            (aes, Some(&key), Some(""), Md5Mismatch, "InvalidArgument"),
            // The MD5 before the length.
            (aes, Some(&short), Some(&md5), Md5Mismatch, "InvalidArgument"),
            (aes, Some(&short), Some(&short_md5), Length { bytes: 31 }, "InvalidArgument"),
            (aes, Some(&long), Some(&long_md5), Length { bytes: 33 }, "InvalidArgument"),
            (aes, Some(&empty), Some(&empty_md5), Length { bytes: 0 }, "InvalidArgument"),
        ] {
            let found = CustomerKey::from_headers(algorithm, key, md5).err().unwrap();
            assert_eq!((&found, found.code()), (&error, code));
        }
        assert!(CustomerKey::from_headers(None, None, None).unwrap().is_none());
        let read = CustomerKey::from_headers(aes, Some(&key), Some(&md5)).unwrap().unwrap();
        assert_eq!(read.md5(), md5);
        assert_eq!(read.0.bytes().as_slice(), &[7; 32]);
    }

    #[test]
    fn an_object_opens_under_its_own_customer_key_only() {
        let mac = RootSecret::generate().unwrap().header_mac_key().unwrap();
        let (ours, other) = (customer(7), customer(8));
        let (method, keys) = ours.method_for("b", "k").unwrap();
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let header = Header { version: VERSION, bucket, key, size: 6, method, meta: () };
        let sealed = seal(&header, &keys, &mac, b"events").unwrap();
        let opened = read_header::<()>(&sealed, &mac, "b", "k").unwrap();
        let method = &opened.header.method;
        assert!(ours.matches(method) && !other.matches(method));
        let keys = ours.keys_for(method, "b", "k").unwrap();
        assert_eq!(open(&sealed, &opened, &keys).unwrap(), b"events");
        let wrong = other.keys_for(method, "b", "k").err().unwrap();
        assert_eq!((&wrong, wrong.code()), (&CustomerKeyError::Wrong, "AccessDenied"));
        // Bound to the name, and to nothing of another object's salt.
        for (bucket, key) in [("b", "K"), ("B", "k"), ("bk", ""), ("", "bk")] {
            let keys = ours.keys_for(method, bucket, key).unwrap();
            assert_eq!(open(&sealed, &opened, &keys), Err(CryptoError::Authentication));
        }
        let (_, again) = ours.method_for("b", "k").unwrap();
        assert_eq!(open(&sealed, &opened, &again), Err(CryptoError::Authentication));
    }

    #[test]
    fn no_byte_of_the_check_may_differ() {
        let ours = customer(7);
        let (method, _) = ours.method_for("b", "k").unwrap();
        let Method::Customer { salt, check_salt, check } = method else { unreachable!() };
        for i in 0..32 {
            let flipped = |bytes: &HexBytes| {
                let mut bytes = bytes.clone();
                bytes.0[i] ^= 1;
                bytes
            };
            let (salt, changed) = (salt.clone(), flipped(&check));
            let method = Method::Customer {
                salt: salt.clone(),
                check_salt: check_salt.clone(),
                check: changed,
            };
            assert!(!ours.matches(&method));
            let check_salt = flipped(&check_salt);
            assert!(!ours.matches(&Method::Customer { salt, check_salt, check: check.clone() }));
        }
        for cut in [0, 16, 31] {
            let check = HexBytes(check.0[..cut].to_vec());
            let (salt, check_salt) = (salt.clone(), check_salt.clone());
            assert!(!ours.matches(&Method::Customer { salt, check_salt, check }));
        }
    }

    #[test]
    fn other_methods_need_no_customer_key() {
        let method = Method::S3 { generation: 1, wrapped: HexBytes(vec![]) };
        assert!(!customer(7).matches(&method));
        let error = customer(7).keys_for(&method, "b", "k").err().unwrap();
        assert_eq!((&error, error.code()), (&CustomerKeyError::NotNeeded, "InvalidRequest"));
    }

    #[test]
    fn errors_hold_nothing_of_the_key() {
        let marker = b"MARKED-KEY-0123456789-ABCDEFGHI!";
        let (key, md5) = headers(marker);
        let (short, short_md5) = headers(&marker[..31]);
        let aes = Some("AES256");
        let errors = [
            CustomerKey::from_headers(Some(&key), Some(&key), Some(&md5)),
            CustomerKey::from_headers(aes, Some(&key), Some(&key)),
            CustomerKey::from_headers(aes, Some(&format!("{key}!")), Some(&md5)),
            CustomerKey::from_headers(aes, Some(&short), Some(&short_md5)),
            CustomerKey::from_headers(None, Some(&key), Some(&md5)),
        ];
        let hex = hex::encode(marker);
        for error in errors.map(|e| e.err().unwrap()) {
            let text = format!("{error} {error:?}");
            for part in ["MARKED", &key[..12], &hex[..12], &md5[..12]] {
                assert!(!text.contains(part), "{text}");
            }
        }
    }
}
