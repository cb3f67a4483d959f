//! The cryptographic calls: data keys, encryption, signatures.

use std::sync::atomic::Ordering;

use encryptor::keyring::Ciphertext;
use encryptor::keys::SecretKey;
use encryptor::signing::RsaKey;
use trail::error::KeyError;
use trail::name::KeyArn;
use trail::ports::{DataKey, Pairs};
use trail::{Region, Sha256};
use zeroize::Zeroizing;

use super::KmsClient;
use super::access::{Use, encryption_facts, facts, invalid, refused};
use super::keys::KmsKey;
use super::record::{KeySpec, KeyUsage};
use crate::store::Inner;

/// What Encrypt takes of a symmetric key (KMS API, Encrypt), and Sign of a raw message.
const MESSAGE_BYTES_MAX: usize = 4096;
/// A ciphertext, as Decrypt takes it (KMS API, Decrypt).
const CIPHERTEXT_BYTES_MAX: usize = 6144;
const SIGNING_ALGORITHM: &str = "RSASSA_PKCS1_V1_5_SHA_256";

/// A ciphertext with the key that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// Says itself which key and material made it.
    pub ciphertext: Vec<u8>,
    /// The key.
    pub key: KeyArn,
    /// The id of the key's material, 32 hex digits.
    pub material: String,
}

/// A plaintext with the key that opened it.
pub struct Decrypted {
    /// Forgotten when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The key.
    pub key: KeyArn,
    /// The id of the key's material, 32 hex digits.
    pub material: String,
}

impl Decrypted {
    /// The plaintext as a data key.
    pub(super) fn data_key(&self) -> Result<SecretKey, KeyError> {
        Ok(SecretKey::from_slice(&self.plaintext)?)
    }
}

/// One side of ReEncrypt.
#[derive(Debug, Clone, Copy)]
pub struct KeyAndContext<'a> {
    /// The key; for the source, None: the one that the ciphertext names.
    pub key: Option<&'a str>,
    /// The encryption context.
    pub context: &'a Pairs,
}

/// What is signed with `RSASSA_PKCS1_V1_5_SHA_256`.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// A message of 1 to 4096 bytes.
    Raw(&'a [u8]),
    /// The SHA-256 of a message.
    Digest(&'a [u8]),
}

/// What GetPublicKey tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHalf {
    /// The key.
    pub arn: KeyArn,
    /// X.509 `SubjectPublicKeyInfo`, DER.
    pub spki: Vec<u8>,
    /// The key's kind.
    pub spec: KeySpec,
}

impl KmsClient {
    /// GenerateDataKey of 256 bits. Blocks on file I/O, as every call here.
    ///
    /// # Errors
    /// As every call.
    pub fn generate_data_key(&self, key: &str, context: &Pairs) -> Result<DataKey, KeyError> {
        self.inner.generate_data_key(self.who(), &self.region, key, context)
    }

    /// GenerateDataKeyWithoutPlaintext: the data key's ciphertext alone.
    ///
    /// # Errors
    /// As every call.
    pub fn generate_data_key_without_plaintext(
        &self,
        key: &str,
        context: &Pairs,
    ) -> Result<Encrypted, KeyError> {
        let action = "kms:GenerateDataKeyWithoutPlaintext";
        let key = self.inner.enciphering(self.who(), &self.region, key, action, context)?;
        key.encrypt(context, SecretKey::generate()?.bytes().as_slice())
    }

    /// Encrypt: 1 to 4096 bytes.
    ///
    /// # Errors
    /// When there are fewer or more bytes, and as every call.
    pub fn encrypt(
        &self,
        key: &str,
        plaintext: &[u8],
        context: &Pairs,
    ) -> Result<Encrypted, KeyError> {
        bounded("the plaintext", plaintext, MESSAGE_BYTES_MAX)?;
        self.inner
            .enciphering(self.who(), &self.region, key, "kms:Encrypt", context)?
            .encrypt(context, plaintext)
    }

    /// Decrypt, under the key that the ciphertext names, or `key` alone.
    ///
    /// # Errors
    /// `IncorrectKeyException` when another key made the ciphertext,
    /// [`KeyError::InvalidCiphertext`] when context or bytes differ, and as every call.
    pub fn decrypt(
        &self,
        key: Option<&str>,
        ciphertext: &[u8],
        context: &Pairs,
    ) -> Result<Decrypted, KeyError> {
        self.inner.decrypt(self.who(), &self.region, key, ciphertext, context)
    }

    /// ReEncrypt: a ciphertext under another key or context, without showing the plaintext.
    ///
    /// # Errors
    /// As [`KmsClient::decrypt`] and [`KmsClient::encrypt`].
    pub fn re_encrypt(
        &self,
        ciphertext: &[u8],
        from: KeyAndContext<'_>,
        to: KeyAndContext<'_>,
    ) -> Result<Encrypted, KeyError> {
        let (inner, who, region) = (&self.inner, self.who(), &self.region);
        let missing = || invalid("the destination key", "name the key to encrypt under");
        let parsed = parse(ciphertext)?;
        let source = inner.source_key(who, region, from.key, &parsed)?;
        let target = inner.find_key(who, region, to.key.ok_or_else(missing)?)?;
        for (key, action, context) in
            [(&source, "kms:ReEncryptFrom", from.context), (&target, "kms:ReEncryptTo", to.context)]
        {
            inner.permit(who, key, action, encryption_facts(context)?)?;
            inner.may_encipher(key)?;
        }
        let opened = source.decrypt(&parsed, from.context)?;
        target.encrypt(to.context, &opened.plaintext)
    }

    /// GetPublicKey of an asymmetric key.
    ///
    /// # Errors
    /// As every call.
    pub fn get_public_key(&self, key: &str) -> Result<PublicHalf, KeyError> {
        let key = self.permitted(key, "kms:GetPublicKey", facts([]))?;
        let private = key.private_key()?;
        key.record().usable()?;
        let failed =
            |e: encryptor::signing::SigningKeyError| KeyError::Internal { reason: e.to_string() };
        let spki = private.public_spki().map_err(failed)?;
        Ok(PublicHalf { arn: key.arn().clone(), spki, spec: key.record().spec })
    }

    /// Sign with `RSASSA_PKCS1_V1_5_SHA_256`; the signature has as many bytes as the modulus.
    ///
    /// # Errors
    /// When the message is too long or the digest not 32 bytes, and as every call.
    pub fn sign(&self, key: &str, message: Message<'_>) -> Result<Vec<u8>, KeyError> {
        let (key, hash) = self.signing("kms:Sign", key, message)?;
        key.private_key()?.sign(&hash)
    }

    /// Verify a signature with `RSASSA_PKCS1_V1_5_SHA_256`.
    ///
    /// # Errors
    /// `KMSInvalidSignatureException` when it does not fit, and as [`KmsClient::sign`].
    pub fn verify(
        &self,
        key: &str,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<(), KeyError> {
        let (key, hash) = self.signing("kms:Verify", key, message)?;
        if key.private_key()?.verify(&hash, signature) {
            return Ok(());
        }
        let reason = "it is not this key's over this message";
        Err(refused("KMSInvalidSignatureException", "the signature", reason))
    }

    fn signing(
        &self,
        action: &str,
        key: &str,
        message: Message<'_>,
    ) -> Result<(KmsKey, Sha256), KeyError> {
        let (kind, hash) = match message {
            Message::Raw(bytes) => {
                bounded("the message", bytes, MESSAGE_BYTES_MAX)?;
                ("RAW", Sha256::of(bytes))
            }
            Message::Digest(bytes) => {
                let wrong = |_| invalid("the digest", "a SHA-256 has 32 bytes");
                ("DIGEST", Sha256(bytes.try_into().map_err(wrong)?))
            }
        };
        let context =
            facts([("kms:SigningAlgorithm", SIGNING_ALGORITHM), ("kms:MessageType", kind)]);
        let key = self.permitted(key, action, context)?;
        key.record().usable()?;
        key.record().is_for(KeyUsage::SignVerify)?;
        Ok((key, hash))
    }
}

impl Inner {
    pub(super) fn generate_data_key(
        &self,
        who: Use<'_>,
        region: &Region,
        key: &str,
        context: &Pairs,
    ) -> Result<DataKey, KeyError> {
        self.kms.generated.fetch_add(1, Ordering::Relaxed);
        let key = self.enciphering(who, region, key, "kms:GenerateDataKey", context)?;
        let data_key = SecretKey::generate()?;
        let Encrypted { ciphertext: wrapped, key, .. } =
            key.encrypt(context, data_key.bytes().as_slice())?;
        Ok(DataKey { plaintext: data_key.bytes().clone(), wrapped, key })
    }

    pub(super) fn decrypt(
        &self,
        who: Use<'_>,
        region: &Region,
        key: Option<&str>,
        ciphertext: &[u8],
        context: &Pairs,
    ) -> Result<Decrypted, KeyError> {
        self.kms.decrypted.fetch_add(1, Ordering::Relaxed);
        let parsed = parse(ciphertext)?;
        let key = self.source_key(who, region, key, &parsed)?;
        self.permit(who, &key, "kms:Decrypt", encryption_facts(context)?)?;
        self.may_encipher(&key)?;
        key.decrypt(&parsed, context)
    }

    /// A key that may encrypt now, for this caller.
    fn enciphering(
        &self,
        who: Use<'_>,
        region: &Region,
        key: &str,
        action: &str,
        context: &Pairs,
    ) -> Result<KmsKey, KeyError> {
        let key = self.permitted(who, region, key, action, encryption_facts(context)?)?;
        self.may_encipher(&key)?;
        Ok(key)
    }

    fn may_encipher(&self, key: &KmsKey) -> Result<(), KeyError> {
        key.record().usable()?;
        key.record().is_for(KeyUsage::EncryptDecrypt)
    }

    /// The key asked for, or the one that the ciphertext names. Whose ciphertext it is does not
    /// matter then: a caller of another account needs no ARN.
    fn source_key(
        &self,
        who: Use<'_>,
        region: &Region,
        key: Option<&str>,
        ciphertext: &Ciphertext<'_>,
    ) -> Result<KmsKey, KeyError> {
        let id = ciphertext.key_id;
        match key {
            Some(key) => self.find_key(who, region, key),
            None => match self.key(region, id) {
                Ok(Some(key)) => Ok(key),
                // As KMS: what a caller has no right to see and what does not exist look alike.
                Ok(None) | Err(KeyError::Malformed(_)) => Err(KeyError::AccessDenied {
                    key: id.to_owned(),
                    action: "kms:Decrypt".to_owned(),
                    reason: format!("the ciphertext names a key that does not exist in {region}"),
                }),
                Err(e) => Err(e),
            },
        }
    }
}

impl KmsKey {
    fn encrypt(&self, context: &Pairs, plaintext: &[u8]) -> Result<Encrypted, KeyError> {
        let none = || KeyError::Internal { reason: format!("{} has no material", self.arn()) };
        let material = self.material().ok_or_else(none)?;
        let key = self.arn().clone();
        let ciphertext = material.encrypt(&key.to_string(), context, plaintext)?;
        Ok(Encrypted { ciphertext, key, material: hex::encode(material.id) })
    }

    fn decrypt(&self, ciphertext: &Ciphertext<'_>, context: &Pairs) -> Result<Decrypted, KeyError> {
        let key = self.arn().clone();
        if ciphertext.key_id != key.id {
            let reason = "another key made the ciphertext; name that one, or none";
            return Err(refused("IncorrectKeyException", key.to_string(), reason));
        }
        let mut materials = self.holder().materials.iter();
        let material = materials.find(|m| m.id == ciphertext.material);
        let material = material.ok_or(KeyError::InvalidCiphertext)?;
        let plaintext = material.decrypt(&key.to_string(), context, ciphertext)?;
        Ok(Decrypted { plaintext, key, material: hex::encode(material.id) })
    }

    fn private_key(&self) -> Result<&RsaKey, KeyError> {
        let symmetric = || self.record().unsupported("it is symmetric and has no public half");
        self.holder().private_key.as_ref().ok_or_else(symmetric)
    }
}

fn parse(ciphertext: &[u8]) -> Result<Ciphertext<'_>, KeyError> {
    bounded("the ciphertext", ciphertext, CIPHERTEXT_BYTES_MAX)?;
    Ok(Ciphertext::parse(ciphertext)?)
}

fn bounded(what: &str, bytes: &[u8], max: usize) -> Result<(), KeyError> {
    if (1..=max).contains(&bytes.len()) {
        return Ok(());
    }
    Err(invalid(what, format!("it has {} bytes; give 1 to {max}", bytes.len())))
}
