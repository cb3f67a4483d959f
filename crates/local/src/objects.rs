//! Objects as they lie on disk, and the store behind the port, where all is done as the
//! account's root.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use encryptor::envelope::{self, Header, Opened};
use serde::{Deserialize, Serialize};
use trail::error::StoreError;
use trail::ports::{
    BlockingRead, ETag, ListEntry, ListPage, ListRequest, Object, ObjectMeta, ObjectStore, Pairs,
    PutReceipt, PutRequest,
};
use trail::{Region, Timestamp};

use crate::files::{FileError, blocking};
use crate::key_path::object_path;
use crate::listing::Walk;
use crate::s3::access::Requester;
use crate::s3::data_keys::sse_state;
use crate::s3::name::Name;
use crate::s3::request::{GetObject, PutObject, Sse};
use crate::store::{Inner, Store};

/// Enough for the header of nearly every object, so that a header is one read.
const HEAD_READ_BYTES: u64 = 4096;

/// What the store keeps with an object, beside what the envelope needs.
#[derive(Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) etag: ETag,
    pub(crate) last_modified: Timestamp,
    pub(crate) content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    pub(crate) metadata: Pairs,
    /// Of the plaintext, in hex. None in objects of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

impl Inner {
    /// The beginning of the file with the authenticated header.
    pub(crate) fn read_head(
        &self,
        name: Name<'_>,
        path: &Path,
        file: &mut File,
    ) -> Result<(Vec<u8>, Opened<Meta>), StoreError> {
        let failed = |e| StoreError::from(FileError::new("reading", path, e));
        let mut start = Vec::with_capacity(HEAD_READ_BYTES as usize);
        file.take(HEAD_READ_BYTES).read_to_end(&mut start).map_err(failed)?;
        let len = envelope::header_len(&start).map_err(|e| name.crypto(e))?;
        if let Some(more) = len.checked_sub(start.len()).filter(|more| *more > 0) {
            file.take(more as u64).read_to_end(&mut start).map_err(failed)?;
        }
        let opened = envelope::read_header(&start, &self.secrets.header_mac, name.bucket, name.key)
            .map_err(|e| name.crypto(e))?;
        Ok((start, opened))
    }

    /// [`Inner::read_head`], with the file's length checked against it.
    pub(crate) fn read_whole_head(
        &self,
        name: Name<'_>,
        path: &Path,
        file: &mut File,
    ) -> Result<Opened<Meta>, StoreError> {
        let (_, opened) = self.read_head(name, path, file)?;
        let len = file.metadata().map_err(|e| FileError::new("reading", path, e))?.len();
        if len != opened.file_len() {
            return Err(name.damaged("its length is not the one that its header gives"));
        }
        Ok(opened)
    }

    pub(crate) fn open_object(&self, name: Name<'_>) -> Result<(PathBuf, File), StoreError> {
        let path = object_path(&self.objects_dir(name.bucket)?, name.key)?;
        let file = open_file(&path)?.ok_or_else(|| name.not_found())?;
        Ok((path, file))
    }

    /// A whole object in one read of its file: the way of the verifier.
    fn get(&self, name: Name<'_>, bound: u64) -> Result<Object, StoreError> {
        let bucket = self.bucket(name.bucket)?;
        let root = Requester::root(&self.account, &bucket.region);
        let (path, mut file) = self.open_for(&root, &bucket, name)?;
        let (mut bytes, opened) = self.read_head(name, &path, &mut file)?;
        let size = opened.header.size;
        if size > bound {
            return Err(name.too_large(size, bound));
        }
        let keys = self.keys_for_get(&root, &bucket, name, &opened.header.method, None)?;
        // One byte more than there must be, so that a longer file shows.
        let rest = (opened.file_len() + 1).saturating_sub(bytes.len() as u64);
        file.take(rest).read_to_end(&mut bytes).map_err(|e| FileError::new("reading", &path, e))?;
        let body = envelope::open(&bytes, &opened, &keys).map_err(|e| name.crypto(e))?;
        Ok(Object { meta: object_meta(opened.header), body: Bytes::from(body) })
    }

    pub(crate) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: &str,
        delimiter: bool,
    ) -> Result<ListPage, StoreError> {
        let describe = |path: &Path, key: String| self.list_entry(bucket, path, key);
        let walk = Walk { prefix, start_after, delimiter, describe: &describe };
        walk.page(&self.objects_dir(bucket)?)
    }

    fn list_entry(
        &self,
        bucket: &str,
        path: &Path,
        key: String,
    ) -> Result<Option<ListEntry>, StoreError> {
        let Some(mut file) = open_file(path)? else { return Ok(None) };
        let head = self.read_head(Name { bucket, key: &key }, path, &mut file);
        let (size, last_modified) = match head {
            Ok((_, opened)) => (opened.header.size, Some(opened.header.meta.last_modified)),
            Err(StoreError::Io { what, source }) => return Err(StoreError::Io { what, source }),
            // A damaged object is still listed, or it would look as if it had been deleted.
            Err(_) => (fs::metadata(path).map_or(0, |m| m.len()), None),
        };
        Ok(Some(ListEntry { key, size, last_modified, archived: false }))
    }
}

pub(crate) fn open_file(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FileError::new("opening", path, e).into()),
    }
}

pub(crate) fn object_meta(header: Header<Meta>) -> ObjectMeta {
    let meta = header.meta;
    ObjectMeta {
        size: header.size,
        etag: Some(meta.etag),
        last_modified: Some(meta.last_modified),
        version_id: None,
        metadata: Some(meta.metadata),
        sse: sse_state(&header.method),
        content_type: Some(meta.content_type),
        content_encoding: meta.content_encoding,
    }
}

impl Store {
    async fn run<T: Send + 'static>(
        &self,
        bucket: &str,
        key: &str,
        f: impl FnOnce(&Arc<Inner>, Name<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (inner, bucket, key) = (Arc::clone(&self.inner), bucket.to_owned(), key.to_owned());
        blocking(move || f(&inner, Name { bucket: &bucket, key: &key })).await
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn bucket_region(&self, bucket: &str) -> Result<Option<Region>, StoreError> {
        self.run(bucket, "", |inner, name| inner.region_of(name.bucket).map(Some)).await
    }

    async fn list(&self, bucket: &str, request: ListRequest<'_>) -> Result<ListPage, StoreError> {
        let start_after = request.start_after.map(str::to_owned);
        let delimiter = request.delimiter;
        self.run(bucket, request.prefix, move |inner, name| {
            let start_after = start_after.as_deref();
            let request = ListRequest { prefix: name.key, start_after, delimiter };
            inner.as_root().list_objects(name.bucket, &request)
        })
        .await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectMeta, StoreError> {
        self.run(bucket, key, |inner, name| {
            inner.as_root().head_object(name.bucket, name.key, &GetObject::default())
        })
        .await
    }

    async fn get(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError> {
        self.run(bucket, key, move |inner, name| inner.get(name, bound)).await
    }

    async fn put(
        &self,
        bucket: &str,
        key: &str,
        put: PutRequest,
    ) -> Result<PutReceipt, StoreError> {
        self.run(bucket, key, move |inner, name| {
            let request = PutObject {
                sse: Sse::from(&put.sse),
                precondition: Some(put.precondition),
                metadata: put.metadata,
                content_type: Some(put.content_type.to_owned()),
                content_encoding: put.content_encoding.map(str::to_owned),
                acl: None,
            };
            inner.as_root().put_bytes(name.bucket, name.key, request, &put.body)
        })
        .await
    }

    fn blocking(&self) -> Option<&dyn BlockingRead> {
        Some(self)
    }
}

impl BlockingRead for Store {
    fn get_blocking(&self, bucket: &str, key: &str, bound: u64) -> Result<Object, StoreError> {
        self.inner.get(Name { bucket, key }, bound)
    }
}
