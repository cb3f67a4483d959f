//! What an offline copy has: its keys in order, and where their bytes are.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use trail::Timestamp;
use trail::error::StoreError;

use crate::files::FileError;

/// Warnings are for people; nobody reads more.
const WARNINGS_MAX: usize = 1000;

/// Where an object's bytes are.
pub(crate) enum Place {
    /// A file below the directory, under the key.
    File,
    /// In the tar, from this offset on.
    Tar(u64),
    /// Nowhere: a directory that could not be listed; its key ends in `/`.
    Unreadable(String),
}

pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) place: Place,
    pub(crate) last_modified: Option<Timestamp>,
    /// Offset and length of its sidecar line.
    pub(crate) line: Option<(u64, u32)>,
}

/// Entries in the order of their keys' bytes, and what could not become one.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    pub(crate) warnings: Vec<String>,
}

impl Index {
    pub(crate) fn of_directory(dir: &Path) -> Result<Self, StoreError> {
        let mut index = Self::default();
        index.walk(dir, "").map_err(|e| FileError::new("listing", dir, e))?;
        index.sort();
        Ok(index)
    }

    fn walk(&mut self, dir: &Path, base: &str) -> io::Result<()> {
        for child in fs::read_dir(dir)? {
            let child = child?;
            let name = child.file_name();
            let Some(name) = name.to_str() else {
                self.warn(format!("{base}{} is not UTF-8; left out", name.to_string_lossy()));
                continue;
            };
            let (key, kind) = (format!("{base}{name}"), child.file_type()?);
            if kind.is_dir() {
                let key = key + "/";
                if let Err(e) = self.walk(&child.path(), &key) {
                    self.warn(format!("{key} cannot be listed: {e}"));
                    self.push(key, 0, Place::Unreadable(e.to_string()));
                }
            } else if kind.is_file() {
                match child.metadata() {
                    Ok(m) => self.push(key, m.len(), Place::File),
                    Err(e) => self.warn(format!("{key} cannot be read: {e}")),
                }
            } else {
                // A link could lead out of the copy, where it would prove nothing about it.
                self.warn(format!("{key} is no regular file; left out"));
            }
        }
        Ok(())
    }

    pub(crate) fn of_tar(path: &Path, file: &File) -> Result<Self, StoreError> {
        let failed = |e| FileError::new("reading", path, e);
        let mut file = file.try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let mut index = Self::default();
        let mut archive = tar::Archive::new(file);
        for (n, entry) in archive.entries_with_seek().map_err(failed)?.enumerate() {
            match entry {
                Ok(entry) => index.tar_entry(&entry, len),
                Err(e) if n == 0 => {
                    let reason = format!("not a tar archive ({e}); unpack it if compressed");
                    return Err(StoreError::Invalid { what: path.display().to_string(), reason });
                }
                Err(e) => {
                    index.warn(format!("the archive cannot be read to its end: {e}"));
                    break;
                }
            }
        }
        index.strip_root();
        index.sort();
        Ok(index)
    }

    fn tar_entry(&mut self, entry: &tar::Entry<'_, impl io::Read>, archive_len: u64) {
        let (kind, bytes) = (entry.header().entry_type(), entry.path_bytes());
        let lossy = String::from_utf8_lossy(&bytes).into_owned();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            return;
        }
        if !kind.is_file() && !kind.is_contiguous() {
            return self.warn(format!("{lossy} is no regular file; left out"));
        }
        let Ok(key) = std::str::from_utf8(&bytes) else {
            return self.warn(format!("{lossy} is not UTF-8; left out"));
        };
        let mut key = key;
        while let Some(rest) = key.strip_prefix("./") {
            key = rest;
        }
        if key.split('/').any(|c| matches!(c, "" | "." | "..")) {
            return self.warn(format!("{lossy} is no plain relative path; left out"));
        }
        let at = entry.raw_file_position();
        if at.saturating_add(entry.size()) > archive_len {
            self.warn(format!("{key} is cut: the archive ends before it does"));
        }
        self.push(key.to_owned(), entry.size(), Place::Tar(at));
    }

    /// `tar cf x.tar DIR` puts `DIR/` before all: the copy then begins where its sidecar says.
    fn strip_root(&mut self) {
        let root = self.entries.iter().find_map(|e| {
            let (root, rest) = e.key.split_once('/')?;
            rest.starts_with(crate::sidecar::FOLDER).then(|| format!("{root}/"))
        });
        let Some(root) = root else { return };
        if self.entries.iter().all(|e| e.key.starts_with(&root)) {
            for entry in &mut self.entries {
                entry.key.drain(..root.len());
            }
        }
    }

    /// In order; of one key's entries the last, as unpacking a tar would leave it.
    fn sort(&mut self) {
        self.entries.reverse();
        self.entries.sort_by(|a, b| a.key.cmp(&b.key));
        let mut twice = Vec::new();
        self.entries.dedup_by(|a, b| {
            let same = a.key == b.key;
            if same {
                twice.push(format!("{} is in the archive twice; the last one counts", b.key));
            }
            same
        });
        twice.into_iter().for_each(|w| self.warn(w));
    }

    fn push(&mut self, key: String, size: u64, place: Place) {
        self.entries.push(Entry { key, size, place, last_modified: None, line: None });
    }

    pub(crate) fn warn(&mut self, warning: String) {
        match self.warnings.len() {
            n if n < WARNINGS_MAX => self.warnings.push(warning),
            WARNINGS_MAX => self.warnings.push("… and more".to_owned()),
            _ => {}
        }
    }

    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.entries.binary_search_by(|e| e.key.as_str().cmp(key)).ok()
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.position(key).map(|at| &self.entries[at])
    }
}
