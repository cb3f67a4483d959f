//! `check`: what would stop a delivery, or spoil it for its readers, before it begins.

use std::sync::Arc;

use local::s3::{PutObject, Sse};
use local::{PemSigner, Store, SystemClock};
use policy::{Kind, Policy};
use producer::{Delivery, Destination, Ports};
use trail::error::KeyError;
use trail::name::{KeyArn, KeyRef, partition_of};
use trail::ports::{KeyInfo, KeyService as _, Pairs, Precondition};
use zeroize::Zeroizing;

use crate::args::{Check, Global};
use crate::config::{self, Config};
use crate::error::CliError;
use crate::{backend, output};

use super::deliver;

/// What was looked at, and what came out.
enum Item {
    Fine(String),
    /// On the embedded store, a delivery makes it.
    Made(String),
    Failing {
        what: String,
        remedy: String,
    },
}

impl Item {
    fn failing(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failing { what: what.into(), remedy: remedy.into() }
    }
}

pub(crate) async fn run(global: &Global, options: &Check) -> Result<u8, CliError> {
    let config = Config::read(&options.config, &options.set, |name| std::env::var(name).ok())?;
    let plan = deliver::plan(&config, false)?;
    let items = match backend::open_store(global, Some(&config.trail.account), false) {
        Ok(store) => items(&store, &config, plan).await?,
        Err(CliError::Open(local::OpenError::Missing { dir })) => {
            let mut items = vec![Item::Made(format!("the store in {}", dir.display()))];
            items.extend(config.key_elsewhere().map(|what| elsewhere(&config, what)));
            items.extend(signing_file(&config));
            items
        }
        Err(e) => return Err(e),
    };
    output::print(&text(&items))?;
    Ok(u8::from(items.iter().any(|item| matches!(item, Item::Failing { .. }))))
}

async fn items(
    store: &Store,
    config: &Config,
    mut plan: producer::Config,
) -> Result<Vec<Item>, CliError> {
    let Destination { bucket, region, .. } = plan.destination.clone();
    let mut items = Vec::new();
    if let Some(owner) = &config.destination.expected_owner
        && owner != store.account()
    {
        let what = format!("destination.expected_owner is {owner}, the store's account is not");
        items.push(Item::failing(what, format!("expected {}", store.account())));
    }
    let known = store.buckets()?.into_iter().find(|(name, _)| name == bucket.as_str());
    match &known {
        None => items.push(Item::Made(format!("bucket {bucket} in {region}"))),
        Some((_, found)) if found == &region => {
            items.push(Item::Fine(format!("bucket {bucket} is in {region}")));
        }
        Some((_, found)) => items.push(Item::failing(
            format!("bucket {bucket} is in {found}, destination.region is {region}"),
            format!("set destination.region to {found}, or name another bucket"),
        )),
    }
    // Without its key, a log's put would be another one.
    let mut as_sent = true;
    if config.uses_kms() {
        let key = key(store, config, &plan, &mut items).await?;
        let bucket_key = config.encryption.bucket_key;
        let sse = |mode| match (mode, &key) {
            (config::Sse::SseKms, Some(key)) => producer::Sse::Kms { key: key.clone(), bucket_key },
            _ => producer::Sse::S3,
        };
        (plan.logs, plan.digests) = (sse(config.encryption.logs), sse(config.encryption.digests));
        as_sent = key.is_some();
    }
    items.extend(signing_file(config));
    if known.is_some_and(|(_, found)| found == region) {
        if as_sent {
            items.push(writing(store, &plan).await?);
        }
        items.extend(chains(store, config, plan).await);
    }
    Ok(items)
}

/// The key: where it must be, usable, and with a policy that lets the right ones in.
async fn key(
    store: &Store,
    config: &Config,
    plan: &producer::Config,
    items: &mut Vec<Item>,
) -> Result<Option<KeyArn>, CliError> {
    let region = &plan.destination.region;
    let Some(key) = &config.encryption.kms_key else {
        items.push(Item::failing("encryption.kms_key is not set", "name a key, or use sse-s3"));
        return Ok(None);
    };
    if let Some(what) = config.key_elsewhere() {
        items.push(elsewhere(config, what));
        return Ok(None);
    }
    let info = match store.describe_key(region, key).await {
        Ok(info) => info,
        Err(KeyError::NotFound { .. }) if matches!(key.parse(), Ok(KeyRef::Alias { .. })) => {
            items.push(Item::Made(format!("a KMS key in {region} behind {key}")));
            return Ok(None);
        }
        Err(e) => {
            let what = format!("encryption.kms_key: {e} (KMS.{})", e.code());
            items.push(Item::failing(what, format!("name a key that exists in {region}")));
            return Ok(None);
        }
    };
    let arn = &info.arn;
    if info.state != "Enabled" {
        let what = format!("KMS key {arn} is {}", info.state);
        items.push(Item::failing(what, "enable it, or name another"));
        return Ok(None);
    }
    items.push(Item::Fine(format!("KMS key {arn} is enabled, in the bucket's region")));
    items.extend(using(store, plan, arn).await?);
    items.extend(readers(&info));
    Ok(Some(info.arn))
}

fn elsewhere(config: &Config, what: String) -> Item {
    Item::failing(what, format!("name a key of {}", config.destination.region))
}

/// Makes a data key as a log's put would, and reads it back; nothing keeps it.
async fn using(
    store: &Store,
    plan: &producer::Config,
    arn: &KeyArn,
) -> Result<Vec<Item>, CliError> {
    let Destination { bucket, region, .. } = &plan.destination;
    let context = Pairs::from([
        ("aws:cloudtrail:arn".to_owned(), plan.trail.to_string()),
        ("aws:s3:arn".to_owned(), format!("arn:{}:s3:::{bucket}", partition_of(region))),
    ]);
    let denied = |verb: &str, action: &str, e: &KeyError| {
        let what = format!("the writer cannot {verb}: {e}");
        let remedy = format!("allow {action} on {arn} under the trail's encryption context");
        Item::failing(what, remedy)
    };
    let made = match store.generate_data_key(region, &arn.to_string(), &context).await {
        Ok(made) => made,
        Err(e) => return Ok(vec![denied("encrypt", "kms:GenerateDataKey", &e)]),
    };
    Ok(vec![match store.decrypt(arn, &made.wrapped, &context).await {
        Ok(_) => Item::Fine(format!("{} encrypts and decrypts with it", store.account())),
        // A delivery reads what it wrote, to confirm it and to carry chains on.
        Err(e) => denied("read back what it wrote", "kms:Decrypt", &e),
    }])
}

/// What the key policy says of readers.
fn readers(info: &KeyInfo) -> Option<Item> {
    let document = info.policy.as_deref()?;
    let arn = &info.arn;
    let policy = match Policy::parse(document, Kind::Key) {
        Ok(policy) => policy,
        Err(e) => {
            let remedy = "read it yourself: nothing was concluded from it";
            return Some(Item::failing(format!("the policy of {arn}: {e}"), remedy));
        }
    };
    if let Some(statement) = policy.open_to_everyone("kms:Decrypt") {
        let what = format!("the policy of {arn} lets everyone decrypt ({statement})");
        let remedy = "confine that statement to accounts, an organization or principals";
        return Some(Item::failing(what, remedy));
    }
    if !policy.allows_somebody("kms:Decrypt") {
        let what = format!("the policy of {arn} lets nobody decrypt: no log could be read");
        return Some(Item::failing(what, "allow kms:Decrypt to the readers"));
    }
    Some(Item::Fine("its policy lets readers decrypt, and not everyone".to_owned()))
}

/// A log's put up to its first byte: bucket policy, key, encryption settings. Nothing is left.
async fn writing(store: &Store, plan: &producer::Config) -> Result<Item, CliError> {
    let Destination { bucket, prefix, .. } = &plan.destination;
    let slash = if prefix.is_empty() { "" } else { "/" };
    let key = format!("{prefix}{slash}AWSLogs/{}/CloudTrail/check", plan.trail.account);
    let sse = match &plan.logs {
        producer::Sse::S3 => Sse::S3,
        producer::Sse::Kms { key, bucket_key } => Sse::Kms {
            key: Some(key.to_string()),
            context: Pairs::from([("aws:cloudtrail:arn".to_owned(), plan.trail.to_string())]),
            bucket_key: Some(*bucket_key),
        },
    };
    let put = PutObject { precondition: Some(Precondition::Absent), ..PutObject::new(sse) };
    let (client, bucket) = (store.s3_as_root(), bucket.to_string());
    let begun = tokio::task::spawn_blocking(move || {
        client.put_object(&bucket, &key, put).map(drop).map_err(|e| (e, bucket))
    });
    Ok(match begun.await {
        Ok(Ok(())) => Item::Fine("the bucket takes log files as they will be sent".to_owned()),
        Ok(Err((e, bucket))) => {
            let what = format!("the bucket refuses log files: {e} ({})", e.code());
            Item::failing(what, format!("see the policy and encryption setting of {bucket}"))
        }
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    })
}

/// A signing key in a file; the store makes its own.
fn signing_file(config: &Config) -> Option<Item> {
    let Some(path) = config.signing.key.strip_prefix("file:") else {
        let made = "a digest signing key per region, where there is none yet";
        return (config.signing.key == "store").then(|| Item::Made(made.to_owned()));
    };
    let path = config.path(std::path::Path::new(path));
    let remedy = "name a PEM file with an RSA private key of at least 2048 bits";
    let pem = std::fs::read_to_string(&path).map(Zeroizing::new);
    Some(match pem.map(|pem| PemSigner::new(&pem, None)) {
        Ok(Ok(signer)) => {
            let fingerprint = &signer.public_key().fingerprint;
            Item::Fine(format!("signing key {} ({fingerprint})", path.display()))
        }
        Ok(Err(e)) => Item::failing(format!("signing.key {}: {e}", path.display()), remedy),
        Err(e) => Item::failing(format!("signing.key {}: {e}", path.display()), remedy),
    })
}

async fn chains(store: &Store, config: &Config, plan: producer::Config) -> Vec<Item> {
    let keys = match deliver::signing_keys(store, config) {
        Ok(keys) => keys,
        // Told already, where the key was looked at.
        Err(CliError::File { .. }) => return Vec::new(),
        Err(e) => return vec![Item::failing(e.to_string(), "see signing.key")],
    };
    let sealer = Arc::new(deliver::Plain);
    let ports =
        Ports { store: Arc::new(store.clone()), keys, clock: Arc::new(SystemClock), sealer };
    let refusals = Delivery::new(plan, ports).check_chains().await;
    if refusals.is_empty() {
        return vec![Item::Fine("no foreign chain in its folders".to_owned())];
    }
    // Each error says what to do.
    refusals.iter().map(|e| Item::failing(e.to_string(), "")).collect()
}

fn text(items: &[Item]) -> String {
    let mut out = String::new();
    for item in items {
        match item {
            Item::Fine(what) => out.push_str(&format!("ok    {what}\n")),
            Item::Made(what) => out.push_str(&format!("new   {what}: a delivery makes it\n")),
            Item::Failing { what, remedy } => {
                out.push_str(&format!("FAIL  {what}\n"));
                if !remedy.is_empty() {
                    out.push_str(&format!("      remedy: {remedy}\n"));
                }
            }
        }
    }
    out
}
