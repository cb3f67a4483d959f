//! The key that the producer's spool is sealed under.

use trail::error::KeyError;
use trail::ports::Sealer;

use crate::keys::SecretKey;

/// Seals spool files: AES-256-GCM, random nonce, the file's name as AAD.
pub struct SpoolKey(SecretKey);

impl SpoolKey {
    /// A sealer under `key`.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self(key)
    }
}

impl Sealer for SpoolKey {
    fn seal(&self, name: &str, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.seal(&[b"spool", name.as_bytes()], plaintext)?)
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut opened = self.0.open(&[b"spool", name.as_bytes()], sealed).map_err(|e| {
            KeyError::Internal { reason: format!("spool file {name}: {e}; was its key replaced?") }
        })?;
        Ok(std::mem::take(&mut *opened))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_opens_under_its_own_name() {
        let key = SpoolKey::new(SecretKey::generate().unwrap());
        let sealed = key.seal("segment-1", b"events").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"events"));
        assert_eq!(key.open("segment-1", &sealed).unwrap(), b"events");
        assert!(key.open("segment-2", &sealed).is_err());
        assert!(key.open("segment-1", &sealed[1..]).is_err());
    }
}
