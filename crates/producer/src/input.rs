//! Inputs: opened, inflated when gzip, split and parsed.
//!
//! Reading and splitting have a thread of their own; parsing runs on all cores, in order.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use flate2::read::MultiGzDecoder;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task;
use trail::event::Event;

use crate::DeliverError;
use crate::context::joined;
use crate::rejects::Reject;
use crate::split::{Piece, Splitter};

/// Pieces travel in chunks of about so many bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Inflated size from which a gzip input's ratio is judged …
const BOMB_BYTES: u64 = 64 << 20;
/// … and the ratio above which it is refused; events reach about 30.
const BOMB_RATIO: u64 = 500;

/// A source of events: NDJSON, JSON arrays or `{"Records":[…]}`, plain or gzip.
pub struct Input {
    name: Arc<str>,
    reader: Box<dyn Read + Send>,
}

impl Input {
    /// An input that is open already; `name` appears in the rejects file.
    #[must_use]
    pub fn new(name: &str, reader: Box<dyn Read + Send>) -> Self {
        Self { name: name.into(), reader }
    }

    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// [`DeliverError::Input`] when it cannot be opened or is a directory.
    pub fn open(path: &Path) -> Result<Self, DeliverError> {
        if path.as_os_str() == "-" {
            return Ok(Self::new("-", Box::new(io::stdin())));
        }
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self::new(&name, Box::new(file))),
            Err(source) => Err(DeliverError::Input { file: name, source }),
        }
    }
}

/// What an input held.
#[derive(Debug)]
pub(crate) enum Parsed {
    Event(Event),
    Reject(Reject),
}

/// The events and rejected pieces of all inputs, in order.
pub(crate) fn parsed(inputs: Vec<Input>, cores: usize) -> impl Stream<Item = Vec<Parsed>> {
    let (sender, receiver) = mpsc::channel(2 * cores);
    // A thread of its own: one that waits for standard input must not keep the runtime from
    // ending after an error.
    let reader = thread::spawn(move || read(inputs, &sender));
    stream::unfold((receiver, reader), next_chunk)
        .map(|chunk: Chunk| async { joined(task::spawn_blocking(|| parse(chunk)).await) })
        .buffered(cores)
}

/// The next chunk from the reading thread. Its end must not pass for the input's end when it
/// panicked.
async fn next_chunk(
    (mut receiver, reader): (mpsc::Receiver<Chunk>, thread::JoinHandle<()>),
) -> Option<(Chunk, (mpsc::Receiver<Chunk>, thread::JoinHandle<()>))> {
    if let Some(chunk) = receiver.recv().await {
        return Some((chunk, (receiver, reader)));
    }
    if let Err(panic) = reader.join() {
        std::panic::resume_unwind(panic);
    }
    None
}

struct Chunk {
    file: Arc<str>,
    pieces: Vec<Piece>,
}

fn read(inputs: Vec<Input>, sender: &mpsc::Sender<Chunk>) {
    for Input { name, reader } in inputs {
        let mut splitter = Splitter::new(inflated(reader));
        loop {
            let (mut pieces, mut bytes) = (Vec::new(), 0);
            // Events that wait on a slow source are handed on, so that their age counts.
            while bytes < CHUNK_BYTES && (pieces.is_empty() || !splitter.is_drained()) {
                let Some(piece) = splitter.next() else { break };
                bytes += piece.bytes.len() + 64;
                pieces.push(piece);
            }
            if pieces.is_empty() {
                break;
            }
            if sender.blocking_send(Chunk { file: name.clone(), pieces }).is_err() {
                return;
            }
        }
    }
}

/// Sees through gzip, told by its magic bytes (RFC 1952); several members are one input.
fn inflated(mut reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let mut magic = Vec::new();
    if let Err(e) = reader.by_ref().take(2).read_to_end(&mut magic) {
        return Box::new(io::Cursor::new(magic).chain(Failed(Some(e))));
    }
    let gzip = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(reader);
    if !gzip {
        return Box::new(whole);
    }
    let compressed = Arc::new(AtomicU64::new(0));
    let decoder = MultiGzDecoder::new(Counted { inner: whole, count: compressed.clone() });
    Box::new(BombGuard { inner: decoder, compressed, inflated: 0 })
}

struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

struct BombGuard<R> {
    inner: R,
    compressed: Arc<AtomicU64>,
    inflated: u64,
}

impl<R: Read> Read for BombGuard<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf).map_err(|e| io::Error::other(format!("gzip: {e}")))?;
        self.inflated += n as u64;
        let compressed = self.compressed.load(Ordering::Relaxed).max(1);
        if self.inflated > BOMB_BYTES && self.inflated / compressed > BOMB_RATIO {
            return Err(io::Error::other(format!(
                "gzip bomb: {compressed} bytes inflate to more than {} bytes",
                self.inflated
            )));
        }
        Ok(n)
    }
}

fn parse(chunk: Chunk) -> Vec<Parsed> {
    let Chunk { file, pieces } = chunk;
    pieces
        .into_iter()
        .map(|Piece { line, bytes, fault }| {
            let (reason, bytes) = match fault {
                Some(reason) => (reason, bytes),
                None => match parse_event(bytes) {
                    Ok(event) => return Parsed::Event(event),
                    Err(refused) => refused,
                },
            };
            Parsed::Reject(Reject { file: file.clone(), line, reason, bytes })
        })
        .collect()
}

fn parse_event(bytes: Vec<u8>) -> Result<Event, (String, Vec<u8>)> {
    Event::parse(bytes).map_err(|(why, bytes)| (why.to_string(), bytes))
}
