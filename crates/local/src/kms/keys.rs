//! KMS keys on disk: made, opened, changed under their lock, and what their dates bring about.
//!
//! Nothing runs in the background. A deletion, a rotation or an expiry whose date has passed is
//! carried out by the next call that looks at the key, before it sees anything of it. The lock
//! is by key id, so that a multi-Region key and its replicas share one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encryptor::envelope::HexBytes;
use encryptor::keyring::{Material, MaterialId};
use encryptor::keys::{SecretKey, random};
use encryptor::signing::{RsaKey, SigningKeyError};
use policy::{Policy, PolicyError};
use trail::error::KeyError;
use trail::name::{KeyArn, KeyRef, partition_of};
use trail::{Region, Timestamp};

use super::access::refused;
use super::record::{DAY, KeyState, MaterialRecord, Record, Rotated, RotationType};
use crate::files::{FileError, read_json};
use crate::store::Inner;

/// A key's file, read, with its secrets opened and its policy parsed.
pub(crate) struct KeyFile {
    pub(super) arn: KeyArn,
    pub(super) record: Record,
    /// A policy that is not understood allows nobody anything.
    pub(super) policy: Result<Policy, PolicyError>,
    pub(super) materials: Vec<Material>,
    pub(super) private_key: Option<RsaKey>,
}

/// A key as it is now.
pub(crate) struct KmsKey {
    own: Arc<KeyFile>,
    /// Of a replica: the key that has its material and decides on rotation.
    primary: Option<Arc<KeyFile>>,
    /// `alias/NAME`, when it was asked for so.
    pub(super) alias: Option<String>,
}

impl KmsKey {
    pub(super) fn own(&self) -> &KeyFile {
        &self.own
    }

    pub(super) fn record(&self) -> &Record {
        &self.own.record
    }

    pub(super) fn arn(&self) -> &KeyArn {
        &self.own.arn
    }

    /// The file that has the material.
    pub(super) fn holder(&self) -> &KeyFile {
        self.primary.as_ref().unwrap_or(&self.own)
    }

    /// The material that encrypts now.
    pub(super) fn material(&self) -> Option<&Material> {
        self.holder().materials.last()
    }

    fn due(&self, now: Timestamp) -> bool {
        self.own.record.due(now) || self.primary.as_ref().is_some_and(|p| p.record.due(now))
    }
}

impl Inner {
    pub(super) fn key_arn(&self, region: &Region, id: String) -> KeyArn {
        let (partition, account) = (partition_of(region).to_owned(), self.account.clone());
        KeyArn { partition, region: region.clone(), account, id }
    }

    fn key_path(&self, region: &Region, id: &str) -> Result<PathBuf, KeyError> {
        // An id becomes a file name; only the parsed form is known to be harmless as one.
        match id.parse().map_err(KeyError::Malformed)? {
            KeyRef::Id(id) => Ok(self.keys_dir(region).join(id + ".json")),
            _ => Err(not_found(id, region)),
        }
    }

    pub(super) fn keys_dir(&self, region: &Region) -> PathBuf {
        self.files.path("kms").join(region.as_str())
    }

    /// The key of this id; None when there is none, or none any more.
    pub(super) fn key(&self, region: &Region, id: &str) -> Result<Option<KmsKey>, KeyError> {
        match self.key_before_its_dates(region, id)? {
            Some(key) if key.due(self.clock.now()) => {
                self.carry_out(region, id)?;
                self.key_before_its_dates(region, id)
            }
            key => Ok(key),
        }
    }

    fn key_before_its_dates(&self, region: &Region, id: &str) -> Result<Option<KmsKey>, KeyError> {
        let Some(own) = self.key_file(region, id)? else { return Ok(None) };
        let primary = match own.record.primary() {
            None => None,
            Some(at) => {
                let reason = || format!("{}: its primary key in {at} is missing", own.arn);
                let file = self.key_file(at, id)?;
                Some(file.ok_or_else(|| KeyError::Internal { reason: reason() })?)
            }
        };
        Ok(Some(KmsKey { own, primary, alias: None }))
    }

    fn key_file(&self, region: &Region, id: &str) -> Result<Option<Arc<KeyFile>>, KeyError> {
        let path = self.key_path(region, id)?;
        let arn = self.key_arn(region, id.to_owned());
        self.kms.keys.get(&path, |bytes| self.open_key(arn, &path, bytes))
    }

    fn open_key(&self, arn: KeyArn, path: &Path, bytes: &[u8]) -> Result<KeyFile, KeyError> {
        let record: Record =
            serde_json::from_slice(bytes).map_err(|e| FileError::content(path, e))?;
        if record.arn != arn.to_string() {
            return Err(
                FileError::content(path, format!("it is the file of {}", record.arn)).into()
            );
        }
        let wrap = &self.secrets.kms_wrap;
        let changed = "its material was not sealed by this store, or changed";
        let open = |m: &MaterialRecord| -> Option<Result<Material, &str>> {
            let sealed = m.sealed.as_ref()?;
            let Ok(id) = MaterialId::try_from(m.id.0.as_slice()) else {
                return Some(Err("a material id has 16 bytes"));
            };
            let key = wrap.open(&material_aad(&record.arn, &id), &sealed.0);
            let key = key.and_then(|key| SecretKey::from_slice(&key));
            Some(key.map(|key| Material { id, key }).map_err(|_| changed))
        };
        let materials: Result<Vec<_>, _> = record.materials.iter().filter_map(open).collect();
        let private_key = record.private_key.as_ref().map(|sealed| {
            let pkcs8 = wrap.open(&private_key_aad(&record.arn), &sealed.0).map_err(|_| changed)?;
            RsaKey::from_pkcs8(&pkcs8).map_err(|_| changed)
        });
        Ok(KeyFile {
            arn,
            policy: Policy::parse(&record.policy, policy::Kind::Key),
            materials: materials.map_err(|e| FileError::content(path, e))?,
            private_key: private_key.transpose().map_err(|e| FileError::content(path, e))?,
            record,
        })
    }

    /// New random material, sealed for the key `arn`.
    pub(super) fn new_material(
        &self,
        arn: &str,
        rotated: Option<Rotated>,
    ) -> Result<MaterialRecord, KeyError> {
        let Material { id, key } = Material::generate()?;
        let sealed = Some(self.seal_material(arn, &id, &key)?);
        Ok(MaterialRecord { id: HexBytes(id.to_vec()), sealed, rotated, imported: None })
    }

    pub(super) fn seal_material(
        &self,
        arn: &str,
        id: &MaterialId,
        key: &SecretKey,
    ) -> Result<HexBytes, KeyError> {
        let wrap = &self.secrets.kms_wrap;
        Ok(HexBytes(wrap.seal(&material_aad(arn, id), key.bytes().as_slice())?))
    }

    pub(super) fn new_private_key(&self, arn: &str, bits: usize) -> Result<HexBytes, KeyError> {
        let failed = |e: SigningKeyError| KeyError::Internal { reason: e.to_string() };
        let pkcs8 = RsaKey::generate(bits).and_then(|key| key.to_pkcs8()).map_err(failed)?;
        Ok(HexBytes(self.secrets.kms_wrap.seal(&private_key_aad(arn), &pkcs8)?))
    }

    pub(super) fn existing_key(&self, arn: &KeyArn) -> Result<KmsKey, KeyError> {
        self.key(&arn.region, &arn.id)?.ok_or_else(|| not_found(&arn.to_string(), &arn.region))
    }

    /// Puts a new key in place.
    pub(super) fn write_key(&self, arn: &KeyArn, record: &Record) -> Result<(), KeyError> {
        // If we stop here: no key, or one that nobody knows of.
        if self.files.create_json(&self.key_path(&arn.region, &arn.id)?, record)? {
            return Ok(());
        }
        Err(exists(arn))
    }

    fn lock_key(&self, id: &str) -> Result<std::fs::File, FileError> {
        self.files.lock(&format!("key-{id}"))
    }

    fn read_record(&self, region: &Region, id: &str) -> Result<Option<Record>, KeyError> {
        Ok(read_json(&self.key_path(region, id)?)?)
    }

    /// Changes a key's file. `edit` sees it as it is now, whatever the caller saw before.
    pub(super) fn edit_key<T>(
        &self,
        arn: &KeyArn,
        edit: impl FnOnce(&mut Record, Timestamp) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let _lock = self.lock_key(&arn.id)?;
        self.edit_locked(arn, edit)
    }

    fn edit_locked<T>(
        &self,
        arn: &KeyArn,
        edit: impl FnOnce(&mut Record, Timestamp) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let record = self.read_record(&arn.region, &arn.id)?;
        let mut record = record.ok_or_else(|| not_found(&arn.to_string(), &arn.region))?;
        let result = edit(&mut record, self.clock.now())?;
        self.files.replace_json(&self.key_path(&arn.region, &arn.id)?, &record)?;
        Ok(result)
    }

    /// Adds the replica that `make` describes, and lists it in its primary's file, as `make` does.
    pub(super) fn add_replica(
        &self,
        primary: &KeyArn,
        replica: &KeyArn,
        make: impl FnOnce(&mut Record, Timestamp) -> Result<Record, KeyError>,
    ) -> Result<(), KeyError> {
        let _lock = self.lock_key(&primary.id)?;
        match self.read_record(&replica.region, &replica.id)? {
            Some(former) if former.gone(self.clock.now()) => {
                self.destroy(&replica.region, &replica.id)?;
            }
            Some(_) => return Err(exists(replica)),
            None => {}
        }
        let made = self.edit_locked(primary, make)?;
        // If we stop here: the primary lists a replica without a file, which may be made again.
        self.write_key(replica, &made)
    }

    /// Does what the dates of a key, its primary and its replicas demand.
    fn carry_out(&self, region: &Region, id: &str) -> Result<(), KeyError> {
        let _lock = self.lock_key(id)?;
        let now = self.clock.now();
        let Some(record) = self.read_record(region, id)? else { return Ok(()) };
        let home = record.primary().unwrap_or(region).clone();
        // Another process may have been here while we waited for the lock.
        let Some(mut record) = self.read_record(&home, id)? else { return Ok(()) };
        let mut changed = self.drop_replicas(&mut record, id, now)?;
        if record.gone(now) {
            return self.destroy(&home, id);
        }
        if record.rotation_due(now) {
            let why = RotationType::Automatic;
            record
                .materials
                .push(self.new_material(&record.arn, Some(Rotated { date: now, why }))?);
            if let Some(schedule) = &mut record.rotates {
                schedule.next = now + DAY * schedule.period_days;
            }
            changed = true;
        }
        for material in &mut record.materials {
            changed |= material.expire(now);
        }
        if changed {
            self.files.replace_json(&self.key_path(&home, id)?, &record)?;
        }
        Ok(())
    }

    /// Destroys the replicas whose date has passed. With the last one, the waiting period of a
    /// primary that is to be deleted begins.
    fn drop_replicas(
        &self,
        primary: &mut Record,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, KeyError> {
        let mut last_end = None;
        for region in primary.replicas().cloned().unwrap_or_default() {
            let end = match self.read_record(&region, id)? {
                Some(replica) if replica.gone(now) => {
                    // If we stop here: the primary lists a replica without a file.
                    self.destroy(&region, id)?;
                    replica.deletion.and_then(|d| d.date)
                }
                Some(_) => continue,
                None => Some(now),
            };
            last_end = last_end.max(end);
            primary.replicas_mut().map(|all| all.remove(&region));
        }
        let none_left = primary.replicas().is_some_and(|all| all.is_empty());
        if let Some(deletion) = &mut primary.deletion
            && primary.state == KeyState::PendingReplicaDeletion
            && none_left
        {
            deletion.date = Some(last_end.unwrap_or(now) + DAY * deletion.window_days);
            primary.state = KeyState::PendingDeletion;
            return Ok(true);
        }
        Ok(last_end.is_some())
    }

    /// The aliases go first: while the file is there, the next to look does it all again.
    fn destroy(&self, region: &Region, id: &str) -> Result<(), KeyError> {
        self.forget_aliases_of(region, id)?;
        Ok(self.files.remove(&self.key_path(region, id)?)?)
    }
}

fn material_aad<'a>(arn: &'a str, id: &'a MaterialId) -> [&'a [u8]; 3] {
    [b"kms-material", arn.as_bytes(), id]
}

fn private_key_aad(arn: &str) -> [&[u8]; 2] {
    [b"kms-private-key", arn.as_bytes()]
}

fn exists(arn: &KeyArn) -> KeyError {
    refused("AlreadyExistsException", arn.to_string(), "a key of this id is in its region already")
}

pub(super) fn not_found(key: &str, region: &Region) -> KeyError {
    KeyError::NotFound { key: key.to_owned(), region: region.to_string() }
}

/// A new key id: UUID version 4 (RFC 9562, section 5.4), or `mrk-` and 32 hex digits.
pub(super) fn new_key_id(multi_region: bool) -> Result<String, KeyError> {
    let mut bytes: [u8; 16] = random()?;
    if multi_region {
        return Ok(format!("mrk-{}", hex::encode(bytes)));
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{b:02x}"); // writing to a String cannot fail
    }
    Ok(text)
}
