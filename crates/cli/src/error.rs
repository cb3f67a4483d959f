//! Why a command ends without doing its work. Each message names the thing, what was expected
//! and what to do; each has the contract's exit code.

use std::path::{Path, PathBuf};

/// A command's failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Whoever read our output has enough.
    #[error("the output was closed")]
    ClosedPipe,
    /// The command line or the configuration is not right.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{doing} {path}: {source}")]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// Delivery.
    #[error(transparent)]
    Deliver(#[from] producer::DeliverError),
    /// Verification could not begin.
    #[error(transparent)]
    Verify(#[from] verifier::VerifyError),
    /// The object store.
    #[error(transparent)]
    Store(#[from] trail::error::StoreError),
    /// The key service.
    #[error(transparent)]
    Key(#[from] trail::error::KeyError),
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Open(#[from] local::OpenError),
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn file(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { doing, path: path.to_owned(), source }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Deliver(e) => e.exit_code(),
            Self::Verify(verifier::VerifyError::Target { source, .. }) if unreadable(source) => 4,
            _ => 2,
        }
    }
}

/// Whether the target is there but cannot be read (4), rather than a wrong name (2).
fn unreadable(e: &trail::error::StoreError) -> bool {
    use trail::error::StoreError as E;
    matches!(e, E::Io { .. } | E::AccessDenied { .. } | E::Damaged { .. })
}
