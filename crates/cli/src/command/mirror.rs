//! `mirror`: an offline copy that loses nothing (contract section 6).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use local::{MirrorWriter, SourceInfo, Store, SystemClock};
use trail::error::StoreError;
use trail::limits;
use trail::ports::{Clock as _, ListEntry, ListRequest, ObjectStore as _};

use crate::args::{Global, Mirror};
use crate::error::CliError;
use crate::output::counted;
use crate::progress::Bar;
use crate::{backend, output};

/// Objects copied at once.
const AT_ONCE: usize = 8;

pub(crate) async fn run(global: &Global, options: &Mirror) -> Result<u8, CliError> {
    let (bucket, prefix) = backend::parse_s3(&options.target)?;
    let store = backend::open_store(global, None, false)?;
    let bar = Bar::new();
    let outcome = mirror(&store, &bucket, &prefix, &options.dir, &bar).await;
    bar.finish();
    let Outcome { copied, kept, unread } = outcome?;
    for (key, error) in &unread {
        output::error(&format!("{key} was not copied: {error}"));
    }
    let missed = if unread.is_empty() {
        String::new()
    } else {
        format!(", {} could not be read; run again", counted(unread.len() as u64, "object"))
    };
    output::print(&format!(
        "{} copied to {}, {kept} there already{missed}\n",
        counted(copied, "object"),
        options.dir.display()
    ))?;
    Ok(if unread.is_empty() { 0 } else { 4 })
}

/// What a copy did.
pub(crate) struct Outcome {
    pub(crate) copied: u64,
    pub(crate) kept: u64,
    pub(crate) unread: Vec<(String, StoreError)>,
}

/// Copies everything below `s3://bucket/prefix` into `dir`.
pub(crate) async fn mirror(
    store: &Store,
    bucket: &str,
    prefix: &str,
    dir: &Path,
    bar: &Bar,
) -> Result<Outcome, CliError> {
    let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    // What is delivered after the listing is not missing from the copy.
    let taken_at = SystemClock.now();
    let entries = list(store, bucket, &below).await?;
    let writer = Arc::new(MirrorWriter::open(dir)?);
    bar.start("copying", entries.len() as u64);
    let total = entries.len() as u64;
    let (copied, next) = (AtomicU64::new(0), AtomicU64::new(0));
    let entries = Arc::new(entries);
    let workers = (0..AT_ONCE).map(|_| async {
        let mut unread = Vec::new();
        while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            match copy_one(store, bucket, &below, entry, &writer).await {
                Ok(true) => drop(copied.fetch_add(1, Ordering::Relaxed)),
                Ok(false) => {}
                Err(e) => unread.push((entry.key.clone(), e)),
            }
            bar.step(1);
        }
        unread
    });
    let unread: Vec<_> =
        futures_util::future::join_all(workers).await.into_iter().flatten().collect();
    writer.write_public_keys(&backend::all_public_keys(store)?)?;
    writer.write_source(&SourceInfo {
        bucket: Some(bucket.to_owned()),
        prefix: Some(prefix.to_owned()),
        bucket_region: store.bucket_region(bucket).await?.map(|r| r.to_string()),
        taken_at: Some(taken_at),
        trails: Some(backend::trails_of(store, bucket).await?),
    })?;
    let copied = copied.into_inner();
    Ok(Outcome { copied, kept: total - copied - unread.len() as u64, unread })
}

async fn list(store: &Store, bucket: &str, below: &str) -> Result<Vec<ListEntry>, CliError> {
    let mut entries = Vec::new();
    let mut start_after: Option<String> = None;
    loop {
        let request =
            ListRequest { prefix: below, start_after: start_after.as_deref(), delimiter: false };
        let page = store.list(bucket, request).await?;
        // Keys outside AWSLogs are the producer's own state, not evidence.
        let evidence =
            |e: &ListEntry| e.key[below.len()..].split('/').any(|part| part == "AWSLogs");
        entries.extend(page.entries.into_iter().filter(|e| evidence(e) && !e.key.ends_with('/')));
        match page.next {
            Some(next) => start_after = Some(next),
            None => return Ok(entries),
        }
    }
}

/// Copies one object, unless an earlier run did; says whether it was copied now.
async fn copy_one(
    store: &Store,
    bucket: &str,
    below: &str,
    entry: &ListEntry,
    writer: &Arc<MirrorWriter>,
) -> Result<bool, StoreError> {
    let name = entry.key[below.len()..].to_owned();
    let meta = store.head(bucket, &entry.key).await?;
    if writer.has(&name, meta.etag.as_ref(), meta.size) {
        return Ok(false);
    }
    let object = store.get(bucket, &entry.key, limits::LOG_INFLATED_BYTES_MAX).await?;
    let writer = Arc::clone(writer);
    let written = tokio::task::spawn_blocking(move || writer.write(&name, &object)).await;
    written.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
    Ok(true)
}
