//! Durable files: they appear whole, once, and stay after a power cut.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encryptor::keys::random;
use serde::Serialize;
use serde::de::DeserializeOwned;
use trail::error::{KeyError, StoreError};
use trail::limits::SMALL_FILE_BYTES_MAX;

/// A file operation that failed, with the path.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what} {}: {source}", path.display())]
pub struct FileError {
    /// What was being done.
    pub what: &'static str,
    /// To which file or directory.
    pub path: PathBuf,
    /// The cause.
    pub source: Arc<io::Error>,
}

impl FileError {
    pub(crate) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn content(path: &Path, reason: impl std::fmt::Display) -> Self {
        let source = io::Error::new(io::ErrorKind::InvalidData, reason.to_string());
        Self::new("understanding", path, source)
    }
}

impl From<FileError> for StoreError {
    fn from(e: FileError) -> Self {
        let what = format!("{} {}", e.what, e.path.display());
        Self::Io { what, source: e.source }
    }
}

impl From<FileError> for KeyError {
    fn from(e: FileError) -> Self {
        Self::Internal { reason: e.to_string() }
    }
}

/// Locks that guard only maps: a panic elsewhere leaves them usable.
pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs file I/O off the runtime's threads.
pub(crate) async fn blocking<T, E>(
    f: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<FileError> + Send + 'static,
{
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result,
        Err(e) => Err(FileError::new("running", Path::new("a task"), io::Error::other(e)).into()),
    }
}

const SYNCED_DIRS_MAX: usize = 100_000;

/// The files of one directory tree, with its `tmp` and `locks`.
pub(crate) struct Files {
    root: PathBuf,
    /// Directories whose entry in their parent is known to be on disk. Another process may have
    /// made one without having synced it yet, so existence alone is not enough.
    synced: Mutex<HashSet<PathBuf>>,
}

impl Files {
    pub(crate) fn new(root: &Path) -> Result<Self, FileError> {
        let files = Self { root: root.to_owned(), synced: Mutex::default() };
        for dir in ["tmp", "locks"] {
            files.ensure_dir(&root.join(dir))?;
        }
        Ok(files)
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Makes `dir`, with all between it and the root, durably.
    pub(crate) fn ensure_dir(&self, dir: &Path) -> Result<(), FileError> {
        if dir == self.root || guard(&self.synced).contains(dir) {
            return Ok(());
        }
        let parent = parent(dir)?;
        self.ensure_dir(parent)?;
        // If we stop here: an empty directory, which lists as nothing.
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(FileError::new("creating directory", dir, e));
            }
            _ => sync_dir(parent)?,
        }
        let mut synced = guard(&self.synced);
        if synced.len() >= SYNCED_DIRS_MAX {
            synced.clear();
        }
        synced.insert(dir.to_owned());
        Ok(())
    }

    /// An empty file, to be written and then put in place.
    pub(crate) fn temp(&self) -> Result<(Temp, File), FileError> {
        Temp::create(&self.path("tmp"))
    }

    /// Creates `target`; false when it exists. Either way what is there is durable on return.
    pub(crate) fn create(&self, target: &Path, bytes: &[u8]) -> Result<bool, FileError> {
        self.ensure_dir(parent(target)?)?;
        create_via(&self.path("tmp"), target, bytes)
    }

    /// [`Files::create`] from a temporary file that was written.
    pub(crate) fn create_from(
        &self,
        target: &Path,
        temp: &Temp,
        file: &File,
    ) -> Result<bool, FileError> {
        temp.sync(file)?;
        self.ensure_dir(parent(target)?)?;
        link(temp, target)
    }

    /// Puts `bytes` in place of `target`, or creates it. The caller holds the lock that orders
    /// writers.
    pub(crate) fn replace(&self, target: &Path, bytes: &[u8]) -> Result<(), FileError> {
        self.rename(target, Temp::write(&self.path("tmp"), bytes)?)
    }

    /// [`Files::replace`] from a temporary file that was written.
    pub(crate) fn replace_from(
        &self,
        target: &Path,
        temp: Temp,
        file: &File,
    ) -> Result<(), FileError> {
        temp.sync(file)?;
        self.rename(target, temp)
    }

    fn rename(&self, target: &Path, mut temp: Temp) -> Result<(), FileError> {
        let parent = parent(target)?;
        self.ensure_dir(parent)?;
        // If we stop here: the old file stands, a file in tmp is left over.
        fs::rename(&temp.path, target).map_err(|e| FileError::new("replacing", target, e))?;
        temp.gone = true;
        // If we stop here: the old or the new file stands, whole; the caller was told nothing.
        sync_dir(parent)
    }

    /// Removes `target`, durably; nothing is done when it is not there.
    pub(crate) fn remove(&self, target: &Path) -> Result<(), FileError> {
        match fs::remove_file(target) {
            Ok(()) => sync_dir(parent(target)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(FileError::new("removing", target, e)),
        }
    }

    /// Waits for the lock `name`, which all processes share; dropping the file frees it.
    pub(crate) fn lock(&self, name: &str) -> Result<File, FileError> {
        let path = self.path("locks").join(name);
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = opened.map_err(|e| FileError::new("opening", &path, e))?;
        file.lock().map_err(|e| FileError::new("locking", &path, e))?;
        Ok(file)
    }

    pub(crate) fn replace_json<T: Serialize>(&self, path: &Path, v: &T) -> Result<(), FileError> {
        self.replace(path, &json(path, v)?)
    }

    pub(crate) fn create_json<T: Serialize>(&self, path: &Path, v: &T) -> Result<bool, FileError> {
        self.create(path, &json(path, v)?)
    }
}

fn json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, FileError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| FileError::content(path, e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn parent(path: &Path) -> Result<&Path, FileError> {
    let none = || FileError::new("naming the parent of", path, io::ErrorKind::InvalidInput.into());
    path.parent().ok_or_else(none)
}

/// Creates `target` through a temporary file in `tmp`, which must be on the same file system.
pub(crate) fn create_via(tmp: &Path, target: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    link(&Temp::write(tmp, bytes)?, target)
}

fn link(temp: &Temp, target: &Path) -> Result<bool, FileError> {
    // If we stop here: no file under the final name, one in tmp is left over.
    let created = match fs::hard_link(&temp.path, target) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
        Err(e) => return Err(FileError::new("creating", target, e)),
    };
    // If we stop here: the file may be there, whole, or not; the caller was told nothing. Also
    // when it existed: whoever made it may not have synced it yet, and our caller relies on it.
    sync_dir(parent(target)?)?;
    Ok(created)
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| FileError::new("syncing", dir, e))
}

/// The whole file, None when there is none; refused when longer than any file of the store's own.
pub(crate) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let failed = |e| FileError::new("reading", path, e);
    match File::open(path) {
        Ok(file) => read_bounded(file).map(Some).map_err(failed),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

pub(crate) fn read_bounded(file: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SMALL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 16 MiB"));
    }
    Ok(bytes)
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let parse =
        |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|e| FileError::content(path, e));
    read_small(path)?.map(parse).transpose()
}

/// A file with a random name, removed when dropped.
pub(crate) struct Temp {
    pub(crate) path: PathBuf,
    pub(crate) gone: bool,
}

impl Temp {
    fn create(dir: &Path) -> Result<(Self, File), FileError> {
        let name: [u8; 16] =
            random().map_err(|e| FileError::new("naming a file in", dir, io::Error::other(e)))?;
        let path = dir.join(format!("tmp-{}", hex::encode(name)));
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|e| FileError::new("creating", &path, e))?;
        Ok((Self { path, gone: false }, file))
    }

    pub(crate) fn write(dir: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let (temp, mut file) = Self::create(dir)?;
        file.write_all(bytes).map_err(|e| FileError::new("writing", &temp.path, e))?;
        temp.sync(&file)?;
        Ok(temp)
    }

    fn sync(&self, file: &File) -> Result<(), FileError> {
        file.sync_all().map_err(|e| FileError::new("writing", &self.path, e))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.gone {
            // A left-over temporary file is harmless; there is nobody to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_created_once_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path()).unwrap();
        let target = files.path("a/b/c");
        assert!(files.create(&target, b"1").unwrap());
        assert!(!files.create(&target, b"2").unwrap());
        assert_eq!(read_small(&target).unwrap().unwrap(), b"1");
        files.replace(&target, b"3").unwrap();
        assert_eq!(read_small(&target).unwrap().unwrap(), b"3");
        assert_eq!(fs::read_dir(files.path("tmp")).unwrap().count(), 0);
        files.remove(&target).unwrap();
        files.remove(&target).unwrap();
        assert_eq!(read_small(&target).unwrap(), None);
    }

    #[test]
    fn an_error_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path()).unwrap();
        fs::write(files.path("blocker"), b"").unwrap();
        let error = files.create(&files.path("blocker/x"), b"1").unwrap_err();
        assert!(error.to_string().contains("blocker"), "{error}");
    }
}
