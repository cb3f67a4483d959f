//! Opening a store, its root secret, and its buckets.
//!
//! ```text
//! store.json                      format, version, account
//! root.key                        the root secret, unless it is kept elsewhere
//! s3-root.json                    generations of the SSE-S3 root key, sealed
//! buckets/NAME/bucket.json        the bucket's region
//! buckets/NAME/settings.json      its encryption and policy, once they were set
//! buckets/NAME/objects/…          sealed objects
//! kms/REGION/KEY-ID.json          KMS keys; aliases.json beside them
//! signing/REGION.json             signing keys
//! trails/HOME-REGION/NAME.json    trails
//! tmp/, locks/                    files being written; locks between processes
//! ```

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use encryptor::CryptoError;
use encryptor::keys::{HeaderMacKey, RootSecret, SecretKey};
use serde::{Deserialize, Serialize};
use trail::error::StoreError;
use trail::name::BucketName;
use trail::ports::Clock;
use trail::{AccountId, Region, Timestamp};
use zeroize::Zeroizing;

use crate::cache::FileCache;
use crate::files::{FileError, Files, create_via, guard, read_json, read_small, sync_dir};
use crate::kms::Kms;
use crate::object_keys::BucketKeys;
use crate::s3::settings::Settings;
use crate::s3_root::S3Roots;

const FORMAT: &str = "trailseal.store";
const VERSION: u64 = 1;
/// The account of a store that nobody named one for.
pub const DEFAULT_ACCOUNT: &str = "111122223333";

/// How to open a store.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The account it must belong to; for a new store, [`DEFAULT_ACCOUNT`] when None.
    pub account: Option<AccountId>,
    /// Where the root secret is kept; None: in the store itself.
    pub root_key_file: Option<PathBuf>,
    /// Whether a missing store is made.
    pub create: bool,
}

/// Why a store cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing there.
    #[error("there is no store in {}; check the path, or make one by delivering to it", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A directory with other things in it.
    #[error("{} is not a store and not empty; choose an empty or new directory", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
    },
    /// Written by a newer trailseal.
    #[error(
        "the store in {} has version {found}, this program reads up to {supported}; \
         upgrade trailseal", dir.display()
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The store's version.
        found: u64,
        /// The newest version that is understood.
        supported: u64,
    },
    /// Another account's.
    #[error(
        "the store in {} belongs to account {found}, not {asked}; use that account or another \
         directory", dir.display()
    )]
    Account {
        /// The directory.
        dir: PathBuf,
        /// The store's account.
        found: AccountId,
        /// The account asked for.
        asked: AccountId,
    },
    /// The root secret's file is gone.
    #[error(
        "the store's root key {} does not exist; restore it, or name the file that it is kept \
         in: nothing in the store can be read without it", path.display()
    )]
    RootKeyMissing {
        /// The file.
        path: PathBuf,
    },
    /// The root secret's file can be read by others.
    #[error("the root key {} has mode {mode:04o}; run chmod 600 on it", path.display())]
    RootKeyMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The root secret is not this store's, or the store's own keys were changed.
    #[error("{} does not open the keys in {}; name the right root key file", path.display(), dir.display())]
    RootKeyForeign {
        /// The file.
        path: PathBuf,
        /// The directory.
        dir: PathBuf,
    },
    /// Cryptography failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A file could not be read, written or understood.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The embedded store. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) files: Files,
    pub(crate) account: AccountId,
    pub(crate) secrets: Secrets,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) kms: Kms,
    pub(crate) bucket_keys: BucketKeys,
    pub(crate) settings: FileCache<Settings>,
    buckets: Mutex<HashMap<String, Region>>,
}

pub(crate) struct Secrets {
    pub(crate) header_mac: HeaderMacKey,
    pub(crate) kms_wrap: SecretKey,
    pub(crate) signing_wrap: SecretKey,
    pub(crate) s3_roots: S3Roots,
}

#[derive(Serialize, Deserialize)]
struct StoreFile {
    format: String,
    version: u64,
    account: AccountId,
}

#[derive(Serialize, Deserialize)]
struct BucketFile {
    region: Region,
}

impl Store {
    /// Opens the store in `dir`, or makes it when `options` say so. Blocks on file I/O.
    ///
    /// # Errors
    /// When it is missing, not a store, another account's, of a newer version, or its root key
    /// is missing, foreign or readable by others.
    pub fn open(
        dir: &Path,
        options: &OpenOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let root_key = options.root_key_file.clone().unwrap_or_else(|| dir.join("root.key"));
        let store = match read_store_file(dir)? {
            Some(store) => store,
            None if options.create => create(dir, &root_key, options, clock.now())?,
            None if is_blank(dir)? => return Err(OpenError::Missing { dir: dir.to_owned() }),
            None => return Err(OpenError::NotAStore { dir: dir.to_owned() }),
        };
        if let Some(asked) = options.account.as_ref().filter(|asked| **asked != store.account) {
            let (found, asked) = (store.account, asked.clone());
            return Err(OpenError::Account { dir: dir.to_owned(), found, asked });
        }
        let root = read_root_key(&root_key)?
            .ok_or_else(|| OpenError::RootKeyMissing { path: root_key.clone() })?;
        let secrets = Secrets::load(dir, &root, &root_key)?;
        let inner = Inner {
            files: Files::new(dir)?,
            account: store.account,
            secrets,
            clock,
            kms: Kms::default(),
            bucket_keys: BucketKeys::default(),
            settings: FileCache::default(),
            buckets: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The account that the store belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.inner.account
    }

    /// Makes a bucket; false when it is there already. Blocks on file I/O.
    ///
    /// # Errors
    /// When the name is not a bucket's, or it exists in another region.
    pub fn create_bucket(&self, name: &str, region: &Region) -> Result<bool, StoreError> {
        let valid: BucketName = name.parse().map_err(|e: trail::ParseError| {
            StoreError::Invalid { what: format!("bucket name {name}"), reason: e.to_string() }
        })?;
        let path = self.inner.bucket_dir(&valid).join("bucket.json");
        if self.inner.files.create_json(&path, &BucketFile { region: region.clone() })? {
            return Ok(true);
        }
        let found = self.inner.region_of(name)?;
        if found == *region {
            return Ok(false);
        }
        let reason = format!("it exists in {found}, not in {region}; use that region");
        Err(StoreError::Invalid { what: format!("bucket {name}"), reason })
    }

    /// All buckets with their regions, by name. Blocks on file I/O.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn buckets(&self) -> Result<Vec<(String, Region)>, StoreError> {
        let dir = self.inner.files.path("buckets");
        let mut names = file_names(&dir)?;
        names.sort();
        let known = |name: String| match self.inner.region_of(&name) {
            Ok(region) => Some(Ok((name, region))),
            // Its directory was made, its bucket.json not yet.
            Err(StoreError::NoSuchBucket { .. }) => None,
            Err(e) => Some(Err(e)),
        };
        names.into_iter().filter_map(known).collect()
    }
}

impl Inner {
    fn bucket_dir(&self, name: &BucketName) -> PathBuf {
        self.files.path("buckets").join(name.as_str())
    }

    /// The directory that a bucket's objects lie in; the bucket need not exist.
    pub(crate) fn objects_dir(&self, bucket: &str) -> Result<PathBuf, StoreError> {
        let name: BucketName =
            bucket.parse().map_err(|_| StoreError::NoSuchBucket { bucket: bucket.to_owned() })?;
        Ok(self.bucket_dir(&name).join("objects"))
    }

    pub(crate) fn settings_path(&self, bucket: &str) -> Result<PathBuf, StoreError> {
        let name: BucketName =
            bucket.parse().map_err(|_| StoreError::NoSuchBucket { bucket: bucket.to_owned() })?;
        Ok(self.bucket_dir(&name).join("settings.json"))
    }

    /// A bucket never moves and is never deleted, so its region is asked once.
    pub(crate) fn region_of(&self, bucket: &str) -> Result<Region, StoreError> {
        if let Some(region) = guard(&self.buckets).get(bucket) {
            return Ok(region.clone());
        }
        let missing = || StoreError::NoSuchBucket { bucket: bucket.to_owned() };
        let name: BucketName = bucket.parse().map_err(|_| missing())?;
        let path = self.bucket_dir(&name).join("bucket.json");
        let BucketFile { region } = read_json(&path)?.ok_or_else(missing)?;
        guard(&self.buckets).insert(bucket.to_owned(), region.clone());
        Ok(region)
    }
}

impl Secrets {
    fn load(dir: &Path, root: &RootSecret, root_key: &Path) -> Result<Self, OpenError> {
        let s3_roots = S3Roots::new(dir, root)?;
        s3_roots.read().map_err(|e| match e.source.kind() {
            io::ErrorKind::InvalidData => {
                OpenError::RootKeyForeign { path: root_key.to_owned(), dir: dir.to_owned() }
            }
            _ => e.into(),
        })?;
        Ok(Self {
            header_mac: root.header_mac_key()?,
            kms_wrap: root.kms_wrap_key()?,
            signing_wrap: root.signing_wrap_key()?,
            s3_roots,
        })
    }
}

fn read_store_file(dir: &Path) -> Result<Option<StoreFile>, OpenError> {
    let path = dir.join("store.json");
    let Some(value) = read_json::<serde_json::Value>(&path)? else { return Ok(None) };
    if value["format"] != FORMAT {
        return Err(OpenError::NotAStore { dir: dir.to_owned() });
    }
    // Before the rest is understood: a newer version may say it otherwise.
    let found = value["version"].as_u64().unwrap_or(0);
    if found > VERSION {
        return Err(OpenError::Newer { dir: dir.to_owned(), found, supported: VERSION });
    }
    let store = serde_json::from_value(value).map_err(|e| FileError::content(&path, e))?;
    Ok(Some(store))
}

pub(crate) fn file_names(dir: &Path) -> Result<Vec<String>, FileError> {
    let failed = |e| FileError::new("listing", dir, e);
    match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(failed(e)),
        Ok(entries) => entries
            .map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()).map_err(failed))
            .collect(),
    }
}

/// Whether nothing is there but what an unfinished creation leaves.
fn is_blank(dir: &Path) -> Result<bool, FileError> {
    const OWN: [&str; 4] = ["tmp", "locks", "root.key", "s3-root.json"];
    // The root key, while another process is writing it.
    let own = |name: &String| OWN.contains(&name.as_str()) || name.starts_with("tmp-");
    Ok(file_names(dir)?.iter().all(own))
}

/// `store.json` comes last: without it, the next one to open goes on from what is there.
fn create(
    dir: &Path,
    root_key: &Path,
    options: &OpenOptions,
    now: Timestamp,
) -> Result<StoreFile, OpenError> {
    if !is_blank(dir)? {
        // Another process may have finished since we looked.
        return match read_store_file(dir)? {
            Some(store) => Ok(store),
            None => Err(OpenError::NotAStore { dir: dir.to_owned() }),
        };
    }
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.map_err(|e| FileError::new("creating directory", dir, e))?;
    sync_dir(parent_of(dir))?;
    let files = Files::new(dir)?;
    let _lock = files.lock("store")?;
    if let Some(store) = read_store_file(dir)? {
        return Ok(store);
    }
    let root = read_or_create_secret(root_key)?;
    // If we stop here: a root key alone, which the next attempt takes up.
    S3Roots::new(dir, &root)?.create(&files, now)?;
    let account = match &options.account {
        Some(account) => account.clone(),
        None => DEFAULT_ACCOUNT.parse().expect("twelve digits"),
    };
    let store = StoreFile { format: FORMAT.to_owned(), version: VERSION, account };
    // If we stop here: no store yet, and keys that nothing was encrypted under.
    files.replace_json(&dir.join("store.json"), &store)?;
    Ok(store)
}

/// The secret in a file of mode 0600, made when it is not there.
pub(crate) fn read_or_create_secret(path: &Path) -> Result<RootSecret, OpenError> {
    match read_root_key(path)? {
        Some(secret) => Ok(secret),
        None => create_root_key(path),
    }
}

fn read_root_key(path: &Path) -> Result<Option<RootSecret>, OpenError> {
    let Some(bytes) = read_small(path)?.map(Zeroizing::new) else { return Ok(None) };
    let metadata = fs::metadata(path).map_err(|e| FileError::new("reading", path, e))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o177 != 0 {
        return Err(OpenError::RootKeyMode { path: path.to_owned(), mode });
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let root = RootSecret::from_hex(text).map_err(|e| FileError::content(path, e))?;
    Ok(Some(root))
}

/// The parent also of a bare name, whose parent is the empty path.
fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_root_key(path: &Path) -> Result<RootSecret, OpenError> {
    let root = RootSecret::generate()?;
    let dir = parent_of(path);
    let text = Zeroizing::new(format!("{}\n", root.to_hex().as_str()));
    // If we stop here: a root key or none; nothing was encrypted under it.
    let target = dir.join(path.file_name().unwrap_or_default());
    if create_via(dir, &target, text.as_bytes())? {
        return Ok(root);
    }
    read_root_key(path)?.ok_or_else(|| OpenError::RootKeyMissing { path: path.to_owned() })
}
