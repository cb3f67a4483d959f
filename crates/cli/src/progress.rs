//! Progress bars on stderr, when a person watches.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::grouped;

/// A bar that starts anew with every kind of work; shows nothing when stderr is no terminal.
pub(crate) struct Bar {
    bar: Mutex<Option<ProgressBar>>,
    bytes: AtomicU64,
    terminal: bool,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { bar: Mutex::new(None), bytes: AtomicU64::new(0), terminal }
    }

    /// Begins a kind of work with so many steps.
    pub(crate) fn start(&self, what: &'static str, steps: u64) {
        if !self.terminal {
            return;
        }
        let bar = ProgressBar::new(steps);
        let style = "{msg:10} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(what);
        self.replace(Some(bar));
    }

    pub(crate) fn step(&self, n: u64) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(|e| e.into_inner()).as_ref() {
            bar.inc(n);
        }
    }

    fn replace(&self, bar: Option<ProgressBar>) {
        let mut slot = self.bar.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(old) = std::mem::replace(&mut *slot, bar) {
            old.finish_and_clear();
        }
    }

    /// Clears the bar, so that output does not mix with it.
    pub(crate) fn finish(&self) {
        self.replace(None);
        tracing::debug!(bytes = grouped(self.bytes.load(Ordering::Relaxed)), "read");
    }
}

impl verifier::request::Progress for Bar {
    fn begin(&self, what: &'static str, objects: u64) {
        self.start(what, objects);
    }
    fn done(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.step(1);
    }
}

impl producer::Observer for Bar {
    fn events_read(&self, count: u64) {
        self.step(count);
    }
    fn digests_planned(&self, count: u64) {
        self.start("digests", count);
    }
    fn digest_published(&self) {
        self.step(1);
    }
}
