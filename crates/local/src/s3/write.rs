//! Writing objects: sealed into a temporary file as the bytes come, then put in place at once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encryptor::envelope::{Method, Writer};
use encryptor::error::StreamError;
use encryptor::keys::random;
use md5::{Digest as _, Md5};
use trail::Sha256;
use trail::error::StoreError;
use trail::hash::Hasher;
use trail::limits::{OBJECT_BYTES_MAX, USER_METADATA_BYTES_MAX};
use trail::ports::{ETag, Pairs, Precondition, PutReceipt};

use crate::files::{FileError, Temp};
use crate::key_path::object_path;
use crate::objects::Meta;
use crate::s3::access::{Ask, Requester};
use crate::s3::data_keys::{NewKeys, sse_state};
use crate::s3::name::Name;
use crate::s3::request::{PutObject, Sse};
use crate::s3::settings::Bucket;
use crate::store::Inner;

/// An object being written. Nothing is there before [`ObjectWriter::finish`] returns; a writer
/// that is dropped leaves nothing behind.
pub struct ObjectWriter {
    inner: Arc<Inner>,
    bucket: String,
    key: String,
    path: PathBuf,
    precondition: Option<Precondition>,
    meta: Meta,
    method: Method,
    temp: Temp,
    sealing: Writer<File>,
    sha256: Hasher,
    /// The ETag of an SSE-S3 object is its content's MD5; of others it must tell nothing.
    md5: Option<Md5>,
}

impl ObjectWriter {
    pub(crate) fn begin(
        inner: &Arc<Inner>,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        put: PutObject,
    ) -> Result<Self, StoreError> {
        let path = object_path(&inner.objects_dir(name.bucket)?, name.key)?;
        let ask = Ask { action: "s3:PutObject", key: Some(name.key) };
        inner.authorize(who, bucket, ask, |context| {
            let customer = matches!(put.sse, Sse::CustomerKey(_)).then_some("AES256");
            let present = matches!(put.precondition, Some(Precondition::Absent)).then_some("*");
            for (key, value) in [
                ("s3:x-amz-server-side-encryption", put.sse.header()),
                ("s3:x-amz-server-side-encryption-aws-kms-key-id", put.sse.key_header()),
                ("s3:x-amz-server-side-encryption-customer-algorithm", customer),
                ("s3:x-amz-acl", put.acl.as_deref()),
                ("s3:if-none-match", present),
            ] {
                if let Some(value) = value {
                    context.set(key, value);
                }
            }
        })?;
        let metadata: Pairs =
            put.metadata.into_iter().map(|(n, v)| (n.to_lowercase(), v)).collect();
        if metadata.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() > USER_METADATA_BYTES_MAX
        {
            let reason = format!("user metadata is longer than {USER_METADATA_BYTES_MAX} bytes");
            return Err(name.invalid(reason));
        }
        // Looked at before any key is asked for; decided in `finish`, where nobody comes between.
        inner.check_precondition(name, &path, put.precondition.as_ref())?;
        let NewKeys { keys, method } = inner.keys_for_put(who, bucket, name, &put.sse)?;
        let (temp, file) = inner.files.temp()?;
        let meta = Meta {
            // As long as the one that comes, so that the header keeps its length.
            etag: ETag("0".repeat(32)),
            last_modified: inner.clock.now(),
            content_type: put.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
            content_encoding: put.content_encoding,
            metadata,
            sha256: Some("0".repeat(64)),
        };
        let meta_bytes = serde_json::to_vec(&meta).map_err(|e| name.invalid(e.to_string()))?.len();
        let sealing = Writer::new(file, name.bucket, name.key, method.clone(), &keys, meta_bytes)
            .map_err(|e| failed(name, &temp, e))?;
        Ok(Self {
            inner: Arc::clone(inner),
            bucket: name.bucket.to_owned(),
            key: name.key.to_owned(),
            path,
            precondition: put.precondition,
            meta,
            md5: matches!(method, Method::S3 { .. }).then(Md5::new),
            method,
            temp,
            sealing,
            sha256: Hasher::default(),
        })
    }

    /// Appends bytes. Blocks on file I/O.
    ///
    /// # Errors
    /// When the disk fails, or the object becomes longer than S3 takes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let name = Name { bucket: &self.bucket, key: &self.key };
        let size = self.sealing.size() + bytes.len() as u64;
        if size > OBJECT_BYTES_MAX {
            return Err(name.too_large(size, OBJECT_BYTES_MAX));
        }
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.sealing.write(bytes).map_err(|e| failed(name, &self.temp, e))
    }

    /// Puts the object in place, durably, if its precondition still holds. Blocks on file I/O.
    ///
    /// # Errors
    /// When it does not hold, or the disk fails.
    pub fn finish(self) -> Result<PutReceipt, StoreError> {
        let Self { inner, bucket, key, path, precondition, mut meta, method, temp, .. } = self;
        let name = Name { bucket: &bucket, key: &key };
        let etag = match self.md5 {
            Some(md5) => hex::encode(md5.finalize()),
            None => hex::encode(random::<16>().map_err(|e| name.crypto(e))?),
        };
        let sha256 = self.sha256.finish();
        meta.etag = ETag(etag);
        meta.sha256 = Some(sha256.to_string());
        let etag = meta.etag.clone();
        let file = self
            .sealing
            .finish(&meta, &inner.secrets.header_mac)
            .map_err(|e| failed(name, &temp, e))?;
        inner.put_in_place(name, &path, precondition.as_ref(), temp, &file)?;
        Ok(PutReceipt { etag, sse: sse_state(&method), sha256: Some(sha256), version_id: None })
    }
}

/// A full disk is a matter of the file's place, not of the object's name.
fn failed(name: Name<'_>, temp: &Temp, e: StreamError) -> StoreError {
    match e {
        StreamError::Io(e) => FileError::new("writing", &temp.path, e).into(),
        e => name.sealing(e),
    }
}

impl Inner {
    fn put_in_place(
        &self,
        name: Name<'_>,
        path: &Path,
        precondition: Option<&Precondition>,
        temp: Temp,
        file: &File,
    ) -> Result<(), StoreError> {
        if precondition == Some(&Precondition::Absent) {
            // If we stop here: see `files::create_via`.
            let created = self.files.create_from(path, &temp, file)?;
            return if created { Ok(()) } else { Err(name.precondition()) };
        }
        let _lock = self.lock_object(name)?;
        self.check_precondition(name, path, precondition)?;
        // If we stop here: see `files::Files::replace`.
        Ok(self.files.replace_from(path, temp, file)?)
    }

    pub(crate) fn lock_object(&self, name: Name<'_>) -> Result<File, StoreError> {
        let lock = Sha256::of(format!("{}/{}", name.bucket, name.key).as_bytes());
        Ok(self.files.lock(&format!("object-{lock}"))?)
    }

    pub(crate) fn check_precondition(
        &self,
        name: Name<'_>,
        path: &Path,
        precondition: Option<&Precondition>,
    ) -> Result<(), StoreError> {
        let Some(precondition) = precondition else { return Ok(()) };
        let holds = match (precondition, crate::objects::open_file(path)?) {
            (Precondition::Absent, file) => file.is_none(),
            (Precondition::Matches(_), None) => false,
            (Precondition::Matches(etag), Some(mut file)) => {
                let (_, opened) = self.read_head(name, path, &mut file)?;
                opened.header.meta.etag == *etag
            }
        };
        if holds { Ok(()) } else { Err(name.precondition()) }
    }
}
