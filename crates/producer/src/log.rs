//! The way of one log file: compressed, kept in the spool, put, confirmed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use trail::key::{LogKey, LogKind};
use trail::{Sha256, gzip};

use crate::DeliverError;
use crate::batch::{ChainId, Cut};
use crate::context::{Context, joined};
use crate::spool::{Entry, Spool};
use crate::window::Delivered;

/// Log files' names are stamped with full five minutes, as CloudTrail does.
const STAMP_STEP: Duration = Duration::from_secs(300);

/// A log file that was put and confirmed.
pub(crate) struct Done {
    pub(crate) chain: ChainId,
    pub(crate) log: Delivered,
    pub(crate) events: u64,
    pub(crate) bytes: usize,
}

/// Compresses a log file, keeps it in the spool, puts it and has it confirmed.
pub(crate) async fn deliver(
    ctx: Arc<Context>,
    spool: Arc<Spool>,
    cut: Cut,
    sequence: u64,
    base: Option<String>,
) -> Result<Done, DeliverError> {
    let Cut { chain, file, at } = cut;
    let (events, bytes, span) = (file.events as u64, file.bytes.len(), (file.oldest, file.newest));
    let (id, context) = (chain.clone(), ctx.clone());
    let pack = move || {
        let ctx = context;
        let hash = Sha256::of(&file.bytes);
        let body = gzip::compress(&file.bytes);
        drop(file);
        let now = at.unwrap_or_else(|| ctx.now());
        let key = LogKey {
            folder: ctx.folder(&id.account),
            kind: LogKind::CloudTrail,
            region: id.region.clone(),
            stamp: now.ceil_to(STAMP_STEP),
            unique: unique(&ctx.config.run, sequence, &hash),
        };
        let key = key.to_string();
        let entry = Entry::new(ctx.destination(), id, key.clone(), hash, events, span, now, base);
        // If we stop here: the events are read again from the input.
        spool.write(&*ctx.ports.sealer, &ctx.config.run, sequence, &entry, &body)?;
        Ok::<_, DeliverError>((key, hash, body))
    };
    let (key, hash, body) = joined(task::spawn_blocking(pack).await)?;
    // If we stop here: the next delivery puts the same bytes under the same key.
    ctx.put_log(&key, body.into()).await?;
    let at = at.unwrap_or_else(|| ctx.now());
    let (oldest, newest) = span;
    Ok(Done { chain, log: Delivered { key, hash, oldest, newest, at }, events, bytes })
}

/// The 16 letters and digits that keep log files of one stamp apart: a function of the run, its
/// counter and the content, so that the same log always has the same key.
fn unique(run: &str, sequence: u64, hash: &Sha256) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let source = Sha256::of(format!("{run}\n{sequence}\n{hash}").as_bytes());
    let mut number = source.0.iter().take(16).fold(0u128, |n, b| n << 8 | u128::from(*b));
    (0..16)
        .map(|_| {
            let digit = DIGITS[(number % 62) as usize];
            number /= 62;
            char::from(digit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_strings_depend_on_every_part_and_nothing_else() {
        let hash = Sha256::of(b"x");
        let name = unique("run", 7, &hash);
        assert!(name.len() == 16 && name.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(unique("run", 7, &hash), name);
        for other in
            [unique("ru", 7, &hash), unique("run", 8, &hash), unique("run", 7, &Sha256::of(b"y"))]
        {
            assert_ne!(other, name);
        }
    }
}
