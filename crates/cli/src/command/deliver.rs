//! `deliver`: events from files, once.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encryptor::spool_key::SpoolKey;
use local::{PemSigner, Store, SystemClock};
use producer::{Cutting, Delivery, Destination, Input, Ports, Summary};
use trail::name::{KeyArn, KeyRef, TrailArn};
use trail::ports::{Clock as _, KeyService as _, Sealer, SigningKeys, TrailInfo, Trails as _};
use zeroize::Zeroizing;

use crate::args::{Deliver, Global};
use crate::config::{Config, Sse};
use crate::error::CliError;
use crate::output::{counted, grouped};
use crate::progress::Bar;
use crate::{backend, output};

pub(crate) async fn run(global: &Global, options: &Deliver) -> Result<u8, CliError> {
    let config = Config::read(&options.config, &options.set, |name| std::env::var(name).ok())?;
    let plan = plan(&config, options.replay)?;
    if let Some(wrong) = config.key_elsewhere() {
        return Err(CliError::usage(wrong));
    }
    let inputs = inputs(&options.events)?;
    let store = backend::open_store(global, Some(&config.trail.account), true)?;
    let bar = Arc::new(Bar::new());
    let summary = deliver(&store, &config, plan, inputs, bar.clone()).await;
    bar.finish();
    let summary = summary?;
    if options.json {
        let mut json = serde_json::to_string_pretty(&summary).unwrap_or_default();
        json.push('\n');
        output::print(&json)?;
    } else {
        output::print(&text(&summary, &config))?;
    }
    Ok(u8::from(summary.rejected > 0))
}

/// Opens what is named; without names, what is piped in. With neither, there are no events, and
/// the chains are carried on all the same.
fn inputs(events: &[PathBuf]) -> Result<Vec<Input>, CliError> {
    if events.is_empty() && std::io::stdin().is_terminal() {
        output::note("no events were named or piped in: the chains are carried on without any");
        return Ok(Vec::new());
    }
    let stdin = [PathBuf::from("-")];
    let named = if events.is_empty() { &stdin[..] } else { events };
    Ok(named.iter().map(|path| Input::open(path)).collect::<Result<_, _>>()?)
}

/// Delivers to the embedded store, having made there what it lacks.
pub(crate) async fn deliver(
    store: &Store,
    config: &Config,
    plan: producer::Config,
    inputs: Vec<Input>,
    bar: Arc<Bar>,
) -> Result<Summary, CliError> {
    let keys = signing_keys(store, config)?;
    let sealer = sealer(config)?;
    let plan = prepare(store, config, plan).await?;
    bar.start("events", 0);
    let ports =
        Ports { store: Arc::new(store.clone()), keys, clock: Arc::new(SystemClock), sealer };
    Ok(Delivery::new(plan, ports).observed_by(bar).run(inputs).await?)
}

/// What can be said of a delivery before the store is looked at; what cannot be right is refused
/// here, before anything is made.
pub(crate) fn plan(config: &Config, replay: bool) -> Result<producer::Config, CliError> {
    let (bucket, prefix) = config.bucket_and_prefix().map_err(CliError::usage)?;
    let trail = TrailArn::new(
        config.trail.account.clone(),
        config.trail.home_region.clone(),
        config.trail.name.clone(),
    );
    let plan = producer::Config {
        trail,
        organization: config.trail.organization.clone(),
        destination: Destination { bucket, prefix, region: config.destination.region.clone() },
        // The store says which key this is; see `prepare`.
        logs: producer::Sse::S3,
        digests: producer::Sse::S3,
        cutting: Cutting {
            flush_interval: config.delivery.flush_interval,
            max_log_size: usize::try_from(config.delivery.max_log_size).unwrap_or(usize::MAX),
            digest_interval: config.delivery.digest_interval,
            ..Cutting::default()
        },
        spool: config.path(&config.spool.path),
        replay,
        run: run_name()?,
        retry: producer::Retry::default(),
    };
    plan.check()?;
    Ok(plan)
}

/// Resolves the key, then makes bucket and trail; a key that cannot be used is refused before
/// anything is made.
async fn prepare(
    store: &Store,
    config: &Config,
    mut plan: producer::Config,
) -> Result<producer::Config, CliError> {
    let Destination { bucket, region, .. } = &plan.destination;
    if let Some(owner) = &config.destination.expected_owner
        && owner != store.account()
    {
        return Err(CliError::usage(format!(
            "destination.expected_owner is {owner}, but the store belongs to {}",
            store.account()
        )));
    }
    let known = store.buckets()?.into_iter().find(|(name, _)| name == bucket.as_str());
    if let Some((_, found)) = known.filter(|(_, found)| found != region) {
        return Err(CliError::usage(format!(
            "destination.region is {region}, but bucket {bucket} is in {found}"
        )));
    }
    let key = match (config.uses_kms(), &config.encryption.kms_key) {
        (true, Some(key)) => Some(kms_key(store, config, key).await?),
        _ => None,
    };
    let bucket_key = config.encryption.bucket_key;
    let sse = |mode: Sse| match (mode, &key) {
        (Sse::SseKms, Some(key)) => producer::Sse::Kms { key: key.clone(), bucket_key },
        _ => producer::Sse::S3,
    };
    if store.create_bucket(bucket.as_str(), region)? {
        output::note(&format!("made bucket {bucket} in {region}"));
    }
    (plan.logs, plan.digests) = (sse(config.encryption.logs), sse(config.encryption.digests));
    make_trail(store, &trail_info(&plan)).await?;
    Ok(plan)
}

/// `20261123T120000Z-1a2b3c4d`: sorts by time, and no two runs share one.
fn run_name() -> Result<String, CliError> {
    let random: [u8; 4] = encryptor::keys::random().map_err(trail::error::KeyError::from)?;
    let random: String = random.iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("{}-{random}", SystemClock.now().second_stamp()))
}

/// The configured key; one that an alias should name is made when it is not there.
async fn kms_key(store: &Store, config: &Config, key: &str) -> Result<KeyArn, CliError> {
    let region = &config.destination.region;
    match store.describe_key(region, key).await {
        Ok(info) if info.state == "Enabled" => Ok(info.arn),
        Ok(info) => Err(CliError::usage(format!(
            "encryption.kms_key: {} is {}; enable it or name another",
            info.arn, info.state
        ))),
        Err(trail::error::KeyError::NotFound { .. })
            if matches!(key.parse(), Ok(KeyRef::Alias { .. })) =>
        {
            let name = key.rsplit_once("alias/").map_or(key, |(_, name)| name);
            let (arn, made) = store.key_behind_alias(region, &format!("alias/{name}"))?;
            if made {
                // Nobody else will: what a delivery makes should pass an audit as it is.
                store.kms_as_root(region).enable_key_rotation(&arn.to_string(), None)?;
                output::note(&format!("made KMS key {arn} behind alias/{name}"));
            }
            Ok(arn)
        }
        Err(e) => Err(CliError::usage(format!("encryption.kms_key: {e}"))),
    }
}

fn trail_info(plan: &producer::Config) -> TrailInfo {
    let Destination { bucket, prefix, .. } = &plan.destination;
    TrailInfo {
        name: plan.trail.name.to_string(),
        s3_bucket_name: bucket.to_string(),
        s3_key_prefix: (!prefix.is_empty()).then(|| prefix.clone()),
        include_global_service_events: true,
        is_multi_region_trail: true,
        home_region: plan.trail.home_region.to_string(),
        trail_arn: plan.trail.to_string(),
        log_file_validation_enabled: true,
        kms_key_id: match &plan.logs {
            producer::Sse::Kms { key, .. } => Some(key.to_string()),
            producer::Sse::S3 => None,
        },
        is_organization_trail: plan.organization.is_some(),
    }
}

/// Makes the trail, or brings its settings up to the configuration's.
async fn make_trail(store: &Store, trail: &TrailInfo) -> Result<(), CliError> {
    let known = store.describe_trails().await?.into_iter().find(|t| t.trail_arn == trail.trail_arn);
    match known {
        None if store.put_trail(trail)? => output::note(&format!("made trail {}", trail.trail_arn)),
        Some(known) if known != *trail => {
            store.replace_trail(trail)?;
            output::note(&format!(
                "changed trail {} to the configuration's settings",
                trail.trail_arn
            ));
        }
        _ => {}
    }
    Ok(())
}

pub(crate) fn signing_keys(
    store: &Store,
    config: &Config,
) -> Result<Arc<dyn SigningKeys>, CliError> {
    let key = config.signing.key.as_str();
    if key == "store" {
        return Ok(Arc::new(store.signing_keys()));
    }
    if let Some(path) = key.strip_prefix("file:") {
        let path = config.path(Path::new(path));
        let pem = std::fs::read_to_string(&path)
            .map(Zeroizing::new)
            .map_err(|e| CliError::file("cannot read signing.key", &path, e))?;
        let signer = PemSigner::new(&pem, Some(store))
            .map_err(|e| CliError::usage(format!("signing.key {}: {e}", path.display())))?;
        return Ok(Arc::new(signer));
    }
    let what = if key.starts_with("arn:") {
        "KMS signing keys need AWS, which this version cannot reach"
    } else {
        "expected store or file:PATH.pem"
    };
    Err(CliError::usage(format!("signing.key {key:?}: {what}")))
}

/// The spool's sealer; its key lies in the spool, readable by its owner alone.
fn sealer(config: &Config) -> Result<Arc<dyn Sealer>, CliError> {
    if !config.spool.encrypt {
        return Ok(Arc::new(Plain));
    }
    let spool: PathBuf = config.path(&config.spool.path);
    let key = local::spool_key(&spool).map_err(|e| {
        CliError::usage(format!("spool.path: {e}; name a directory that can be written"))
    })?;
    Ok(Arc::new(SpoolKey::new(key)))
}

/// `spool.encrypt = false`: what lies in the spool is as it is.
pub(crate) struct Plain;

impl Sealer for Plain {
    fn seal(&self, _: &str, plaintext: &[u8]) -> Result<Vec<u8>, trail::error::KeyError> {
        Ok(plaintext.to_vec())
    }
    fn open(&self, _: &str, sealed: &[u8]) -> Result<Vec<u8>, trail::error::KeyError> {
        Ok(sealed.to_vec())
    }
}

fn text(summary: &Summary, config: &Config) -> String {
    let mut out = format!(
        "{} delivered in {} and {} to {}\n",
        counted(summary.delivered, "event"),
        counted(summary.logs, "log file"),
        counted(summary.digests, "digest"),
        config.destination.url
    );
    if summary.already_delivered > 0 {
        let n = grouped(summary.already_delivered);
        out.push_str(&format!("{n} of an interrupted run were delivered already\n"));
    }
    if let (Some(path), true) = (&summary.rejects, summary.rejected > 0) {
        let n = counted(summary.rejected, "line");
        out.push_str(&format!("{n} rejected: see {}\n", path.display()));
    }
    out
}
