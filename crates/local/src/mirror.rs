//! Writing an offline copy: objects byte for byte, with a sidecar that loses nothing.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use trail::error::StoreError;
use trail::ports::{ETag, Object};
use trail::public_key::PublicKeyList;

use crate::files::{FileError, Temp, guard};
use crate::sidecar::{FOLDER, OBJECTS, PUBLIC_KEYS, SOURCE, SidecarLine, SourceInfo};

/// A directory that objects are copied into. Its methods block on file I/O.
///
/// A stopped copy is taken up where it stood: what the sidecar names and the directory has is
/// not fetched again. One process at a time; the directory is locked.
pub struct MirrorWriter {
    dir: PathBuf,
    sidecar: Mutex<File>,
    /// Size and version of what an earlier run copied.
    done: HashMap<String, (Option<u64>, Option<String>)>,
}

impl MirrorWriter {
    /// Opens or makes the copy in `dir`.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or another process is writing it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let meta_dir = dir.join(FOLDER);
        make_dirs(&meta_dir)?;
        let path = dir.join(OBJECTS);
        let failed = |e| FileError::new("opening", &path, e);
        let opened =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let file = opened.map_err(failed)?;
        file.try_lock().map_err(|_| StoreError::Invalid {
            what: dir.display().to_string(),
            reason: "another process is copying into it; wait for it to end".to_owned(),
        })?;
        let mut done = HashMap::new();
        let mut reader = BufReader::new(&file);
        let (mut line, mut whole) = (Vec::new(), 0);
        while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
            if line.ends_with(b"\n") {
                whole += line.len() as u64;
                if let Ok(line) = serde_json::from_slice::<SidecarLine>(&line) {
                    done.insert(line.key, (line.size, line.etag));
                }
            }
            line.clear();
        }
        // A run that stopped within a line left its beginning.
        file.set_len(whole).map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), sidecar: Mutex::new(file), done })
    }

    /// Whether the object is there already, in this version, from an earlier run.
    #[must_use]
    pub fn has(&self, key: &str, etag: Option<&ETag>, size: u64) -> bool {
        let Some((known_size, known_etag)) = self.done.get(key) else { return false };
        *known_size == Some(size)
            && etag.is_some_and(|e| known_etag.as_deref() == Some(&e.0))
            && self.path_of(key).is_ok_and(|path| {
                fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.len() == size)
            })
    }

    /// Writes an object and its line.
    ///
    /// # Errors
    /// When the key is not a path below the directory, or on I/O errors (such as a full disk).
    pub fn write(&self, key: &str, object: &Object) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        if let Some(parent) = path.parent() {
            make_dirs(parent)?;
        }
        self.place(&path, &object.body)?;
        // If we stop here: an object without a line; the next run fetches it again.
        let mut line = serde_json::to_vec(&SidecarLine::of(key, &object.meta))
            .map_err(|e| FileError::content(&path, e))?;
        line.push(b'\n');
        let written = guard(&self.sidecar).write_all(&line);
        Ok(written.map_err(|e| FileError::new("appending to", &self.dir.join(OBJECTS), e))?)
    }

    /// Writes `public-keys.json`.
    ///
    /// # Errors
    /// On I/O errors.
    pub fn write_public_keys(&self, keys: &PublicKeyList) -> Result<(), StoreError> {
        self.write_json(PUBLIC_KEYS, keys)
    }

    /// Writes `source.json`, at the end: its `taken_at` says when the copy was complete.
    ///
    /// # Errors
    /// On I/O errors.
    pub fn write_source(&self, source: &SourceInfo) -> Result<(), StoreError> {
        guard(&self.sidecar)
            .sync_all()
            .map_err(|e| FileError::new("syncing", &self.dir.join(OBJECTS), e))?;
        self.write_json(SOURCE, source)
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        let bytes = serde_json::to_vec_pretty(value).map_err(|e| FileError::content(&path, e))?;
        self.place(&path, &bytes)
    }

    fn place(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut temp = Temp::write(&self.dir.join(FOLDER), bytes)?;
        // If we stop here: the object is not there, a file in .trailseal is left over.
        fs::rename(&temp.path, path).map_err(|e| FileError::new("writing", path, e))?;
        temp.gone = true;
        Ok(())
    }

    fn path_of(&self, key: &str) -> Result<PathBuf, StoreError> {
        let component_ok = |c: &str| !matches!(c, "" | "." | "..") && !c.contains('\0');
        if !key.split('/').all(component_ok) || key.starts_with(FOLDER) {
            let reason = "it is no path below the copy's directory; leave it out".to_owned();
            return Err(StoreError::Invalid { what: format!("object key {key:?}"), reason });
        }
        Ok(self.dir.join(key))
    }
}

fn make_dirs(dir: &Path) -> Result<(), FileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| FileError::new("creating directory", dir, e))
}
