//! Client-side encryption: bodies sealed before they leave, under a key that no store ever sees.
//!
//! The form is the Amazon S3 Encryption Client's with key commitment, so that AWS's clients read
//! what is written here and the other way round, given the same AES wrapping key (a raw AES
//! keyring): content metadata format V3, suite `ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY`
//! (awslabs/aws-encryption-sdk-specification, `s3-encryption`; the wrapping as in
//! aws/amazon-s3-encryption-client-java, `AesKeyring`).
//!
//! | user metadata | what |
//! |---|---|
//! | `x-amz-c` | `115`, the suite's id, 0x0073 |
//! | `x-amz-w` | `02`, AES/GCM: how the data key is wrapped |
//! | `x-amz-3` | base64 of nonce (12), AES-256-GCM of the data key (32), tag (16); AAD: `115` |
//! | `x-amz-i` | base64 of the message id, 28 random bytes |
//! | `x-amz-d` | base64 of the commitment, 28 bytes |
//! | `x-amz-m` | the wrapping key's description, JSON; left out when empty |
//!
//! HKDF-SHA-512 of the data key, with the message id as salt, gives the commitment (info: 0x0073,
//! `COMMITKEY`) and the content key (info: 0x0073, `DERIVEKEY`). The body is AES-256-GCM under the
//! content key and its tag; nonce: twelve bytes of 1, as the key serves one body only; AAD: 0x0073.
//!
//! What the form does not do: it binds a body to its metadata, but neither to the object's name.
//! Whoever may write to the bucket can put one object in another's place, metadata and all. And
//! the description is a name for the key, not authenticated. Instruction files and KMS wrapping
//! (`12`) are not read.
//!
//! A trail is never delivered in this form: its readers, AWS's own among them, take gzip and
//! know no such key. It is for what is kept beside a trail.
//!
//! ```
//! use encryptor::client_side::ClientKey;
//! use encryptor::keys::SecretKey;
//! use trail::ports::Pairs;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let description = Pairs::from([("key".into(), "evidence-2026".into())]);
//! let key = ClientKey::new(SecretKey::generate()?, description)?;
//! let sealed = key.seal(b"who knew what, and when", Pairs::new())?;
//! // `sealed.metadata` and `sealed.body` go to the store, and come back.
//! let opened = key.open(&sealed.metadata, &sealed.body)?;
//! assert_eq!(opened, b"who knew what, and when");
//! # Ok(())
//! # }
//! ```
//! ```compile_fail
//! fn debug<T: std::fmt::Debug>() {}
//! debug::<encryptor::client_side::ClientKey>();
//! ```
//! ```compile_fail
//! fn clone<T: Clone>() {}
//! clone::<encryptor::client_side::ClientKey>();
//! ```

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use trail::limits::USER_METADATA_BYTES_MAX;
use trail::ports::Pairs;
use zeroize::Zeroizing;

use crate::error::CryptoError;
use crate::keys::{KEY_BYTES, NONCE_BYTES, SecretKey, TAG_BYTES, random};

/// The longest plaintext, in bytes: it is in memory twice, and none of it is given out before
/// all of it was authenticated. GCM itself would end at 64 GiB.
pub const BODY_BYTES_MAX: usize = 1 << 30;

const SUITE: &str = "115";
const SUITE_BYTES: [u8; 2] = [0x00, 0x73];
const WRAP_AES_GCM: &str = "02";
/// Of the message id and of the commitment.
const COMMITMENT_BYTES: usize = 28;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const CONTENT_NONCE: [u8; NONCE_BYTES] = [1; NONCE_BYTES];

const NAME_SUITE: &str = "x-amz-c";
const NAME_WRAP: &str = "x-amz-w";
const NAME_WRAPPED_KEY: &str = "x-amz-3";
const NAME_MESSAGE_ID: &str = "x-amz-i";
const NAME_COMMITMENT: &str = "x-amz-d";
const NAME_DESCRIPTION: &str = "x-amz-m";
/// What only the older formats have; beside the names above, somebody mixed them.
const OLDER_NAMES: [&str; 3] = ["x-amz-key", "x-amz-key-v2", "x-amz-iv"];
const RESERVED_PREFIX: &str = "x-amz-";

/// Why a body could not be sealed or opened. Never carries key bytes or plaintext.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientSideError {
    /// The body is longer than [`BODY_BYTES_MAX`].
    #[error("a body of {bytes} bytes; one of at most {BODY_BYTES_MAX} is sealed or opened whole")]
    BodyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// S3 does not keep that much user metadata.
    #[error("{bytes} bytes of user metadata with the envelope; S3 keeps {USER_METADATA_BYTES_MAX}")]
    MetadataTooLong {
        /// Names and values together.
        bytes: usize,
    },
    /// The caller's metadata has a name that is the envelope's or S3's.
    #[error("the metadata name {name} is reserved: choose one without {RESERVED_PREFIX}")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The key's description cannot be kept as it is.
    #[error("a key's description is printable US-ASCII: S3 re-encodes anything else")]
    Description,
    /// The metadata lacks a part of the envelope.
    #[error("not an object of this form: its metadata has no {name}")]
    Missing {
        /// The name.
        name: &'static str,
    },
    /// The metadata has a part of an older format too.
    #[error("the metadata mixes formats: {name} is of an older one")]
    Mixed {
        /// The name.
        name: &'static str,
    },
    /// Sealed in a way that is not read here.
    #[error("{name} is not {expected}, all that is read here")]
    Unsupported {
        /// The name.
        name: &'static str,
        /// The one value that is understood.
        expected: &'static str,
    },
    /// A part of the envelope cannot be what it was.
    #[error("{name} was changed: expected {expected}")]
    Malformed {
        /// The name.
        name: &'static str,
        /// Its form.
        expected: &'static str,
    },
    /// The object names another wrapping key than this.
    #[error("sealed under another key, or {NAME_DESCRIPTION} was changed: use the key it names")]
    OtherKey,
    /// The data key does not come out.
    #[error("the data key does not open: another wrapping key, or {NAME_WRAPPED_KEY} was changed")]
    DataKey,
    /// The data key or the message id is not the one committed to.
    #[error("key commitment failed: {NAME_COMMITMENT} or {NAME_MESSAGE_ID} was changed")]
    Commitment,
    /// The body is not the one sealed.
    #[error("the body was changed or cut, or is another object's")]
    Body,
    /// The random source or the crypto library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// What goes to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// User metadata: the envelope, and the caller's own; names without `x-amz-meta-`.
    pub metadata: Pairs,
    /// The ciphertext and its tag.
    pub body: Vec<u8>,
}

/// A wrapping key and its name.
pub struct ClientKey {
    key: SecretKey,
    description: Pairs,
}

impl ClientKey {
    /// `description` names the key in clear in every object sealed under it; it may be empty.
    /// One key wraps up to 2^32 data keys (random nonces).
    ///
    /// # Errors
    /// When the description is not printable US-ASCII.
    pub fn new(key: SecretKey, description: Pairs) -> Result<Self, ClientSideError> {
        let printable = |text: &String| text.bytes().all(|b| matches!(b, b' '..=b'~'));
        if !description.iter().all(|(name, value)| printable(name) && printable(value)) {
            return Err(ClientSideError::Description);
        }
        Ok(Self { key, description })
    }

    /// Seals `plaintext` under a new data key; `metadata` is the caller's own.
    ///
    /// # Errors
    /// When the body or the metadata is too long, a name is reserved, or the random source or the
    /// crypto library fails.
    pub fn seal(&self, plaintext: &[u8], metadata: Pairs) -> Result<Sealed, ClientSideError> {
        self.seal_with(&SecretKey::generate()?, &random()?, random()?, plaintext, metadata)
    }

    fn seal_with(
        &self,
        data_key: &SecretKey,
        message_id: &[u8; COMMITMENT_BYTES],
        wrap_nonce: [u8; NONCE_BYTES],
        plaintext: &[u8],
        mut metadata: Pairs,
    ) -> Result<Sealed, ClientSideError> {
        if plaintext.len() > BODY_BYTES_MAX {
            return Err(ClientSideError::BodyTooLong { bytes: plaintext.len() });
        }
        let reserved = |name: &&String| name.to_ascii_lowercase().starts_with(RESERVED_PREFIX);
        if let Some(name) = metadata.keys().find(reserved) {
            return Err(ClientSideError::Reserved { name: name.clone() });
        }
        let derived = Derived::new(data_key, message_id);
        let commitment = derived.commitment()?;
        let envelope = [
            (NAME_SUITE, SUITE.to_owned()),
            (NAME_WRAP, WRAP_AES_GCM.to_owned()),
            (NAME_WRAPPED_KEY, BASE64_STANDARD.encode(self.wrap(data_key, wrap_nonce)?)),
            (NAME_MESSAGE_ID, BASE64_STANDARD.encode(message_id)),
            (NAME_COMMITMENT, BASE64_STANDARD.encode(commitment)),
        ];
        metadata.extend(envelope.map(|(name, value)| (name.to_owned(), value)));
        if !self.description.is_empty() {
            let json = serde_json::to_string(&self.description);
            let json = json.map_err(|_| ClientSideError::Description)?;
            metadata.insert(NAME_DESCRIPTION.to_owned(), json);
        }
        let bytes = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > USER_METADATA_BYTES_MAX {
            return Err(ClientSideError::MetadataTooLong { bytes });
        }
        let mut body = vec![0; plaintext.len() + TAG_BYTES];
        let (ciphertext, tag) = body.split_at_mut(plaintext.len());
        let nonce = Nonce::assume_unique_for_key(CONTENT_NONCE);
        derived
            .content_key()?
            .cipher()?
            .seal_out_of_place_scatter(
                nonce,
                Aad::from(SUITE_BYTES),
                plaintext,
                ciphertext,
                &[],
                tag,
            )
            .map_err(|_| CryptoError::Library("AES-GCM"))?;
        Ok(Sealed { metadata, body })
    }

    /// Opens a body with the user metadata that the store keeps with it. Other metadata is left
    /// aside. The key commitment is checked before anything of the body is decrypted, and all of
    /// the body before anything of it is given out.
    ///
    /// # Errors
    /// Which part is missing, changed or another object's; see [`ClientSideError`].
    pub fn open(&self, metadata: &Pairs, body: &[u8]) -> Result<Vec<u8>, ClientSideError> {
        let plaintext_bytes = body.len().saturating_sub(TAG_BYTES);
        if plaintext_bytes > BODY_BYTES_MAX {
            return Err(ClientSideError::BodyTooLong { bytes: plaintext_bytes });
        }
        let envelope = Envelope::read(metadata)?;
        if envelope.description != self.description {
            return Err(ClientSideError::OtherKey);
        }
        let derived = Derived::new(&self.unwrap(&envelope.wrapped)?, &envelope.message_id);
        verify_slices_are_equal(&derived.commitment()?, &envelope.commitment)
            .map_err(|_| ClientSideError::Commitment)?;
        let (ciphertext, tag) =
            body.split_at_checked(plaintext_bytes).ok_or(ClientSideError::Body)?;
        let mut plaintext = vec![0; plaintext_bytes];
        let nonce = Nonce::assume_unique_for_key(CONTENT_NONCE);
        derived
            .content_key()?
            .cipher()?
            .open_separate_gather(nonce, Aad::from(SUITE_BYTES), ciphertext, tag, &mut plaintext)
            .map_err(|_| ClientSideError::Body)?;
        Ok(plaintext)
    }

    fn wrap(
        &self,
        data_key: &SecretKey,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<[u8; WRAPPED_BYTES], CryptoError> {
        let mut out = [0; WRAPPED_BYTES];
        let (start, rest) = out.split_at_mut(NONCE_BYTES);
        let (ciphertext, tag) = rest.split_at_mut(KEY_BYTES);
        start.copy_from_slice(&nonce);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plaintext = data_key.bytes().as_slice();
        self.key
            .cipher()?
            .seal_out_of_place_scatter(nonce, Aad::from(SUITE), plaintext, ciphertext, &[], tag)
            .map_err(|_| CryptoError::Library("AES-GCM"))?;
        Ok(out)
    }

    fn unwrap(&self, wrapped: &[u8; WRAPPED_BYTES]) -> Result<SecretKey, ClientSideError> {
        let (nonce, rest) = wrapped.split_at(NONCE_BYTES);
        let (ciphertext, tag) = rest.split_at(KEY_BYTES);
        let nonce =
            Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Library("AES-GCM"))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.key
            .cipher()?
            .open_separate_gather(nonce, Aad::from(SUITE), ciphertext, tag, key.as_mut_slice())
            .map_err(|_| ClientSideError::DataKey)?;
        Ok(SecretKey::new(key))
    }
}

/// The metadata's part, read and not yet believed.
struct Envelope {
    wrapped: [u8; WRAPPED_BYTES],
    message_id: [u8; COMMITMENT_BYTES],
    commitment: [u8; COMMITMENT_BYTES],
    description: Pairs,
}

impl Envelope {
    fn read(metadata: &Pairs) -> Result<Self, ClientSideError> {
        if let Some(name) = OLDER_NAMES.into_iter().find(|name| metadata.contains_key(*name)) {
            return Err(ClientSideError::Mixed { name });
        }
        let get = |name| metadata.get(name).ok_or(ClientSideError::Missing { name });
        for (name, expected) in [(NAME_SUITE, SUITE), (NAME_WRAP, WRAP_AES_GCM)] {
            if get(name)? != expected {
                return Err(ClientSideError::Unsupported { name, expected });
            }
        }
        let description = metadata.get(NAME_DESCRIPTION).map_or(Ok(Pairs::new()), |json| {
            let (name, expected) = (NAME_DESCRIPTION, "a JSON object of strings");
            serde_json::from_str(json).map_err(|_| ClientSideError::Malformed { name, expected })
        })?;
        Ok(Self {
            wrapped: bytes(NAME_WRAPPED_KEY, "60 bytes in base64", get(NAME_WRAPPED_KEY)?)?,
            message_id: bytes(NAME_MESSAGE_ID, "28 bytes in base64", get(NAME_MESSAGE_ID)?)?,
            commitment: bytes(NAME_COMMITMENT, "28 bytes in base64", get(NAME_COMMITMENT)?)?,
            description,
        })
    }
}

fn bytes<const N: usize>(
    name: &'static str,
    expected: &'static str,
    text: &str,
) -> Result<[u8; N], ClientSideError> {
    let decoded = BASE64_STANDARD.decode(text).ok();
    let bytes = decoded.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(ClientSideError::Malformed { name, expected })
}

/// What HKDF makes of a data key and a message id.
struct Derived(hkdf::Prk);

impl Derived {
    fn new(data_key: &SecretKey, message_id: &[u8]) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA512, message_id);
        Self(salt.extract(data_key.bytes().as_slice()))
    }

    fn commitment(&self) -> Result<[u8; COMMITMENT_BYTES], CryptoError> {
        let mut out = [0; COMMITMENT_BYTES];
        self.expand(b"COMMITKEY", &mut out)?;
        Ok(out)
    }

    fn content_key(&self) -> Result<SecretKey, CryptoError> {
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        self.expand(b"DERIVEKEY", out.as_mut_slice())?;
        Ok(SecretKey::new(out))
    }

    fn expand(&self, label: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        struct Len(usize);
        impl hkdf::KeyType for Len {
            fn len(&self) -> usize {
                self.0
            }
        }
        let failed = |_| CryptoError::Library("HKDF");
        let info = [SUITE_BYTES.as_slice(), label];
        self.0.expand(&info, Len(out.len())).and_then(|okm| okm.fill(out)).map_err(failed)
    }
}

#[cfg(test)]
mod tests;
