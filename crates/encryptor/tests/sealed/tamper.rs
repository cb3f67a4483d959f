//! Every change of a sealed object is refused, by both ways of reading it.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use encryptor::envelope::{self, HexBytes, Method, ObjectKeys, Reader, header_len};
use encryptor::{CryptoError, StreamError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::book::{self, CHUNK};
use crate::support::*;

fn flip(file: &mut [u8], bit: usize) {
    file[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn every_flipped_bit_of_a_small_object_is_refused() {
    for method in methods() {
        for mut file in [seal(&method, b"some events"), write(&method, b"", &[])] {
            assert!(open_and_read(&file).is_some());
            for bit in 0..file.len() * 8 {
                flip(&mut file, bit);
                assert_eq!(open_and_read(&file), None, "bit {bit}");
                flip(&mut file, bit);
            }
        }
    }
}

#[test]
fn exchanged_repeated_cut_and_lengthened_chunks_are_refused() {
    for method in methods() {
        let layers = book::aads_v2(KEY, &method).len();
        let file = seal(&method, &bytes(3 * CHUNK));
        let (at, stored) = (header_len(&file).unwrap(), CHUNK + 16 * layers);
        let (head, chunks) = file.split_at(at);
        let part = |n: usize| &chunks[n * stored..(n + 1) * stored];
        assert_eq!(
            open_and_read(&[head, part(0), part(1), part(2)].concat()),
            Some(bytes(3 * CHUNK))
        );
        for order in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [0, 1, 1], [2, 2, 2]] {
            let file = [head, part(order[0]), part(order[1]), part(order[2])].concat();
            assert_eq!(open(&file), Err(CryptoError::Authentication), "{order:?}");
            assert_eq!(open_and_read(&file), None, "{order:?}");
        }
        let inner_tag = at + 3 * stored - 16 * layers;
        let ends = [at + stored, at + 2 * stored, at + 2 * stored + 1, inner_tag, file.len() - 1];
        for len in [0, 5, 11, 12, 40, at - 1, at, at + 1].into_iter().chain(ends) {
            assert_eq!(open_and_read(&file[..len]), None, "{len}");
            // No bytes at all of a file that was cut, though the range be before the cut.
            assert!(read(&file[..len], 0..1).is_err(), "{len}");
        }
        for more in [&b"x"[..], part(2), part(0)] {
            assert_eq!(open_and_read(&[&file, more].concat()), None);
        }
    }
}

#[test]
fn a_shorter_object_is_not_made_of_a_longer_ones_chunks() {
    // With the header key, but without the data key: only the last chunk's flag tells.
    for method in methods() {
        let layers = book::aads_v2(KEY, &method).len();
        let long = seal(&method, &bytes(3 * CHUNK));
        let json = serde_json::to_vec(&header(KEY, 2 * CHUNK, &method)).unwrap();
        let at = header_len(&long).unwrap();
        let cut = [&book::head(&json), &long[at..at + 2 * (CHUNK + 16 * layers)]].concat();
        assert_eq!(read_header(&cut).unwrap().file_len(), cut.len() as u64);
        assert_eq!(open(&cut), Err(CryptoError::Authentication));
        assert_eq!(open_and_read(&cut), None);
        // The first chunk is what it was; a range to the end is not.
        assert_eq!(read(&cut, 0..CHUNK as u64).unwrap(), bytes(CHUNK));
        let end = 2 * CHUNK as u64;
        for range in [CHUNK as u64..end, end - 1..end, end..end] {
            assert!(read(&cut, range).is_err());
        }
    }
}

/// Ends early, though it says how long it is: a file that shrinks while it is read.
struct Shrinking<'a>(Cursor<&'a [u8]>, u64);

impl Read for Shrinking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.1.saturating_sub(self.0.position());
        self.0.by_ref().take(left).read(buf)
    }
}

impl Seek for Shrinking<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let [s3, ..] = methods();
    let file = seal(&s3, &bytes(2 * CHUNK));
    let opened = read_header(&file).unwrap();
    let at = header_len(&file).unwrap();
    for end in [at, at + 5, at + CHUNK, at + CHUNK + 16, file.len() - 1] {
        let input = Shrinking(Cursor::new(&file), end as u64);
        let mut reader = Reader::new(input, &opened, &keys(&s3), 0..2 * CHUNK as u64).unwrap();
        let error = loop {
            match reader.next_chunk() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("short data, cut at {end}"),
                Err(e) => break e,
            }
        };
        assert!(matches!(error, StreamError::Crypto(CryptoError::Malformed(_))), "{error}");
        assert!(reader.next_chunk().is_err(), "an error is final");
    }
}

#[test]
fn an_error_is_final() {
    let [s3, ..] = methods();
    let mut file = seal(&s3, &bytes(3 * CHUNK));
    let at = header_len(&file).unwrap();
    let opened = read_header(&file).unwrap();
    file[at + CHUNK + 16] ^= 1;
    let range = 0..opened.header.size;
    let mut reader = Reader::new(Cursor::new(&file), &opened, &keys(&s3), range).unwrap();
    assert!(reader.next_chunk().unwrap().is_some());
    for _ in 0..3 {
        assert!(reader.next_chunk().is_err());
    }
}

#[test]
fn another_objects_header_chunks_or_keys_are_refused() {
    for (method, other) in methods().iter().zip(twins()) {
        let (file, twin) = (seal(method, b"x"), seal(&other, b"y"));
        assert!(open_and_read(&twin).is_some());
        let (at, twin_at) = (header_len(&file).unwrap(), header_len(&twin).unwrap());
        // Under the same data keys, so it is the chunks' binding alone that tells.
        let mixed = [&file[..at], &twin[twin_at..]].concat();
        assert_eq!(open(&mixed), Err(CryptoError::Authentication), "{other:?}");
        assert_eq!(open_and_read(&mixed), None);
        let header = header("another key", 1, method);
        let renamed = envelope::seal(&header, &keys(method), &mac(), b"z").unwrap();
        assert_eq!(open(&renamed), Err(CryptoError::Malformed("holds another object")));
        let mixed = [&file[..at], &renamed[header_len(&renamed).unwrap()..]].concat();
        assert_eq!(open(&mixed), Err(CryptoError::Authentication));
    }
    let file = seal(&methods()[0], b"x");
    let read = |b, k| envelope::read_header::<Value>(&file, &mac(), b, k);
    assert!(read(BUCKET, KEY).is_ok());
    assert!(read(BUCKET, "k").is_err() && read("b", KEY).is_err());
}

/// The methods again, each with one part other, every part in turn.
fn twins() -> impl Iterator<Item = Method> {
    let mut all = methods();
    for method in &mut all {
        match method {
            Method::S3 { generation, .. } => *generation += 1,
            Method::Kms { context, bucket_salt: None, .. } => {
                context.insert("team".into(), "other".into());
            }
            Method::Kms { bucket_salt, .. } => *bucket_salt = None,
            Method::Dsse { wrapped_s3, .. } => *wrapped_s3 = HexBytes(vec![0; 61]),
            Method::Customer { salt, .. } => *salt = HexBytes(vec![0; 32]),
        }
    }
    all.into_iter()
}

#[test]
fn chunks_are_bound_to_every_part_of_the_method() {
    for method in methods() {
        let file = seal(&method, b"x");
        let chunks = &file[header_len(&file).unwrap()..];
        let parts = serde_json::to_value(&method).unwrap();
        for name in parts.as_object().unwrap().keys().filter(|name| *name != "sse") {
            let mut other = parts.clone();
            other[name] = match &parts[name] {
                Value::Number(n) => json!(n.as_u64().unwrap() + 1),
                Value::Object(_) => json!({"team": "audit"}),
                Value::String(s) => json!(format!("{}00", &s[..s.len() - 2])),
                _ => unreachable!(),
            };
            let other: Method = serde_json::from_value(other).unwrap();
            assert_ne!(other, method, "{name}");
            let json = serde_json::to_vec(&header(KEY, 1, &other)).unwrap();
            let mixed = [&book::head(&json), chunks].concat();
            assert_eq!(open(&mixed), Err(CryptoError::Authentication), "{name}");
        }
    }
}

#[test]
fn every_key_is_needed() {
    for method in methods() {
        let file = seal(&method, b"events");
        let opened = read_header(&file).unwrap();
        let open = |keys| envelope::open(&file, &opened, &keys);
        let ([inner, outer], other) = (KEYS, [9; 32]);
        let (one, two) = (ObjectKeys::one, ObjectKeys::two);
        let s = secret;
        if matches!(method, Method::Dsse { .. }) {
            assert!(open(two(s(inner), s(outer))).is_ok());
            for (a, b) in [(inner, other), (other, outer), (outer, inner), (inner, inner)] {
                assert_eq!(open(two(s(a), s(b))), Err(CryptoError::Authentication));
            }
            assert!(matches!(open(one(s(inner))), Err(CryptoError::Malformed(_))));
        } else {
            assert!(open(one(s(inner))).is_ok());
            assert_eq!(open(one(s(other))), Err(CryptoError::Authentication));
            assert!(matches!(open(two(s(inner), s(outer))), Err(CryptoError::Malformed(_))));
        }
    }
}

#[test]
fn a_header_is_json_and_spaces_of_a_version_that_is_known() {
    let [s3, _, _, dsse, customer] = methods();
    let json = |version: u32, method: &Method| {
        let header = envelope::Header { version, ..header(KEY, 1, method) };
        serde_json::to_vec(&header).unwrap()
    };
    let fault = |json: &[u8]| read_header(&book::head(json)).err();
    let good = json(2, &s3);
    assert_eq!(fault(&good), None);
    assert_eq!(fault(&[&good[..], b"   "].concat()), None);
    for bad in [&b"\0"[..], b"  {}", b"\xa0", b"x"] {
        let not_understood = CryptoError::Malformed("the header is not understood");
        assert_eq!(fault(&[&good[..], bad].concat()), Some(not_understood));
    }
    let newer = br#"{"version":3,"anything":true}"#;
    assert_eq!(fault(newer), Some(CryptoError::Newer { found: 3, supported: 2 }));
    for (version, method) in [(0, &s3), (1, &dsse), (1, &customer)] {
        assert!(matches!(fault(&json(version, method)), Some(CryptoError::Malformed(_))));
    }
    let long = [&good[..], &vec![b' '; 65_537 - good.len()]].concat();
    assert_eq!(fault(&long[..65_536]), None);
    assert_eq!(fault(&long), Some(CryptoError::Malformed("the header is longer than 64 KiB")));
}

#[test]
fn a_forged_size_is_no_overflow() {
    for method in methods() {
        let header = envelope::Header { size: u64::MAX, ..header(KEY, 0, &method) };
        let file = book::head(&serde_json::to_vec(&header).unwrap());
        assert_eq!(read_header(&file).unwrap().file_len(), u64::MAX);
        assert_eq!(open_and_read(&file), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_flipped_bit_comes_back(method in 0..5usize, len in 0usize..150_000, at: u64) {
        let mut file = write(&methods()[method], &bytes(len), &[]);
        let bit = (at % (file.len() as u64 * 8)) as usize;
        flip(&mut file, bit);
        prop_assert_eq!(open_and_read(&file), None);
    }

    #[test]
    fn a_range_is_right_or_an_error(
        len in 1usize..200_000,
        at: u64,
        ends in (any::<u64>(), any::<u64>()),
    ) {
        let mut file = write(&methods()[3], &bytes(len), &[]);
        let (head, bits) = (header_len(&file).unwrap() * 8, file.len() * 8);
        flip(&mut file, head + (at % (bits - head) as u64) as usize);
        let (a, b) = (ends.0 % (len as u64 + 1), ends.1 % (len as u64 + 1));
        let (from, to) = (a.min(b), a.max(b));
        if let Ok(read) = read(&file, from..to) {
            prop_assert_eq!(read, &bytes(len)[from as usize..to as usize]);
        }
    }
}
