//! No error says anything of a key or a plaintext, whatever went wrong.

use std::error::Error;
use std::io::Cursor;

use encryptor::envelope::{self, Header, HexBytes, Method, ObjectKeys, Reader, VERSION, Writer};
use encryptor::keyring::{Ciphertext, Material, unwrap_s3, wrap_s3};
use encryptor::keys::{RootSecret, SecretKey};
use encryptor::signing::{RsaKey, SigningKey};
use encryptor::spool_key::SpoolKey;
use trail::ports::{Pairs, Sealer as _};

const MARKED: &[u8; 32] = b"MARKED-KEY-0123456789-ABCDEFGHI!";
const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234-ab";

fn marked() -> SecretKey {
    SecretKey::from_slice(MARKED).unwrap()
}

fn other() -> SecretKey {
    SecretKey::generate().unwrap()
}

fn header(method: &Method, size: usize) -> Header<()> {
    let (bucket, key) = ("b".to_owned(), "k".to_owned());
    Header { version: VERSION, bucket, key, size: size as u64, method: method.clone(), meta: () }
}

fn errors() -> Vec<Box<dyn Error>> {
    // Keys of a wrong form.
    let pem = "-----BEGIN PRIVATE KEY-----\nMARKED";
    let mut all: Vec<Box<dyn Error>> = vec![
        SecretKey::from_slice(&MARKED[1..]).err().unwrap().into(),
        RootSecret::from_hex(&hex::encode(&MARKED[1..])).err().unwrap().into(),
        RootSecret::from_hex("MARKED-KEY").err().unwrap().into(),
        SigningKey::from_pem(pem).err().unwrap().into(),
        RsaKey::from_pkcs8(MARKED).err().unwrap().into(),
    ];

    // Wrapped keys under another key, cut, or of another name.
    let blob = marked().seal(&[b"aad"], MARKED).unwrap();
    for bad in [&blob[..], &blob[..20], &blob[1..], MARKED, b""] {
        all.push(other().open(&[b"aad"], bad).err().unwrap().into());
    }
    let wrapped = wrap_s3(&other(), 1, ("b", "k"), &marked()).unwrap();
    all.push(unwrap_s3(&marked(), 1, ("b", "k"), &wrapped).err().unwrap().into());
    let material = Material { id: [7; 16], key: marked() };
    let wrapped = material.encrypt(ARN, &Pairs::new(), MARKED).unwrap();
    let parsed = Ciphertext::parse(&wrapped).unwrap();
    let context = Pairs::from([("a".to_owned(), "b".to_owned())]);
    all.push(material.decrypt(ARN, &context, &parsed).err().unwrap().into());
    all.push(Ciphertext::parse(MARKED).err().unwrap().into());

    // Objects and spool files.
    let method = Method::S3 { generation: 1, wrapped: HexBytes(vec![0; 61]) };
    let mac = RootSecret::from_hex(&hex::encode(MARKED)).unwrap().header_mac_key().unwrap();
    let keys = ObjectKeys::one(marked());
    let file = envelope::seal(&header(&method, 32), &keys, &mac, MARKED).unwrap();
    let opened = envelope::read_header::<()>(&file, &mac, "b", "k").unwrap();
    all.push(envelope::seal(&header(&method, 1), &keys, &mac, MARKED).err().unwrap().into());
    all.push(envelope::read_header::<()>(MARKED, &mac, "b", "k").err().unwrap().into());
    all.push(envelope::read_header::<()>(&file, &mac, "b", "l").err().unwrap().into());
    let both = ObjectKeys::two(marked(), marked());
    all.push(envelope::open(&file, &opened, &both).err().unwrap().into());
    let wrong = ObjectKeys::one(other());
    all.push(envelope::open(&file, &opened, &wrong).err().unwrap().into());
    let mut reader = Reader::new(Cursor::new(&file), &opened, &wrong, 0..32).unwrap();
    all.push(reader.next_chunk().err().unwrap().into());
    let cut = Reader::new(Cursor::new(MARKED), &opened, &keys, 0..32);
    all.push(cut.err().unwrap().into());
    let writer = Writer::new(Cursor::new(Vec::new()), "b", "k", method, &keys, 4).unwrap();
    all.push(writer.finish(&["MARKED-KEY"; 10], &mac).err().unwrap().into());
    let sealed = SpoolKey::new(marked()).seal("segment", MARKED).unwrap();
    all.push(SpoolKey::new(other()).open("segment", &sealed).err().unwrap().into());
    all
}

#[test]
fn errors_hold_nothing_of_keys_or_plaintexts() {
    // "MARKED-K" as text, hex, base64 (from each of three offsets) and a list of bytes.
    let forms = ["MARKED", "4d41524b", "TUFSS", "1BUktF", "NQVJLR", "77, 65, 82, 75"];
    for error in errors() {
        let text = format!("{error} {error:?} {:?}", error.source());
        for form in forms {
            assert!(!text.to_lowercase().contains(&form.to_lowercase()), "{text}");
        }
    }
}
