//! Sizes, ranges, splits, and streams longer than memory.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use encryptor::envelope::{
    self, HEADER_BYTES_MAX, Header, Method, Reader, VERSION, Writer, header_len,
};
use encryptor::{CryptoError, StreamError};
use proptest::prelude::*;
use serde_json::json;

use crate::book::{self, CHUNK};
use crate::support::*;

/// Around the ends of chunks, where mistakes live.
fn sizes() -> impl Strategy<Value = usize> {
    let edge = (0..4usize, -2..=2isize);
    prop_oneof![
        edge.prop_map(|(chunks, off)| (chunks * CHUNK).saturating_add_signed(off)),
        0..4 * CHUNK,
        0..100usize,
    ]
}

fn a_method() -> impl Strategy<Value = Method> {
    (0..methods().len()).prop_map(|i| methods()[i].clone())
}

#[test]
fn every_size_around_a_chunk_comes_back_under_every_method() {
    for method in methods() {
        for len in [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000] {
            let plaintext = bytes(len);
            assert_eq!(open_and_read(&seal(&method, &plaintext)), Some(plaintext.clone()), "{len}");
            assert_eq!(open_and_read(&write(&method, &plaintext, &[])), Some(plaintext), "{len}");
        }
    }
}

#[test]
fn ranges_at_every_edge_of_a_chunk() {
    let len = 2 * CHUNK as u64 + 10;
    let (plaintext, chunk) = (bytes(len as usize), CHUNK as u64);
    let edges = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, len - 1, len];
    for method in methods() {
        let file = write(&method, &plaintext, &[]);
        for (from, to) in edges.iter().flat_map(|from| edges.map(|to| (*from, to))) {
            let read = read(&file, from..to);
            if from > to {
                assert!(matches!(read, Err(StreamError::Crypto(CryptoError::Malformed(_)))));
            } else {
                assert_eq!(read.unwrap(), plaintext[from as usize..to as usize], "{from}..{to}");
            }
        }
        assert!(read(&file, 0..len + 1).is_err());
        assert!(read(&file, len + 1..len + 1).is_err());
    }
}

/// Counts what is read.
struct Counted<R>(R, u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buf)?;
        self.1 += n as u64;
        Ok(n)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_range_reads_only_the_chunks_that_it_touches() {
    let [s3, ..] = methods();
    let file = seal(&s3, &bytes(10 * CHUNK));
    let opened = read_header(&file).unwrap();
    let chunk = CHUNK as u64;
    for (range, chunks) in [
        (0..1, 1),
        (chunk - 1..chunk, 1),
        (chunk - 1..chunk + 1, 2),
        (3 * chunk..5 * chunk, 2),
        (5..5, 0),
        (10 * chunk..10 * chunk, 1),
    ] {
        let mut input = Counted(Cursor::new(&file), 0);
        let mut reader = Reader::new(&mut input, &opened, &keys(&s3), range.clone()).unwrap();
        while reader.next_chunk().unwrap().is_some() {}
        assert_eq!(input.1, chunks * (chunk + 16), "{range:?}");
    }
}

#[test]
fn a_header_has_the_room_that_was_left_for_it() {
    let [s3, ..] = methods();
    let new =
        |room| Writer::new(Cursor::new(Vec::new()), BUCKET, KEY, s3.clone(), &keys(&s3), room);
    let meta = json!("x".repeat(300));
    assert!(new(302).unwrap().finish(&meta, &mac()).is_ok());
    let tight = new(200).unwrap().finish(&meta, &mac()).err();
    assert!(matches!(tight, Some(StreamError::Crypto(CryptoError::Malformed(_)))), "{tight:?}");
    for room in [HEADER_BYTES_MAX, usize::MAX] {
        assert!(matches!(new(room).err(), Some(StreamError::Crypto(CryptoError::Malformed(_)))));
    }
}

#[test]
fn a_header_is_its_plaintexts_and_of_this_version() {
    let [s3, ..] = methods();
    for (version, size) in [(VERSION, 5), (VERSION, 7), (VERSION, 70_000), (1, 6), (3, 6)] {
        let header = Header { version, ..header(KEY, size, &s3) };
        let sealed = envelope::seal(&header, &keys(&s3), &mac(), b"events");
        assert_eq!(sealed, Err(CryptoError::Malformed("the header is not this plaintext's")));
    }
}

#[test]
fn what_was_not_finished_is_no_object() {
    let [s3, ..] = methods();
    let mut out = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut out, BUCKET, KEY, s3.clone(), &keys(&s3), 200).unwrap();
    writer.write(&bytes(3 * CHUNK)).unwrap();
    drop(writer);
    assert!(out.get_ref().len() > 2 * CHUNK);
    let refused = CryptoError::Malformed("does not begin as a sealed object");
    assert_eq!(open(out.get_ref()), Err(refused));
}

/// Fails once, when `left` bytes were written.
struct Full {
    left: usize,
    failed: bool,
}

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.left == 0 && !self.failed {
            self.failed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = if self.failed { buf.len() } else { buf.len().min(self.left) };
        self.left = self.left.saturating_sub(n);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_write_that_failed_is_not_forgotten() {
    let [s3, ..] = methods();
    let full = Full { left: CHUNK, failed: false };
    let mut writer = Writer::new(full, BUCKET, KEY, s3.clone(), &keys(&s3), 200).unwrap();
    assert!(matches!(writer.write(&bytes(3 * CHUNK)), Err(StreamError::Io(_))));
    assert!(matches!(writer.write(b"more"), Err(StreamError::Io(_))));
    assert!(matches!(writer.finish(&meta(), &mac()), Err(StreamError::Io(_))));
}

#[test]
fn an_object_may_begin_anywhere_in_what_it_is_written_to() {
    let [s3, ..] = methods();
    let mut out = Cursor::new(b"before".to_vec());
    out.set_position(6);
    let mut writer = Writer::new(out, BUCKET, KEY, s3.clone(), &keys(&s3), 200).unwrap();
    writer.write(b"events").unwrap();
    let out = writer.finish(&meta(), &mac()).unwrap().into_inner();
    assert_eq!((&out[..6], open(&out[6..]).unwrap().as_slice()), (&b"before"[..], &b"events"[..]));
}

/// Zeros sealed by the book, made when they are read and compared when they are written, so
/// that an object of any length needs no room.
struct Zeros {
    head: Vec<u8>,
    aads: Vec<Vec<u8>>,
    size: u64,
    position: u64,
    made: (u64, Vec<u8>),
    longest_write: usize,
}

impl Zeros {
    fn new(method: &Method, head: Vec<u8>, size: u64) -> Self {
        let aads = book::aads_v2(KEY, method);
        Self { head, aads, size, position: 0, made: (u64::MAX, Vec::new()), longest_write: 0 }
    }

    fn len(&self) -> u64 {
        let tags = self.aads.len() as u64 * 16;
        self.head.len() as u64 + self.size + self.size.div_ceil(CHUNK as u64) * tags
    }

    /// What stands at the position, up to the end of its chunk.
    fn here(&mut self) -> &[u8] {
        if self.position < self.head.len() as u64 {
            return &self.head[self.position as usize..];
        }
        let stored = (CHUNK + self.aads.len() * 16) as u64;
        let at = self.position - self.head.len() as u64;
        let (number, within) = (at / stored, (at % stored) as usize);
        if self.made.0 != number {
            let from = number * CHUNK as u64;
            let len = self.size.saturating_sub(from).min(CHUNK as u64);
            let last = from + len == self.size;
            self.made =
                (number, book::chunk(number as u32, last, &self.aads, &vec![0; len as usize]));
        }
        self.made.1.get(within..).unwrap_or_default()
    }
}

impl Read for Zeros {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.len() {
            return Ok(0);
        }
        let here = self.here();
        let n = buf.len().min(here.len());
        buf[..n].copy_from_slice(&here[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl Write for Zeros {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.longest_write = self.longest_write.max(buf.len());
        if self.position < self.head.len() as u64 {
            // Zeros first, the header at the end.
            assert_eq!((self.position, buf.len()), (0, self.head.len()));
            self.head.copy_from_slice(buf);
        } else {
            assert_eq!(self.here(), buf);
        }
        self.position += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Zeros {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(0) => self.len(),
            SeekFrom::Current(0) => self.position,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(self.position)
    }
}

fn zeros_there_and_back(method: &Method, size: u64) {
    // As long as the header that `meta` and its room make.
    let head = vec![0; write(method, b"", &[]).len() - 16 * book::aads_v2(KEY, method).len()];
    let out = Zeros::new(method, head, size);
    let mut writer = Writer::new(out, BUCKET, KEY, method.clone(), &keys(method), 200).unwrap();
    let piece = vec![0; 1_000_003];
    let mut left = size;
    while left > 0 {
        let n = left.min(piece.len() as u64);
        writer.write(&piece[..n as usize]).unwrap();
        left -= n;
    }
    let mut file = writer.finish(&meta(), &mac()).unwrap();
    assert!(file.longest_write <= CHUNK + 32);
    let opened = read_header(&file.head).unwrap();
    assert_eq!((opened.header.size, opened.file_len()), (size, file.len()));
    let mut reader = Reader::new(&mut file, &opened, &keys(method), 0..size).unwrap();
    let zeros = [0; CHUNK];
    let mut read = 0;
    while let Some(chunk) = reader.next_chunk().unwrap() {
        assert_eq!(chunk, &zeros[..chunk.len()]);
        read += chunk.len() as u64;
    }
    assert_eq!(read, size);
}

#[test]
fn three_hundred_megabytes_pass_in_pieces_of_a_chunk() {
    let [s3, _, _, dsse, _] = methods();
    zeros_there_and_back(&s3, 300_000_000);
    zeros_there_and_back(&dsse, 20_000_000);
}

#[test]
#[ignore = "seals and opens 5 GiB several times over; a quarter of a minute"]
fn five_gibibytes_and_a_bit() {
    let [s3, _, _, dsse, _] = methods();
    zeros_there_and_back(&s3, (5 << 30) + 12_345);
    zeros_there_and_back(&dsse, (5 << 30) + 12_345);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_size_in_any_pieces_comes_back_in_any_range(
        method in a_method(),
        len in sizes(),
        cuts in proptest::collection::vec(sizes(), 0..6),
        ends in (any::<u64>(), any::<u64>()),
    ) {
        let plaintext = bytes(len);
        let file = write(&method, &plaintext, &cuts);
        prop_assert_eq!(open_and_read(&file), Some(plaintext.clone()));
        let (a, b) = (ends.0 % (len as u64 + 1), ends.1 % (len as u64 + 1));
        let (from, to) = (a.min(b), a.max(b));
        prop_assert_eq!(read(&file, from..to).unwrap(), &plaintext[from as usize..to as usize]);
    }

    #[test]
    fn the_whole_and_the_stream_are_the_same_form(method in a_method(), len in sizes()) {
        // All but the header's room, and the MAC, which covers it.
        let plaintext = bytes(len);
        let (whole, streamed) = (seal(&method, &plaintext), write(&method, &plaintext, &[]));
        let at = |file: &[u8]| header_len(file).unwrap();
        prop_assert_eq!(&whole[at(&whole)..], &streamed[at(&streamed)..]);
        let header = |file: &[u8]| read_header(file).unwrap().header;
        prop_assert_eq!(header(&whole), header(&streamed));
    }
}
