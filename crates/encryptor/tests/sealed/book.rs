//! The format once more, from its description alone and without the crate's own code, so that
//! a slip in the code does not excuse itself.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use encryptor::envelope::Method;
use encryptor::keys::SecretKey;
use zeroize::Zeroizing;

use crate::support::{BUCKET, KEYS, ROOT};

pub(crate) const CHUNK: usize = 65_536;

/// Magic, length, header, MAC.
pub(crate) fn head(json: &[u8]) -> Vec<u8> {
    let mut out = b"tsealed\n".to_vec();
    out.extend((json.len() as u32).to_le_bytes());
    out.extend(json);
    let root = SecretKey::new(Zeroizing::new(ROOT));
    let key = root.derive(b"trailseal.store/v1", &[b"object header mac"]).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes().as_slice());
    out.extend(hmac::sign(&key, &out).as_ref());
    out
}

/// The AAD of version 1.
pub(crate) fn aad_v1(head: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, head).as_ref().to_vec()
}

/// The AAD of a layer in version 2.
pub(crate) fn aad_v2(layer: u8, key: &str, method: &Method) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = vec![
        b"trailseal chunk/v2".into(),
        vec![layer],
        BUCKET.into(),
        key.into(),
        serde_json::to_value(method).unwrap()["sse"].as_str().unwrap().into(),
    ];
    match method.clone() {
        Method::S3 { generation, wrapped } => {
            parts.extend([generation.to_le_bytes().to_vec(), wrapped.0]);
        }
        Method::Kms { arn, context, wrapped, bucket_salt } => {
            parts.extend([arn.into(), wrapped.0, bucket_salt.map_or(vec![], |s| s.0)]);
            parts.extend(context.into_iter().flat_map(|(n, v)| [n.into_bytes(), v.into_bytes()]));
        }
        Method::Dsse { arn, context, wrapped, generation, wrapped_s3 } => {
            let generation = generation.to_le_bytes().to_vec();
            parts.extend([arn.into(), wrapped.0, generation, wrapped_s3.0]);
            parts.extend(context.into_iter().flat_map(|(n, v)| [n.into_bytes(), v.into_bytes()]));
        }
        Method::Customer { salt, check_salt, check } => {
            parts.extend([salt.0, check_salt.0, check.0]);
        }
    }
    let framed: Vec<u8> = parts
        .iter()
        .flat_map(|p| [(p.len() as u64).to_le_bytes().to_vec(), p.clone()].concat())
        .collect();
    digest::digest(&digest::SHA256, &framed).as_ref().to_vec()
}

/// The AADs of all layers in version 2.
pub(crate) fn aads_v2(key: &str, method: &Method) -> Vec<Vec<u8>> {
    let layers = if matches!(method, Method::Dsse { .. }) { 2 } else { 1 };
    (1..=layers).map(|layer| aad_v2(layer, key, method)).collect()
}

/// One sealed chunk: a layer for each AAD, the inner first.
pub(crate) fn chunk(number: u32, last: bool, aads: &[Vec<u8>], plaintext: &[u8]) -> Vec<u8> {
    let mut bytes = plaintext.to_vec();
    for (key, aad) in KEYS.iter().zip(aads) {
        let mut nonce = [0; 12];
        nonce[7..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut bytes,
            )
            .unwrap();
    }
    bytes
}

/// All chunks of an object.
pub(crate) fn chunks(aads: &[Vec<u8>], plaintext: &[u8]) -> Vec<u8> {
    let count = plaintext.len().div_ceil(CHUNK).max(1);
    (0..count)
        .flat_map(|n| {
            let part = &plaintext[n * CHUNK..plaintext.len().min((n + 1) * CHUNK)];
            chunk(n as u32, n + 1 == count, aads, part)
        })
        .collect()
}
