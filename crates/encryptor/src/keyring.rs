//! How data keys are wrapped: by KMS key material, by an SSE-S3 root key, by a Bucket Key.
//!
//! A KMS ciphertext says in clear which key and which material of it (a rotated key has many)
//! made it, as AWS's own do, so that Decrypt needs nothing else to find them:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | length of the key id, n |
//! | n | key id |
//! | 16 | material id |
//! | rest | [`SecretKey::seal`] of the plaintext; AAD: key ARN, material id, encryption context |
//!
//! The key ARN in the AAD is without its region for a multi-Region key (`mrk-…`), whose replicas
//! in other regions have the same id and material and open each other's ciphertexts.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use trail::ports::Pairs;
use zeroize::Zeroizing;

use crate::error::CryptoError;
use crate::keys::{SecretKey, random};

const VERSION: u8 = 1;

/// Which material of a KMS key; random.
pub type MaterialId = [u8; 16];

/// One generation of a KMS key's material.
pub struct Material {
    /// Its id.
    pub id: MaterialId,
    /// Its bytes.
    pub key: SecretKey,
}

impl Material {
    /// New random material.
    ///
    /// # Errors
    /// When the random source fails.
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self { id: random()?, key: SecretKey::generate()? })
    }

    /// KMS Encrypt: `plaintext` under this material of the key `arn`, bound to `context`.
    ///
    /// # Errors
    /// When the random source or the cipher fails.
    pub fn encrypt(
        &self,
        arn: &str,
        context: &Pairs,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let key_id = key_id(arn);
        let len = u8::try_from(key_id.len())
            .map_err(|_| CryptoError::Malformed("a key id has at most 255 bytes"))?;
        let sealed = self.key.seal(&kms_aad(&bound_arn(arn), &self.id, context), plaintext)?;
        let mut out = vec![VERSION, len];
        out.extend_from_slice(key_id.as_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// KMS Decrypt of what [`Material::encrypt`] gave, under the same `arn` and `context`.
    ///
    /// # Errors
    /// When anything differs, the context included.
    pub fn decrypt(
        &self,
        arn: &str,
        context: &Pairs,
        ciphertext: &Ciphertext<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if ciphertext.key_id != key_id(arn) || ciphertext.material != self.id {
            return Err(CryptoError::Authentication);
        }
        self.key.open(&kms_aad(&bound_arn(arn), &self.id, context), ciphertext.sealed)
    }
}

/// A KMS ciphertext's parts.
pub struct Ciphertext<'a> {
    /// The id of the key that made it.
    pub key_id: &'a str,
    /// The material that made it.
    pub material: MaterialId,
    sealed: &'a [u8],
}

impl<'a> Ciphertext<'a> {
    /// Takes a ciphertext apart; nothing is authenticated yet.
    ///
    /// # Errors
    /// When it is not in the form of [`Material::encrypt`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CryptoError> {
        let wrong = || CryptoError::Malformed("not a KMS ciphertext");
        let [VERSION, len, rest @ ..] = bytes else { return Err(wrong()) };
        let (key_id, rest) = rest.split_at_checked(usize::from(*len)).ok_or_else(wrong)?;
        let (material, sealed) = rest.split_first_chunk().ok_or_else(wrong)?;
        let key_id = std::str::from_utf8(key_id).map_err(|_| wrong())?;
        Ok(Self { key_id, material: *material, sealed })
    }
}

/// What is kept of imported material, to know it when it is imported again: HKDF-SHA-256 of it
/// and a key of the store's, under a random salt. Without that key, weak material cannot be
/// guessed from it.
pub struct MaterialCheck {
    /// Random.
    pub salt: [u8; 32],
    /// HKDF of the store's key and the material.
    pub value: [u8; 32],
}

impl MaterialCheck {
    /// The check value of `material` under `store_key` and a new salt.
    ///
    /// # Errors
    /// When the random source or the crypto library fails.
    pub fn new(store_key: &SecretKey, material: &SecretKey) -> Result<Self, CryptoError> {
        let salt = random()?;
        Ok(Self { salt, value: **check_value(store_key, material, &salt)?.bytes() })
    }

    /// Whether it was made of this material.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn fits(&self, store_key: &SecretKey, material: &SecretKey) -> Result<bool, CryptoError> {
        let value = check_value(store_key, material, &self.salt)?;
        Ok(verify_slices_are_equal(value.bytes().as_slice(), &self.value).is_ok())
    }
}

fn check_value(
    store_key: &SecretKey,
    material: &SecretKey,
    salt: &[u8; 32],
) -> Result<SecretKey, CryptoError> {
    store_key.derive(salt, &[b"trailseal imported material\0", material.bytes().as_slice()])
}

/// A key's ARN as ciphertexts are bound to it.
fn bound_arn(arn: &str) -> Cow<'_, str> {
    if !key_id(arn).starts_with("mrk-") {
        return Cow::Borrowed(arn);
    }
    let mut parts: Vec<&str> = arn.split(':').collect();
    if let Some(region) = parts.get_mut(3) {
        *region = "";
    }
    Cow::Owned(parts.join(":"))
}

fn key_id(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, id)| id)
}

/// A map's order is its names' byte order, so equal contexts give equal bytes.
fn kms_aad<'a>(arn: &'a str, material: &'a MaterialId, context: &'a Pairs) -> Vec<&'a [u8]> {
    let mut parts: Vec<&[u8]> = vec![b"kms", arn.as_bytes(), material];
    for (name, value) in context {
        parts.extend([name.as_bytes(), value.as_bytes()]);
    }
    parts
}

/// Wraps an object's data key under the SSE-S3 root key of `generation`.
///
/// # Errors
/// When the random source or the cipher fails.
pub fn wrap_s3(
    root: &SecretKey,
    generation: u32,
    object: (&str, &str),
    data_key: &SecretKey,
) -> Result<Vec<u8>, CryptoError> {
    root.seal(&s3_aad(&generation.to_le_bytes(), object), data_key.bytes().as_slice())
}

/// Unwraps what [`wrap_s3`] gave for the same object.
///
/// # Errors
/// When the blob was changed, or is another object's.
pub fn unwrap_s3(
    root: &SecretKey,
    generation: u32,
    object: (&str, &str),
    wrapped: &[u8],
) -> Result<SecretKey, CryptoError> {
    SecretKey::from_slice(&root.open(&s3_aad(&generation.to_le_bytes(), object), wrapped)?)
}

fn s3_aad<'a>(generation: &'a [u8], (bucket, key): (&'a str, &'a str)) -> [&'a [u8]; 4] {
    [b"sse-s3", generation, bucket.as_bytes(), key.as_bytes()]
}

/// The data key of one object from a Bucket Key; `salt` is random and kept with the object.
///
/// # Errors
/// When the crypto library fails.
pub fn object_key(
    bucket_key: &SecretKey,
    salt: &[u8; 32],
    key: &str,
) -> Result<SecretKey, CryptoError> {
    bucket_key.derive(salt, &[b"trailseal object key\0", key.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234-ab";

    fn pairs(of: &[(&str, &str)]) -> Pairs {
        of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn kms_ciphertexts_open_under_their_own_key_and_context_only() {
        let material = Material::generate().unwrap();
        let context = pairs(&[("a", "1"), ("b", "2")]);
        let blob = material.encrypt(ARN, &context, b"data key").unwrap();
        let parsed = Ciphertext::parse(&blob).unwrap();
        assert_eq!(parsed.key_id, "1234-ab");
        assert_eq!(material.decrypt(ARN, &context, &parsed).unwrap().as_slice(), b"data key");
        for wrong in [
            pairs(&[]),
            pairs(&[("a", "1")]),
            pairs(&[("a", "1b"), ("", "2")]),
            pairs(&[("A", "1"), ("b", "2")]),
        ] {
            assert_eq!(
                material.decrypt(ARN, &wrong, &parsed).err(),
                Some(CryptoError::Authentication)
            );
        }
        let other_region = ARN.replace("us-east-1", "eu-west-1");
        assert!(material.decrypt(&other_region, &context, &parsed).is_err());
        for i in 0..blob.len() * 8 {
            let mut bad = blob.clone();
            bad[i / 8] ^= 1 << (i % 8);
            let opened = Ciphertext::parse(&bad).and_then(|c| material.decrypt(ARN, &context, &c));
            assert!(opened.is_err(), "bit {i}");
        }
    }

    #[test]
    fn replicas_of_a_multi_region_key_open_each_others_ciphertexts_and_no_other_keys() {
        let material = Material::generate().unwrap();
        let arn = |region: &str, account: &str, id: &str| {
            format!("arn:aws:kms:{region}:{account}:key/mrk-{id}")
        };
        let blob = material.encrypt(&arn("us-east-1", "1", "ab"), &Pairs::new(), b"x").unwrap();
        let parsed = Ciphertext::parse(&blob).unwrap();
        let open = |arn: &str| material.decrypt(arn, &Pairs::new(), &parsed);
        assert_eq!(open(&arn("eu-west-1", "1", "ab")).unwrap().as_slice(), b"x");
        assert!(open(&arn("us-east-1", "2", "ab")).is_err());
        assert!(open(&arn("us-east-1", "1", "cd")).is_err());
    }

    #[test]
    fn imported_material_is_known_again_by_its_check_value() {
        let [store, material, other] = [(); 3].map(|()| SecretKey::generate().unwrap());
        let check = MaterialCheck::new(&store, &material).unwrap();
        assert!(check.fits(&store, &material).unwrap());
        assert!(!check.fits(&store, &other).unwrap() && !check.fits(&other, &material).unwrap());
        assert_ne!(check.value, MaterialCheck::new(&store, &material).unwrap().value, "salted");
    }

    #[test]
    fn s3_wrapping_is_bound_to_the_object() {
        let root = SecretKey::generate().unwrap();
        let data_key = SecretKey::generate().unwrap();
        let wrapped = wrap_s3(&root, 1, ("b", "k"), &data_key).unwrap();
        assert_eq!(unwrap_s3(&root, 1, ("b", "k"), &wrapped).unwrap().bytes(), data_key.bytes());
        for (generation, object) in [(2, ("b", "k")), (1, ("bk", "")), (1, ("b", "K"))] {
            assert!(unwrap_s3(&root, generation, object, &wrapped).is_err());
        }
    }

    #[test]
    fn bucket_keys_give_each_object_its_own() {
        let bucket_key = SecretKey::generate().unwrap();
        let a = object_key(&bucket_key, &[1; 32], "a").unwrap();
        assert_eq!(a.bytes(), object_key(&bucket_key, &[1; 32], "a").unwrap().bytes());
        assert_ne!(a.bytes(), object_key(&bucket_key, &[2; 32], "a").unwrap().bytes());
        assert_ne!(a.bytes(), object_key(&bucket_key, &[1; 32], "b").unwrap().bytes());
    }
}
