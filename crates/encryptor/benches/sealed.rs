//! Sealing and opening against AES-256-GCM alone, over the same bytes, moved in the same way:
//! whole buffers from one into a new one; streams in pieces of 64 KiB, the source read into a
//! buffer, the sink taking bytes and forgetting them. Interleaved rounds, medians, ratios.
//!
//! `cargo bench -p encryptor`. The figures of a machine are its own; the ratios travel better.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement that cannot go on stops; it prints; and it needs a clock"
)]

use std::hint::black_box;
use std::io::{self, Cursor, Read as _, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use encryptor::envelope::{
    self, CHUNK_BYTES, Header, HexBytes, Method, ObjectKeys, Reader, VERSION, Writer, read_header,
};
use encryptor::keys::{HeaderMacKey, RootSecret, SecretKey};

const ROUNDS: usize = 31;
/// Bytes of each round, in as many objects as that takes.
const ROUND_BYTES: usize = 64 << 20;

fn main() {
    println!("AES-256-GCM alone, and speed ÷ its speed; median of {ROUNDS} interleaved rounds\n");
    let row = ["size", "GCM MB/s", "seal", "open", "write", "read", "DSSE seal", "DSSE open"];
    println!("{}", row.map(|cell| format!("{cell:>10}")).concat());
    for (name, size) in [
        ("10 KB", 10_000),
        ("100 KB", 100_000),
        ("1 MiB", 1 << 20),
        ("8 MiB", 8 << 20),
        ("64 MiB", 64 << 20),
    ] {
        let [whole, seal, open, alone_out, write, alone_in, read, dsse_seal, dsse_open] =
            measure(size).map(|t| t.as_secs_f64());
        let ratios = [
            whole / seal,
            whole / open,
            alone_out / write,
            alone_in / read,
            whole / dsse_seal,
            whole / dsse_open,
        ];
        let speed = (ROUND_BYTES / size * size) as f64 / 1e6 / whole;
        println!("{name:>10}{speed:>10.0}{}", ratios.map(|r| format!("{r:>10.2}")).concat());
    }
    println!("\nDSSE encrypts twice: 0.5 would be the speed of AES-256-GCM alone.");
}

struct Case {
    method: Method,
    keys: ObjectKeys,
    mac: HeaderMacKey,
}

impl Case {
    fn header(&self, size: usize) -> Header<&'static str> {
        Header {
            version: VERSION,
            bucket: "audit-logs".into(),
            key: "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/23/log.json.gz".into(),
            size: size as u64,
            method: self.method.clone(),
            meta: "facts",
        }
    }

    fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        envelope::seal(&self.header(plaintext.len()), &self.keys, &self.mac, plaintext).unwrap()
    }

    fn write<W: Write + Seek>(&self, plaintext: &[u8], out: W) -> W {
        let Header { bucket, key, method, meta, .. } = self.header(plaintext.len());
        let mut writer = Writer::new(out, &bucket, &key, method, &self.keys, 100).unwrap();
        // As a network or a file gives it.
        for piece in plaintext.chunks(256 << 10) {
            writer.write(piece).unwrap();
        }
        writer.finish(&meta, &self.mac).unwrap()
    }

    fn open(&self, file: &[u8]) -> Vec<u8> {
        let Header { bucket, key, .. } = self.header(0);
        let opened = read_header::<String>(file, &self.mac, &bucket, &key).unwrap();
        envelope::open(file, &opened, &self.keys).unwrap()
    }

    fn read(&self, file: &[u8]) -> usize {
        let Header { bucket, key, .. } = self.header(0);
        let opened = read_header::<String>(file, &self.mac, &bucket, &key).unwrap();
        let range = 0..opened.header.size;
        let mut reader = Reader::new(Cursor::new(file), &opened, &self.keys, range).unwrap();
        let mut size = 0;
        while let Some(chunk) = reader.next_chunk().unwrap() {
            size += black_box(chunk).len();
        }
        size
    }
}

/// Takes bytes and forgets them.
struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

/// AES-256-GCM and nothing else.
struct Alone(LessSafeKey);

impl Alone {
    fn nonce() -> Nonce {
        Nonce::assume_unique_for_key([0; 12])
    }

    fn whole(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plaintext.len() + 16];
        let (ciphertext, tag) = out.split_at_mut(plaintext.len());
        self.0
            .seal_out_of_place_scatter(Self::nonce(), Aad::empty(), plaintext, ciphertext, &[], tag)
            .unwrap();
        out
    }

    fn write(&self, plaintext: &[u8], piece: &mut [u8]) {
        for chunk in plaintext.chunks(CHUNK_BYTES) {
            let (ciphertext, tag) = piece[..chunk.len() + 16].split_at_mut(chunk.len());
            self.0
                .seal_out_of_place_scatter(Self::nonce(), Aad::empty(), chunk, ciphertext, &[], tag)
                .unwrap();
            Sink.write_all(&piece[..chunk.len() + 16]).unwrap();
        }
    }

    fn read(&self, mut source: &[u8], piece: &mut [u8]) {
        while !source.is_empty() {
            let n = source.len().min(CHUNK_BYTES);
            source.read_exact(&mut piece[..n]).unwrap();
            let tag =
                self.0.seal_in_place_separate_tag(Self::nonce(), Aad::empty(), &mut piece[..n]);
            let _ = black_box(tag.unwrap());
        }
    }
}

fn measure(size: usize) -> [Duration; 9] {
    let mac = || RootSecret::generate().unwrap().header_mac_key().unwrap();
    let key = || SecretKey::generate().unwrap();
    let wrapped = || HexBytes(vec![7; 61]);
    let method = Method::S3 { generation: 1, wrapped: wrapped() };
    let one = Case { method, keys: ObjectKeys::one(key()), mac: mac() };
    let method = Method::Dsse {
        arn: "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".into(),
        context: [("aws:s3:arn".into(), "arn:aws:s3:::audit-logs/log".into())].into(),
        wrapped: wrapped(),
        generation: 1,
        wrapped_s3: wrapped(),
    };
    let two = Case { method, keys: ObjectKeys::two(key(), key()), mac: mac() };

    let plaintext: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
    let alone = Alone(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()));
    let (sealed, double) = (one.seal(&plaintext), two.seal(&plaintext));
    let written = one.write(&plaintext, Cursor::new(Vec::new())).into_inner();
    assert!(one.open(&written) == plaintext && two.open(&double) == plaintext);
    assert_eq!(one.read(&sealed), size);
    let mut piece = vec![0; CHUNK_BYTES + 16];
    let mut times: [Vec<Duration>; 9] = Default::default();
    for _ in 0..ROUNDS {
        let mut time = |which: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            for _ in 0..ROUND_BYTES / size {
                work();
            }
            times[which].push(start.elapsed());
        };
        time(0, &mut || drop(black_box(alone.whole(&plaintext))));
        time(1, &mut || drop(black_box(one.seal(&plaintext))));
        time(2, &mut || drop(black_box(one.open(&sealed))));
        time(3, &mut || alone.write(&plaintext, &mut piece));
        time(4, &mut || {
            one.write(&plaintext, Sink);
        });
        time(5, &mut || alone.read(&plaintext, &mut piece));
        time(6, &mut || assert_eq!(one.read(&sealed), size));
        time(7, &mut || drop(black_box(two.seal(&plaintext))));
        time(8, &mut || drop(black_box(two.open(&double))));
    }
    times.map(|mut t| {
        t.sort_unstable();
        t[ROUNDS / 2]
    })
}
