//! Why a delivery stops. Every message names the thing, what was expected, and what to do.

use std::io;
use std::path::PathBuf;

use trail::Timestamp;
use trail::error::{ErrorClass, KeyError, StoreError};

/// Why a delivery stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// A value of the configuration is out of range, or does not fit the destination.
    #[error("{what}: {reason}")]
    Config {
        /// Its name in the configuration file.
        what: String,
        /// What was expected.
        reason: String,
    },
    /// An input cannot be opened.
    #[error("cannot open {file}: {source}; nothing was delivered")]
    Input {
        /// The input's name.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// Another delivery holds the spool.
    #[error(
        "spool {spool} is in use by another delivery; wait until it ends, or give this one a \
         spool of its own"
    )]
    SpoolBusy {
        /// The spool's path.
        spool: PathBuf,
    },
    /// The spool's own disk failed.
    #[error("cannot {doing} {path}: {source}; make room or give access, then run again")]
    Spool {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An entry of an interrupted run cannot be used, so nobody knows what it delivered.
    #[error(
        "spool entry {path} of an interrupted delivery cannot be used: {reason}; restore the file \
         or the spool's key. Only if its events are known to be delivered, move it away"
    )]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A chain by another signer lives in a folder that would be written to.
    #[error(
        "{object} was not signed by this signer ({reason}): deliver to another bucket or prefix, \
         or configure the signing key that signed it"
    )]
    ForeignChain {
        /// The newest digest of that chain.
        object: String,
        /// How that was seen.
        reason: String,
    },
    /// A chain's digests are there but its head is not: going on would fork the chain.
    #[error(
        "{object} is a digest of this trail but the chain's head {head} is missing: restore the \
         head, or deliver under another trail name or prefix"
    )]
    HeadMissing {
        /// The head that was expected.
        head: String,
        /// The newest digest of the chain.
        object: String,
    },
    /// A chain's head does not say what it must.
    #[error("chain head {head} cannot be used: {reason}; restore it before delivering")]
    HeadUnusable {
        /// The head.
        head: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another producer committed to the chain in the meantime.
    #[error(
        "another delivery extended the chain of {head} at the same time; nothing was forked. Let \
         it finish first"
    )]
    HeadMoved {
        /// The head.
        head: String,
    },
    /// The clock is behind the end of a chain.
    #[error(
        "the clock says {now} but the chain of {head} already reaches to {end}: set the clock \
         right; no digest is signed with a clock behind its chain's head"
    )]
    ClockBehind {
        /// The head.
        head: String,
        /// The chain's end.
        end: Timestamp,
        /// The clock.
        now: Timestamp,
    },
    /// A replayed event belongs to time that its chain's digests already cover.
    #[error(
        "--replay: the event of {event} in {chain} would be delivered at {at}, but the chain's \
         digests already reach to {end}: leave out events up to then, or deliver without --replay"
    )]
    BehindHead {
        /// Account and region.
        chain: String,
        /// The event's time.
        event: Timestamp,
        /// When it would be delivered.
        at: Timestamp,
        /// The chain's end.
        end: Timestamp,
    },
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The signing keys failed.
    #[error("cannot sign for {region}: {source}")]
    Signing {
        /// The source region.
        region: String,
        /// The cause.
        source: KeyError,
    },
    /// The store answered to a put with something else than was asked.
    #[error(
        "{object} is not stored as asked: {what} is {actual}, expected {expected}. No digest names \
         it; set the bucket right and remove that object (its content is in the spool or head)"
    )]
    Unconfirmed {
        /// The object.
        object: String,
        /// The property.
        what: &'static str,
        /// What was asked.
        expected: String,
        /// What the store says.
        actual: String,
    },
    /// Something else lies under a key of ours.
    #[error("{object} exists already with another content; nothing was overwritten")]
    Conflict {
        /// The object.
        object: String,
    },
    /// The counts do not add up: a fault of this program.
    #[error(
        "of {read} events read, {delivered} were delivered, {already} were already delivered and \
         {rejected} rejected, which does not add up; keep the spool and report this"
    )]
    Conservation {
        /// Events and rejected pieces read.
        read: u64,
        /// Events in confirmed log files of this run.
        delivered: u64,
        /// Events that an interrupted run had delivered.
        already: u64,
        /// Pieces rejected.
        rejected: u64,
    },
    /// Something was delivered, but not all.
    #[error(
        "not all delivered: {0}. When that is settled, run the same command with the same input \
         again: nothing is lost, and what is delivered is not delivered twice"
    )]
    NotAllDelivered(#[source] Box<DeliverError>),
}

impl DeliverError {
    /// The exit code of contract section 2: 2 for a refusal before anything was written, 4 when
    /// not all was delivered and the same command is to be run again.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::NotAllDelivered(_)) { 4 } else { 2 }
    }

    /// Whether this refuses what was asked, rather than failing at it.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Store(StoreError::Io { .. }) => false,
            Self::Store(e) => e.class() == ErrorClass::Refuse,
            Self::Spool { .. }
            | Self::Journal { .. }
            | Self::HeadMoved { .. }
            | Self::Signing { .. }
            | Self::Unconfirmed { .. }
            | Self::Conflict { .. }
            | Self::Conservation { .. }
            | Self::NotAllDelivered(_) => false,
            _ => true,
        }
    }
}
