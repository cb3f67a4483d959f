//! From options to adapters: the embedded store, an offline copy, keys given in files.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use local::{OfflineCopy, OpenOptions, Store, SystemClock};
use trail::name::{BucketName, KeyArn, TrailArn};
use trail::ports::{Clock as _, TrailInfo, Trails as _};
use trail::public_key::{PublicKey, PublicKeyList, fingerprint};
use trail::{AccountId, Region, Timestamp, limits};
use verifier::request::{AllowedKey, CopyFacts, GivenKey, Progress, SseDemand};
use verifier::{Ports, Request};

use crate::args::{Checks, Depth, DigestSse, Global, LogSse, Scope};
use crate::error::CliError;

/// Opens the embedded store; makes it when `create` and it is not there.
pub(crate) fn open_store(
    global: &Global,
    account: Option<&AccountId>,
    create: bool,
) -> Result<Store, CliError> {
    let dir = global.store.as_deref().ok_or_else(|| {
        CliError::usage(
            "this needs an embedded store: give --store DIR or set TRAILSEAL_STORE \
             (AWS itself cannot be reached by this version)",
        )
    })?;
    let options = OpenOptions {
        account: account.cloned(),
        root_key_file: global.root_key_file.clone(),
        create,
    };
    Ok(Store::open(dir, &options, Arc::new(SystemClock))?)
}

/// `s3://BUCKET[/PREFIX]`
pub(crate) fn parse_s3(text: &str) -> Result<(String, String), CliError> {
    let wrong = |why: &dyn std::fmt::Display| {
        CliError::usage(format!("{text}: expected s3://BUCKET[/PREFIX]: {why}"))
    };
    let rest = text.strip_prefix("s3://").ok_or_else(|| wrong(&"it has no s3://"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket: BucketName = bucket.parse().map_err(|e| wrong(&e))?;
    Ok((bucket.to_string(), prefix.trim_matches('/').to_owned()))
}

/// A target opened for reading: the question so far, and the ports to ask it through.
pub(crate) struct Target {
    pub(crate) request: Request,
    pub(crate) ports: Ports,
    /// The store, when there is one.
    pub(crate) store: Option<Store>,
}

/// Opens a target. Without one, a trail's ARN says where it delivers.
pub(crate) async fn open_target(
    global: &Global,
    target: Option<&str>,
    scope: &Scope,
    progress: Arc<dyn Progress>,
) -> Result<Target, CliError> {
    let described;
    let target = match (target, &scope.trail_arn) {
        (Some(target), _) => target,
        (None, Some(arn)) => {
            described = where_it_delivers(global, arn).await?;
            &described
        }
        (None, None) => return Err(CliError::usage("give a TARGET, or --trail-arn")),
    };
    let mut opened = if target.starts_with("s3://") {
        let (bucket, prefix) = parse_s3(target)?;
        let store = open_store(global, None, false)?;
        let request = Request::new(target, &bucket, &prefix);
        let ports = ports(Arc::new(store.clone()), Some(&store), progress);
        Target { request, ports, store: Some(store) }
    } else {
        open_copy(global, target, progress)?
    };
    let request = &mut opened.request;
    request.trail_arn.clone_from(&scope.trail_arn);
    request.trail_name.clone_from(&scope.trail_name);
    request.accounts = scope.account.iter().cloned().collect();
    request.regions = scope.region.iter().cloned().collect();
    Ok(opened)
}

fn ports(
    objects: Arc<dyn trail::ports::ObjectStore>,
    store: Option<&Store>,
    progress: Arc<dyn Progress>,
) -> Ports {
    Ports {
        store: objects,
        public_keys: store.map(|s| Arc::new(s.signing_keys()) as _),
        trails: store.map(|s| Arc::new(s.clone()) as _),
        kms: store.map(|s| Arc::new(s.clone()) as _),
        now: SystemClock.now(),
        progress,
    }
}

async fn where_it_delivers(global: &Global, arn: &TrailArn) -> Result<String, CliError> {
    let trails = open_store(global, None, false)?.describe_trails().await?;
    let wanted = arn.to_string();
    let trail = trails.iter().find(|t| t.trail_arn == wanted).ok_or_else(|| {
        CliError::usage(format!("there is no trail {arn}; give a TARGET to verify without it"))
    })?;
    Ok(match &trail.s3_key_prefix {
        Some(prefix) => format!("s3://{}/{prefix}", trail.s3_bucket_name),
        None => format!("s3://{}", trail.s3_bucket_name),
    })
}

fn open_copy(
    global: &Global,
    target: &str,
    progress: Arc<dyn Progress>,
) -> Result<Target, CliError> {
    let copy = OfflineCopy::open(Path::new(target)).map_err(|e| {
        CliError::usage(format!(
            "{target} is neither s3://BUCKET[/PREFIX] nor a copy that can be read: {e}"
        ))
    })?;
    // A store beside a copy is asked for keys and settings only when it is named on purpose.
    let store = global.store.is_some().then(|| open_store(global, None, false)).transpose()?;
    let source = copy.source().cloned().unwrap_or_default();
    let beside = copy.public_keys().map(|list| decode(list, target)).transpose()?;
    let mut request = Request::new(target, "", "");
    request.copy = Some(CopyFacts {
        source: source.bucket.map(|b| (b, source.prefix.unwrap_or_default())),
        bucket_region: source.bucket_region.and_then(|r| r.parse().ok()),
        taken_at: source.taken_at,
        trails: source.trails.unwrap_or_default(),
        keys: beside.unwrap_or_default(),
        sidecar: copy.has_sidecar(),
        absent: copy.absent().into_iter().collect(),
        warnings: copy.warnings().to_vec(),
    });
    let mut ports = ports(Arc::new(copy), store.as_ref(), progress);
    // Settings of today say nothing about what a copy was taken from, unless it kept none.
    if request.copy.as_ref().is_some_and(|c| !c.trails.is_empty()) {
        ports.trails = None;
    }
    Ok(Target { request, ports, store })
}

/// Lays the options of `verify` over a request.
pub(crate) fn apply(checks: &Checks, request: &mut Request) -> Result<(), CliError> {
    if let (Some(start), Some(end)) = (checks.start, checks.end)
        && start > end
    {
        return Err(CliError::usage(format!("--start {start} is later than --end {end}")));
    }
    request.start = checks.start;
    request.end = checks.end;
    request.grace = checks.grace;
    request.backfill_grace = checks.backfill_grace;
    request.retention = checks.retention;
    request.log_retention = checks.log_retention;
    for given in &checks.public_keys {
        request.keys.extend(read_keys(given)?);
    }
    let allowed: Result<Vec<_>, _> = checks.kms_key.iter().map(|k| parse_allowed(k)).collect();
    request.kms_keys = allowed?;
    request.log_sse = match checks.log_sse {
        LogSse::SseKms => SseDemand::Kms,
        LogSse::Any => SseDemand::Any,
    };
    request.digest_sse = match checks.digest_sse {
        DigestSse::SseS3 => SseDemand::S3,
        DigestSse::SseKms => SseDemand::Kms,
        DigestSse::Any => SseDemand::Any,
    };
    request.key_accounts = checks.key_account.iter().cloned().collect::<BTreeSet<_>>();
    request.bucket_region.clone_from(&checks.bucket_region);
    request.original = checks.original.as_deref().map(parse_s3).transpose()?;
    request.depth = match checks.depth {
        Depth::Digests => verifier::request::Depth::Digests,
        Depth::Logs => verifier::request::Depth::Logs,
        Depth::Events => verifier::request::Depth::Events,
    };
    request.unreferenced = !checks.no_unreferenced;
    request.skip_archived = checks.skip_archived;
    request.concurrency = checks.concurrency;
    Ok(())
}

/// `[REGION=]FILE`
fn read_keys(given: &str) -> Result<Vec<GivenKey>, CliError> {
    let (region, file) = match given.split_once('=') {
        Some((region, file)) if region.parse::<Region>().is_ok() => {
            (region.parse::<Region>().ok(), file)
        }
        _ => (None, given),
    };
    let list = read_key_list(Path::new(file))?;
    let keys = decode(&list, file)?.into_iter().map(|mut key| {
        if region.is_some() {
            key.region.clone_from(&region);
        }
        GivenKey { key, source: file.to_owned() }
    });
    Ok(keys.collect())
}

/// A key list as the AWS CLI or `keys export` prints it.
pub(crate) fn read_key_list(path: &Path) -> Result<PublicKeyList, CliError> {
    let cannot = |e| CliError::file("cannot read the public keys", path, e);
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > limits::SMALL_FILE_BYTES_MAX {
        return Err(CliError::usage(format!("{}: too large for a key list", path.display())));
    }
    let bytes = std::fs::read(path).map_err(cannot)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        CliError::usage(format!(
            "{}: not what `aws cloudtrail list-public-keys` or `trailseal keys export` prints: {e}",
            path.display()
        ))
    })
}

fn decode(list: &PublicKeyList, file: &str) -> Result<Vec<PublicKey>, CliError> {
    let decoded: Result<Vec<_>, _> = list.keys.iter().map(|k| k.decode()).collect();
    decoded.map_err(|e| CliError::usage(format!("{file}: a key's Value is not base64: {e}")))
}

/// `ARN[@FROM[..TO]]`
fn parse_allowed(text: &str) -> Result<AllowedKey, CliError> {
    let wrong = |e: &dyn std::fmt::Display| {
        CliError::usage(format!("--kms-key {text}: expected ARN[@FROM[..TO]]: {e}"))
    };
    let (arn, times) = text.split_once('@').map_or((text, ""), |(a, t)| (a, t));
    let arn: KeyArn = arn.parse().map_err(|e| wrong(&e))?;
    let time = |t: &str| match t {
        "" => Ok(None),
        t => Timestamp::parse_rfc3339(t).map(Some).map_err(|e| wrong(&e)),
    };
    let (from, to) = times.split_once("..").unwrap_or((times, ""));
    Ok(AllowedKey { arn, from: time(from)?, to: time(to)? })
}

/// Trails as the store lists them, for the bucket and prefix of a target.
pub(crate) async fn trails_of(store: &Store, bucket: &str) -> Result<Vec<TrailInfo>, CliError> {
    let mut trails = store.describe_trails().await?;
    trails.retain(|t| t.s3_bucket_name == bucket);
    Ok(trails)
}

/// Every public key that the store lists, by region and fingerprint.
pub(crate) fn all_public_keys(store: &Store) -> Result<PublicKeyList, CliError> {
    let listed = store.signing_keys().list_all()?;
    debug_assert!(listed.iter().all(|k| k.public.fingerprint == fingerprint(&k.public.der)));
    Ok(PublicKeyList { keys: listed.iter().map(|k| (&k.public).into()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_addresses() {
        assert_eq!(parse_s3("s3://audit/a/b/").unwrap(), ("audit".into(), "a/b".into()));
        assert_eq!(parse_s3("s3://audit").unwrap(), ("audit".into(), String::new()));
        for bad in ["s3://", "s3://A", "audit/x", "http://audit"] {
            assert!(parse_s3(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn allowed_keys_with_times() {
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/k";
        let key =
            parse_allowed(&format!("{arn}@2026-01-01T00:00:00Z..2026-02-01T00:00:00Z")).unwrap();
        assert_eq!(key.from.unwrap().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(key.to.unwrap().to_string(), "2026-02-01T00:00:00Z");
        assert!(parse_allowed(arn).unwrap().from.is_none());
        assert!(parse_allowed(&format!("{arn}@yesterday")).is_err());
        assert!(parse_allowed("alias/x").is_err());
    }
}
