//! Reading an offline copy, a directory or a tar, as an object store.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use trail::Region;
use trail::error::StoreError;
use trail::limits::{LIST_PAGE_KEYS, SIDECAR_BYTES_MAX, SMALL_FILE_BYTES_MAX};
use trail::ports::{
    BlockingRead, ListEntry, ListPage, ListRequest, Object, ObjectMeta, ObjectStore, PutReceipt,
    PutRequest,
};
use trail::public_key::PublicKeyList;

use crate::copy_index::{Entry, Index, Place};
use crate::files::{FileError, blocking};
use crate::sidecar::{
    FOLDER, LINE_BYTES_MAX, OBJECTS, PUBLIC_KEYS, SOURCE, SidecarLine, SourceInfo,
};

/// An offline copy, read only. Cheap to clone.
///
/// The names are read once, when it is opened. Keys are paths relative to the directory; the
/// bucket that a call names is ignored.
#[derive(Clone)]
pub struct OfflineCopy {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// The tar; None for a directory.
    tar: Option<File>,
    index: Index,
    sidecar: Option<File>,
    /// Keys that the sidecar lists and the copy does not hold.
    absent: Vec<String>,
    public_keys: Option<PublicKeyList>,
    source: Option<SourceInfo>,
}

impl OfflineCopy {
    /// Opens a directory, or a tar file. Blocks on file I/O; takes long for large directories.
    ///
    /// # Errors
    /// When `path` is neither, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |e| FileError::new("opening", path, e);
        let file = File::open(path).map_err(failed)?;
        let (tar, index) = if file.metadata().map_err(failed)?.is_dir() {
            (None, Index::of_directory(path)?)
        } else {
            let index = Index::of_tar(path, &file)?;
            (Some(file), index)
        };
        let mut inner = Inner {
            path: path.to_owned(),
            tar,
            index,
            sidecar: None,
            absent: Vec::new(),
            public_keys: None,
            source: None,
        };
        inner.public_keys = inner.own_json(PUBLIC_KEYS);
        inner.source = inner.own_json(SOURCE);
        if let Err(e) = inner.read_sidecar() {
            inner.index.warn(format!("{OBJECTS} cannot be read: {e}"));
        }
        inner.index.entries.retain(|e| !e.key.starts_with(FOLDER));
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The keys found in the copy. Whoever could change the objects could change these.
    #[must_use]
    pub fn public_keys(&self) -> Option<&PublicKeyList> {
        self.inner.public_keys.as_ref()
    }

    /// Where the copy says it was taken from.
    #[must_use]
    pub fn source(&self) -> Option<&SourceInfo> {
        self.inner.source.as_ref()
    }

    /// Whether the copy lists its objects (`.trailseal/objects.ndjson`).
    #[must_use]
    pub fn has_sidecar(&self) -> bool {
        self.inner.sidecar.is_some()
    }

    /// Keys that the copy's own list has and the copy has not: they were removed from it.
    #[must_use]
    pub fn absent(&self) -> Vec<String> {
        self.inner.absent.clone()
    }

    /// What was left out or could not be understood when the copy was opened.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.index.warnings
    }
}

impl Inner {
    /// The open file that holds an entry, and where it begins in there.
    fn open_entry(&self, entry: &Entry) -> io::Result<(File, u64)> {
        match (&entry.place, &self.tar) {
            (Place::Tar(at), Some(tar)) => Ok((tar.try_clone()?, *at)),
            (Place::Unreadable(reason), _) => Err(io::Error::other(reason.clone())),
            _ => Ok((File::open(self.path.join(&entry.key))?, 0)),
        }
    }

    /// At most `bound` bytes and one of an entry; a file may have grown since it was indexed.
    fn read(&self, entry: &Entry, bound: u64) -> io::Result<Vec<u8>> {
        let (file, at) = self.open_entry(entry)?;
        let mut bytes = Vec::new();
        if self.tar.is_none() {
            file.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        // A header may give any size; only what the archive has is allocated.
        let end = file.metadata()?.len().saturating_sub(at);
        let wanted = entry.size.min(bound.saturating_add(1));
        if wanted > end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.resize(wanted as usize, 0);
        // By offset: concurrent reads share one file, so its position is nobody's.
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    fn own_json<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let bytes = self.read(self.index.find(key)?, SMALL_FILE_BYTES_MAX);
        let parsed = bytes.and_then(|b| match serde_json::from_slice(&b) {
            _ if b.len() as u64 > SMALL_FILE_BYTES_MAX => Err(io::Error::other("too long")),
            other => other.map_err(io::Error::from),
        });
        parsed.map_err(|e| self.index.warn(format!("{key} is not understood: {e}"))).ok()
    }

    /// Attaches each sidecar line to its entry; of two lines of one key the later counts.
    fn read_sidecar(&mut self) -> io::Result<()> {
        let Some(entry) = self.index.find(OBJECTS) else { return Ok(()) };
        if entry.size > SIDECAR_BYTES_MAX {
            return Err(io::Error::other(format!("longer than {SIDECAR_BYTES_MAX} bytes")));
        }
        let (mut file, mut at) = self.open_entry(entry)?;
        let size = entry.size;
        file.seek(SeekFrom::Start(at))?;
        let mut reader = BufReader::new((&file).take(size));
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            let read =
                (&mut reader).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            let mut len = read as u64;
            if read > LINE_BYTES_MAX {
                len += skip_line(&mut reader)?;
                self.index.warn(format!("{OBJECTS}:{number} is longer than 64 KiB; left out"));
            } else if !line.trim_ascii().is_empty() {
                match serde_json::from_slice::<SidecarLine>(&line) {
                    Ok(parsed) if !parsed.key.is_empty() => {
                        if let Some(i) = self.index.position(&parsed.key) {
                            let entry = &mut self.index.entries[i];
                            entry.last_modified = parsed.last_modified;
                            entry.line = Some((at, read as u32));
                        } else {
                            self.absent.push(parsed.key);
                        }
                    }
                    Ok(_) => self.index.warn(format!("{OBJECTS}:{number} has no key; left out")),
                    Err(e) => self.index.warn(format!("{OBJECTS}:{number}: {e}; left out")),
                }
            }
            at += len;
        }
        self.sidecar = Some(file);
        Ok(())
    }

    fn entry(&self, bucket: &str, key: &str) -> Result<&Entry, StoreError> {
        let missing = || StoreError::NotFound { bucket: bucket.to_owned(), key: key.to_owned() };
        self.index.find(key).ok_or_else(missing)
    }

    fn meta(&self, entry: &Entry, size: u64) -> ObjectMeta {
        let line = entry.line.zip(self.sidecar.as_ref()).and_then(|((at, len), file)| {
            let mut bytes = vec![0; len as usize];
            file.read_exact_at(&mut bytes, at).ok()?;
            serde_json::from_slice::<SidecarLine>(&bytes).ok()
        });
        line.unwrap_or_default().into_meta(size)
    }

    fn get(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError> {
        let entry = self.entry(bucket, key)?;
        let too_large = |size| StoreError::TooLarge {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size,
            bound,
        };
        if entry.size > bound {
            return Err(too_large(entry.size));
        }
        let body = match self.read(entry, bound) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NotFound { bucket: bucket.into(), key: key.into() });
            }
            other => other.map_err(|e| self.failed(key, e))?,
        };
        let size = body.len() as u64;
        if size > bound {
            return Err(too_large(size));
        }
        Ok(Object { meta: self.meta(entry, size), body: Bytes::from(body) })
    }

    fn failed(&self, key: &str, e: io::Error) -> StoreError {
        FileError::new("reading", &self.path.join(key), e).into()
    }

    fn list(&self, request: &ListRequest<'_>) -> Result<ListPage, StoreError> {
        let ListRequest { prefix, start_after, delimiter } = request;
        let start_after = start_after.unwrap_or_default();
        for (at, _) in prefix.match_indices('/') {
            if let Some(Entry { place: Place::Unreadable(reason), .. }) =
                self.index.find(&prefix[..=at])
            {
                return Err(self.failed(&prefix[..=at], io::Error::other(reason.clone())));
            }
        }
        let entries = &self.index.entries;
        let mut page = ListPage::default();
        let mut last = "";
        let mut at =
            entries.partition_point(|e| e.key.as_str() < *prefix || e.key.as_str() <= start_after);
        while let Some(entry) = entries.get(at).filter(|e| e.key.starts_with(prefix)) {
            let key = entry.key.as_str();
            let slash = key[prefix.len()..].find('/').filter(|_| *delimiter);
            let folded = slash.map(|s| &key[..=prefix.len() + s]);
            let skip = folded.is_some_and(|f| f == start_after);
            if !skip && page.entries.len() + page.prefixes.len() == LIST_PAGE_KEYS {
                page.next = Some(last.to_owned());
                break;
            }
            match (folded, &entry.place) {
                (Some(folded), _) => {
                    if !skip {
                        page.prefixes.push(folded.to_owned());
                        last = folded;
                    }
                    at += entries[at..].partition_point(|e| e.key.starts_with(folded));
                    continue;
                }
                (None, Place::Unreadable(reason)) => {
                    return Err(self.failed(key, io::Error::other(reason.clone())));
                }
                (None, _) => page.entries.push(ListEntry {
                    key: key.to_owned(),
                    size: entry.size,
                    last_modified: entry.last_modified,
                    archived: false,
                }),
            }
            (last, at) = (key, at + 1);
        }
        Ok(page)
    }
}

fn skip_line(reader: &mut impl io::BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let end = buffer.iter().position(|b| *b == b'\n');
        let n = end.map_or(buffer.len(), |e| e + 1);
        reader.consume(n);
        skipped += n as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

#[async_trait]
impl ObjectStore for OfflineCopy {
    async fn bucket_region(&self, _bucket: &str) -> Result<Option<Region>, StoreError> {
        let region = self.inner.source.as_ref().and_then(|s| s.bucket_region.as_ref());
        Ok(region.and_then(|r| r.parse().ok()))
    }

    async fn list(&self, _bucket: &str, request: ListRequest<'_>) -> Result<ListPage, StoreError> {
        self.inner.list(&request)
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectMeta, StoreError> {
        let (inner, bucket, key) = (Arc::clone(&self.inner), bucket.to_owned(), key.to_owned());
        blocking(move || {
            let entry = inner.entry(&bucket, &key)?;
            if let Place::Unreadable(reason) = &entry.place {
                return Err(inner.failed(&key, io::Error::other(reason.clone())));
            }
            Ok(inner.meta(entry, entry.size))
        })
        .await
    }

    async fn get(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError> {
        let (inner, bucket, key) = (Arc::clone(&self.inner), bucket.to_owned(), key.to_owned());
        blocking(move || inner.get(&bucket, &key, bound)).await
    }

    async fn put(
        &self,
        bucket: &str,
        key: &str,
        _put: PutRequest,
    ) -> Result<PutReceipt, StoreError> {
        let reason = "an offline copy is read only".to_owned();
        Err(StoreError::Invalid { what: format!("s3://{bucket}/{key}"), reason })
    }

    fn blocking(&self) -> Option<&dyn BlockingRead> {
        Some(self)
    }
}

impl BlockingRead for OfflineCopy {
    fn get_blocking(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError> {
        self.inner.get(bucket, key, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_listed_is_never_taken_for_an_empty_one() {
        let entry = |key: &str, place| Entry {
            key: key.to_owned(),
            size: 0,
            place,
            last_modified: None,
            line: None,
        };
        let entries = vec![
            entry("a/closed/", Place::Unreadable("denied".to_owned())),
            entry("a/open", Place::File),
        ];
        let index = Index { entries, warnings: Vec::new() };
        let path = PathBuf::from("/copy");
        let inner = Inner {
            path,
            tar: None,
            index,
            sidecar: None,
            absent: Vec::new(),
            public_keys: None,
            source: None,
        };
        let list =
            |prefix, delimiter| inner.list(&ListRequest { prefix, start_after: None, delimiter });
        assert_eq!(list("a/", true).unwrap().prefixes, ["a/closed/"]);
        assert_eq!(list("a/o", false).unwrap().entries.len(), 1);
        for (prefix, delimiter) in
            [("", false), ("a/", false), ("a/closed/", true), ("a/closed/b/", true)]
        {
            let error = list(prefix, delimiter).unwrap_err();
            assert!(error.to_string().contains("denied"), "{prefix}");
        }
    }
}
