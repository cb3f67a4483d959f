//! The destination bucket: patient with transient failures, and sure of what it was answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use trail::Sha256;
use trail::error::{ErrorClass, StoreError};
use trail::gzip;
use trail::limits::LOG_INFLATED_BYTES_MAX;
use trail::name::TrailArn;
use trail::ports::{
    ETag, ListPage, ListRequest, Object, ObjectStore, Pairs, Precondition, PutRequest,
    SseAlgorithm, SseRequest, SseState,
};

use crate::{DeliverError, Retry, Sse};

/// An object that is written once.
pub(crate) struct Creation<'a> {
    pub(crate) key: &'a str,
    /// One gzip member.
    pub(crate) body: Bytes,
    pub(crate) sse: &'a Sse,
    pub(crate) metadata: Pairs,
    /// Most bytes that are read back.
    pub(crate) bound: u64,
}

/// The destination bucket.
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    pub(crate) name: String,
    trail: TrailArn,
    retry: Retry,
    /// Whether any object of this run may be in the bucket.
    pub(crate) written: AtomicBool,
}

impl Bucket {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        name: String,
        trail: TrailArn,
        retry: Retry,
    ) -> Self {
        Self { store, name, trail, retry, written: AtomicBool::new(false) }
    }

    /// `s3://bucket/key`
    pub(crate) fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    async fn retrying<'a, T>(
        &self,
        call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let mut pause = self.retry.pause;
        for _ in 1..self.retry.attempts {
            match call().await {
                Err(e) if e.class() == ErrorClass::Retry => {
                    tracing::warn!("{e}; trying again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        call().await
    }

    /// The bucket's region, where the store knows.
    pub(crate) async fn region(&self) -> Result<Option<trail::Region>, StoreError> {
        self.retrying(|| self.store.bucket_region(&self.name)).await
    }

    /// An object of at most `bound` bytes; None when there is none.
    pub(crate) async fn get(&self, key: &str, bound: u64) -> Result<Option<Object>, StoreError> {
        match self.retrying(|| self.store.get(&self.name, key, bound)).await {
            Ok(object) => Ok(Some(object)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// All keys under `prefix`.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let pages = self.pages(prefix, false).await?;
        Ok(pages.into_iter().flat_map(|page| page.entries).map(|entry| entry.key).collect())
    }

    /// The names of the folders right under `prefix`, which ends in a slash or is empty.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let pages = self.pages(prefix, true).await?;
        let folders = pages.into_iter().flat_map(|page| page.prefixes);
        let name =
            |folder: String| Some(folder.strip_prefix(prefix)?.strip_suffix('/')?.to_owned());
        Ok(folders.filter_map(name).collect())
    }

    async fn pages(&self, prefix: &str, delimiter: bool) -> Result<Vec<ListPage>, StoreError> {
        let (mut pages, mut after) = (Vec::new(), None::<String>);
        loop {
            let call = || {
                let start_after = after.as_deref();
                self.store.list(&self.name, ListRequest { prefix, start_after, delimiter })
            };
            let mut page = self.retrying(call).await?;
            let next = page.next.take();
            pages.push(page);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(pages),
            }
        }
    }

    async fn put(
        &self,
        key: &str,
        put: &PutRequest,
    ) -> Result<trail::ports::PutReceipt, StoreError> {
        let result = self.retrying(|| self.store.put(&self.name, key, put.clone())).await;
        let untouched = |e: &StoreError| !matches!(e, StoreError::Io { .. });
        if !result.as_ref().is_err_and(untouched) {
            self.written.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Writes an object that must not exist yet, and confirms that it is stored as asked. One
    /// that is there already with the same content counts as ours: a put whose answer was lost,
    /// or one of an interrupted run.
    pub(crate) async fn create(&self, creation: Creation<'_>) -> Result<(), DeliverError> {
        let Creation { key, body, sse, metadata, bound } = creation;
        let put = PutRequest {
            body: body.clone(),
            precondition: Precondition::Absent,
            sse: sse.request(&self.trail),
            metadata: metadata.clone(),
            content_type: "application/json",
            content_encoding: Some("gzip"),
        };
        match self.put(key, &put).await {
            Ok(receipt) => {
                self.confirm_sse(key, sse, &receipt.sse)?;
                let Some(stored) = receipt.sha256 else {
                    return self.compare(key, &body, sse, &metadata, bound).await;
                };
                let expected = Sha256::of(&body);
                if stored == expected {
                    return Ok(());
                }
                Err(self.unconfirmed(key, "its SHA-256", expected.to_string(), stored.to_string()))
            }
            Err(StoreError::PreconditionFailed { .. }) => {
                self.compare(key, &body, sse, &metadata, bound).await
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Confirms that what lies under `key` is what we would have written.
    async fn compare(
        &self,
        key: &str,
        body: &Bytes,
        sse: &Sse,
        metadata: &Pairs,
        bound: u64,
    ) -> Result<(), DeliverError> {
        let conflict = || DeliverError::Conflict { object: self.url(key) };
        let object = self.get(key, bound).await?.ok_or_else(conflict)?;
        // Another build of the compressor may have written it (reliability, I11).
        let inflate = |b: &Bytes| gzip::decompress(b, LOG_INFLATED_BYTES_MAX);
        let same = object.body == *body
            || matches!((inflate(&object.body), inflate(body)), (Ok(a), Ok(b)) if a == b);
        let same_metadata = object.meta.metadata.as_ref().is_none_or(|found| found == metadata);
        if !same || !same_metadata {
            return Err(conflict());
        }
        self.confirm_sse(key, sse, &object.meta.sse)
    }

    fn confirm_sse(&self, key: &str, sse: &Sse, state: &SseState) -> Result<(), DeliverError> {
        let (algorithm, kms_key) = match sse {
            Sse::S3 => (SseAlgorithm::Aes256, None),
            Sse::Kms { key, .. } => (SseAlgorithm::Kms, Some(key.to_string())),
        };
        let none = || "none".to_owned();
        if state.algorithm != Some(algorithm) {
            let actual = state.algorithm.map_or_else(none, |a| a.as_str().to_owned());
            let expected = algorithm.as_str().to_owned();
            return Err(self.unconfirmed(key, "its encryption", expected, actual));
        }
        if let Some(expected) = kms_key
            && state.kms_key.as_ref() != Some(&expected)
        {
            let actual = state.kms_key.clone().unwrap_or_else(none);
            return Err(self.unconfirmed(key, "its KMS key", expected, actual));
        }
        Ok(())
    }

    fn unconfirmed(
        &self,
        key: &str,
        what: &'static str,
        expected: String,
        actual: String,
    ) -> DeliverError {
        DeliverError::Unconfirmed { object: self.url(key), what, expected, actual }
    }

    /// Replaces an object in one step if it is still the version `before` (None: absent).
    /// None: somebody else was faster.
    pub(crate) async fn swap(
        &self,
        key: &str,
        before: Option<ETag>,
        body: Vec<u8>,
        bound: u64,
    ) -> Result<Option<ETag>, DeliverError> {
        let put = PutRequest {
            body: body.into(),
            precondition: before.map_or(Precondition::Absent, Precondition::Matches),
            sse: SseRequest::S3,
            metadata: BTreeMap::new(),
            content_type: "application/json",
            content_encoding: None,
        };
        match self.put(key, &put).await {
            Ok(receipt) => Ok(Some(receipt.etag)),
            // Ours, if the answer to an earlier attempt was lost.
            Err(StoreError::PreconditionFailed { .. }) => {
                let found = self.get(key, bound).await?.filter(|found| found.body == put.body);
                Ok(found.and_then(|found| found.meta.etag))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
