//! The sealed object: one file that holds an object's header in clear and its bytes encrypted.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `tsealed\n` |
//! | 4 | length of the header, n, little endian |
//! | n | header: JSON, [`Header`] |
//! | 32 | HMAC-SHA-256 over everything before it, under the store's header key |
//! | rest | chunks: each the ciphertext of up to 65,536 bytes of plaintext, and its 16-byte tag |
//!
//! Chunks follow the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) with
//! AES-256-GCM. Nonce: 7 zero bytes, the chunk's number (u32, big endian), 1 in the last chunk
//! and else 0. The zeros are no risk: a data key encrypts one object only, so no nonce comes
//! twice. AAD: SHA-256 of all bytes before the chunks. An empty object is one empty last chunk.
//!
//! As in S3, names, size and user metadata stay readable; unlike there, they are authenticated:
//! the MAC covers the header with bucket and key in it, and the header gives the length of the
//! file. So a header that was edited, exchanged or cut is refused by [`read_header`] before any
//! key is unwrapped, and a changed byte of the rest by [`open`].

use std::borrow::Cow;

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::{digest, hmac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trail::ports::Pairs;

use crate::error::CryptoError;
use crate::keys::{HeaderMacKey, NONCE_BYTES, SecretKey, TAG_BYTES};

/// The version of the sealed form that this crate writes.
pub const VERSION: u32 = 1;
/// The longest header that is read or written, in bytes.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

const MAGIC: [u8; 8] = *b"tsealed\n";
const FIXED_BYTES: usize = 12;
const MAC_BYTES: usize = 32;
const CHUNK_BYTES: usize = 64 << 10;

/// What stands before the chunks. `M` is the caller's own part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header<M> {
    /// [`VERSION`].
    pub version: u32,
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Size of the plaintext, in bytes.
    pub size: u64,
    /// How to come by the data key.
    pub method: Method,
    /// What the caller keeps with the object.
    pub meta: M,
}

/// How an object's data key is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sse")]
pub enum Method {
    /// SSE-S3: wrapped by a root key of the store; see [`crate::keyring::wrap_s3`].
    #[serde(rename = "AES256")]
    S3 {
        /// Generation of the root key.
        generation: u32,
        /// The data key, wrapped.
        wrapped: HexBytes,
    },
    /// SSE-KMS.
    #[serde(rename = "aws:kms")]
    Kms {
        /// The KMS key's ARN.
        arn: String,
        /// The whole encryption context.
        context: Pairs,
        /// What GenerateDataKey gave to keep: of the object's data key, or of the Bucket Key.
        wrapped: HexBytes,
        /// With a Bucket Key: the salt of [`crate::keyring::object_key`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bucket_salt: Option<HexBytes>,
    },
}

/// Bytes that are written as hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        hex::decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// An authenticated header, and where its chunks are.
#[derive(Debug, Clone)]
pub struct Opened<M> {
    /// The header.
    pub header: Header<M>,
    chunks_at: usize,
    aad: [u8; 32],
}

impl<M> Opened<M> {
    /// The length that the whole file must have, in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        let size = self.header.size;
        let chunks = size.div_ceil(CHUNK_BYTES as u64).max(1);
        // Saturating: a forged size must not overflow; no file is that long.
        size.saturating_add(chunks * TAG_BYTES as u64).saturating_add(self.chunks_at as u64)
    }
}

/// Seals `plaintext`; `header.size` must be its length. The data key must be used for nothing
/// else.
///
/// # Errors
/// When the header does not fit the plaintext or is longer than [`HEADER_BYTES_MAX`].
pub fn seal<M: Serialize>(
    header: &Header<M>,
    data_key: &SecretKey,
    mac_key: &HeaderMacKey,
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    if header.size != plaintext.len() as u64 || header.version != VERSION {
        return Err(CryptoError::Malformed("the header is not this plaintext's"));
    }
    let json = serde_json::to_vec(header).map_err(|_| CryptoError::Malformed("header"))?;
    let len = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= HEADER_BYTES_MAX)
        .ok_or(CryptoError::Malformed("the header is longer than 64 KiB"))?;
    let chunks = plaintext.len().div_ceil(CHUNK_BYTES).max(1);
    let total = FIXED_BYTES + json.len() + MAC_BYTES + plaintext.len() + chunks * TAG_BYTES;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&json);
    let mac = hmac::sign(&mac_key.0, &out);
    out.extend_from_slice(mac.as_ref());

    let aad = sha256(&out);
    let cipher = data_key.cipher()?;
    for number in 0..chunks {
        let from = number * CHUNK_BYTES;
        let chunk = &plaintext[from..plaintext.len().min(from + CHUNK_BYTES)];
        let at = out.len();
        out.extend_from_slice(chunk);
        let nonce = chunk_nonce(number, number + 1 == chunks)?;
        let tag = cipher
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[at..])
            .map_err(|_| CryptoError::Library("AES-GCM"))?;
        out.extend_from_slice(tag.as_ref());
    }
    Ok(out)
}

/// How many bytes [`read_header`] needs, from a file's first 12 bytes.
///
/// # Errors
/// When they do not begin a sealed object.
pub fn header_len(start: &[u8]) -> Result<usize, CryptoError> {
    let not_sealed = CryptoError::Malformed("does not begin as a sealed object");
    let (magic, rest) = start.split_first_chunk::<8>().ok_or(not_sealed.clone())?;
    let (len, _) = rest.split_first_chunk::<4>().ok_or(not_sealed.clone())?;
    let len = u32::from_le_bytes(*len) as usize;
    if *magic != MAGIC || len > HEADER_BYTES_MAX {
        return Err(not_sealed);
    }
    Ok(FIXED_BYTES + len + MAC_BYTES)
}

/// Reads and authenticates the header of the object `bucket`/`key` from the beginning of its
/// file. The caller compares [`Opened::file_len`] with the file's.
///
/// # Errors
/// When anything in it was changed, or it is another object's.
pub fn read_header<M: DeserializeOwned>(
    file: &[u8],
    mac_key: &HeaderMacKey,
    bucket: &str,
    key: &str,
) -> Result<Opened<M>, CryptoError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let chunks_at = header_len(file)?;
    let head = file.get(..chunks_at).ok_or(CryptoError::Malformed("ends within its header"))?;
    let (covered, mac) = head.split_at(chunks_at - MAC_BYTES);
    hmac::verify(&mac_key.0, covered, mac).map_err(|_| CryptoError::Authentication)?;
    let json = &covered[FIXED_BYTES..];
    let wrong = |_| CryptoError::Malformed("the header is not understood");
    let Version { version: found } = serde_json::from_slice(json).map_err(wrong)?;
    if found > VERSION {
        return Err(CryptoError::Newer { found, supported: VERSION });
    }
    let header: Header<M> = serde_json::from_slice(json).map_err(wrong)?;
    if header.bucket != bucket || header.key != key {
        return Err(CryptoError::Malformed("holds another object"));
    }
    Ok(Opened { header, chunks_at, aad: sha256(head) })
}

/// Decrypts the whole object from its whole file; all of it or nothing.
///
/// # Errors
/// When the length is not the header's, a byte was changed, or the key is another.
pub fn open<M>(
    file: &[u8],
    opened: &Opened<M>,
    data_key: &SecretKey,
) -> Result<Vec<u8>, CryptoError> {
    if file.len() as u64 != opened.file_len() {
        return Err(CryptoError::Malformed("its length is not the one that its header gives"));
    }
    // The file is at least as long, so the size fits memory.
    let mut plaintext = vec![0; opened.header.size as usize];
    let cipher = data_key.cipher()?;
    let mut rest = &file[opened.chunks_at..];
    let mut number = 0;
    let mut out = plaintext.as_mut_slice();
    loop {
        let (target, more) = out.split_at_mut(out.len().min(CHUNK_BYTES));
        let (ciphertext, after) = rest.split_at(target.len());
        let (tag, after) = after.split_at(TAG_BYTES);
        let nonce = chunk_nonce(number, more.is_empty())?;
        cipher
            .open_separate_gather(nonce, Aad::from(opened.aad), ciphertext, tag, target)
            .map_err(|_| CryptoError::Authentication)?;
        if more.is_empty() {
            return Ok(plaintext);
        }
        (out, rest, number) = (more, after, number + 1);
    }
}

fn chunk_nonce(number: usize, last: bool) -> Result<Nonce, CryptoError> {
    let number =
        u32::try_from(number).map_err(|_| CryptoError::Malformed("longer than 256 TiB"))?;
    let mut nonce = [0; NONCE_BYTES];
    nonce[7..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Ok(Nonce::assume_unique_for_key(nonce))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::RootSecret;

    struct Case {
        key: SecretKey,
        mac: HeaderMacKey,
    }

    impl Case {
        fn new() -> Self {
            let mac = RootSecret::generate().unwrap().header_mac_key().unwrap();
            Self { key: SecretKey::generate().unwrap(), mac }
        }

        fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
            self.seal_as("k", plaintext)
        }

        fn seal_as(&self, key: &str, plaintext: &[u8]) -> Vec<u8> {
            let method = Method::S3 { generation: 1, wrapped: HexBytes(vec![1, 2]) };
            let header = Header {
                version: VERSION,
                bucket: "b".into(),
                key: key.into(),
                size: plaintext.len() as u64,
                method,
                meta: serde_json::json!({"etag": "x"}),
            };
            seal(&header, &self.key, &self.mac, plaintext).unwrap()
        }

        fn open(&self, file: &[u8]) -> Result<Vec<u8>, CryptoError> {
            let opened = read_header::<serde_json::Value>(file, &self.mac, "b", "k")?;
            open(file, &opened, &self.key)
        }
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn every_size_around_a_chunk_comes_back() {
        let case = Case::new();
        for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let sealed = case.seal(&bytes(len));
            assert_eq!(case.open(&sealed).unwrap(), bytes(len), "{len}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_small_object_is_refused() {
        let case = Case::new();
        let sealed = case.seal(b"some events");
        for i in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[i / 8] ^= 1 << (i % 8);
            assert!(case.open(&bad).is_err(), "bit {i}");
        }
    }

    #[test]
    fn exchanged_cut_and_lengthened_chunks_are_refused() {
        let case = Case::new();
        let sealed = case.seal(&bytes(3 * CHUNK_BYTES));
        let at = header_len(&sealed).unwrap();
        let whole = CHUNK_BYTES + TAG_BYTES;
        let mut swapped = sealed.clone();
        let (first, second) = swapped[at..at + 2 * whole].split_at_mut(whole);
        first.swap_with_slice(second);
        assert_eq!(case.open(&swapped), Err(CryptoError::Authentication));
        for len in [0, 5, at - 1, at, at + whole, at + 2 * whole, sealed.len() - 1] {
            assert!(case.open(&sealed[..len]).is_err(), "{len}");
        }
        let longer = [sealed.as_slice(), &sealed[at + 2 * whole..]].concat();
        assert!(case.open(&longer).is_err());
    }

    #[test]
    fn another_objects_file_or_key_is_refused() {
        let (case, other) = (Case::new(), Case::new());
        let sealed = case.seal(b"x");
        let read = |mac, b, k| read_header::<serde_json::Value>(&sealed, mac, b, k);
        assert!(read(&case.mac, "b", "k").is_ok());
        assert!(read(&case.mac, "b", "K").is_err());
        assert!(read(&case.mac, "c", "k").is_err());
        assert_eq!(read(&other.mac, "b", "k").err(), Some(CryptoError::Authentication));
        let opened = read(&case.mac, "b", "k").unwrap();
        assert_eq!(open(&sealed, &opened, &other.key), Err(CryptoError::Authentication));
        // Chunks of another header do not fit, even under one data key.
        let twin = case.seal_as("l", b"y");
        let mixed = [&sealed[..opened.chunks_at], &twin[opened.chunks_at..]].concat();
        assert_eq!(open(&mixed, &opened, &case.key), Err(CryptoError::Authentication));
    }

    #[test]
    fn a_newer_version_says_so() {
        let case = Case::new();
        let mut file = MAGIC.to_vec();
        let json = br#"{"version":2,"anything":true}"#;
        file.extend_from_slice(&(json.len() as u32).to_le_bytes());
        file.extend_from_slice(json);
        let mac = hmac::sign(&case.mac.0, &file);
        file.extend_from_slice(mac.as_ref());
        assert_eq!(case.open(&file), Err(CryptoError::Newer { found: 2, supported: 1 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_size_comes_back_and_no_flipped_bit_does(len in 0usize..150_000, at: u64) {
            let case = Case::new();
            let mut sealed = case.seal(&bytes(len));
            prop_assert_eq!(case.open(&sealed), Ok(bytes(len)));
            let bit = (at % (sealed.len() as u64 * 8)) as usize;
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(case.open(&sealed).is_err());
        }
    }
}
