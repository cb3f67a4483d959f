//! The SSE-S3 root keys: the newest generation wraps, every generation unwraps.
//!
//! S3 owns and rotates its root keys by itself (S3 user guide, "Using server-side encryption with
//! Amazon S3 managed keys"); so does the store, whenever something is written and the newest
//! generation is too old. What was written stays as it is, under its own generation.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use encryptor::CryptoError;
use encryptor::envelope::HexBytes;
use encryptor::keys::{RootSecret, SecretKey};
use serde::{Deserialize, Serialize};
use trail::Timestamp;
use trail::error::StoreError;

use crate::cache::FileCache;
use crate::files::{FileError, Files, read_json};

/// S3 does not say how often it rotates.
const ROTATE_AFTER: Duration = Duration::from_secs(90 * 86_400);

#[derive(Serialize, Deserialize)]
struct RootsFile {
    generations: Vec<RootEntry>,
}

#[derive(Serialize, Deserialize)]
struct RootEntry {
    id: u32,
    /// None in stores made before keys were rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    sealed: HexBytes,
}

struct Generation {
    created: Option<Timestamp>,
    key: SecretKey,
}

/// The generations that were there when the file was read.
pub(crate) struct Generations(BTreeMap<u32, Generation>);

impl Generations {
    pub(crate) fn key(&self, id: u32) -> Option<&SecretKey> {
        self.0.get(&id).map(|g| &g.key)
    }

    fn newest(&self) -> Option<(u32, Option<Timestamp>)> {
        self.0.last_key_value().map(|(id, g)| (*id, g.created))
    }
}

/// `s3-root.json`.
pub(crate) struct S3Roots {
    wrap: SecretKey,
    path: PathBuf,
    cache: FileCache<Generations>,
}

impl S3Roots {
    pub(crate) fn new(dir: &Path, root: &RootSecret) -> Result<Self, CryptoError> {
        let path = dir.join("s3-root.json");
        Ok(Self { wrap: root.s3_wrap_key()?, path, cache: FileCache::default() })
    }

    /// Writes the first generation. The caller holds the store's lock.
    pub(crate) fn create(&self, files: &Files, now: Timestamp) -> Result<(), FileError> {
        let first = self.entry(1, now).map_err(|e| FileError::content(&self.path, e))?;
        files.replace_json(&self.path, &RootsFile { generations: vec![first] })
    }

    /// All generations.
    pub(crate) fn read(&self) -> Result<Arc<Generations>, FileError> {
        let opened = self.cache.get(&self.path, |bytes| self.open(bytes))?;
        opened.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> FileError {
        FileError::new("reading", &self.path, io::ErrorKind::NotFound.into())
    }

    /// The generation to wrap with, which is a new one when the last has served its time.
    pub(crate) fn for_writing(
        &self,
        files: &Files,
        now: Timestamp,
    ) -> Result<(u32, Arc<Generations>), StoreError> {
        let generations = self.read()?;
        if let Some((id, created)) = generations.newest()
            && fresh(created, now)
        {
            return Ok((id, generations));
        }
        let _lock = files.lock("s3-root")?;
        let mut file: RootsFile = read_json(&self.path)?.ok_or_else(|| self.missing())?;
        // Another process may have made one while we waited.
        if !file.generations.last().is_some_and(|g| fresh(g.created, now)) {
            let next = file.generations.iter().map(|g| g.id).max().unwrap_or(0) + 1;
            let entry = self.entry(next, now).map_err(|e| FileError::content(&self.path, e))?;
            file.generations.push(entry);
            // If we stop here: the old generations, or these with a new one; nothing uses it yet.
            files.replace_json(&self.path, &file)?;
        }
        let generations = self.read()?;
        let (id, _) = generations.newest().ok_or_else(|| self.missing())?;
        Ok((id, generations))
    }

    fn entry(&self, id: u32, now: Timestamp) -> Result<RootEntry, CryptoError> {
        let key = SecretKey::generate()?;
        let sealed = self.wrap.seal(&aad(&id.to_le_bytes()), key.bytes().as_slice())?;
        Ok(RootEntry { id, created: Some(now), sealed: HexBytes(sealed) })
    }

    fn open(&self, bytes: &[u8]) -> Result<Generations, FileError> {
        let wrong = |e: &dyn std::fmt::Display| FileError::content(&self.path, e);
        let file: RootsFile = serde_json::from_slice(bytes).map_err(|e| wrong(&e))?;
        let open = |g: RootEntry| {
            let key = self.wrap.open(&aad(&g.id.to_le_bytes()), &g.sealed.0)?;
            Ok((g.id, Generation { created: g.created, key: SecretKey::from_slice(&key)? }))
        };
        let opened: Result<_, CryptoError> = file.generations.into_iter().map(open).collect();
        opened.map(Generations).map_err(|e| wrong(&e))
    }
}

fn fresh(created: Option<Timestamp>, now: Timestamp) -> bool {
    created.is_some_and(|created| now < created + ROTATE_AFTER)
}

fn aad(id: &[u8; 4]) -> [&[u8]; 2] {
    [b"s3-root", id]
}
