//! One delivery from start to end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::Semaphore;
use tokio::task::{self, JoinSet};
use trail::event::Event;
use trail::limits::{DIGEST_ENTRIES_MAX, LOG_INFLATED_BYTES_MAX};
use trail::{Sha256, Timestamp, gzip, log_file};

use crate::batch::{ChainId, Cut, OpenLogs};
use crate::bucket::Bucket;
use crate::chain::{self, Chain};
use crate::context::{Context, cores, joined};
use crate::input::{self, Input, Parsed};
use crate::log::{self, Done};
use crate::rejects::Rejects;
use crate::spool::{Entry, Place, Spool};
use crate::summary::{ChainSummary, Observer, Summary};
use crate::window::{self, Delivered, SECOND, Window};
use crate::{Config, DeliverError, Ports};

/// Chains that are opened, or carried on, at once.
const CHAINS_AT_ONCE: usize = 8;
/// Closed log files on their way, in bytes before compression.
const CLOSED_BYTES_MAX: usize = 512 << 20;

/// A delivery, ready to run.
pub struct Delivery {
    config: Config,
    ports: Ports,
    observer: Arc<dyn Observer>,
}

impl Delivery {
    /// A delivery; nothing happens until [`Delivery::run`].
    #[must_use]
    pub fn new(config: Config, ports: Ports) -> Self {
        Self { config, ports, observer: Arc::new(()) }
    }

    /// Has `observer` told of progress.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Delivers all events of `inputs`, after finishing what interrupted deliveries left in the
    /// spool, and carries every chain of the trail on to now (in a replay: to the latest
    /// delivery). Must run on a multi-threaded tokio runtime with time.
    ///
    /// Memory is bounded by open and closed log files, except in a replay, which holds all
    /// events of the input because they must be sorted.
    ///
    /// # Errors
    /// See [`DeliverError::exit_code`]: a refusal before anything was written, or
    /// [`DeliverError::NotAllDelivered`], after which the same input is to be delivered again.
    pub async fn run(self, inputs: Vec<Input>) -> Result<Summary, DeliverError> {
        let ctx = Arc::new(self.into_context());
        Run::whole(&ctx, inputs).await.map_err(|e| {
            let refused = e.is_refusal() && !ctx.bucket.written.load(Ordering::Relaxed);
            if refused { e } else { DeliverError::NotAllDelivered(Box::new(e)) }
        })
    }

    pub(crate) fn into_context(self) -> Context {
        let Self { config, ports, observer } = self;
        let bucket = Bucket::new(
            ports.store.clone(),
            config.destination.bucket.to_string(),
            config.trail.clone(),
            config.retry,
        );
        Context { config, ports, observer, bucket, latest: AtomicI64::new(i64::MIN) }
    }
}

/// A delivery's state.
struct Run {
    ctx: Arc<Context>,
    spool: Arc<Spool>,
    started: Timestamp,
    /// All chains of the trail, and those that events of this run are filed under.
    chains: BTreeMap<ChainId, Chain>,
    interrupted: Vec<(Place, Entry)>,
    /// How often each event is in logs of interrupted runs.
    known: HashMap<[u8; 32], u32>,
    delivered: BTreeMap<ChainId, Vec<Delivered>>,
    open: OpenLogs,
    tasks: JoinSet<Result<Done, DeliverError>>,
    /// Size of what `tasks` work on, before compression.
    closed_bytes: usize,
    sequence: u64,
    rejects: Rejects,
    read: u64,
    events: u64,
    already: u64,
    log_files: u64,
    recovered: u64,
}

impl Run {
    async fn whole(ctx: &Arc<Context>, inputs: Vec<Input>) -> Result<Summary, DeliverError> {
        ctx.config.check()?;
        let destination = &ctx.config.destination;
        if let Some(region) = ctx.bucket.region().await?
            && region != destination.region
        {
            let reason = format!("expected {region}, where bucket {} is", destination.bucket);
            return Err(DeliverError::Config { what: "destination.region".into(), reason });
        }
        let mut run = Self::new(ctx.clone())?;
        let logs = run.logs(inputs).await;
        let rejects = run.rejects.finish();
        // After an error, too: what is on its way holds the spool, and may still arrive.
        while run.tasks.join_next().await.is_some() {}
        logs?;
        let rejects = rejects?;
        run.check_counts()?;
        let chains = run.carry_on().await?;
        run.finish(chains, rejects)
    }

    /// All that comes before the digests.
    async fn logs(&mut self, inputs: Vec<Input>) -> Result<(), DeliverError> {
        self.load_interrupted().await?;
        self.open_chains().await?;
        if self.ctx.config.replay {
            let events = self.read_for_replay(inputs).await?;
            self.check_ahead(&events)?;
            self.resume().await?;
            self.replay(events).await?;
        } else {
            self.resume().await?;
            self.stream(inputs).await?;
        }
        let cuts = self.open.close_all();
        self.submit(cuts).await?;
        while self.next_done().await? {}
        Ok(())
    }

    fn new(ctx: Arc<Context>) -> Result<Self, DeliverError> {
        let spool = Spool::open(&ctx.config.spool)?;
        Ok(Self {
            started: ctx.now(),
            chains: BTreeMap::new(),
            interrupted: Vec::new(),
            known: HashMap::new(),
            delivered: BTreeMap::new(),
            open: OpenLogs::new(ctx.config.cutting),
            tasks: JoinSet::new(),
            closed_bytes: 0,
            sequence: 0,
            rejects: Rejects::new(spool.root(), &ctx.config.run),
            read: 0,
            events: 0,
            already: 0,
            log_files: 0,
            recovered: 0,
            spool: Arc::new(spool),
            ctx,
        })
    }

    /// Reads what interrupted runs left in the spool: which logs, and which events in them.
    async fn load_interrupted(&mut self) -> Result<(), DeliverError> {
        for place in self.spool.interrupted()? {
            let (sealer, read) = (self.ctx.ports.sealer.clone(), place.clone());
            let load = move || {
                let (entry, body) = Spool::read(&*sealer, &read)?;
                let refuse =
                    |reason: String| DeliverError::Journal { path: read.path.clone(), reason };
                let bytes = gzip::decompress(&body, LOG_INFLATED_BYTES_MAX)
                    .map_err(|e| refuse(e.to_string()))?;
                let chain = entry.chain();
                let records = log_file::records(&bytes).map_err(|e| refuse(e.to_string()))?;
                let events: Vec<_> =
                    records.iter().map(|r| event_name(&chain, r.get().as_bytes())).collect();
                Ok::<_, DeliverError>((entry, events))
            };
            let (entry, events) = joined(task::spawn_blocking(load).await)?;
            let (found, expected) = (&entry.destination, self.ctx.destination());
            if *found != expected {
                let reason = format!(
                    "it belongs to {found}, not to {expected}: finish that delivery with its own \
                     configuration first"
                );
                return Err(DeliverError::Journal { path: place.path, reason });
            }
            for event in events {
                *self.known.entry(event).or_default() += 1;
            }
            if place.run == self.ctx.config.run {
                self.sequence = self.sequence.max(place.sequence + 1);
            }
            self.interrupted.push((place, entry));
        }
        Ok(())
    }

    /// Opens every chain that has a head or a log in the spool.
    async fn open_chains(&mut self) -> Result<(), DeliverError> {
        let mut ids: HashSet<_> = chain::known(&self.ctx).await?.into_iter().collect();
        ids.extend(self.interrupted.iter().map(|(_, entry)| entry.chain()));
        let opening = ids.into_iter().map(|id| Chain::open(&self.ctx, id).boxed());
        let opening: Vec<_> = opening.collect();
        let mut opening = stream::iter(opening).buffer_unordered(CHAINS_AT_ONCE);
        while let Some(chain) = opening.next().await {
            let chain = chain?;
            self.chains.insert(chain.id.clone(), chain);
        }
        Ok(())
    }

    async fn open_chain(&mut self, id: &ChainId) -> Result<(), DeliverError> {
        if !self.chains.contains_key(id) {
            let chain = Chain::open(&self.ctx, id.clone()).await?;
            self.chains.insert(id.clone(), chain);
        }
        Ok(())
    }

    /// Finishes what interrupted runs began: publishes what they committed, and puts their logs
    /// that no digest names, under the same keys, for this run's digests to name.
    async fn resume(&mut self) -> Result<(), DeliverError> {
        let publishing = self.chains.values_mut().map(|chain| chain.publish(&self.ctx).boxed());
        let publishing: Vec<_> = publishing.collect();
        let mut publishing = stream::iter(publishing).buffer_unordered(CHAINS_AT_ONCE);
        while let Some(published) = publishing.next().await {
            published?;
        }
        drop(publishing);
        let mut bases = HashMap::<_, HashSet<_>>::new();
        for (_, entry) in &self.interrupted {
            bases.entry(entry.chain()).or_default().insert(entry.base.clone());
        }
        let mut named = HashSet::new();
        for (id, bases) in bases {
            named.extend(self.chains[&id].named_since(&self.ctx, bases).await?);
        }
        for (place, entry) in &self.interrupted {
            if named.contains(&entry.key) {
                continue;
            }
            let (_, body) = Spool::read(&*self.ctx.ports.sealer, place)?;
            // If we stop here: the entry stays; the next delivery comes here again.
            self.ctx.put_log(&entry.key, body.into()).await?;
            let wrong = |e: trail::ParseError| DeliverError::Journal {
                path: place.path.clone(),
                reason: e.to_string(),
            };
            let log = Delivered {
                key: entry.key.clone(),
                hash: entry.hash.parse().map_err(wrong)?,
                oldest: entry.oldest,
                newest: entry.newest,
                at: if self.ctx.config.replay { entry.at } else { self.ctx.now() },
            };
            self.delivered.entry(entry.chain()).or_default().push(log);
            self.recovered += 1;
        }
        Ok(())
    }

    /// Delivers the input while reading it.
    async fn stream(&mut self, inputs: Vec<Input>) -> Result<(), DeliverError> {
        let clock = self.ctx.ports.clock.clone();
        let mut chunks = pin!(input::parsed(inputs, cores()));
        loop {
            let due = self.open.due();
            let wait = async {
                match due {
                    Some(due) => clock.wait_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let chunk = tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => {
                    self.note(joined(done)?);
                    continue;
                }
                chunk = chunks.next() => chunk,
                () = wait => Some(Vec::new()),
            };
            let Some(chunk) = chunk else { return Ok(()) };
            for (id, event) in self.accept(chunk)? {
                self.open_chain(&id).await?;
                let cuts = self.open.push(&id, &event, self.ctx.now(), None);
                self.submit(cuts).await?;
            }
            let cuts = self.open.close_due(self.ctx.now());
            self.submit(cuts).await?;
        }
    }

    /// Counts a chunk, writes its rejected pieces away and leaves out what an interrupted run
    /// has delivered.
    fn accept(&mut self, chunk: Vec<Parsed>) -> Result<Vec<(ChainId, Event)>, DeliverError> {
        self.read += chunk.len() as u64;
        self.ctx.observer.events_read(chunk.len() as u64);
        let mut events = Vec::with_capacity(chunk.len());
        for parsed in chunk {
            match parsed {
                Parsed::Reject(reject) => self.rejects.push(&reject)?,
                Parsed::Event(mut event) => {
                    let chain = self.ctx.file(&mut event);
                    if self.is_known(&chain, &event) {
                        self.already += 1;
                    } else {
                        events.push((chain, event));
                    }
                }
            }
        }
        Ok(events)
    }

    /// Whether an interrupted run has this very event in a log; each of its copies counts once,
    /// so that an input with repeated events loses none.
    fn is_known(&mut self, chain: &ChainId, event: &Event) -> bool {
        if self.known.is_empty() {
            return false;
        }
        match self.known.get_mut(&event_name(chain, &event.bytes)) {
            Some(copies) if *copies > 0 => {
                *copies -= 1;
                true
            }
            _ => false,
        }
    }

    /// Reads all events and opens their chains; nothing is written but rejects.
    async fn read_for_replay(
        &mut self,
        inputs: Vec<Input>,
    ) -> Result<Vec<(ChainId, Event)>, DeliverError> {
        let mut events = Vec::new();
        let mut chunks = pin!(input::parsed(inputs, cores()));
        while let Some(chunk) = chunks.next().await {
            for (id, mut event) in self.accept(chunk)? {
                self.open_chain(&id).await?;
                event.id = String::new();
                events.push((id, event));
            }
        }
        events.sort_by_key(|(_, event)| event.time);
        Ok(events)
    }

    /// When a replay delivers an event: at the end of its slot, but not in the future.
    fn slot_end(&self, event: &Event) -> Timestamp {
        let slot = self.ctx.config.cutting.flush_interval;
        (event.time.floor_to(slot) + slot).min(self.started)
    }

    /// Refuses to replay into time that a chain's digests already cover.
    fn check_ahead(&self, events: &[(ChainId, Event)]) -> Result<(), DeliverError> {
        for (id, event) in events {
            let at = self.slot_end(event);
            if let Some(end) = self.chains[id].end()
                && at <= end
            {
                let (chain, event) = (id.to_string(), event.time);
                return Err(DeliverError::BehindHead { chain, event, at, end });
            }
        }
        Ok(())
    }

    async fn replay(&mut self, events: Vec<(ChainId, Event)>) -> Result<(), DeliverError> {
        for (id, event) in events {
            let at = self.slot_end(&event);
            let cuts = self.open.push(&id, &event, self.started, Some(at));
            self.submit(cuts).await?;
        }
        Ok(())
    }

    /// Sends closed log files on their way; waits while too many are.
    async fn submit(&mut self, cuts: Vec<Cut>) -> Result<(), DeliverError> {
        for cut in cuts {
            let bytes = cut.file.bytes.len();
            while self.tasks.len() >= 2 * cores()
                || (self.closed_bytes + bytes > CLOSED_BYTES_MAX && self.closed_bytes > 0)
            {
                self.next_done().await?;
            }
            self.closed_bytes += bytes;
            let base = self.chains[&cut.chain].last_key().map(str::to_owned);
            let (ctx, spool) = (self.ctx.clone(), self.spool.clone());
            self.tasks.spawn(log::deliver(ctx, spool, cut, self.sequence, base));
            self.sequence += 1;
        }
        Ok(())
    }

    /// Waits for a log file on its way; false when there is none.
    async fn next_done(&mut self) -> Result<bool, DeliverError> {
        let Some(done) = self.tasks.join_next().await else { return Ok(false) };
        self.note(joined(done)?);
        Ok(true)
    }

    fn note(&mut self, done: Done) {
        let Done { chain, log, events, bytes } = done;
        self.closed_bytes -= bytes;
        self.log_files += 1;
        self.events += events;
        self.ctx.observer.log_delivered(events);
        self.delivered.entry(chain).or_default().push(log);
    }

    fn check_counts(&self) -> Result<(), DeliverError> {
        let (read, delivered, already) = (self.read, self.events, self.already);
        let rejected = self.rejects.count;
        if read == delivered + already + rejected {
            return Ok(());
        }
        Err(DeliverError::Conservation { read, delivered, already, rejected })
    }

    /// The windows that carry each chain on to one common end.
    fn plan(&mut self) -> Vec<(Chain, Vec<Window>)> {
        let interval = self.ctx.config.cutting.digest_interval;
        let replay = self.ctx.config.replay;
        let mut chains = std::mem::take(&mut self.chains);
        chains.retain(|id, chain| chain.end().is_some() || self.delivered.contains_key(id));
        let end = if replay {
            let delivered = self.delivered.values().flatten().map(|log| log.at);
            delivered.chain(self.interrupted.iter().map(|(_, entry)| entry.at)).max()
        } else {
            // A stamp of its own for every digest, even right after another run.
            let starts = chains.values().map(|chain| chain.end().unwrap_or(self.started));
            starts.map(|start| start + SECOND).chain([self.ctx.now()]).max()
        };
        let end = end.unwrap_or(Timestamp::EPOCH);
        let mut plans = Vec::new();
        for (id, chain) in chains {
            let logs = self.delivered.remove(&id).unwrap_or_default();
            let first = logs.iter().map(|log| log.at).min().filter(|_| replay);
            let begin = first.map_or(self.started, |at| (at - SECOND).floor_to(interval));
            let start = chain.end().unwrap_or(begin);
            plans.push((chain, window::plan(start, end, interval, logs, DIGEST_ENTRIES_MAX)));
        }
        plans
    }

    /// Makes the digests. One chain's failure does not keep the others from being carried on.
    async fn carry_on(&mut self) -> Result<Vec<ChainSummary>, DeliverError> {
        let plans = self.plan();
        let windows = || plans.iter().flat_map(|(_, windows)| windows);
        self.ctx.observer.digests_planned(windows().count() as u64);
        if let Some(end) = windows().map(|w| w.end).max() {
            self.ctx.ports.clock.wait_until(end).await;
        }
        let (gate, mut tasks) = (Arc::new(Semaphore::new(CHAINS_AT_ONCE)), JoinSet::new());
        for (mut chain, windows) in plans {
            let (ctx, gate) = (self.ctx.clone(), gate.clone());
            tasks.spawn(async move {
                let _pass = gate.acquire().await;
                let logs = windows.iter().map(|w| w.logs.len() as u64).sum();
                let digests = windows.len() as u64;
                chain.extend(&ctx, windows).await?;
                let last_digest = chain.last_key().map(str::to_owned);
                let ChainId { account, region } = chain.id;
                Ok(ChainSummary { account, region, logs, digests, last_digest })
            });
        }
        let (mut chains, mut failure) = (Vec::new(), None);
        while let Some(done) = tasks.join_next().await {
            match joined(done) {
                Ok(chain) => chains.push(chain),
                Err(e) => failure = failure.or(Some(e)),
            }
        }
        chains.sort_by(|a, b| (&a.account, &a.region).cmp(&(&b.account, &b.region)));
        failure.map_or(Ok(chains), Err)
    }

    fn finish(
        self,
        chains: Vec<ChainSummary>,
        rejects: Option<PathBuf>,
    ) -> Result<Summary, DeliverError> {
        let run = self.ctx.config.run.clone();
        let mut runs: Vec<_> = self.interrupted.into_iter().map(|(place, _)| place.run).collect();
        runs.push(run.clone());
        runs.sort();
        runs.dedup();
        self.spool.finish(runs)?;
        Ok(Summary {
            run,
            accepted: self.events + self.already,
            delivered: self.events,
            already_delivered: self.already,
            rejected: self.rejects.count,
            logs: self.log_files,
            recovered_logs: self.recovered,
            digests: chains.iter().map(|chain| chain.digests).sum(),
            chains,
            rejects,
        })
    }
}

/// What an event is recognised by when an input is delivered again.
fn event_name(chain: &ChainId, bytes: &[u8]) -> [u8; 32] {
    Sha256::of(format!("{chain}\n{}", Sha256::of(bytes)).as_bytes()).0
}
