//! Listing a bucket: a walk over its tree in the order of the keys' bytes.
//!
//! A directory counts as its name with a `/` behind, a file as its bare name; sorted so, the
//! walk meets the keys in their own order, and whole directories before `start_after` or outside
//! the prefix are never opened.

use std::fs;
use std::io;
use std::path::Path;

use trail::error::StoreError;
use trail::limits::LIST_PAGE_KEYS;
use trail::ports::{ListEntry, ListPage};

use crate::files::FileError;
use crate::key_path::{Kind, folder_path, unescape};

type Describe<'a> = dyn Fn(&Path, String) -> Result<Option<ListEntry>, StoreError> + 'a;

/// What the walk compares keys with.
pub(crate) struct Walk<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) start_after: &'a str,
    pub(crate) delimiter: bool,
    /// Reads an object's size and date; None when it has gone.
    pub(crate) describe: &'a Describe<'a>,
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
        let mut last = String::new();
        if matches!(self.directory(&dir, base, &mut page, &mut last)?, Step::Full) {
            page.next = Some(last);
        }
        Ok(page)
    }

    fn directory(
        &self,
        dir: &Path,
        base: &str,
        page: &mut ListPage,
        last: &mut String,
    ) -> Result<Step, StoreError> {
        for (key, path, kind) in self.children(dir, base)? {
            let folded = kind == Kind::Directory && self.delimiter && key.len() > self.prefix.len();
            if kind == Kind::Directory && !folded {
                if let Step::Full = self.directory(&path, &key, page, last)? {
                    return Ok(Step::Full);
                }
                continue;
            }
            if folded && (key == self.start_after || !self.any_key(&path, &key)?) {
                continue;
            }
            if page.entries.len() + page.prefixes.len() == LIST_PAGE_KEYS {
                return Ok(Step::Full);
            }
            if folded {
                last.clone_from(&key);
                page.prefixes.push(key);
            } else if let Some(entry) = (self.describe)(&path, key)? {
                last.clone_from(&entry.key);
                page.entries.push(entry);
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
    fn children(
        &self,
        dir: &Path,
        base: &str,
    ) -> Result<Vec<(String, std::path::PathBuf, Kind)>, StoreError> {
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
