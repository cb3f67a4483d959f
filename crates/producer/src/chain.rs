//! Chains of digests: one for each account × source region, carried on by compare-and-swap of a
//! head object outside `AWSLogs/`.
//!
//! A head holds the newest digests whole (`staged`), so that committing and publishing can be
//! taken apart: whoever swaps the head has extended the chain, and anybody who reads the head
//! can publish what it stages. Published bytes never differ, so doing it twice does no harm.

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task;
use trail::digest::{
    self, Digest, HASH_ALGORITHM, LogEntry, META_SIGNATURE, META_SIGNATURE_ALGORITHM,
    SIGNATURE_ALGORITHM,
};
use trail::key::{AccountFolder, DigestKey};
use trail::limits::{DIGEST_INFLATED_BYTES_MAX, DIGEST_STORED_BYTES_MAX};
use trail::ports::{ETag, Pairs};
use trail::{AccountId, Region, Sha256, Timestamp, gzip};

use crate::DeliverError;
use crate::batch::ChainId;
use crate::bucket::Creation;
use crate::context::{Context, joined};
use crate::window::Window;

const VERSION: u32 = 1;
/// Digests committed in one swap; long stretches of empty hours would else need one for each.
const STAGED_MAX: usize = 32;
/// Stored size of digests in bytes from which no more are staged together.
const STAGED_BYTES: usize = 4 << 20;
/// A head: one digest of the greatest size and others up to [`STAGED_BYTES`], in base 64.
const HEAD_BYTES_MAX: u64 = 2 * DIGEST_STORED_BYTES_MAX;
/// How far, in seconds, the clock may be behind a chain's end; a run may end up so far ahead by
/// waiting for a stamp of its own.
const CLOCK_TOLERANCE: i64 = 5;

/// The head object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    trail: String,
    account: AccountId,
    region: Region,
    /// Digests in the chain.
    sequence: u64,
    last: Link,
    /// The newest digests, oldest first; all earlier ones are published.
    staged: Vec<Staged>,
}

/// What a digest says of its predecessor.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Link {
    bucket: String,
    key: String,
    hash: String,
    signature: String,
    end: Timestamp,
}

/// A digest as it is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Staged {
    key: String,
    hash: String,
    signature: String,
    /// One gzip member, base 64.
    body: String,
}

/// A chain, checked to be ours.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) id: ChainId,
    head_key: String,
    folder: AccountFolder,
    head: Option<(Head, ETag)>,
    /// Whether all that the head stages is known to be in the bucket.
    published: bool,
}

impl Chain {
    /// Reads the chain's head and makes sure, without writing, that it may be carried on: no
    /// other signer's chain in its folder, no digests without head, no clock behind it.
    pub(crate) async fn open(ctx: &Context, id: ChainId) -> Result<Self, DeliverError> {
        let folder = ctx.folder(&id.account);
        let head_key = format!("{}{}/{}/head.json", ctx.head_folder(), id.account, id.region);
        // Digests first: whatever is seen was committed before the head is read.
        let newest = newest_digests(ctx, &folder, &id.region).await?;
        let head = load_head(ctx, &head_key, &id).await?;
        let mut chain = Self { id, head_key, folder, head, published: false };
        for ((trail, home, backfill), key) in newest {
            let (object, hash) = (key.to_string(), chain.check_signer(ctx, &key).await?);
            let own = trail == ctx.config.trail.name.as_str()
                && home == ctx.config.trail.home_region
                && !backfill;
            if own {
                chain.check_newest(ctx, &key, &object, &hash)?;
                // They are put oldest first; the newest stands for all.
                chain.published = chain.last_key() == Some(&object);
            }
        }
        let now = ctx.now();
        if let Some(end) = chain.end()
            && end.seconds_since(now) > CLOCK_TOLERANCE
        {
            let head = ctx.bucket.url(&chain.head_key);
            return Err(DeliverError::ClockBehind { head, end, now });
        }
        Ok(chain)
    }

    /// Refuses a digest by another signer. Returns the hash of its uncompressed bytes.
    async fn check_signer(&self, ctx: &Context, key: &DigestKey) -> Result<Sha256, DeliverError> {
        let key = key.to_string();
        let foreign =
            |reason: String| DeliverError::ForeignChain { object: ctx.bucket.url(&key), reason };
        let object = ctx.bucket.get(&key, DIGEST_STORED_BYTES_MAX).await?;
        let object = object.ok_or_else(|| foreign("it is listed but not there".into()))?;
        let bytes = gzip::decompress(&object.body, DIGEST_INFLATED_BYTES_MAX)
            .map_err(|e| foreign(e.to_string()))?;
        let digest = Digest::parse(&bytes).map_err(|e| foreign(format!("it is no digest: {e}")))?;
        let fingerprint = &digest.digest_public_key_fingerprint;
        let region = &self.id.region;
        let owned = ctx.ports.keys.owns(region, fingerprint).await;
        let signing = |source| DeliverError::Signing { region: region.to_string(), source };
        if !owned.map_err(signing)? {
            return Err(foreign(format!("it names key {fingerprint}")));
        }
        Ok(Sha256::of(&bytes))
    }

    fn check_newest(
        &self,
        ctx: &Context,
        key: &DigestKey,
        object: &str,
        hash: &Sha256,
    ) -> Result<(), DeliverError> {
        let (url, head) = (ctx.bucket.url(object), ctx.bucket.url(&self.head_key));
        let Some((Head { last, .. }, _)) = &self.head else {
            return Err(DeliverError::HeadMissing { head, object: url });
        };
        let reason = if key.end > last.end {
            format!("the chain already has {url}, which is newer than the head's {}", last.end)
        } else if object == last.key && hash.to_string() != last.hash {
            format!("{url} is not the digest that the head names")
        } else {
            return Ok(());
        };
        Err(DeliverError::HeadUnusable { head, reason })
    }

    /// Up to when the chain's digests reach.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.head.as_ref().map(|(head, _)| head.last.end)
    }

    /// The key of the chain's newest digest.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.head.as_ref().map(|(head, _)| &*head.last.key)
    }

    /// Puts the staged digests that are not in the bucket yet, oldest first, so that no reader
    /// ever meets a digest without its predecessor. Called after every commit, and at the start
    /// of a delivery for what an interrupted one committed.
    pub(crate) async fn publish(&mut self, ctx: &Context) -> Result<u64, DeliverError> {
        let Some((head, _)) = self.head.as_ref().filter(|_| !self.published) else {
            return Ok(0);
        };
        let count = head.staged.len() as u64;
        for staged in &head.staged {
            let metadata = Pairs::from([
                (META_SIGNATURE.into(), staged.signature.clone()),
                (META_SIGNATURE_ALGORITHM.into(), SIGNATURE_ALGORITHM.into()),
            ]);
            let body = self.staged_body(ctx, staged)?;
            // If we stop here: the head still stages it; the next delivery puts it.
            let creation = Creation {
                key: &staged.key,
                body,
                sse: &ctx.config.digests,
                metadata,
                bound: DIGEST_STORED_BYTES_MAX,
            };
            ctx.bucket.create(creation).await?;
        }
        self.published = true;
        Ok(count)
    }

    fn staged_body(&self, ctx: &Context, staged: &Staged) -> Result<Bytes, DeliverError> {
        BASE64
            .decode(&staged.body)
            .map(Bytes::from)
            .map_err(|e| self.unusable(ctx, format!("{}: {e}", staged.key)))
    }

    fn unusable(&self, ctx: &Context, reason: String) -> DeliverError {
        DeliverError::HeadUnusable { head: ctx.bucket.url(&self.head_key), reason }
    }

    /// Keys of all logs that the chain names in digests after the oldest of `bases`. What a
    /// chain names is what its digests say; there is no second record of it that could differ.
    pub(crate) async fn named_since(
        &self,
        ctx: &Context,
        mut bases: HashSet<Option<String>>,
    ) -> Result<HashSet<String>, DeliverError> {
        let mut named = HashSet::new();
        let mut next = self.head.as_ref().map(|(h, _)| (h.last.key.clone(), h.last.hash.clone()));
        while let Some((key, hash)) = next {
            bases.remove(&Some(key.clone()));
            if bases.is_empty() {
                break;
            }
            let staged = self.head.iter().flat_map(|(h, _)| &h.staged).find(|s| s.key == key);
            let body = match staged {
                Some(staged) => self.staged_body(ctx, staged)?,
                None => match ctx.bucket.get(&key, DIGEST_STORED_BYTES_MAX).await? {
                    Some(object) => object.body,
                    None => return Err(self.unusable(ctx, format!("digest {key} is missing"))),
                },
            };
            let broken = |why: String| self.unusable(ctx, format!("digest {key}: {why}"));
            let bytes = gzip::decompress(&body, DIGEST_INFLATED_BYTES_MAX)
                .map_err(|e| broken(e.to_string()))?;
            if Sha256::of(&bytes).to_string() != hash {
                return Err(broken("it is not the one that its successor names".into()));
            }
            let digest = Digest::parse(&bytes).map_err(|e| broken(e.to_string()))?;
            next = digest.previous_digest_s3_object.zip(digest.previous_digest_hash_value);
            named.extend(digest.log_files.into_iter().map(|log| log.s3_object));
        }
        Ok(named)
    }

    /// Appends a digest for each of `windows`, which begin at the chain's end: signed, committed
    /// and published.
    pub(crate) async fn extend(
        &mut self,
        ctx: &Context,
        windows: Vec<Window>,
    ) -> Result<(), DeliverError> {
        let mut windows = windows.into_iter().peekable();
        while windows.peek().is_some() {
            let (mut staged, mut size) = (Vec::new(), 0);
            let mut last = self.head.as_ref().map(|(head, _)| head.last.clone());
            while staged.len() < STAGED_MAX && size < STAGED_BYTES {
                let Some(window) = windows.next() else { break };
                let (digest, link) = self.sign(ctx, window, last).await?;
                size += digest.body.len();
                staged.push(digest);
                last = Some(link);
            }
            let Some(last) = last else { break };
            // If we stop here: the signed digests are forgotten; nobody has seen them.
            self.commit(ctx, staged, last).await?;
            for _ in 0..self.publish(ctx).await? {
                ctx.observer.digest_published();
            }
        }
        Ok(())
    }

    /// The commit point: after it the chain is longer, before it it is not.
    async fn commit(
        &mut self,
        ctx: &Context,
        staged: Vec<Staged>,
        last: Link,
    ) -> Result<(), DeliverError> {
        let (sequence, before) = match &self.head {
            Some((head, etag)) => (head.sequence, Some(etag.clone())),
            None => (0, None),
        };
        let head = Head {
            version: VERSION,
            trail: ctx.config.trail.to_string(),
            account: self.id.account.clone(),
            region: self.id.region.clone(),
            sequence: sequence + staged.len() as u64,
            last,
            staged,
        };
        let body = serde_json::to_vec(&head).map_err(|e| self.unusable(ctx, e.to_string()))?;
        // If we stop here, not knowing: the next delivery reads which head there is.
        match ctx.bucket.swap(&self.head_key, before, body, HEAD_BYTES_MAX).await? {
            Some(etag) => (self.head, self.published) = (Some((head, etag)), false),
            None => {
                return Err(DeliverError::HeadMoved { head: ctx.bucket.url(&self.head_key) });
            }
        }
        Ok(())
    }

    async fn sign(
        &self,
        ctx: &Context,
        window: Window,
        last: Option<Link>,
    ) -> Result<(Staged, Link), DeliverError> {
        let region = &self.id.region;
        let signing = |source| DeliverError::Signing { region: region.to_string(), source };
        let signer = ctx.ports.keys.signer(region, window.end).await.map_err(signing)?;
        let key = DigestKey {
            folder: self.folder.clone(),
            region: region.clone(),
            trail: ctx.config.trail.name.clone(),
            home_region: ctx.config.trail.home_region.clone(),
            end: window.end,
            backfill: false,
        };
        let (bucket, key, end) = (ctx.bucket.name.clone(), key.to_string(), window.end);
        let fingerprint = signer.public_key().fingerprint.clone();
        let (account, at) = (self.id.account.to_string(), (bucket.clone(), key.clone()));
        let build = move || {
            let digest = digest_of(account, at, fingerprint, window, last);
            let bytes = digest.to_bytes();
            let hash = Sha256::of(&bytes);
            (digest::signing_string(&digest, &hash), hash, gzip::compress(&bytes))
        };
        let (message, hash, body) = joined(task::spawn_blocking(build).await);
        let signature = signer.sign(message.as_bytes()).await.map_err(signing)?;
        let (hash, signature) = (hash.to_string(), hex(&signature));
        let body = BASE64.encode(body);
        let staged =
            Staged { key: key.clone(), hash: hash.clone(), signature: signature.clone(), body };
        Ok((staged, Link { bucket, key, hash, signature, end }))
    }
}

fn digest_of(
    account: String,
    (bucket, key): (String, String),
    fingerprint: String,
    window: Window,
    last: Option<Link>,
) -> Digest {
    let (previous_bucket, previous_key, previous_hash, previous_signature) = match last {
        Some(l) => (Some(l.bucket), Some(l.key), Some(l.hash), Some(l.signature)),
        None => (None, None, None, None),
    };
    Digest {
        aws_account_id: account,
        digest_start_time: window.start.to_string(),
        digest_end_time: window.end.to_string(),
        digest_s3_bucket: bucket.clone(),
        digest_s3_object: key,
        digest_public_key_fingerprint: fingerprint,
        digest_signature_algorithm: SIGNATURE_ALGORITHM.into(),
        newest_event_time: window.logs.iter().map(|l| l.newest).max().map(|t| t.to_string()),
        oldest_event_time: window.logs.iter().map(|l| l.oldest).min().map(|t| t.to_string()),
        previous_digest_hash_algorithm: previous_hash.as_ref().map(|_| HASH_ALGORITHM.into()),
        previous_digest_s3_bucket: previous_bucket,
        previous_digest_s3_object: previous_key,
        previous_digest_hash_value: previous_hash,
        previous_digest_signature: previous_signature,
        log_files: window
            .logs
            .into_iter()
            .map(|log| LogEntry {
                s3_bucket: bucket.clone(),
                s3_object: log.key,
                hash_value: log.hash.to_string(),
                hash_algorithm: HASH_ALGORITHM.into(),
                newest_event_time: log.newest.to_string(),
                oldest_event_time: log.oldest.to_string(),
            })
            .collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The newest digest of each trail, home region and kind (regular or backfill) in a folder.
async fn newest_digests(
    ctx: &Context,
    folder: &AccountFolder,
    region: &Region,
) -> Result<BTreeMap<(String, Region, bool), DigestKey>, DeliverError> {
    let mut newest = BTreeMap::<_, DigestKey>::new();
    for key in ctx.bucket.list(&DigestKey::region_folder(folder, region)).await? {
        // Other objects, such as empty placeholders, are nobody's chain.
        let Ok(key) = key.parse::<DigestKey>() else { continue };
        let chain = (key.trail.to_string(), key.home_region.clone(), key.backfill);
        if newest.get(&chain).is_none_or(|n| n.end < key.end) {
            newest.insert(chain, key);
        }
    }
    Ok(newest)
}

async fn load_head(
    ctx: &Context,
    key: &str,
    id: &ChainId,
) -> Result<Option<(Head, ETag)>, DeliverError> {
    let unusable =
        |reason: String| DeliverError::HeadUnusable { head: ctx.bucket.url(key), reason };
    let Some(object) = ctx.bucket.get(key, HEAD_BYTES_MAX).await? else { return Ok(None) };
    // The version alone, first: a newer head may have any other fields.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } =
        serde_json::from_slice(&object.body).map_err(|e| unusable(e.to_string()))?;
    if version != VERSION {
        return Err(unusable(format!("it has version {version}, expected {VERSION}")));
    }
    let head: Head = serde_json::from_slice(&object.body).map_err(|e| unusable(e.to_string()))?;
    let trail = ctx.config.trail.to_string();
    if (&head.account, &head.region, &head.trail) != (&id.account, &id.region, &trail) {
        let Head { account, region, trail, .. } = head;
        return Err(unusable(format!("it is the head of {account}/{region} of {trail}")));
    }
    let etag = object.meta.etag.ok_or_else(|| unusable("the store gives it no ETag".into()))?;
    Ok(Some((head, etag)))
}

/// The chains of this trail that have a head.
pub(crate) async fn known(ctx: &Context) -> Result<Vec<ChainId>, DeliverError> {
    let folder = ctx.head_folder();
    let keys = ctx.bucket.list(&folder).await?;
    let chain = |key: &String| {
        let (account, rest) = key.strip_prefix(&folder)?.split_once('/')?;
        let region = rest.strip_suffix("/head.json")?;
        Some(ChainId { account: account.parse().ok()?, region: region.parse().ok()? })
    };
    Ok(keys.iter().filter_map(chain).collect())
}
