//! What listings alone tell of a target: chains, their first and last digest, log kinds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use trail::Timestamp;
use trail::key::DigestKey;

use crate::chain::ChainId;
use crate::discover::Lister;
use crate::{Ports, Request, VerifyError};

/// A chain, as far as listings tell.
#[derive(Debug, Clone, Serialize)]
pub struct ChainStatus {
    /// Its account.
    pub account: String,
    /// Its source region.
    pub region: String,
    /// Its trail; null: there are logs, but no digests.
    pub trail: Option<String>,
    /// The trail's home region.
    pub home_region: Option<String>,
    /// End of its first digest.
    pub first: Option<Timestamp>,
    /// End of its newest digest.
    pub last: Option<Timestamp>,
    /// Seconds since the newest digest's end.
    pub lag_seconds: Option<i64>,
    /// Regular digests.
    pub digests: u64,
    /// Backfill digests.
    pub backfill_digests: u64,
    /// Kinds of logs in its account and region.
    pub log_kinds: BTreeSet<String>,
}

/// Lists the chains of a target.
///
/// # Errors
/// When a listing fails.
pub async fn status(request: &Request, ports: &Ports) -> Result<Vec<ChainStatus>, VerifyError> {
    let target = |source| VerifyError::Target { target: request.target.clone(), source };
    let lister = Lister { store: &ports.store, bucket: &request.bucket };
    let now = request.copy.as_ref().and_then(|c| c.taken_at).unwrap_or(ports.now);
    let mut chains: BTreeMap<(String, String, Option<ChainId>), ChainStatus> = BTreeMap::new();
    let roots = lister.roots(request.prefix.trim_end_matches('/')).await.map_err(target)?;
    for (index, root) in roots.iter().enumerate() {
        for place in lister.accounts(index, root).await.map_err(target)? {
            let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for folder in place.folders.iter().filter(|f| !f.is_digest()) {
                for region in folder.regions.iter().filter(|r| request.wants(&place.account, r)) {
                    kinds.entry(region.to_string()).or_default().insert(folder.name.clone());
                }
            }
            let mut with_chain = BTreeSet::new();
            for folder in place.folders.iter().filter(|f| f.is_digest()) {
                for region in folder.regions.iter().filter(|r| request.wants(&place.account, r)) {
                    let path = format!("{}{region}/", folder.path);
                    for entry in lister.all(&path, None).await.map_err(target)? {
                        let Ok(key) = entry.key.parse::<DigestKey>() else { continue };
                        if !request.wants_trail(&key.trail, &key.home_region) {
                            continue;
                        }
                        with_chain.insert(region.to_string());
                        let id = (
                            place.account.to_string(),
                            region.to_string(),
                            Some(ChainId::of(&key)),
                        );
                        let known = kinds.get(region.as_str()).cloned().unwrap_or_default();
                        let chain = chains.entry(id).or_insert_with(|| ChainStatus {
                            trail: Some(key.trail.to_string()),
                            home_region: Some(key.home_region.to_string()),
                            ..bare(place.account.as_str(), region.as_str(), known)
                        });
                        chain.add(&key, now);
                    }
                }
            }
            for (region, kinds) in kinds.into_iter().filter(|(r, _)| !with_chain.contains(r)) {
                let id = (place.account.to_string(), region.clone(), None);
                chains.insert(id, bare(place.account.as_str(), &region, kinds));
            }
        }
    }
    Ok(chains.into_values().collect())
}

fn bare(account: &str, region: &str, log_kinds: BTreeSet<String>) -> ChainStatus {
    ChainStatus {
        account: account.to_owned(),
        region: region.to_owned(),
        trail: None,
        home_region: None,
        first: None,
        last: None,
        lag_seconds: None,
        digests: 0,
        backfill_digests: 0,
        log_kinds,
    }
}

impl ChainStatus {
    fn add(&mut self, key: &DigestKey, now: Timestamp) {
        if key.backfill {
            self.backfill_digests += 1;
            return;
        }
        self.digests += 1;
        self.first = Some(self.first.map_or(key.end, |f| f.min(key.end)));
        self.last = Some(self.last.map_or(key.end, |l| l.max(key.end)));
        self.lag_seconds = self.last.map(|l| now.seconds_since(l));
    }
}
