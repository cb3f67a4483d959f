//! `keys`: the keys that sign digests.

use std::path::Path;
use std::time::Duration;

use local::SystemClock;
use trail::ports::Clock as _;
use trail::public_key::{PublicKey, PublicKeyList};
use trail::{Region, Timestamp};
use zeroize::Zeroizing;

use crate::args::{Global, Keys, KeysAction};
use crate::error::CliError;
use crate::{backend, output};

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) async fn run(global: &Global, options: &Keys) -> Result<u8, CliError> {
    use KeysAction as A;
    let makes = matches!(options.action, A::Generate { .. } | A::Rotate { .. } | A::Import { .. });
    let store = backend::open_store(global, None, makes)?;
    match &options.action {
        KeysAction::Generate { region } => {
            made(&store.signing_keys().generate(region, SystemClock.now())?, region)?;
        }
        KeysAction::Rotate { region } => {
            made(&store.signing_keys().rotate(region, SystemClock.now())?, region)?;
        }
        KeysAction::Import { region, file, days } => {
            let pem = std::fs::read_to_string(file).map(Zeroizing::new);
            let pem = pem.map_err(|e| CliError::file("cannot read", file, e))?;
            let now = SystemClock.now();
            let until = now + DAY * *days;
            made(&store.signing_keys().import_pem(region, &pem, (now, until))?, region)?;
        }
        KeysAction::List => {
            let mut text = String::new();
            for key in store.signing_keys().list_all()? {
                let held = if key.private { "signs here" } else { "signs elsewhere" };
                let public = key.public;
                let region = public.region.as_ref().map_or("-", |r| r.as_str());
                let (from, to) = (public.valid_from, public.valid_to);
                text.push_str(&format!(
                    "{}  {region}  {from} to {to}  {held}\n",
                    public.fingerprint
                ));
            }
            output::print(&text)?;
        }
        KeysAction::Export => output::print(&json(&backend::all_public_keys(&store)?))?,
        KeysAction::Archive { file } => {
            let (added, total) = archive(&backend::all_public_keys(&store)?, file)?;
            output::note(&format!("{}: {added} added, {total} in all", file.display()));
        }
    }
    Ok(0)
}

fn made(key: &PublicKey, region: &Region) -> Result<(), CliError> {
    let (from, to) = (key.valid_from, key.valid_to);
    output::print(&format!("{}  {region}  valid {from} to {to}\n", key.fingerprint))
}

fn json(list: &PublicKeyList) -> String {
    let mut text = serde_json::to_string_pretty(list).unwrap_or_default();
    text.push('\n');
    text
}

/// Adds what the file lacks; what it has stays, even when the API no longer lists it.
fn archive(today: &PublicKeyList, file: &Path) -> Result<(usize, usize), CliError> {
    let mut list = match file.try_exists() {
        Ok(true) => backend::read_key_list(file)?,
        Ok(false) => PublicKeyList { keys: Vec::new() },
        Err(e) => return Err(CliError::file("cannot read", file, e)),
    };
    let before = list.keys.len();
    for key in &today.keys {
        let same = |k: &trail::public_key::ListedKey| {
            let times = |k: &trail::public_key::ListedKey| -> [Timestamp; 2] {
                [k.validity_start_time.into(), k.validity_end_time.into()]
            };
            k.fingerprint == key.fingerprint && k.region == key.region && times(k) == times(key)
        };
        if !list.keys.iter().any(same) {
            list.keys.push(key.clone());
        }
    }
    // Whole or not at all: this file may be the only place where an old key is kept.
    let temp = file.with_extension("tmp");
    std::fs::write(&temp, json(&list)).map_err(|e| CliError::file("cannot write", &temp, e))?;
    std::fs::rename(&temp, file).map_err(|e| CliError::file("cannot write", file, e))?;
    Ok((list.keys.len() - before, list.keys.len()))
}
