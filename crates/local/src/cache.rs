//! Parsed files, kept until the file changes.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::files::{FileError, guard, read_bounded};

const FILES_MAX: usize = 4096;

/// What differs when another process replaced a file. The inode does so always: the old file is
/// still there when the new one is made.
#[derive(PartialEq, Clone, Copy)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(m: &Metadata) -> Self {
        Self { inode: m.ino(), len: m.len(), modified: (m.mtime(), m.mtime_nsec()) }
    }
}

/// A bounded cache of files parsed as `T`.
pub(crate) struct FileCache<T>(Mutex<HashMap<PathBuf, (Stamp, Arc<T>)>>);

impl<T> Default for FileCache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> FileCache<T> {
    /// The file as it is now, parsed; None when there is none. One `stat` when it is unchanged.
    pub(crate) fn get<E: From<FileError>>(
        &self,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<Arc<T>>, E> {
        let failed = |e| FileError::new("reading", path, e);
        let stamp = match fs::metadata(path) {
            Ok(m) => Stamp::of(&m),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // It may have held a secret, which must not outlive its file.
                guard(&self.0).remove(path);
                return Ok(None);
            }
            Err(e) => return Err(failed(e).into()),
        };
        if let Some((cached, value)) = guard(&self.0).get(path)
            && *cached == stamp
        {
            return Ok(Some(Arc::clone(value)));
        }
        // The stamp of the file that is read, which may be newer than the one just seen.
        let file = File::open(path).map_err(failed)?;
        let stamp = Stamp::of(&file.metadata().map_err(failed)?);
        let value = Arc::new(parse(&read_bounded(file).map_err(failed)?)?);
        let mut map = guard(&self.0);
        if map.len() >= FILES_MAX {
            map.clear();
        }
        map.insert(path.to_owned(), (stamp, Arc::clone(&value)));
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_from_a_file_does_not_outlive_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, b"secret").unwrap();
        let cache = FileCache::default();
        let get = || cache.get(&path, |bytes| Ok::<_, FileError>(bytes.to_vec())).unwrap();
        let read = Arc::downgrade(&get().unwrap());
        assert!(read.upgrade().is_some());
        fs::remove_file(&path).unwrap();
        assert!(get().is_none() && read.upgrade().is_none());
    }
}
