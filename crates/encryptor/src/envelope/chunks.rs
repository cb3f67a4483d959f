//! Chunks: their keys, their nonces, what they are bound to, one or two layers of AES-256-GCM.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::digest;

use super::method::Method;
use crate::error::CryptoError;
use crate::keys::{NONCE_BYTES, SecretKey, TAG_BYTES};

/// Plaintext of every chunk but the last, in bytes.
pub const CHUNK_BYTES: usize = 64 << 10;

const AAD_DOMAIN: &[u8] = b"trailseal chunk/v2";

/// What a chunk is bound to, in each layer; inner first.
pub(super) type Aads = [[u8; 32]; 2];

/// The key or keys of one object; they must be used for nothing else.
///
/// ```compile_fail
/// fn debug<T: std::fmt::Debug>() {}
/// debug::<encryptor::envelope::ObjectKeys>();
/// ```
/// ```compile_fail
/// fn clone<T: Clone>() {}
/// clone::<encryptor::envelope::ObjectKeys>();
/// ```
pub struct ObjectKeys {
    inner: SecretKey,
    outer: Option<SecretKey>,
}

impl ObjectKeys {
    /// For every method but DSSE.
    #[must_use]
    pub fn one(key: SecretKey) -> Self {
        Self { inner: key, outer: None }
    }

    /// For DSSE: `inner` touches the plaintext, `outer` what that gives.
    #[must_use]
    pub fn two(inner: SecretKey, outer: SecretKey) -> Self {
        Self { inner, outer: Some(outer) }
    }
}

/// How many chunks hold `size` bytes; an empty object has one.
pub(super) fn chunk_count(size: u64) -> u64 {
    size.div_ceil(CHUNK_BYTES as u64).max(1)
}

/// Bytes of all chunks of `size` bytes of plaintext.
pub(super) fn sealed_len(size: u64, layers: usize) -> u64 {
    // Saturating: a forged size must not overflow; no file is that long.
    size.saturating_add(chunk_count(size) * (layers * TAG_BYTES) as u64)
}

/// What the chunks of a version 2 object are bound to.
pub(super) fn chunk_aads(bucket: &str, key: &str, method: &Method) -> Aads {
    [1, 2].map(|layer| {
        let mut hash = digest::Context::new(&digest::SHA256);
        // Each part behind its length, so that no two lists of parts give the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(AAD_DOMAIN);
        part(&[layer]);
        part(bucket.as_bytes());
        part(key.as_bytes());
        method.each_aad_part(part);
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        out
    })
}

/// Seals and opens the chunks of one object.
pub(super) struct ChunkCipher {
    inner: LessSafeKey,
    outer: Option<LessSafeKey>,
    aads: Aads,
    /// When opening two layers: the chunk without its outer one.
    between: Vec<u8>,
}

impl ChunkCipher {
    pub(super) fn new(keys: &ObjectKeys, method: &Method, aads: Aads) -> Result<Self, CryptoError> {
        if keys.outer.is_some() != (method.layers() == 2) {
            return Err(CryptoError::Malformed("DSSE needs two keys, every other method one"));
        }
        let outer = keys.outer.as_ref().map(SecretKey::cipher).transpose()?;
        Ok(Self { inner: keys.inner.cipher()?, outer, aads, between: Vec::new() })
    }

    /// Bytes by which a sealed chunk is longer than its plaintext.
    pub(super) fn overhead(&self) -> usize {
        if self.outer.is_some() { 2 * TAG_BYTES } else { TAG_BYTES }
    }

    /// Seals `plaintext` into `out`, which is longer by [`ChunkCipher::overhead`].
    pub(super) fn seal(
        &self,
        number: u64,
        last: bool,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        let failed = |_| CryptoError::Library("AES-GCM");
        let (inner, outer_tag) = out.split_at_mut(plaintext.len() + TAG_BYTES);
        let (ciphertext, tag) = inner.split_at_mut(plaintext.len());
        let (nonce, aad) = (chunk_nonce(number, last)?, Aad::from(self.aads[0]));
        self.inner
            .seal_out_of_place_scatter(nonce, aad, plaintext, ciphertext, &[], tag)
            .map_err(failed)?;
        if let Some(outer) = &self.outer {
            let (nonce, aad) = (chunk_nonce(number, last)?, Aad::from(self.aads[1]));
            let tag = outer.seal_in_place_separate_tag(nonce, aad, inner).map_err(failed)?;
            outer_tag.copy_from_slice(tag.as_ref());
        }
        Ok(())
    }

    /// Opens `sealed` into `out`, which is shorter by [`ChunkCipher::overhead`]. After an error
    /// `out` must not be looked at.
    pub(super) fn open(
        &mut self,
        number: u64,
        last: bool,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        let refused = |_| CryptoError::Authentication;
        let mut inner = sealed;
        if let Some(outer) = &self.outer {
            let (ciphertext, tag) = sealed.split_at(out.len() + TAG_BYTES);
            let (nonce, aad) = (chunk_nonce(number, last)?, Aad::from(self.aads[1]));
            self.between.resize(ciphertext.len(), 0);
            outer
                .open_separate_gather(nonce, aad, ciphertext, tag, &mut self.between)
                .map_err(refused)?;
            inner = &self.between;
        }
        let (ciphertext, tag) = inner.split_at(out.len());
        let (nonce, aad) = (chunk_nonce(number, last)?, Aad::from(self.aads[0]));
        self.inner.open_separate_gather(nonce, aad, ciphertext, tag, out).map_err(refused)
    }
}

fn chunk_nonce(number: u64, last: bool) -> Result<Nonce, CryptoError> {
    let number =
        u32::try_from(number).map_err(|_| CryptoError::Malformed("longer than 256 TiB"))?;
    let mut nonce = [0; NONCE_BYTES];
    nonce[7..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Ok(Nonce::assume_unique_for_key(nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_comes_twice_and_numbers_end() {
        let nonce = |number, last| chunk_nonce(number, last).map(|n| *n.as_ref());
        let all = [(0, false), (0, true), (1, false), (256, false), (u64::from(u32::MAX), false)];
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                assert_ne!(nonce(a.0, a.1).unwrap(), nonce(b.0, b.1).unwrap());
            }
        }
        assert_eq!(nonce(0x0102_0304, true).unwrap(), [0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 1]);
        assert!(nonce(1 << 32, false).is_err());
    }
}
