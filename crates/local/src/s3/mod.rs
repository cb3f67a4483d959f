//! S3 as its clients see it, without HTTP: every call is somebody's, and policies decide.

use std::sync::Arc;

use policy::{Caller, Kind, Policy};
use trail::Region;
use trail::error::StoreError;
use trail::ports::{ListPage, ListRequest, ObjectMeta, PutReceipt};

use crate::key_path::object_path;
use crate::store::{Inner, Store};

pub(crate) mod access;
pub(crate) mod data_keys;
pub(crate) mod name;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod settings;
pub(crate) mod write;

pub use read::ObjectReader;
pub use request::{ByteRange, Connection, GetObject, PutObject, Sse};
pub use settings::{BucketEncryption, DefaultSse};
pub use write::ObjectWriter;

use access::{Ask, Requester};
use name::Name;
use request::refused;
use settings::Bucket;

/// A client of the store's buckets. Cheap to clone. All calls block on file I/O.
///
/// Errors are those of S3: [`StoreError::code`] and [`StoreError::status`] tell them as S3 does.
#[derive(Clone)]
pub struct S3Client {
    inner: Arc<Inner>,
    /// None: the account's root, in whichever partition the bucket is.
    caller: Option<Arc<Caller>>,
    connection: Connection,
    source_arn: Option<Arc<str>>,
}

impl Store {
    /// The store's buckets, as `caller` may use them.
    #[must_use]
    pub fn s3(&self, caller: Arc<Caller>) -> S3Client {
        S3Client { caller: Some(caller), ..self.inner.as_root() }
    }

    /// The store's buckets, as the account's root may use them.
    #[must_use]
    pub fn s3_as_root(&self) -> S3Client {
        self.inner.as_root()
    }
}

impl Inner {
    pub(crate) fn as_root(self: &Arc<Self>) -> S3Client {
        S3Client {
            inner: Arc::clone(self),
            caller: None,
            connection: Connection::Private,
            source_arn: None,
        }
    }
}

impl S3Client {
    /// The same client, its requests coming over `connection`.
    #[must_use]
    pub fn over(mut self, connection: Connection) -> Self {
        self.connection = connection;
        self
    }

    /// The same client, a service's, acting on behalf of a resource (`aws:SourceArn`), such as a
    /// trail.
    #[must_use]
    pub fn on_behalf_of(mut self, source_arn: &str) -> Self {
        self.source_arn = Some(source_arn.into());
        self
    }

    /// PutObject: gives a writer that takes the object's bytes.
    ///
    /// # Errors
    /// When the caller may not, the precondition does not hold, or the encryption asked for is
    /// refused; nothing is written then.
    pub fn put_object(
        &self,
        bucket: &str,
        key: &str,
        put: PutObject,
    ) -> Result<ObjectWriter, StoreError> {
        let of = self.inner.bucket(bucket)?;
        ObjectWriter::begin(&self.inner, &self.who(&of), &of, Name { bucket, key }, put)
    }

    /// PutObject of bytes that are there.
    ///
    /// # Errors
    /// As [`S3Client::put_object`], and when the disk fails.
    pub fn put_bytes(
        &self,
        bucket: &str,
        key: &str,
        put: PutObject,
        body: &[u8],
    ) -> Result<PutReceipt, StoreError> {
        let mut writer = self.put_object(bucket, key, put)?;
        writer.write(body)?;
        writer.finish()
    }

    /// GetObject: gives a reader of the object's bytes, or of the range asked for.
    ///
    /// # Errors
    /// When there is no such object, the caller may not read it or use its key, or it was
    /// changed at rest.
    pub fn get_object(
        &self,
        bucket: &str,
        key: &str,
        get: &GetObject,
    ) -> Result<ObjectReader, StoreError> {
        let of = self.inner.bucket(bucket)?;
        ObjectReader::begin(&self.inner, &self.who(&of), &of, Name { bucket, key }, get)
    }

    /// HeadObject. The key that the object is encrypted with is not used.
    ///
    /// # Errors
    /// As [`S3Client::get_object`], keys of KMS aside.
    pub fn head_object(
        &self,
        bucket: &str,
        key: &str,
        get: &GetObject,
    ) -> Result<ObjectMeta, StoreError> {
        let of = self.inner.bucket(bucket)?;
        self.inner.head_for(&self.who(&of), &of, Name { bucket, key }, get)
    }

    /// DeleteObject; nothing is done when there is none. No key is needed.
    ///
    /// # Errors
    /// When the caller may not, or the disk fails.
    pub fn delete_object(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        let name = Name { bucket, key };
        let of = self.inner.bucket(bucket)?;
        let ask = Ask { action: "s3:DeleteObject", key: Some(key) };
        self.inner.authorize(&self.who(&of), &of, ask, |_| {})?;
        let path = object_path(&self.inner.objects_dir(bucket)?, key)?;
        let _lock = self.inner.lock_object(name)?;
        Ok(self.inner.files.remove(&path)?)
    }

    /// ListObjectsV2: one page.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn list_objects(
        &self,
        bucket: &str,
        request: &ListRequest<'_>,
    ) -> Result<ListPage, StoreError> {
        let of = self.inner.bucket(bucket)?;
        let ask = Ask { action: "s3:ListBucket", key: None };
        self.inner.authorize(&self.who(&of), &of, ask, |context| {
            context.set("s3:prefix", request.prefix);
            if request.delimiter {
                context.set("s3:delimiter", "/");
            }
        })?;
        let start_after = request.start_after.unwrap_or_default();
        self.inner.list(bucket, request.prefix, start_after, request.delimiter)
    }

    /// GetBucketLocation, but with the region spelt out for us-east-1 too.
    ///
    /// # Errors
    /// When there is no such bucket or the caller may not.
    pub fn bucket_region(&self, bucket: &str) -> Result<Region, StoreError> {
        let of = self.on_bucket(bucket, "s3:GetBucketLocation")?;
        Ok(of.region)
    }

    /// GetBucketEncryption.
    ///
    /// # Errors
    /// When there is no such bucket or the caller may not.
    pub fn bucket_encryption(&self, bucket: &str) -> Result<BucketEncryption, StoreError> {
        let of = self.on_bucket(bucket, "s3:GetEncryptionConfiguration")?;
        Ok(of.settings.encryption.clone())
    }

    /// PutBucketEncryption. `customer_keys_blocked` is left as it is when None: a put without
    /// `BlockedEncryptionTypes` does not lift the block.
    ///
    /// # Errors
    /// When there is no such bucket or the caller may not.
    pub fn put_bucket_encryption(
        &self,
        bucket: &str,
        default: DefaultSse,
        customer_keys_blocked: Option<bool>,
    ) -> Result<(), StoreError> {
        self.on_bucket(bucket, "s3:PutEncryptionConfiguration")?;
        self.inner.edit_settings(bucket, |settings| {
            settings.encryption.default = default;
            if let Some(blocked) = customer_keys_blocked {
                settings.encryption.customer_keys_blocked = blocked;
            }
        })
    }

    /// GetBucketPolicy: the document as it was put.
    ///
    /// # Errors
    /// `NoSuchBucketPolicy` when there is none; when the caller may not.
    pub fn bucket_policy(&self, bucket: &str) -> Result<String, StoreError> {
        let of = self.on_bucket(bucket, "s3:GetBucketPolicy")?;
        let policy = of.settings.policy.as_ref().map(|p| p.json().to_owned());
        let what = format!("bucket {bucket}");
        policy.ok_or_else(|| refused("NoSuchBucketPolicy", what, "it has no policy"))
    }

    /// PutBucketPolicy.
    ///
    /// # Errors
    /// `MalformedPolicy` when the document is not understood whole; when the caller may not.
    pub fn put_bucket_policy(&self, bucket: &str, policy: &str) -> Result<(), StoreError> {
        self.on_bucket(bucket, "s3:PutBucketPolicy")?;
        if let Err(e) = Policy::parse(policy, Kind::Bucket) {
            let what = format!("the policy of bucket {bucket}");
            return Err(refused("MalformedPolicy", what, &e.to_string()));
        }
        self.inner.edit_settings(bucket, |settings| settings.policy = Some(policy.to_owned()))
    }

    /// DeleteBucketPolicy.
    ///
    /// # Errors
    /// When there is no such bucket or the caller may not.
    pub fn delete_bucket_policy(&self, bucket: &str) -> Result<(), StoreError> {
        self.on_bucket(bucket, "s3:DeleteBucketPolicy")?;
        self.inner.edit_settings(bucket, |settings| settings.policy = None)
    }

    fn who(&self, bucket: &Bucket<'_>) -> Requester {
        let source_arn = self.source_arn.clone();
        let root = || Requester::root(&self.inner.account, &bucket.region).caller;
        let caller = self.caller.as_ref().map_or_else(root, Arc::clone);
        Requester { caller, connection: self.connection, source_arn }
    }

    fn on_bucket<'b>(
        &self,
        bucket: &'b str,
        action: &'static str,
    ) -> Result<Bucket<'b>, StoreError> {
        let of = self.inner.bucket(bucket)?;
        self.inner.authorize(&self.who(&of), &of, Ask { action, key: None }, |_| {})?;
        Ok(of)
    }
}
