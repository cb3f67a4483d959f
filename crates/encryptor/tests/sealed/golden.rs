//! Files of both versions, made once: what was written must stay readable, and version 2 is
//! still written byte for byte as it was.
//!
//! The version 1 files were made by the last release that wrote them, under the keys of
//! `support.rs`. Those of version 2 are made by
//! `cargo test -p encryptor --test sealed -- --ignored make_the_golden_files`.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use encryptor::envelope::{self, Header, Method, Reader};
use serde_json::Value;

use crate::book;
use crate::support::*;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.sealed"))
}

/// A name, the size, the method. One of each layering has two chunks.
fn version_2() -> [(&'static str, usize, Method); 5] {
    let [s3, kms, bucket_key, dsse, customer] = methods();
    [
        ("v2-s3", 65_600, s3),
        ("v2-kms", 1000, kms),
        ("v2-bucket-key", 0, bucket_key),
        ("v2-dsse", 65_600, dsse),
        ("v2-sse-c", 1000, customer),
    ]
}

fn make(name: &str, size: usize, method: &Method) -> Vec<u8> {
    let header = header(&format!("golden/{name}"), size, method);
    envelope::seal(&header, &keys(method), &mac(), &bytes(size)).unwrap()
}

fn read(name: &str, file: &[u8]) -> (Header<Value>, Vec<u8>) {
    let key = format!("golden/{name}");
    let opened = envelope::read_header::<Value>(file, &mac(), BUCKET, &key).unwrap();
    let keys = keys(&opened.header.method);
    let plaintext = envelope::open(file, &opened, &keys).unwrap();
    let range = 0..opened.header.size;
    let mut reader = Reader::new(Cursor::new(file), &opened, &keys, range).unwrap();
    let mut streamed = Vec::new();
    while let Some(chunk) = reader.next_chunk().unwrap() {
        streamed.extend_from_slice(chunk);
    }
    assert!(streamed == plaintext);
    (opened.header, plaintext)
}

#[test]
#[ignore = "writes the fixtures; only when the format changes, with a new version number"]
fn make_the_golden_files() {
    for (name, size, method) in version_2() {
        fs::write(path(name), make(name, size, &method)).unwrap();
    }
}

#[test]
fn version_2_is_written_and_read_as_it_was() {
    for (name, size, method) in version_2() {
        let file = fs::read(path(name)).unwrap();
        assert!(file == make(name, size, &method), "{name} is written otherwise now");
        let header = header(&format!("golden/{name}"), size, &method);
        assert_eq!(read(name, &file), (header, bytes(size)));
    }
}

#[test]
fn version_2_is_what_its_description_says() {
    for (name, size, method) in version_2() {
        let key = format!("golden/{name}");
        let json = serde_json::to_vec(&header(&key, size, &method)).unwrap();
        let chunks = book::chunks(&book::aads_v2(&key, &method), &bytes(size));
        assert!(fs::read(path(name)).unwrap() == [book::head(&json), chunks].concat(), "{name}");
    }
}

#[test]
fn version_1_is_still_read_and_nothing_changed_in_it() {
    for (name, size) in [("v1-s3", 65_600), ("v1-kms", 1000)] {
        let mut file = fs::read(path(name)).unwrap();
        let (header, plaintext) = read(name, &file);
        assert_eq!((header.version, plaintext), (1, bytes(size)));
        assert_eq!(header.meta, meta());
        // By the book, too.
        let json = serde_json::to_vec(&header).unwrap();
        let head = book::head(&json);
        let chunks = book::chunks(&[book::aad_v1(&head)], &bytes(size));
        assert!(file == [head.clone(), chunks].concat(), "{name}");

        let key = format!("golden/{name}");
        let open = |file: &[u8]| {
            let opened = envelope::read_header::<Value>(file, &mac(), BUCKET, &key)?;
            envelope::open(file, &opened, &keys(&opened.header.method))
        };
        let step = if size > 10_000 { 4999 } else { 1 };
        for bit in (0..file.len() * 8).step_by(step) {
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&file).is_err(), "{name}, bit {bit}");
            file[bit / 8] ^= 1 << (bit % 8);
        }
        // Relabelled as version 2, by someone who has the header key: the chunks do not fit.
        let relabelled = Header { version: 2, ..header };
        let head = book::head(&serde_json::to_vec(&relabelled).unwrap());
        assert!(open(&[&head, &file[head.len()..]].concat()).is_err());
    }
}
