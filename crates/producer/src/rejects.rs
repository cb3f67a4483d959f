//! The rejects file: every piece of the input that is no event, so that none is lost silently.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::DeliverError;

/// How much of a rejected piece is kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A piece that is no event.
#[derive(Debug)]
pub(crate) struct Reject {
    pub(crate) file: Arc<str>,
    /// Where it begins, from 1.
    pub(crate) line: u64,
    pub(crate) reason: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: u64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
}

impl<'a> Line<'a> {
    fn new(reject: &'a Reject) -> Self {
        let cut = reject.bytes.len() > KEPT_BYTES_MAX;
        let mut kept = &reject.bytes[..reject.bytes.len().min(KEPT_BYTES_MAX)];
        if let (true, Err(e)) = (cut, std::str::from_utf8(kept))
            && e.error_len().is_none()
        {
            // The cut went through a character.
            kept = &kept[..e.valid_up_to()];
        }
        let text = std::str::from_utf8(kept).ok();
        Self {
            file: &reject.file,
            line: reject.line,
            reason: &reject.reason,
            bytes: text,
            bytes_base64: text.is_none().then(|| BASE64.encode(kept)),
            size: cut.then_some(reject.bytes.len()),
            truncated: cut.then_some(true),
        }
    }
}

/// `<spool>/rejects/<run>.ndjson`, made when the first piece is rejected.
pub(crate) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    pub(crate) count: u64,
}

impl Rejects {
    pub(crate) fn new(spool: &Path, run: &str) -> Self {
        let path = spool.join("rejects").join(format!("{run}.ndjson"));
        Self { path, file: None, count: 0 }
    }

    pub(crate) fn push(&mut self, reject: &Reject) -> Result<(), DeliverError> {
        let failed = |source| DeliverError::Spool {
            doing: "write the rejects file",
            path: self.path.clone(),
            source,
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let folder = self.path.parent().unwrap_or(Path::new("."));
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                let options = OpenOptions::new().append(true).create(true).mode(0o600).clone();
                let file = made.and_then(|()| options.open(&self.path)).map_err(failed)?;
                none.insert(BufWriter::new(file))
            }
        };
        let mut line = serde_json::to_vec(&Line::new(reject)).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        // If we stop here: the input is read again, and this piece rejected again.
        file.write_all(&line).map_err(failed)?;
        self.count += 1;
        Ok(())
    }

    /// Makes it durable; its path, if anything was rejected.
    pub(crate) fn finish(&mut self) -> Result<Option<PathBuf>, DeliverError> {
        let Some(file) = &mut self.file else { return Ok(None) };
        let done = file.flush().and_then(|()| file.get_ref().sync_all());
        done.map_err(|source| DeliverError::Spool {
            doing: "write the rejects file",
            path: self.path.clone(),
            source,
        })?;
        Ok(Some(self.path.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8]) -> serde_json::Value {
        let reject =
            Reject { file: "f".into(), line: 7, reason: "why".into(), bytes: bytes.to_vec() };
        serde_json::to_value(Line::new(&reject)).unwrap()
    }

    #[test]
    fn text_stays_text_and_other_bytes_are_base64() {
        let expected = serde_json::json!({"file":"f","line":7,"reason":"why","bytes":"{\"ü"});
        assert_eq!(line("{\"ü".as_bytes()), expected);
        assert_eq!(line(b"\xff\x00")["bytes_base64"], "/wA=");
        assert!(line(b"\xff")["bytes"].is_null());
    }

    #[test]
    fn large_ones_are_cut_between_characters() {
        let text = format!("x{}", "ü".repeat(KEPT_BYTES_MAX));
        let line = line(text.as_bytes());
        assert_eq!(line["size"], text.len());
        assert_eq!(line["truncated"], true);
        assert_eq!(line["bytes"].as_str().unwrap().len(), KEPT_BYTES_MAX - 1);
    }
}
