//! Sealing: a whole buffer at once, or a stream of any length in constant memory.

use std::io::{self, Seek, SeekFrom, Write};
use std::mem;

use serde::Serialize;

use super::chunks::{CHUNK_BYTES, ChunkCipher, ObjectKeys, chunk_aads, sealed_len};
use super::header::{self, Header, VERSION};
use super::method::Method;
use crate::error::{CryptoError, StreamError};
use crate::keys::HeaderMacKey;

/// Seals `plaintext`; `header.size` must be its length.
///
/// # Errors
/// When the header does not fit the plaintext or is longer than [`super::HEADER_BYTES_MAX`], or
/// the keys do not fit the method.
pub fn seal<M: Serialize>(
    header: &Header<M>,
    keys: &ObjectKeys,
    mac_key: &HeaderMacKey,
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let Header { version, bucket, key, size, method, .. } = header;
    if *size != plaintext.len() as u64 || *version != VERSION {
        return Err(CryptoError::Malformed("the header is not this plaintext's"));
    }
    let json = header.json()?;
    let head = header::encode(&json, header::bytes_before_chunks(json.len())?, mac_key)?;
    let cipher = ChunkCipher::new(keys, method, chunk_aads(bucket, key, method))?;
    // Not longer than the plaintext, which is in memory, by more than a two-thousandth.
    let mut out = vec![0; head.len() + sealed_len(*size, method.layers()) as usize];
    let (start, mut room) = out.split_at_mut(head.len());
    start.copy_from_slice(&head);
    let mut rest = plaintext;
    for number in 0.. {
        let (chunk, more) = rest.split_at(rest.len().min(CHUNK_BYTES));
        let (target, after) = room.split_at_mut(chunk.len() + cipher.overhead());
        cipher.seal(number, more.is_empty(), chunk, target)?;
        if more.is_empty() {
            break;
        }
        (rest, room) = (more, after);
    }
    Ok(out)
}

/// Seals a stream whose size and facts are known only at its end.
///
/// Two chunks at most are in memory. Until [`Writer::finish`], zeros stand in the header's
/// place, so that what was written so far is no sealed object.
pub struct Writer<W> {
    out: W,
    start: u64,
    header: Header<()>,
    head_bytes: usize,
    cipher: ChunkCipher,
    chunks: u64,
    /// At most a chunk of plaintext: whether it is the last is known only when more comes or not.
    pending: Vec<u8>,
    sealed: Vec<u8>,
    failed: bool,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins the object `bucket`/`key` where `out` stands, and leaves room for a header whose
    /// `meta` has up to `meta_bytes_max` bytes of JSON.
    ///
    /// # Errors
    /// When that room is more than [`super::HEADER_BYTES_MAX`], the keys do not fit the method,
    /// or `out` fails.
    pub fn new(
        mut out: W,
        bucket: &str,
        key: &str,
        method: Method,
        keys: &ObjectKeys,
        meta_bytes_max: usize,
    ) -> Result<Self, StreamError> {
        let cipher = ChunkCipher::new(keys, &method, chunk_aads(bucket, key, &method))?;
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        // The longest number, for the room that it takes.
        let size = u64::MAX;
        let mut header = Header { version: VERSION, bucket, key, size, method, meta: () };
        let json_bytes = header.json()?.len().saturating_add(meta_bytes_max);
        let head_bytes = header::bytes_before_chunks(json_bytes)?;
        header.size = 0;
        let start = out.stream_position()?;
        out.write_all(&vec![0; head_bytes])?;
        let (pending, sealed) = (Vec::with_capacity(CHUNK_BYTES), Vec::new());
        Ok(Self {
            out,
            start,
            header,
            head_bytes,
            cipher,
            chunks: 0,
            pending,
            sealed,
            failed: false,
        })
    }

    /// Takes the next bytes, any number of them.
    ///
    /// # Errors
    /// When `out` fails, or failed before.
    pub fn write(&mut self, mut plaintext: &[u8]) -> Result<(), StreamError> {
        if mem::replace(&mut self.failed, true) {
            return Err(io::Error::other("an earlier write failed").into());
        }
        self.header.size += plaintext.len() as u64;
        if !self.pending.is_empty() {
            let room = CHUNK_BYTES - self.pending.len();
            let (fill, rest) = plaintext.split_at(plaintext.len().min(room));
            self.pending.extend_from_slice(fill);
            plaintext = rest;
            if !rest.is_empty() {
                self.put_pending(false)?;
            }
        }
        while plaintext.len() > CHUNK_BYTES {
            let (chunk, rest) = plaintext.split_at(CHUNK_BYTES);
            self.put(chunk, false)?;
            plaintext = rest;
        }
        self.pending.extend_from_slice(plaintext);
        self.failed = false;
        Ok(())
    }

    /// Plaintext taken so far, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.size
    }

    /// Writes the last chunk, then the header in the room left for it. `out` is given back as it
    /// is: not flushed, and standing behind the header.
    ///
    /// # Errors
    /// When `meta` is longer than [`Writer::new`] was told, or `out` fails or failed before.
    pub fn finish<M: Serialize>(
        mut self,
        meta: &M,
        mac_key: &HeaderMacKey,
    ) -> Result<W, StreamError> {
        self.write(&[])?;
        self.put_pending(true)?;
        let Header { version, bucket, key, size, method, .. } = self.header;
        let json = Header { version, bucket, key, size, method, meta }.json()?;
        let head = header::encode(&json, self.head_bytes, mac_key)?;
        self.out.seek(SeekFrom::Start(self.start))?;
        self.out.write_all(&head)?;
        Ok(self.out)
    }

    fn put_pending(&mut self, last: bool) -> Result<(), StreamError> {
        let mut chunk = mem::take(&mut self.pending);
        let done = self.put(&chunk, last);
        chunk.clear();
        self.pending = chunk;
        done
    }

    fn put(&mut self, chunk: &[u8], last: bool) -> Result<(), StreamError> {
        self.sealed.resize(chunk.len() + self.cipher.overhead(), 0);
        self.cipher.seal(self.chunks, last, chunk, &mut self.sealed)?;
        self.chunks += 1;
        Ok(self.out.write_all(&self.sealed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::HexBytes;
    use crate::keys::SecretKey;

    #[test]
    fn memory_does_not_grow_with_the_object() {
        let keys = ObjectKeys::one(SecretKey::generate().unwrap());
        let method = Method::S3 { generation: 1, wrapped: HexBytes(vec![0; 61]) };
        let out = io::Cursor::new(Vec::new());
        let mut writer = Writer::new(out, "b", "k", method, &keys, 100).unwrap();
        let bytes = vec![7; 3 * CHUNK_BYTES + 11];
        for len in (0..bytes.len()).step_by(CHUNK_BYTES / 3) {
            writer.write(&bytes[..len]).unwrap();
            assert!(writer.pending.capacity() <= CHUNK_BYTES);
            assert!(writer.sealed.capacity() <= CHUNK_BYTES + writer.cipher.overhead());
        }
    }
}
