//! Public keys of a run: where each came from, and how far it is to be trusted.

use std::collections::{BTreeMap, BTreeSet};

use trail::public_key::{PublicKey, fingerprint};
use trail::{Region, Timestamp};

use crate::finding::{Code, Finding, Scope};
use crate::request::{CopyFacts, GivenKey, Ports};
use crate::signature::{KeyFault, VerifyingKey};

/// Where a key came from, most trusted first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeySource {
    /// ListPublicKeys answered.
    Api,
    /// A file the operator gave.
    File(String),
    /// Found beside the evidence: whoever changed that could have changed this.
    Target,
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api => f.write_str("api"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Target => f.write_str("target"),
        }
    }
}

/// A key that a digest may name.
#[derive(Debug, Clone)]
pub struct KnownKey {
    /// As listed.
    pub key: PublicKey,
    /// Where from.
    pub source: KeySource,
    /// Ready to verify, or why not.
    pub verifying: Result<VerifyingKey, KeyFault>,
}

/// All keys of a run.
#[derive(Debug, Default)]
pub struct KeyRing {
    by_fingerprint: BTreeMap<String, Vec<KnownKey>>,
    /// Regions whose complete list the API gave.
    live: BTreeSet<Region>,
    /// Regions whose list the API refused, and why.
    refused: BTreeMap<Region, String>,
}

impl KeyRing {
    /// Asks for the keys of every region in `regions` over its time, and adds those given and
    /// those found beside the evidence.
    pub async fn gather(
        ports: &Ports,
        given: &[GivenKey],
        copy: Option<&CopyFacts>,
        regions: &BTreeMap<Region, (Timestamp, Timestamp)>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut ring = Self::default();
        let mut keys = Vec::new();
        for (region, (from, to)) in regions {
            let Some(api) = &ports.public_keys else { continue };
            match api.list_public_keys(region, *from, *to).await {
                Ok(listed) => {
                    ring.live.insert(region.clone());
                    keys.extend(listed.into_iter().map(|mut key| {
                        key.region = Some(region.clone());
                        (key, KeySource::Api)
                    }));
                }
                Err(e) => {
                    ring.refused.insert(region.clone(), e.to_string());
                }
            }
        }
        keys.extend(given.iter().map(|g| (g.key.clone(), KeySource::File(g.source.clone()))));
        let beside = copy.map_or(&[][..], |c| &c.keys);
        keys.extend(beside.iter().map(|k| (k.clone(), KeySource::Target)));
        for (key, source) in keys {
            ring.add(key, source, findings);
        }
        for same in ring.by_fingerprint.values_mut() {
            same.sort_by(|a, b| a.source.cmp(&b.source));
        }
        ring
    }

    fn add(&mut self, key: PublicKey, source: KeySource, findings: &mut Vec<Finding>) {
        let computed = fingerprint(&key.der);
        if computed != key.fingerprint {
            let scope = Scope { region: key.region.clone(), ..Scope::default() };
            let message = format!(
                "a public key is listed as {} but has another fingerprint; it is not used",
                key.fingerprint
            );
            let finding = Finding::new(Code::KeysFingerprintMismatch, &scope, message);
            findings.push(finding.values(key.fingerprint, computed));
            return;
        }
        let verifying = VerifyingKey::from_der(&key.der);
        self.by_fingerprint.entry(computed).or_default().push(KnownKey { key, source, verifying });
    }

    /// The most trusted key with this fingerprint that may sign for `region`.
    #[must_use]
    pub fn find(&self, region: &Region, fingerprint: &str) -> Option<&KnownKey> {
        let same = self.by_fingerprint.get(fingerprint)?;
        same.iter().find(|k| k.key.region.as_ref().is_none_or(|r| r == region))
    }

    /// Whether the API gave the complete list of `region`: a key it lacks does not exist.
    #[must_use]
    pub fn is_complete(&self, region: &Region) -> bool {
        self.live.contains(region)
    }

    /// The finding for a region of which there is no key at all.
    #[must_use]
    pub fn unavailable(&self, region: &Region) -> Finding {
        let scope = Scope { region: Some(region.clone()), ..Scope::default() };
        let why = self.refused.get(region).map_or("none were given", String::as_str);
        let message = format!("there are no public keys of {region} to verify with: {why}");
        Finding::new(Code::KeysUnavailable, &scope, message)
    }

    /// Whether there is any key that may sign for `region`.
    #[must_use]
    pub fn has_any(&self, region: &Region) -> bool {
        let may = |k: &KnownKey| k.key.region.as_ref().is_none_or(|r| r == region);
        self.live.contains(region) || self.by_fingerprint.values().flatten().any(may)
    }
}
