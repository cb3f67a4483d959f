//! Digest signing keys: made and kept by the store, one at a time per region, or given as PEM.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use encryptor::envelope::HexBytes;
use encryptor::signing::{RsaKey, SigningKey, SigningKeyError, Validity};
use serde::{Deserialize, Serialize};
use trail::error::KeyError;
use trail::ports::{PublicKeys, Signer, SigningKeys};
use trail::public_key::PublicKey;
use trail::{Region, Timestamp};

use crate::files::{FileError, blocking, guard, read_json};
use crate::store::{Inner, Store};

const DAY: Duration = Duration::from_secs(86_400);
const VALID_DAYS: u32 = 366;
/// How long before its end a key is no longer taken: the digest must still be in its time.
const MARGIN: Duration = Duration::from_secs(3_600);

#[derive(Default, Serialize, Deserialize)]
struct KeyFile {
    keys: Vec<KeyEntry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct KeyEntry {
    fingerprint: String,
    /// Base64 of the PKCS#1 DER.
    public: String,
    valid_from: Timestamp,
    valid_to: Timestamp,
    /// PKCS#8, sealed; None for a key whose private half is kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<HexBytes>,
}

impl KeyFile {
    /// The newest key of the store's own that covers `now` and the margin after it.
    fn signing_at(&self, now: Timestamp) -> Option<&KeyEntry> {
        let covers = |k: &&KeyEntry| k.valid_from <= now && now + MARGIN <= k.valid_to;
        let own = self.keys.iter().filter(|k| k.private.is_some());
        own.filter(covers).max_by_key(|k| k.valid_from)
    }
}

impl KeyEntry {
    fn public_key(&self, region: &Region, path: &Path) -> Result<PublicKey, KeyError> {
        Ok(PublicKey {
            der: BASE64.decode(&self.public).map_err(|e| FileError::content(path, e))?,
            fingerprint: self.fingerprint.clone(),
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            region: Some(region.clone()),
        })
    }
}

/// A signing key as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSigningKey {
    /// The public half, with its region.
    pub public: PublicKey,
    /// Whether the store has the private half.
    pub private: bool,
}

/// The store's signing keys: as on AWS, each source region has its own.
#[derive(Clone)]
pub struct StoreSigningKeys {
    inner: Arc<Inner>,
    opened: Arc<Mutex<HashMap<String, Arc<SigningKey>>>>,
}

impl Store {
    /// The store's signing keys.
    #[must_use]
    pub fn signing_keys(&self) -> StoreSigningKeys {
        StoreSigningKeys { inner: Arc::clone(&self.inner), opened: Arc::default() }
    }
}

impl StoreSigningKeys {
    /// Makes a further key for `region`, valid around `now`. Blocks on file I/O.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn generate(&self, region: &Region, now: Timestamp) -> Result<PublicKey, KeyError> {
        let _lock = self.lock(region)?;
        Ok(self.generate_locked(region, day_before(now))?.public_key().clone())
    }

    /// Makes the key that signs for `region` from `now` on. Those before it stay listed and valid
    /// until their ends, for the digests that they signed. Blocks on file I/O.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn rotate(&self, region: &Region, now: Timestamp) -> Result<PublicKey, KeyError> {
        let _lock = self.lock(region)?;
        // Of several keys the one whose time began last signs, and of equals the last made.
        let newest = self.read(region)?.1.signing_at(now).map(|k| k.valid_from);
        let from = newest.into_iter().fold(day_before(now), Timestamp::max);
        Ok(self.generate_locked(region, from)?.public_key().clone())
    }

    /// Takes in a key with its private half, which is sealed: an RSA key of at least 2048 bits,
    /// PKCS#8 or PKCS#1. It signs for `region` in its time wherever no key whose time began later
    /// does. A key that was merely listed gets its private half, and the longer of both times;
    /// nothing is done when the store has it. Blocks on file I/O.
    ///
    /// # Errors
    /// `ValidationException` when the key is refused or its time empty, and when the list cannot
    /// be read or written.
    pub fn import_pem(
        &self,
        region: &Region,
        pem: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<PublicKey, KeyError> {
        let refused = |reason: String| KeyError::Refused {
            code: "ValidationException",
            what: format!("the signing key for {region}"),
            reason,
        };
        if to <= from {
            return Err(refused(format!("its time ends at {to}, not after {from}; give an end")));
        }
        let key = RsaKey::from_pem(pem).map_err(|e| refused(e.to_string()))?;
        let key = SigningKey::new(key, Validity { region: Some(region.clone()), from, to });
        let _lock = self.lock(region)?;
        let (path, mut file) = self.read(region)?;
        let mut new = self.sealed_entry(region, &key)?;
        match file.keys.iter_mut().find(|k| k.fingerprint == new.fingerprint) {
            Some(known) if known.private.is_some() => return known.public_key(region, &path),
            Some(known) => {
                new.valid_from = from.min(known.valid_from);
                new.valid_to = to.max(known.valid_to);
                *known = new.clone();
            }
            None => file.keys.push(new.clone()),
        }
        // If we stop here: the list as it was.
        self.inner.files.replace_json(&path, &file)?;
        new.public_key(region, &path)
    }

    /// Lists a key whose private half is kept elsewhere, so that verifiers find it; nothing is
    /// done when it is listed. Blocks on file I/O.
    ///
    /// # Errors
    /// When the list cannot be read or written.
    pub fn import_public(&self, region: &Region, key: &PublicKey) -> Result<(), KeyError> {
        let _lock = self.lock(region)?;
        let (path, mut file) = self.read(region)?;
        if file.keys.iter().any(|k| k.fingerprint == key.fingerprint) {
            return Ok(());
        }
        file.keys.push(entry(key, None));
        Ok(self.inner.files.replace_json(&path, &file)?)
    }

    /// All keys of all regions, by region, then in the order they came. Blocks on file I/O.
    ///
    /// # Errors
    /// When the lists cannot be read.
    pub fn list_all(&self) -> Result<Vec<ListedSigningKey>, KeyError> {
        let dir = self.inner.files.path("signing");
        let mut regions: Vec<Region> = match std::fs::read_dir(&dir) {
            Ok(entries) => entries
                .filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
                .collect(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(FileError::new("listing", &dir, e).into()),
        };
        regions.sort();
        let mut all = Vec::new();
        for region in regions {
            let (path, file) = self.read(&region)?;
            for key in file.keys {
                let public = key.public_key(&region, &path)?;
                all.push(ListedSigningKey { public, private: key.private.is_some() });
            }
        }
        Ok(all)
    }

    fn lock(&self, region: &Region) -> Result<std::fs::File, FileError> {
        self.inner.files.lock(&format!("signing-{region}"))
    }

    fn read(&self, region: &Region) -> Result<(PathBuf, KeyFile), FileError> {
        let path = self.inner.files.path("signing").join(format!("{region}.json"));
        let file = read_json(&path)?.unwrap_or_default();
        Ok((path, file))
    }

    fn signer_at(&self, region: &Region, now: Timestamp) -> Result<Arc<SigningKey>, KeyError> {
        if let Some(key) = self.existing(region, now)? {
            return Ok(key);
        }
        let _lock = self.lock(region)?;
        // Another process may have made one while we waited.
        match self.existing(region, now)? {
            Some(key) => Ok(key),
            None => self.generate_locked(region, day_before(now)),
        }
    }

    /// The key that signs at `now`, opened.
    fn existing(
        &self,
        region: &Region,
        now: Timestamp,
    ) -> Result<Option<Arc<SigningKey>>, KeyError> {
        let (path, file) = self.read(region)?;
        let Some(entry) = file.signing_at(now) else { return Ok(None) };
        if let Some(key) = guard(&self.opened).get(&entry.fingerprint) {
            return Ok(Some(Arc::clone(key)));
        }
        let sealed = entry.private.as_ref().map(|p| p.0.as_slice()).unwrap_or_default();
        let aad = aad(region, &entry.fingerprint);
        let pkcs8 = self.inner.secrets.signing_wrap.open(&aad, sealed).map_err(|_| {
            let reason = format!("signing key {} was changed at rest", entry.fingerprint);
            FileError::content(&path, reason)
        })?;
        let validity =
            Validity { region: Some(region.clone()), from: entry.valid_from, to: entry.valid_to };
        let key =
            Arc::new(SigningKey::new(RsaKey::from_pkcs8(&pkcs8).map_err(internal)?, validity));
        guard(&self.opened).insert(entry.fingerprint.clone(), Arc::clone(&key));
        Ok(Some(key))
    }

    fn generate_locked(
        &self,
        region: &Region,
        from: Timestamp,
    ) -> Result<Arc<SigningKey>, KeyError> {
        let validity = Validity { region: Some(region.clone()), from, to: from + DAY * VALID_DAYS };
        let key = SigningKey::generate(validity).map_err(internal)?;
        let (path, mut file) = self.read(region)?;
        file.keys.push(self.sealed_entry(region, &key)?);
        // If we stop here: no key, or one that nothing was signed with.
        self.inner.files.replace_json(&path, &file)?;
        let key = Arc::new(key);
        guard(&self.opened).insert(key.public_key().fingerprint.clone(), Arc::clone(&key));
        Ok(key)
    }

    fn sealed_entry(&self, region: &Region, key: &SigningKey) -> Result<KeyEntry, KeyError> {
        let public = key.public_key();
        let pkcs8 = key.to_pkcs8().map_err(internal)?;
        let aad = aad(region, &public.fingerprint);
        Ok(entry(public, Some(self.inner.secrets.signing_wrap.seal(&aad, &pkcs8)?)))
    }
}

/// A new key's time begins on the day before, because a digest may end before the key is made.
fn day_before(now: Timestamp) -> Timestamp {
    now.floor_to(DAY) - DAY
}

fn entry(key: &PublicKey, private: Option<Vec<u8>>) -> KeyEntry {
    KeyEntry {
        fingerprint: key.fingerprint.clone(),
        public: BASE64.encode(&key.der),
        valid_from: key.valid_from,
        valid_to: key.valid_to,
        private: private.map(HexBytes),
    }
}

fn aad<'a>(region: &'a Region, fingerprint: &'a str) -> [&'a [u8]; 3] {
    [b"signing-key", region.as_str().as_bytes(), fingerprint.as_bytes()]
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn internal(e: SigningKeyError) -> KeyError {
    KeyError::Internal { reason: e.to_string() }
}

#[async_trait]
impl SigningKeys for StoreSigningKeys {
    async fn signer(&self, region: &Region, now: Timestamp) -> Result<Arc<dyn Signer>, KeyError> {
        let (keys, region) = (self.clone(), region.clone());
        let key = blocking(move || keys.signer_at(&region, now)).await?;
        Ok(key)
    }

    /// Only keys whose private half the store has: one that is merely listed is another signer's.
    async fn owns(&self, region: &Region, fingerprint: &str) -> Result<bool, KeyError> {
        let (keys, region, fingerprint) = (self.clone(), region.clone(), fingerprint.to_owned());
        blocking(move || {
            let (_, file) = keys.read(&region)?;
            Ok(file.keys.iter().any(|k| k.fingerprint == fingerprint && k.private.is_some()))
        })
        .await
    }
}

#[async_trait]
impl PublicKeys for StoreSigningKeys {
    async fn list_public_keys(
        &self,
        region: &Region,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<PublicKey>, KeyError> {
        let (keys, region) = (self.clone(), region.clone());
        blocking(move || {
            let (path, file) = keys.read(&region)?;
            let meets = |k: &&KeyEntry| k.valid_from <= to && from <= k.valid_to;
            file.keys.iter().filter(meets).map(|k| k.public_key(&region, &path)).collect()
        })
        .await
    }
}

/// One key from a PEM file that signs for every region.
#[derive(Clone)]
pub struct PemSigner {
    key: Arc<SigningKey>,
    /// Where the public half is listed, and for which regions that was done.
    listed: Option<(StoreSigningKeys, Arc<Mutex<HashSet<Region>>>)>,
}

impl PemSigner {
    /// A signer from PEM; its public half is listed by `store`, when there is one, for every
    /// region it signs for, from 1970 to the year 9999.
    ///
    /// # Errors
    /// When it is no RSA private key of at least 2048 bits.
    pub fn new(pem: &str, store: Option<&Store>) -> Result<Self, SigningKeyError> {
        let listed = store.map(|s| (s.signing_keys(), Arc::default()));
        Ok(Self { key: Arc::new(SigningKey::from_pem(pem)?), listed })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }
}

#[async_trait]
impl SigningKeys for PemSigner {
    async fn signer(&self, region: &Region, _now: Timestamp) -> Result<Arc<dyn Signer>, KeyError> {
        if let Some((keys, done)) = &self.listed
            && !guard(done).contains(region)
        {
            let (keys, key, of) = (keys.clone(), Arc::clone(&self.key), region.clone());
            blocking(move || keys.import_public(&of, key.public_key())).await?;
            guard(done).insert(region.clone());
        }
        Ok(Arc::clone(&self.key) as Arc<dyn Signer>)
    }

    async fn owns(&self, _region: &Region, fingerprint: &str) -> Result<bool, KeyError> {
        Ok(self.key.public_key().fingerprint == fingerprint)
    }
}
