//! The key of a producer's spool: a file beside what it seals, readable by its owner alone.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use encryptor::keys::{RootSecret, SecretKey};

use crate::files::FileError;
use crate::store::{OpenError, read_or_create_secret};

/// The key in `<spool>/spool.key`, made with mode 0600 when it is not there. Blocks on file I/O.
///
/// # Errors
/// When the directory or file cannot be made or read, or others can read the file.
pub fn spool_key(spool: &Path) -> Result<SecretKey, OpenError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(spool);
    made.map_err(|e| FileError::new("creating directory", spool, e))?;
    let secret: RootSecret = read_or_create_secret(&spool.join("spool.key"))?;
    Ok(secret.spool_key()?)
}
