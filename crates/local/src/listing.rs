//! Listing a bucket: a walk over its tree in the order of the keys' bytes.
//!
//! A directory counts as its name with a `/` behind, a file as its bare name; sorted so, the
//! walk meets the keys in their own order, and whole directories before `start_after` or outside
//! the prefix are never opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use trail::error::StoreError;
use trail::limits::LIST_PAGE_KEYS;
use trail::ports::{ListEntry, ListPage};

use crate::files::FileError;
use crate::key_path::{Kind, folder_path, unescape};

type Describe<'a> = dyn Fn(&Path, String) -> Result<Option<ListEntry>, StoreError> + Sync + 'a;

/// Files of a page from which their headers are read on all cores.
const MANY: usize = 64;

/// What the walk compares keys with.
pub(crate) struct Walk<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) start_after: &'a str,
    pub(crate) delimiter: bool,
    /// Reads an object's size and date; None when it has gone.
    pub(crate) describe: &'a Describe<'a>,
}

/// What belongs to a page, before its files are looked into.
#[derive(Default)]
struct Found {
    files: Vec<(String, PathBuf)>,
    prefixes: Vec<String>,
    last: String,
}

enum Step {
    GoOn,
    Full,
}

impl Walk<'_> {
    /// One page of the objects under `objects`.
    pub(crate) fn page(&self, objects: &Path) -> Result<ListPage, StoreError> {
        let mut page = ListPage::default();
        let base = self.prefix.rfind('/').map_or("", |at| &self.prefix[..=at]);
        let dir = match base.strip_suffix('/') {
            None => objects.to_owned(),
            Some(folders) => match folder_path(objects, folders) {
                Ok(dir) => dir,
                // No key can be there.
                Err(_) => return Ok(page),
            },
        };
        let mut found = Found::default();
        if matches!(self.directory(&dir, base, &mut found)?, Step::Full) {
            page.next = Some(found.last);
        }
        page.prefixes = found.prefixes;
        page.entries = self.describe_all(&found.files)?;
        Ok(page)
    }

    /// Reading and authenticating a header takes longer than finding its file.
    fn describe_all(&self, files: &[(String, PathBuf)]) -> Result<Vec<ListEntry>, StoreError> {
        let each = |files: &[(String, PathBuf)]| -> Result<Vec<ListEntry>, StoreError> {
            let described = files.iter().map(|(key, path)| (self.describe)(path, key.clone()));
            described.filter_map(Result::transpose).collect()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if files.len() < MANY || cores == 1 {
            return each(files);
        }
        let parts = std::thread::scope(|scope| {
            let chunks = files.chunks(files.len().div_ceil(cores));
            let threads: Vec<_> = chunks.map(|chunk| scope.spawn(|| each(chunk))).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(parts?.into_iter().flatten().collect())
    }

    fn directory(&self, dir: &Path, base: &str, found: &mut Found) -> Result<Step, StoreError> {
        for (key, path, kind) in self.children(dir, base)? {
            let folded = kind == Kind::Directory && self.delimiter && key.len() > self.prefix.len();
            if kind == Kind::Directory && !folded {
                if let Step::Full = self.directory(&path, &key, found)? {
                    return Ok(Step::Full);
                }
                continue;
            }
            if folded && (key == self.start_after || !self.any_key(&path, &key)?) {
                continue;
            }
            if found.files.len() + found.prefixes.len() == LIST_PAGE_KEYS {
                return Ok(Step::Full);
            }
            found.last.clone_from(&key);
            if folded {
                found.prefixes.push(key);
            } else {
                found.files.push((key, path));
            }
        }
        Ok(Step::GoOn)
    }

    /// Whether any key in the directory comes after `start_after`.
    fn any_key(&self, dir: &Path, base: &str) -> Result<bool, StoreError> {
        for (key, path, kind) in self.children(dir, base)? {
            if kind == Kind::File || self.any_key(&path, &key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What in `dir` can hold keys of this listing, in order.
    fn children(&self, dir: &Path, base: &str) -> Result<Vec<(String, PathBuf, Kind)>, StoreError> {
        let failed = |e| FileError::new("listing", dir, e);
        let entries = match fs::read_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut children = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let file_type = entry.file_type().map_err(failed)?;
            let kind = match (file_type.is_file(), file_type.is_dir()) {
                (true, _) => Kind::File,
                (_, true) => Kind::Directory,
                _ => continue, // the store makes nothing else
            };
            let name = entry.file_name();
            let Some(component) = name.to_str().and_then(|n| unescape(n, kind)) else { continue };
            let slash = if kind == Kind::Directory { "/" } else { "" };
            let key = format!("{base}{component}{slash}");
            if self.admits(&key, kind) {
                children.push((key, entry.path(), kind));
            }
        }
        children.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(children)
    }

    fn admits(&self, key: &str, kind: Kind) -> bool {
        let (after, inside) = (key > self.start_after, key.starts_with(self.prefix));
        match kind {
            Kind::File => after && inside,
            Kind::Directory => {
                (after || self.start_after.starts_with(key))
                    && (inside || self.prefix.starts_with(key))
            }
        }
    }
}
