//! One gzip member (RFC 1952), written and read; nothing before, after or without a trailer.

use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;

/// Why bytes are not the one gzip member that a log file or digest is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GunzipError {
    /// Not gzip, a broken stream, a wrong CRC or length, or an end before the trailer.
    #[error("not one complete gzip member: {0}")]
    Malformed(String),
    /// A complete member, and then `extra` bytes more (a second member, or anything else).
    #[error("{extra} bytes follow the gzip member")]
    TrailingData {
        /// Bytes after the member.
        extra: usize,
    },
    /// Inflates to more than `bound` bytes.
    #[error("inflates to more than {bound} bytes")]
    TooLarge {
        /// The bound in bytes.
        bound: u64,
    },
}

/// Compresses `bytes` into one member: level 6, no name, time 0, so that equal input gives
/// equal output with one build of the library.
#[must_use]
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(
        Vec::with_capacity(bytes.len() / 6 + 64),
        Compression::new(6),
    );
    encoder.write_all(bytes).expect("writing to a Vec does not fail");
    encoder.finish().expect("writing to a Vec does not fail")
}

/// Inflates one member piece by piece: `sink` sees every piece in order. Returns the number of
/// inflated bytes. Memory is bounded by `buffer`, whatever the member claims.
///
/// # Errors
/// See [`GunzipError`]. What `sink` has seen by then must not be used.
pub fn inflate(
    stored: &[u8],
    bound: u64,
    buffer: &mut [u8],
    mut sink: impl FnMut(&[u8]),
) -> Result<u64, GunzipError> {
    let mut decoder = GzDecoder::new(stored);
    let mut total = 0u64;
    loop {
        let n = match decoder.read(buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(GunzipError::Malformed(e.to_string())),
        };
        total += n as u64;
        if total > bound {
            return Err(GunzipError::TooLarge { bound });
        }
        sink(&buffer[..n]);
    }
    let mut rest = decoder.into_inner();
    match rest.fill_buf() {
        Ok([]) => Ok(total),
        Ok(extra) => Err(GunzipError::TrailingData { extra: extra.len() }),
        Err(e) => Err(GunzipError::Malformed(e.to_string())),
    }
}

/// Inflates one member of at most `bound` bytes whole.
///
/// # Errors
/// See [`GunzipError`].
pub fn decompress(stored: &[u8], bound: u64) -> Result<Vec<u8>, GunzipError> {
    let mut out = Vec::new();
    inflate(stored, bound, &mut vec![0; 64 << 10], |piece| out.extend_from_slice(piece))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_without_time_or_name() {
        let stored = compress(b"hello");
        assert_eq!(&stored[..9], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0], "no flags, time 0");
        assert_eq!(decompress(&stored, 5).unwrap(), b"hello");
        assert_eq!(compress(b"hello"), stored);
    }

    #[test]
    fn every_form_of_a_wrong_member_has_its_own_error() {
        let stored = compress(&[b'x'; 1000]);
        let with = |extra: &[u8]| [&stored, extra].concat();
        assert_eq!(decompress(&stored, 999), Err(GunzipError::TooLarge { bound: 999 }));
        assert_eq!(decompress(&with(&[0; 8]), 1000), Err(GunzipError::TrailingData { extra: 8 }));
        let second = compress(b"again");
        let expected = Err(GunzipError::TrailingData { extra: second.len() });
        assert_eq!(decompress(&with(&second), 1000), expected);
        for bad in [&stored[..stored.len() - 4], &stored[..5], b"", b"plain text", &stored[1..]] {
            assert!(matches!(decompress(bad, 1000), Err(GunzipError::Malformed(_))), "{bad:?}");
        }
        let mut crc = stored.clone();
        let at = crc.len() - 8;
        crc[at] ^= 1;
        assert!(matches!(decompress(&crc, 1000), Err(GunzipError::Malformed(_))));
    }

    #[test]
    fn a_bomb_is_cut_at_the_bound() {
        let bomb = compress(&vec![0; 8 << 20]);
        assert!(bomb.len() < 16_000);
        let mut seen = 0;
        let out = inflate(&bomb, 1 << 20, &mut [0; 4096], |p| seen += p.len());
        assert_eq!(out, Err(GunzipError::TooLarge { bound: 1 << 20 }));
        assert!(seen <= 1 << 20);
    }
}
