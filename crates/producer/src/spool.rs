//! The spool: what a delivery keeps on its own disk until digests name it.
//!
//! ```text
//! <spool>/lock                      held while a delivery runs
//! <spool>/runs/<run>/00000042.log   a log file that this run puts: key, hash, compressed bytes
//! <spool>/finished                  runs whose directories are being removed
//! <spool>/rejects/<run>.ndjson      what was no event (see `rejects`)
//! ```
//!
//! Entries are sealed, written whole or not at all, and durable before the object is put. A run
//! whose directory is left over was interrupted.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trail::ports::Sealer;
use trail::{AccountId, Region, Sha256, Timestamp};

use crate::DeliverError;
use crate::batch::ChainId;

const VERSION: u32 = 1;
const EXTENSION: &str = "log";

/// A log file on its way: what precedes its bytes in a spool entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    version: u32,
    /// Bucket and head folder, so that a changed configuration is noticed.
    pub(crate) destination: String,
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) key: String,
    /// Of the uncompressed bytes.
    pub(crate) hash: String,
    pub(crate) events: u64,
    pub(crate) oldest: Timestamp,
    pub(crate) newest: Timestamp,
    /// When it was about to be delivered; a replay's clock, if it was one.
    pub(crate) at: Timestamp,
    /// The chain's newest digest before this run: any digest that names the log comes after it.
    pub(crate) base: Option<String>,
}

impl Entry {
    pub(crate) fn chain(&self) -> ChainId {
        ChainId { account: self.account.clone(), region: self.region.clone() }
    }

    #[expect(clippy::too_many_arguments, reason = "a record with as many facts")]
    pub(crate) fn new(
        destination: String,
        chain: ChainId,
        key: String,
        hash: Sha256,
        events: u64,
        (oldest, newest): (Timestamp, Timestamp),
        at: Timestamp,
        base: Option<String>,
    ) -> Self {
        let ChainId { account, region } = chain;
        let hash = hash.to_string();
        let version = VERSION;
        Self { version, destination, account, region, key, hash, events, oldest, newest, at, base }
    }
}

/// Where an entry of an interrupted run lies.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) run: String,
    pub(crate) sequence: u64,
    pub(crate) path: PathBuf,
}

/// The spool, locked.
pub(crate) struct Spool {
    root: PathBuf,
    _lock: File,
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> DeliverError + 'a {
    move |source| DeliverError::Spool { doing, path: path.to_owned(), source }
}

fn make_folder(path: &Path) -> Result<(), DeliverError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("make", path))
}

/// Makes a folder's entries durable.
fn sync_folder(path: &Path) -> Result<(), DeliverError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(failed("sync", path))
}

/// Writes a file whole or not at all, durably.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DeliverError> {
    let draft = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed("write", &draft))?;
    // If we stop here: a draft lies there, which nobody reads.
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", &draft))?;
    fs::rename(&draft, path).map_err(failed("write", path))?;
    sync_folder(path.parent().unwrap_or(path))
}

impl Spool {
    /// Opens the spool, making it when absent, and clears finished runs away.
    pub(crate) fn open(root: &Path) -> Result<Self, DeliverError> {
        make_folder(root)?;
        let path = root.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DeliverError::SpoolBusy { spool: root.to_owned() });
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock", &path)(e)),
        }
        make_folder(&root.join("runs"))?;
        sync_folder(root)?;
        let spool = Self { root: root.to_owned(), _lock: lock };
        spool.clear_finished()?;
        Ok(spool)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The entries of all interrupted runs, by run and sequence.
    pub(crate) fn interrupted(&self) -> Result<Vec<Place>, DeliverError> {
        let mut places = Vec::new();
        for run in names(&self.root.join("runs"))? {
            let folder = self.root.join("runs").join(&run);
            for name in names(&folder)? {
                let path = folder.join(&name);
                if path.extension().is_some_and(|e| e == "tmp") {
                    continue;
                }
                let stem = name.strip_suffix(".log").filter(|s| s.len() == 8);
                let Some(sequence) = stem.and_then(|s| s.parse().ok()) else {
                    let reason = "expected a name such as 00000042.log".into();
                    return Err(DeliverError::Journal { path, reason });
                };
                places.push(Place { run: run.clone(), sequence, path });
            }
        }
        places.sort_by(|a, b| (&a.run, a.sequence).cmp(&(&b.run, b.sequence)));
        Ok(places)
    }

    /// Removes the directories of `runs`, all or none as far as a later delivery can see.
    pub(crate) fn finish(&self, mut runs: Vec<String>) -> Result<(), DeliverError> {
        runs.retain(|run| self.root.join("runs").join(run).is_dir());
        if runs.is_empty() {
            return Ok(());
        }
        // If we stop here: the runs count as interrupted; all their logs are found named.
        write_file(&self.root.join("finished"), runs.join("\n").as_bytes())?;
        // If we stop here: the next delivery removes them first.
        self.clear_finished()
    }

    fn clear_finished(&self) -> Result<(), DeliverError> {
        let marker = self.root.join("finished");
        let runs = match fs::read_to_string(&marker) {
            Ok(runs) => runs,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed("read", &marker)(e)),
        };
        for run in runs.lines() {
            let folder = self.root.join("runs").join(run);
            match fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &folder)(e));
                }
                _ => {}
            }
        }
        sync_folder(&self.root.join("runs"))?;
        fs::remove_file(&marker).map_err(failed("remove", &marker))
    }

    /// Writes an entry; it is durable when this returns.
    pub(crate) fn write(
        &self,
        sealer: &dyn Sealer,
        run: &str,
        sequence: u64,
        entry: &Entry,
        body: &[u8],
    ) -> Result<(), DeliverError> {
        let folder = self.root.join("runs").join(run);
        if !folder.is_dir() {
            make_folder(&folder)?;
            sync_folder(&self.root.join("runs"))?;
        }
        let path = folder.join(format!("{sequence:08}.{EXTENSION}"));
        let header = serde_json::to_vec(entry).map_err(|e| failed("write", &path)(e.into()))?;
        let plain = [&(header.len() as u32).to_be_bytes()[..], &header, body].concat();
        let sealed = sealer
            .seal(&sealed_name(run, sequence), &plain)
            .map_err(|e| failed("seal", &path)(io::Error::other(e)))?;
        write_file(&path, &sealed)
    }

    /// Reads an entry back.
    pub(crate) fn read(
        sealer: &dyn Sealer,
        place: &Place,
    ) -> Result<(Entry, Vec<u8>), DeliverError> {
        let path = &place.path;
        let refuse = |reason: String| DeliverError::Journal { path: path.clone(), reason };
        let sealed = fs::read(path).map_err(failed("read", path))?;
        let mut plain = sealer
            .open(&sealed_name(&place.run, place.sequence), &sealed)
            .map_err(|e| refuse(format!("it does not open ({e})")))?;
        let length =
            plain.first_chunk::<4>().map_or(usize::MAX, |n| u32::from_be_bytes(*n) as usize);
        let end = length.saturating_add(4);
        let header = plain.get(4..end).ok_or_else(|| refuse("it is too short".into()))?;
        let entry: Entry = serde_json::from_slice(header).map_err(|e| refuse(e.to_string()))?;
        if entry.version != VERSION {
            let found = entry.version;
            return Err(refuse(format!("it has version {found}, expected {VERSION}")));
        }
        plain.drain(..end);
        Ok((entry, plain))
    }
}

fn sealed_name(run: &str, sequence: u64) -> String {
    format!("{run}/{sequence:08}")
}

fn names(folder: &Path) -> Result<Vec<String>, DeliverError> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|e| Ok(e?.file_name().to_string_lossy().into_owned())).collect()
    };
    read().map_err(failed("list", folder))
}
