//! Fixed keys and one method of each kind.

use std::io::Cursor;
use std::ops::Range;

use encryptor::envelope::{
    self, Header, HexBytes, Method, ObjectKeys, Opened, Reader, VERSION, Writer,
};
use encryptor::keys::{HeaderMacKey, RootSecret, SecretKey};
use encryptor::{CryptoError, StreamError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(crate) const BUCKET: &str = "audit-logs";
pub(crate) const KEY: &str = "AWSLogs/111122223333/log.json.gz";
/// Of the inner and the outer layer.
pub(crate) const KEYS: [[u8; 32]; 2] = [[0x11; 32], [0x22; 32]];
pub(crate) const ROOT: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];

pub(crate) fn mac() -> HeaderMacKey {
    RootSecret::from_hex(&hex::encode(ROOT)).unwrap().header_mac_key().unwrap()
}

pub(crate) fn secret(bytes: [u8; 32]) -> SecretKey {
    SecretKey::new(Zeroizing::new(bytes))
}

pub(crate) fn keys(method: &Method) -> ObjectKeys {
    let [inner, outer] = KEYS.map(secret);
    if matches!(method, Method::Dsse { .. }) {
        ObjectKeys::two(inner, outer)
    } else {
        ObjectKeys::one(inner)
    }
}

pub(crate) fn methods() -> [Method; 5] {
    let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let context = [pair("aws:s3:arn", "arn:aws:s3:::audit-logs"), pair("team", "audit")];
    let kms = |bucket_salt| Method::Kms {
        arn: arn.into(),
        context: context.clone().into(),
        wrapped: HexBytes(vec![0xa2; 61]),
        bucket_salt,
    };
    [
        Method::S3 { generation: 1, wrapped: HexBytes(vec![0xa1; 61]) },
        kms(None),
        kms(Some(HexBytes(vec![0x5a; 32]))),
        Method::Dsse {
            arn: arn.into(),
            context: context.clone().into(),
            wrapped: HexBytes(vec![0xa3; 61]),
            generation: 7,
            wrapped_s3: HexBytes(vec![0xa4; 61]),
        },
        Method::Customer {
            salt: HexBytes(vec![0xa5; 32]),
            check_salt: HexBytes(vec![0xa6; 32]),
            check: HexBytes(vec![0xa7; 32]),
        },
    ]
}

pub(crate) fn meta() -> Value {
    json!({"etag": "0123456789abcdef", "metadata": {"note": "golden"}})
}

pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub(crate) fn header(key: &str, size: usize, method: &Method) -> Header<Value> {
    Header {
        version: VERSION,
        bucket: BUCKET.into(),
        key: key.into(),
        size: size as u64,
        method: method.clone(),
        meta: meta(),
    }
}

pub(crate) fn seal(method: &Method, plaintext: &[u8]) -> Vec<u8> {
    let header = header(KEY, plaintext.len(), method);
    envelope::seal(&header, &keys(method), &mac(), plaintext).unwrap()
}

/// Through a [`Writer`], cut at the places of `cuts`.
pub(crate) fn write(method: &Method, plaintext: &[u8], cuts: &[usize]) -> Vec<u8> {
    let out = Cursor::new(Vec::new());
    let mut writer = Writer::new(out, BUCKET, KEY, method.clone(), &keys(method), 200).unwrap();
    let mut cuts: Vec<_> = cuts.iter().map(|cut| (*cut).min(plaintext.len())).collect();
    cuts.extend([0, plaintext.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        writer.write(&plaintext[pair[0]..pair[1]]).unwrap();
    }
    assert_eq!(writer.size(), plaintext.len() as u64);
    writer.finish(&meta(), &mac()).unwrap().into_inner()
}

pub(crate) fn read_header(file: &[u8]) -> Result<Opened<Value>, CryptoError> {
    envelope::read_header(file, &mac(), BUCKET, KEY)
}

/// The whole object, by [`envelope::open`].
pub(crate) fn open(file: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let opened = read_header(file)?;
    envelope::open(file, &opened, &keys(&opened.header.method))
}

/// A range, by [`Reader`], with the header that the file has.
pub(crate) fn read(file: &[u8], range: Range<u64>) -> Result<Vec<u8>, StreamError> {
    let opened = read_header(file)?;
    let mut reader = Reader::new(Cursor::new(file), &opened, &keys(&opened.header.method), range)?;
    let mut out = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        assert!(!chunk.is_empty() && chunk.len() <= envelope::CHUNK_BYTES);
        out.extend_from_slice(chunk);
    }
    Ok(out)
}

/// Both ways of reading all of it; they must agree on whether it is sound.
pub(crate) fn open_and_read(file: &[u8]) -> Option<Vec<u8>> {
    let opened = open(file).ok();
    let size = read_header(file).map_or(0, |opened| opened.header.size);
    assert_eq!(read(file, 0..size).ok(), opened);
    opened
}
