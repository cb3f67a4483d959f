//! Multi-Region keys: a primary key and its replicas in other regions.
//!
//! They share id and material and open each other's ciphertexts; ARN, policy, grants, state and
//! aliases are each one's own. The material lies in the primary's file alone, so a rotation
//! reaches all at once.

use trail::Region;
use trail::error::KeyError;
use trail::name::partition_of;

use super::KmsClient;
use super::access::{facts, invalid};
use super::lifecycle::{KeyMetadata, check_description};
use super::record::{KeyState, MultiRegion, Record};

/// What ReplicateKey is asked for.
#[derive(Debug, Clone)]
pub struct ReplicateKey {
    /// The replica's region.
    pub region: Region,
    /// Its policy; None: the default one.
    pub policy: Option<String>,
    /// Whether the caller may lose control of the replica.
    pub bypass_policy_lockout_safety_check: bool,
    /// Free text.
    pub description: String,
}

impl KmsClient {
    /// ReplicateKey: a replica of a multi-Region primary key. Blocks on file I/O.
    ///
    /// # Errors
    /// `AlreadyExistsException` when that region has one, `UnsupportedOperationException` for any
    /// other key, and as every call.
    pub fn replicate_key(&self, key: &str, asked: &ReplicateKey) -> Result<KeyMetadata, KeyError> {
        let (inner, who, to) = (&self.inner, self.who(), &asked.region);
        let context = facts([("kms:ReplicaRegion", to.as_str())]);
        let primary = self.permitted(key, "kms:ReplicateKey", context)?;
        inner.permit_in_account(who, to, "*", "kms:CreateKey", facts([]))?;
        if partition_of(to) != primary.arn().partition {
            let reason = format!("{to} is in another partition; keys do not leave theirs");
            return Err(invalid(primary.arn().to_string(), reason));
        }
        check_description(&asked.description)?;
        let arn = inner.key_arn(to, primary.arn().id.clone());
        let bypass = asked.bypass_policy_lockout_safety_check;
        let policy = inner.policy_for_new(who, &arn, asked.policy.as_deref(), bypass)?;
        inner.add_replica(primary.arn(), &arn, |record, now| {
            record.usable()?;
            let Some(replicas) = record.replicas_mut() else {
                return Err(record.unsupported("it is no multi-Region primary key"));
            };
            replicas.insert(to.clone());
            Ok(Record {
                arn: arn.to_string(),
                state: KeyState::Enabled,
                created: now,
                description: asked.description.clone(),
                manager: record.manager,
                spec: record.spec,
                usage: record.usage,
                origin: record.origin,
                policy,
                grants: Vec::new(),
                deletion: None,
                rotates: None,
                multi_region: Some(MultiRegion::Replica { primary: self.region.clone() }),
                materials: Vec::new(),
                private_key: None,
            })
        })?;
        Ok(inner.metadata(&inner.existing_key(&arn)?))
    }
}
