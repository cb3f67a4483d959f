//! Opening: a whole buffer at once, or any range of a file, chunk by chunk.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::chunks::{CHUNK_BYTES, ChunkCipher, ObjectKeys, chunk_count};
use super::header::Opened;
use crate::error::{CryptoError, StreamError};

const OTHER_LENGTH: CryptoError =
    CryptoError::Malformed("its length is not the one that its header gives");

/// Decrypts the whole object from its whole file; all of it or nothing.
///
/// # Errors
/// When the length is not the header's, a byte was changed, or a key is another.
pub fn open<M>(file: &[u8], opened: &Opened<M>, keys: &ObjectKeys) -> Result<Vec<u8>, CryptoError> {
    if file.len() as u64 != opened.file_len() {
        return Err(OTHER_LENGTH);
    }
    let mut cipher = ChunkCipher::new(keys, &opened.header.method, opened.aads)?;
    // The file is at least as long, so the size fits memory.
    let mut plaintext = vec![0; opened.header.size as usize];
    let mut rest = &file[opened.chunks_at..];
    let mut out = plaintext.as_mut_slice();
    for number in 0.. {
        let (target, more) = out.split_at_mut(out.len().min(CHUNK_BYTES));
        let (chunk, after) = rest.split_at(target.len() + cipher.overhead());
        cipher.open(number, more.is_empty(), chunk, target)?;
        if more.is_empty() {
            break;
        }
        (out, rest) = (more, after);
    }
    Ok(plaintext)
}

/// Decrypts a range of an object; reads and keeps no more than the chunks that it touches, one
/// at a time.
pub struct Reader<R> {
    input: R,
    cipher: ChunkCipher,
    size: u64,
    range: Range<u64>,
    /// Numbers of the chunks still to be read.
    chunks: Range<u64>,
    sealed: Vec<u8>,
    plaintext: Vec<u8>,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the bytes `range` of the plaintext from the object's whole file, whose beginning
    /// gave `opened`.
    ///
    /// # Errors
    /// When the range is not within the object, the file's length is not the header's, the keys
    /// do not fit the method, or `input` fails.
    pub fn new<M>(
        mut input: R,
        opened: &Opened<M>,
        keys: &ObjectKeys,
        range: Range<u64>,
    ) -> Result<Self, StreamError> {
        let size = opened.header.size;
        if range.start > range.end || range.end > size {
            return Err(CryptoError::Malformed("the range is not within the object").into());
        }
        if input.seek(SeekFrom::End(0))? != opened.file_len() {
            return Err(OTHER_LENGTH.into());
        }
        let cipher = ChunkCipher::new(keys, &opened.header.method, opened.aads)?;
        let chunks = chunks_of(&range, size);
        let before = chunks.start * (CHUNK_BYTES + cipher.overhead()) as u64;
        input.seek(SeekFrom::Start(opened.chunks_at as u64 + before))?;
        let (sealed, plaintext) = (Vec::new(), Vec::new());
        Ok(Self { input, cipher, size, range, chunks, sealed, plaintext })
    }

    /// The next bytes of the range, already authenticated; None at its end.
    ///
    /// # Errors
    /// When a byte of the chunk was changed, a key is another, or the file ends before it
    /// should. An error is final: the range cannot be read on from there.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, StreamError> {
        if self.chunks.is_empty() {
            return Ok(None);
        }
        let number = self.chunks.start;
        let at = number * CHUNK_BYTES as u64;
        let len = (self.size - at).min(CHUNK_BYTES as u64);
        self.sealed.resize(len as usize + self.cipher.overhead(), 0);
        self.plaintext.resize(len as usize, 0);
        self.input.read_exact(&mut self.sealed).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => StreamError::from(OTHER_LENGTH),
            _ => e.into(),
        })?;
        let last = at + len == self.size;
        self.cipher.open(number, last, &self.sealed, &mut self.plaintext)?;
        self.chunks.start += 1;
        let from = self.range.start.saturating_sub(at);
        let to = len.min(self.range.end - at);
        // An empty range at the object's end has authenticated the last chunk, and no bytes.
        Ok((from < to).then(|| &self.plaintext[from as usize..to as usize]))
    }
}

/// The chunks that `range` of `size` bytes touches. One that goes to the end touches the last
/// chunk, though that or the range be empty: only the last chunk proves that there is an end.
fn chunks_of(range: &Range<u64>, size: u64) -> Range<u64> {
    let chunk = CHUNK_BYTES as u64;
    if range.end == size {
        let count = chunk_count(size);
        return (range.start / chunk).min(count - 1)..count;
    }
    if range.is_empty() { 0..0 } else { range.start / chunk..range.end.div_ceil(chunk) }
}
