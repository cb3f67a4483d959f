//! Reading objects: whole, or the chunks that a range touches.

use std::fs::File;
use std::ops::Range;

use encryptor::envelope::Reader;
use trail::error::StoreError;
use trail::ports::ObjectMeta;

use crate::objects::object_meta;
use crate::s3::access::{Ask, Requester};
use crate::s3::name::Name;
use crate::s3::request::{GetObject, refused};
use crate::s3::settings::Bucket;
use crate::store::Inner;

/// An object being read. What it gives was authenticated; the rest was not looked at.
pub struct ObjectReader {
    bucket: String,
    key: String,
    meta: ObjectMeta,
    range: Range<u64>,
    opening: Reader<File>,
}

impl ObjectReader {
    pub(crate) fn begin(
        inner: &Inner,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        get: &GetObject,
    ) -> Result<Self, StoreError> {
        let (path, mut file) = inner.open_for(who, bucket, name)?;
        let (_, opened) = inner.read_head(name, &path, &mut file)?;
        let size = opened.header.size;
        let range = match get.range {
            None => 0..size,
            Some(range) => range.of(size).ok_or_else(|| {
                refused("InvalidRange", name.to_string(), &format!("it has {size} bytes"))
            })?,
        };
        let method = &opened.header.method;
        let keys = inner.keys_for_get(who, bucket, name, method, get.customer_key.as_ref())?;
        let opening =
            Reader::new(file, &opened, &keys, range.clone()).map_err(|e| name.sealing(e))?;
        let meta = object_meta(opened.header);
        let (bucket, key) = (name.bucket.to_owned(), name.key.to_owned());
        Ok(Self { bucket, key, meta, range, opening })
    }

    /// The object's properties.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// Which of the object's bytes are read.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The next bytes, at most a chunk (65,536); None at the end. Blocks on file I/O.
    ///
    /// # Errors
    /// When the disk fails, or the object was changed at rest.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, StoreError> {
        let name = Name { bucket: &self.bucket, key: &self.key };
        self.opening.next_chunk().map_err(|e| name.sealing(e))
    }

    /// All of the range. Blocks on file I/O.
    ///
    /// # Errors
    /// As [`ObjectReader::next_chunk`], and when it has more than `bound` bytes.
    pub fn read_all(mut self, bound: u64) -> Result<Vec<u8>, StoreError> {
        let len = self.range.end - self.range.start;
        if len > bound {
            return Err(Name { bucket: &self.bucket, key: &self.key }.too_large(len, bound));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        while let Some(chunk) = self.next_chunk()? {
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }
}

impl Inner {
    /// The object's file, for whoever may read it. As in S3, only those who may list the bucket
    /// learn that an object is not there.
    pub(crate) fn open_for(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
    ) -> Result<(std::path::PathBuf, File), StoreError> {
        let get = Ask { action: "s3:GetObject", key: Some(name.key) };
        self.authorize(who, bucket, get, |_| {})?;
        let found = self.open_object(name);
        if let Err(StoreError::NotFound { .. }) = found {
            let list = Ask { action: "s3:ListBucket", key: None };
            self.authorize(who, bucket, list, |_| {})?;
        }
        found
    }

    pub(crate) fn head_for(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        get: &GetObject,
    ) -> Result<ObjectMeta, StoreError> {
        let (path, mut file) = self.open_for(who, bucket, name)?;
        let opened = self.read_whole_head(name, &path, &mut file)?;
        let method = &opened.header.method;
        self.customer_keys(who, name, method, get.customer_key.as_ref())?;
        Ok(object_meta(opened.header))
    }
}
