//! Imported material (origin `EXTERNAL`).
//!
//! It may expire or be deleted, and then only the same material can be imported again, which the
//! store knows by a salted check value. Old ciphertexts are readable again then.

use encryptor::envelope::HexBytes;
use encryptor::keyring::{MaterialCheck, MaterialId};
use encryptor::keys::{SecretKey, random};
use policy::Context;
use trail::Timestamp;
use trail::error::KeyError;
use zeroize::Zeroizing;

use super::KmsClient;
use super::access::{invalid, refused};
use super::record::{DAY, Imported, KeyState, MaterialRecord, Origin, Record};

/// How long imported material may be valid, in days (KMS API, ImportKeyMaterial).
const VALID_DAYS_MAX: u32 = 365;

impl KmsClient {
    /// ImportKeyMaterial: 32 bytes, which expire at `valid_to` if that is given, at most 365 days
    /// from now. The key is enabled by it if it waited for it. Blocks on file I/O.
    ///
    /// # Errors
    /// `IncorrectKeyMaterialException` for other material than was imported first, and as every
    /// call.
    pub fn import_key_material(
        &self,
        key: &str,
        material: &Zeroizing<Vec<u8>>,
        valid_to: Option<Timestamp>,
    ) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:ImportKeyMaterial", Context::default())?;
        self.inner.edit_key(key.arn(), |record, now| {
            record.is_imported()?;
            record.not_pending_deletion()?;
            if valid_to.is_some_and(|end| end <= now || now + DAY * VALID_DAYS_MAX < end) {
                let reason = "give a time in the next 365 days, or none";
                return Err(invalid("the end of the material's validity", reason));
            }
            let wrong =
                |reason: &str| refused("IncorrectKeyMaterialException", record.arn.clone(), reason);
            let secret = SecretKey::from_slice(material)
                .map_err(|_| wrong("symmetric material has 32 bytes"))?;
            let wrap = &self.inner.secrets.kms_wrap;
            let (id, check) = match record.materials.first() {
                None => (random()?, MaterialCheck::new(wrap, &secret)?),
                Some(known) => known.parts().ok_or_else(|| wrong("its file is damaged"))?,
            };
            if !check.fits(wrap, &secret)? {
                return Err(wrong("import the same material as the first time"));
            }
            if record.state() == KeyState::PendingImport {
                record.state = KeyState::Enabled;
            }
            record.materials = vec![MaterialRecord {
                sealed: Some(self.inner.seal_material(&record.arn, &id, &secret)?),
                id: HexBytes(id.to_vec()),
                rotated: None,
                imported: Some(Imported {
                    salt: HexBytes(check.salt.to_vec()),
                    check: HexBytes(check.value.to_vec()),
                    valid_to,
                }),
            }];
            Ok(())
        })
    }

    /// DeleteImportedKeyMaterial: at once; the key waits for an import then. Blocks on file I/O.
    ///
    /// # Errors
    /// As every call.
    pub fn delete_imported_key_material(&self, key: &str) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:DeleteImportedKeyMaterial", Context::default())?;
        self.inner.edit_key(key.arn(), |record, _| {
            record.is_imported()?;
            for material in &mut record.materials {
                material.sealed = None;
            }
            Ok(())
        })
    }
}

impl Record {
    fn is_imported(&self) -> Result<(), KeyError> {
        match self.origin {
            Origin::External => Ok(()),
            Origin::AwsKms => Err(self.unsupported("its material is not imported")),
        }
    }
}

impl MaterialRecord {
    fn parts(&self) -> Option<(MaterialId, MaterialCheck)> {
        let imported = self.imported.as_ref()?;
        let salt = imported.salt.0.as_slice().try_into().ok()?;
        let value = imported.check.0.as_slice().try_into().ok()?;
        Some((self.id.0.as_slice().try_into().ok()?, MaterialCheck { salt, value }))
    }
}
