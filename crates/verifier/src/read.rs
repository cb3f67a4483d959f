//! Objects in bulk: fetched by many async tasks, worked on by a few blocking threads.
//!
//! What is in flight is bounded by the number of tasks, never by the number of objects.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trail::error::ErrorClass;
use trail::error::StoreError;
use trail::ports::{Object, ObjectStore};

use crate::request::Progress;

/// An object to fetch: where it lies in the store.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// How a run loads the machine and the store.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) fetchers: usize,
    pub(crate) workers: usize,
    pub(crate) progress: Arc<dyn Progress>,
}

impl Load {
    pub(crate) fn new(concurrency: usize, progress: Arc<dyn Progress>) -> Self {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let fetchers = if concurrency == 0 { 4 * workers } else { concurrency };
        Self { fetchers, workers, progress }
    }
}

/// Fetches every object and lets `work` see each on a blocking thread; results keep the order.
pub(crate) async fn read_all<T, O>(
    store: &Arc<dyn ObjectStore>,
    items: Vec<(Place, T)>,
    bound: u64,
    load: &Load,
    work: impl Fn(T, Result<Object, StoreError>) -> O + Send + Sync + 'static,
) -> Vec<O>
where
    T: Send + 'static,
    O: Send + 'static,
{
    if store.blocking().is_some() {
        return read_blocking(store, items, bound, load, work).await;
    }
    let count = items.len();
    let fetchers = load.fetchers.min(count).max(1);
    let (todo, next) = async_channel::bounded(count.max(1));
    for item in items.into_iter().enumerate() {
        todo.try_send(item).expect("the channel holds all items");
    }
    todo.close();
    // One fetched object may wait for each worker; more would only hold memory.
    let (fetched, ready) = async_channel::bounded(load.workers);
    let mut fetching = tokio::task::JoinSet::new();
    for _ in 0..fetchers {
        let (store, next, fetched) = (Arc::clone(store), next.clone(), fetched.clone());
        fetching.spawn(async move {
            while let Ok((index, (place, item))) = next.recv().await {
                let object = get(&*store, &place, bound).await;
                if fetched.send((index, item, object)).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(fetched);
    let work = Arc::new(work);
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..load.workers.min(fetchers) {
        let (ready, work, progress) =
            (ready.clone(), Arc::clone(&work), Arc::clone(&load.progress));
        working.spawn_blocking(move || {
            let mut out = Vec::new();
            while let Ok((index, item, object)) = ready.recv_blocking() {
                let bytes = object.as_ref().map_or(0, |o| o.body.len() as u64);
                out.push((index, work(item, object)));
                progress.done(bytes);
            }
            out
        });
    }
    drop(ready);
    let results = in_order(working.join_all().await);
    fetching.join_all().await;
    results
}

/// The same for stores in local files: whoever works on an object reads it, too.
async fn read_blocking<T, O>(
    store: &Arc<dyn ObjectStore>,
    items: Vec<(Place, T)>,
    bound: u64,
    load: &Load,
    work: impl Fn(T, Result<Object, StoreError>) -> O + Send + Sync + 'static,
) -> Vec<O>
where
    T: Send + 'static,
    O: Send + 'static,
{
    let count = items.len();
    let work = Arc::new(work);
    let queue = Arc::new(Mutex::new(items.into_iter().enumerate()));
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..load.workers.min(count) {
        let (store, queue, work) = (Arc::clone(store), Arc::clone(&queue), Arc::clone(&work));
        let progress = Arc::clone(&load.progress);
        working.spawn_blocking(move || {
            let mut out = Vec::new();
            let next = || queue.lock().unwrap_or_else(|e| e.into_inner()).next();
            while let (Some((index, (place, item))), Some(reader)) = (next(), store.blocking()) {
                let object = reader.get_blocking(&place.bucket, &place.key, bound);
                let bytes = object.as_ref().map_or(0, |o| o.body.len() as u64);
                out.push((index, work(item, object)));
                progress.done(bytes);
            }
            out
        });
    }
    in_order(working.join_all().await)
}

fn in_order<O>(parts: Vec<Vec<(usize, O)>>) -> Vec<O> {
    let mut results: Vec<(usize, O)> = parts.into_iter().flatten().collect();
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, out)| out).collect()
}

/// Fetches an object, again when the attempt itself broke.
pub(crate) async fn get(
    store: &dyn ObjectStore,
    place: &Place,
    bound: u64,
) -> Result<Object, StoreError> {
    let mut pause = Duration::from_millis(50);
    for _ in 0..3 {
        match store.get(&place.bucket, &place.key, bound).await {
            Err(e) if e.class() == ErrorClass::Retry => {
                tracing::debug!(key = place.key, error = %e, "fetching again");
                tokio::time::sleep(pause).await;
                pause *= 4;
            }
            other => return other,
        }
    }
    store.get(&place.bucket, &place.key, bound).await
}
