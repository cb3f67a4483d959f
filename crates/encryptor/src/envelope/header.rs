//! What stands before the chunks: read, authenticated, written.

use aws_lc_rs::{digest, hmac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::chunks::{Aads, chunk_aads, sealed_len};
use super::method::Method;
use crate::error::CryptoError;
use crate::keys::HeaderMacKey;

/// The version of the sealed form that this crate writes.
pub const VERSION: u32 = 2;
/// The longest header that is read or written, in bytes.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

const MAGIC: [u8; 8] = *b"tsealed\n";
const FIXED_BYTES: usize = 12;
const MAC_BYTES: usize = 32;

/// What stands before the chunks. `M` is the caller's own part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header<M> {
    /// [`VERSION`], or an older one that was read.
    pub version: u32,
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Size of the plaintext, in bytes.
    pub size: u64,
    /// How to come by the data keys.
    pub method: Method,
    /// What the caller keeps with the object.
    pub meta: M,
}

impl<M: Serialize> Header<M> {
    pub(super) fn json(&self) -> Result<Vec<u8>, CryptoError> {
        serde_json::to_vec(self).map_err(|_| CryptoError::Malformed("header"))
    }
}

/// An authenticated header, and where its chunks are.
#[derive(Debug, Clone)]
pub struct Opened<M> {
    /// The header.
    pub header: Header<M>,
    pub(super) chunks_at: usize,
    pub(super) aads: Aads,
}

impl<M> Opened<M> {
    /// The length that the whole file must have, in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        let Header { size, method, .. } = &self.header;
        sealed_len(*size, method.layers()).saturating_add(self.chunks_at as u64)
    }
}

/// Bytes before the chunks when the header's JSON has `json_bytes`.
pub(super) fn bytes_before_chunks(json_bytes: usize) -> Result<usize, CryptoError> {
    if json_bytes > HEADER_BYTES_MAX {
        return Err(CryptoError::Malformed("the header is longer than 64 KiB"));
    }
    Ok(FIXED_BYTES + json_bytes + MAC_BYTES)
}

/// All that stands before the chunks, in `bytes` bytes; what the JSON leaves of them is spaces.
pub(super) fn encode(
    json: &[u8],
    bytes: usize,
    mac_key: &HeaderMacKey,
) -> Result<Vec<u8>, CryptoError> {
    let too_long = CryptoError::Malformed("the header is longer than the room left for it");
    let padded = bytes - FIXED_BYTES - MAC_BYTES;
    let spaces = padded.checked_sub(json.len()).ok_or(too_long.clone())?;
    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&u32::try_from(padded).map_err(|_| too_long)?.to_le_bytes());
    out.extend_from_slice(json);
    out.extend(std::iter::repeat_n(b' ', spaces));
    out.extend_from_slice(hmac::sign(&mac_key.0, &out).as_ref());
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
    if *magic != MAGIC {
        return Err(not_sealed);
    }
    bytes_before_chunks(u32::from_le_bytes(*len) as usize)
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
    let aads = match (header.version, &header.method) {
        (VERSION, method) => chunk_aads(bucket, key, method),
        (1, Method::S3 { .. } | Method::Kms { .. }) => [sha256(head); 2],
        _ => return Err(CryptoError::Malformed("the method is not one of the header's version")),
    };
    Ok(Opened { header, chunks_at, aads })
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
