//! The store's objects: sealed when put, checked and opened when read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use encryptor::CryptoError;
use encryptor::envelope::{self, Header, HexBytes, Method, ObjectKeys, Opened};
use encryptor::keyring;
use encryptor::keys::{SecretKey, random};
use md5::Digest as _;
use serde::{Deserialize, Serialize};
use trail::error::{KeyError, StoreError};
use trail::limits::USER_METADATA_BYTES_MAX;
use trail::name::partition_of;
use trail::ports::{
    BlockingRead, ETag, ListEntry, ListPage, ListRequest, Object, ObjectMeta, ObjectStore, Pairs,
    Precondition, PutReceipt, PutRequest, SseAlgorithm, SseRequest, SseState,
};
use trail::{Region, Sha256, Timestamp};

use crate::files::{FileError, blocking};
use crate::key_path::object_path;
use crate::listing::Walk;
use crate::object_keys::BucketKey;
use crate::store::{Inner, Store};

/// Enough for the header of nearly every object, so that a header is one read.
const HEAD_READ_BYTES: u64 = 4096;
const CONTEXT_ARN: &str = "aws:s3:arn";

/// What the store keeps with an object, beside what the envelope needs.
#[derive(Serialize, Deserialize)]
struct Meta {
    etag: ETag,
    last_modified: Timestamp,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    metadata: Pairs,
}

/// Names an object in errors.
#[derive(Clone, Copy)]
struct Name<'a> {
    bucket: &'a str,
    key: &'a str,
}

impl Name<'_> {
    fn owned(self) -> (String, String) {
        (self.bucket.to_owned(), self.key.to_owned())
    }

    fn damaged(self, reason: impl Into<String>) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::Damaged { bucket, key, reason: reason.into() }
    }

    fn crypto(self, e: CryptoError) -> StoreError {
        match e {
            CryptoError::Authentication | CryptoError::Malformed(_) => self.damaged(e.to_string()),
            CryptoError::Newer { .. } => self.invalid(e.to_string()),
            _ => StoreError::io(self.what(), io::Error::other(e)),
        }
    }

    fn key_error(self, source: KeyError) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::Key { bucket, key, source }
    }

    fn precondition(self) -> StoreError {
        let (bucket, key) = self.owned();
        StoreError::PreconditionFailed { bucket, key }
    }

    fn invalid(self, reason: String) -> StoreError {
        StoreError::Invalid { what: self.what(), reason }
    }

    fn what(self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

impl Inner {
    fn put(&self, name: Name<'_>, put: &PutRequest) -> Result<PutReceipt, StoreError> {
        let region = self.region_of(name.bucket)?;
        let path = object_path(&self.objects_dir(name.bucket)?, name.key)?;
        let metadata: Pairs =
            put.metadata.iter().map(|(n, v)| (n.to_lowercase(), v.clone())).collect();
        if metadata.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() > USER_METADATA_BYTES_MAX
        {
            let reason = format!("user metadata is longer than {USER_METADATA_BYTES_MAX} bytes");
            return Err(name.invalid(reason));
        }
        // Looked at before any key is asked for; decided below, where nobody can come between.
        self.check_precondition(name, &path, &put.precondition)?;
        let (data_key, method, sse) = self.data_key_for_put(name, &region, &put.sse)?;
        let etag = ETag(match put.sse {
            SseRequest::S3 => hex::encode(md5::Md5::digest(&put.body)),
            // Unlike the content's hash, it tells nothing about the content.
            SseRequest::Kms { .. } => hex::encode(random::<16>().map_err(|e| name.crypto(e))?),
        });
        let header = Header {
            version: envelope::VERSION,
            bucket: name.bucket.to_owned(),
            key: name.key.to_owned(),
            size: put.body.len() as u64,
            method,
            meta: Meta {
                etag: etag.clone(),
                last_modified: self.clock.now(),
                content_type: put.content_type.to_owned(),
                content_encoding: put.content_encoding.map(str::to_owned),
                metadata,
            },
        };
        let keys = ObjectKeys::one(data_key);
        let sealed = envelope::seal(&header, &keys, &self.secrets.header_mac, &put.body)
            .map_err(|e| name.invalid(e.to_string()))?;
        match &put.precondition {
            // If we stop here: see `files::create_via`.
            Precondition::Absent => {
                if !self.files.create(&path, &sealed)? {
                    return Err(name.precondition());
                }
            }
            matches @ Precondition::Matches(_) => {
                let lock = Sha256::of(format!("{}/{}", name.bucket, name.key).as_bytes());
                let _lock = self.files.lock(&format!("object-{lock}"))?;
                self.check_precondition(name, &path, matches)?;
                // If we stop here: see `files::Files::replace`.
                self.files.replace(&path, &sealed)?;
            }
        }
        Ok(PutReceipt { etag, sse, sha256: Some(Sha256::of(&put.body)), version_id: None })
    }

    fn check_precondition(
        &self,
        name: Name<'_>,
        path: &Path,
        precondition: &Precondition,
    ) -> Result<(), StoreError> {
        let holds = match (precondition, open_file(path)?) {
            (Precondition::Absent, file) => file.is_none(),
            (Precondition::Matches(_), None) => false,
            (Precondition::Matches(etag), Some(mut file)) => {
                let (_, opened) = self.read_head(name, path, &mut file)?;
                opened.header.meta.etag == *etag
            }
        };
        if holds { Ok(()) } else { Err(name.precondition()) }
    }

    fn data_key_for_put(
        &self,
        name: Name<'_>,
        region: &Region,
        sse: &SseRequest,
    ) -> Result<(SecretKey, Method, SseState), StoreError> {
        let known = SseState { known: true, ..SseState::default() };
        match sse {
            SseRequest::S3 => {
                let (generation, root) = self
                    .secrets
                    .s3_roots
                    .last_key_value()
                    .ok_or_else(|| name.damaged("the store has no SSE-S3 root key"))?;
                let wrap = || {
                    let data_key = SecretKey::generate()?;
                    let object = (name.bucket, name.key);
                    let wrapped = keyring::wrap_s3(root, *generation, object, &data_key)?;
                    Ok((data_key, HexBytes(wrapped)))
                };
                let (data_key, wrapped) = wrap().map_err(|e| name.crypto(e))?;
                let method = Method::S3 { generation: *generation, wrapped };
                Ok((data_key, method, SseState { algorithm: Some(SseAlgorithm::Aes256), ..known }))
            }
            SseRequest::Kms { key, context, bucket_key } => {
                let context = full_context(name, region, context, *bucket_key)?;
                let (data_key, method, arn) = self
                    .kms_data_key_for_put(name, region, key, context, *bucket_key)
                    .map_err(|e| name.key_error(e))?;
                let sse = SseState {
                    algorithm: Some(SseAlgorithm::Kms),
                    kms_key: Some(arn),
                    bucket_key: Some(*bucket_key),
                    ..known
                };
                Ok((data_key, method, sse))
            }
        }
    }

    fn kms_data_key_for_put(
        &self,
        name: Name<'_>,
        region: &Region,
        key: &str,
        context: Pairs,
        bucket_key: bool,
    ) -> Result<(SecretKey, Method, String), KeyError> {
        let kms_key = self.kms_key(region, key)?;
        kms_key.usable()?;
        let arn = kms_key.arn.to_string();
        let generate = || {
            let made = self.generate_data_key(&kms_key, &context)?;
            Ok(BucketKey { key: SecretKey::new(made.plaintext), wrapped: made.wrapped })
        };
        let (data_key, wrapped, bucket_salt) = if bucket_key {
            let now = self.clock.now();
            let shared =
                self.bucket_keys.for_writing(name.bucket, &arn, &context, now, generate)?;
            let salt = random()?;
            let data_key = keyring::object_key(&shared.key, &salt, name.key)?;
            (data_key, shared.wrapped.clone(), Some(HexBytes(salt.to_vec())))
        } else {
            let BucketKey { key, wrapped } = generate()?;
            (key, wrapped, None)
        };
        let wrapped = HexBytes(wrapped);
        Ok((data_key, Method::Kms { arn: arn.clone(), context, wrapped, bucket_salt }, arn))
    }

    fn data_key_for_get(&self, name: Name<'_>, method: &Method) -> Result<SecretKey, StoreError> {
        match method {
            Method::S3 { generation, wrapped } => {
                let root = self.secrets.s3_roots.get(generation).ok_or_else(|| {
                    name.damaged(format!("the store lacks SSE-S3 root key {generation}"))
                })?;
                keyring::unwrap_s3(root, *generation, (name.bucket, name.key), &wrapped.0)
                    .map_err(|e| name.crypto(e))
            }
            Method::Kms { arn, context, wrapped, bucket_salt } => {
                let region = self.region_of(name.bucket)?;
                let unwrap = || {
                    let kms_key = self.kms_key(&region, arn)?;
                    let Some(salt) = bucket_salt else {
                        return self.decrypt_data_key(&kms_key, &wrapped.0, context);
                    };
                    // Also with a key that is still cached: disabling it must bite at once.
                    kms_key.usable()?;
                    let now = self.clock.now();
                    let ask = || {
                        let key = self.decrypt_data_key(&kms_key, &wrapped.0, context)?;
                        Ok(BucketKey { key, wrapped: Vec::new() })
                    };
                    let shared = self.bucket_keys.for_reading(&wrapped.0, context, now, ask)?;
                    let salt = salt.0.as_slice().try_into();
                    let salt = salt.map_err(|_| KeyError::InvalidCiphertext)?;
                    Ok(keyring::object_key(&shared.key, salt, name.key)?)
                };
                unwrap().map_err(|e| name.key_error(e))
            }
            Method::Dsse { .. } | Method::Customer { .. } => {
                Err(name.invalid("encrypted by a method that this store does not read".to_owned()))
            }
        }
    }

    /// The beginning of the file with the authenticated header, and the whole file's length
    /// checked against it.
    fn read_head(
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

    fn open_object(&self, name: Name<'_>) -> Result<(std::path::PathBuf, File), StoreError> {
        let path = object_path(&self.objects_dir(name.bucket)?, name.key)?;
        match open_file(&path)? {
            Some(file) => Ok((path, file)),
            None => {
                self.region_of(name.bucket)?;
                let (bucket, key) = name.owned();
                Err(StoreError::NotFound { bucket, key })
            }
        }
    }

    fn head(&self, name: Name<'_>) -> Result<ObjectMeta, StoreError> {
        let (path, mut file) = self.open_object(name)?;
        let (_, opened) = self.read_head(name, &path, &mut file)?;
        let len = file.metadata().map_err(|e| FileError::new("reading", &path, e))?.len();
        if len != opened.file_len() {
            return Err(name.damaged("its length is not the one that its header gives"));
        }
        Ok(object_meta(opened.header))
    }

    fn get(&self, name: Name<'_>, bound: u64) -> Result<Object, StoreError> {
        let (path, mut file) = self.open_object(name)?;
        let (mut bytes, opened) = self.read_head(name, &path, &mut file)?;
        let size = opened.header.size;
        if size > bound {
            let (bucket, key) = name.owned();
            return Err(StoreError::TooLarge { bucket, key, size, bound });
        }
        let keys = ObjectKeys::one(self.data_key_for_get(name, &opened.header.method)?);
        // One byte more than there must be, so that a longer file shows.
        let rest = (opened.file_len() + 1).saturating_sub(bytes.len() as u64);
        file.take(rest).read_to_end(&mut bytes).map_err(|e| FileError::new("reading", &path, e))?;
        let body = envelope::open(&bytes, &opened, &keys).map_err(|e| name.crypto(e))?;
        Ok(Object { meta: object_meta(opened.header), body: Bytes::from(body) })
    }

    fn list(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: &str,
        delimiter: bool,
    ) -> Result<ListPage, StoreError> {
        self.region_of(bucket)?;
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

fn open_file(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FileError::new("opening", path, e).into()),
    }
}

/// The pairs asked for and S3's own: the object's ARN, or the bucket's with a Bucket Key.
fn full_context(
    name: Name<'_>,
    region: &Region,
    asked: &Pairs,
    bucket_key: bool,
) -> Result<Pairs, StoreError> {
    let partition = partition_of(region);
    let key = if bucket_key { String::new() } else { format!("/{}", name.key) };
    let arn = format!("arn:{partition}:s3:::{}{key}", name.bucket);
    let mut context = asked.clone();
    match context.insert(CONTEXT_ARN.to_owned(), arn.clone()) {
        Some(other) if other != arn => {
            let reason = format!("the encryption context sets {CONTEXT_ARN}, which is S3's own");
            Err(name.invalid(reason))
        }
        _ => Ok(context),
    }
}

fn object_meta(header: Header<Meta>) -> ObjectMeta {
    let meta = header.meta;
    let mut sse = SseState { known: true, ..SseState::default() };
    match header.method {
        Method::S3 { .. } => sse.algorithm = Some(SseAlgorithm::Aes256),
        Method::Kms { arn, bucket_salt, .. } => {
            sse.algorithm = Some(SseAlgorithm::Kms);
            sse.kms_key = Some(arn);
            sse.bucket_key = Some(bucket_salt.is_some());
        }
        Method::Dsse { arn, .. } => {
            sse.algorithm = Some(SseAlgorithm::KmsDsse);
            sse.kms_key = Some(arn);
        }
        Method::Customer { .. } => sse.customer_key = true,
    }
    ObjectMeta {
        size: header.size,
        etag: Some(meta.etag),
        last_modified: Some(meta.last_modified),
        version_id: None,
        metadata: Some(meta.metadata),
        sse,
        content_type: Some(meta.content_type),
        content_encoding: meta.content_encoding,
    }
}

impl Store {
    async fn run<T: Send + 'static>(
        &self,
        bucket: &str,
        key: &str,
        f: impl FnOnce(&Inner, Name<'_>) -> Result<T, StoreError> + Send + 'static,
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
        let start_after = request.start_after.unwrap_or_default().to_owned();
        let delimiter = request.delimiter;
        self.run(bucket, request.prefix, move |inner, name| {
            inner.list(name.bucket, name.key, &start_after, delimiter)
        })
        .await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectMeta, StoreError> {
        self.run(bucket, key, |inner, name| inner.head(name)).await
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
        self.run(bucket, key, move |inner, name| inner.put(name, &put)).await
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
