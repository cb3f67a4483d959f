//! Key policies, and the check that nobody locks himself out.

use policy::{Context, Policy};
use trail::Region;
use trail::error::KeyError;
use trail::name::{KeyArn, partition_of};

use super::KmsClient;
use super::access::{Use, facts, refused};
use crate::store::Inner;

/// A key policy, in bytes (KMS API, PutKeyPolicy).
const POLICY_BYTES_MAX: usize = 32_768;

impl KmsClient {
    /// GetKeyPolicy: the document as it was put. Blocks on file I/O.
    ///
    /// # Errors
    /// As every call.
    pub fn get_key_policy(&self, key: &str) -> Result<String, KeyError> {
        let key = self.permitted(key, "kms:GetKeyPolicy", Context::default())?;
        Ok(key.record().policy.clone())
    }

    /// PutKeyPolicy; in any state, as KMS. Unless `bypass_policy_lockout_safety_check`, the caller
    /// must still be allowed to put a policy afterwards. Blocks on file I/O.
    ///
    /// # Errors
    /// `MalformedPolicyDocumentException` for a document that is not understood or locks the
    /// caller out, `LimitExceededException` for one of more than 32 KiB, and as every call.
    pub fn put_key_policy(
        &self,
        key: &str,
        policy: &str,
        bypass_policy_lockout_safety_check: bool,
    ) -> Result<(), KeyError> {
        let bypass = bypass_policy_lockout_safety_check.to_string();
        let context = facts([("kms:BypassPolicyLockoutSafetyCheck", bypass.as_str())]);
        let key = self.permitted(key, "kms:PutKeyPolicy", context)?;
        self.inner.check_policy(
            self.who(),
            key.arn(),
            policy,
            bypass_policy_lockout_safety_check,
        )?;
        self.inner.edit_key(key.arn(), |record, _| {
            policy.clone_into(&mut record.policy);
            Ok(())
        })
    }
}

impl Inner {
    /// The policy of a key to be made: the one asked for, when it does not lock the caller out, or
    /// the default one.
    pub(super) fn policy_for_new(
        &self,
        who: Use<'_>,
        arn: &KeyArn,
        asked: Option<&str>,
        bypass_lockout_check: bool,
    ) -> Result<String, KeyError> {
        match asked {
            None => Ok(self.default_policy(&arn.region)?.json().to_owned()),
            Some(policy) => {
                self.check_policy(who, arn, policy, bypass_lockout_check)?;
                Ok(policy.to_owned())
            }
        }
    }

    /// Refuses a policy that is not understood, or that would not let the caller put another.
    fn check_policy(
        &self,
        who: Use<'_>,
        arn: &KeyArn,
        policy: &str,
        bypass_lockout_check: bool,
    ) -> Result<(), KeyError> {
        let policy = parse_policy(policy)?;
        if bypass_lockout_check {
            return Ok(());
        }
        self.permit_under(who, &policy, arn, "kms:PutKeyPolicy").map_err(|e| {
            malformed(format!("it locks you out; bypass the lockout safety check, or mend it: {e}"))
        })
    }

    /// What KMS gives a key made without a policy: the account's root may do everything, and may
    /// let others do it.
    pub(super) fn default_policy(&self, region: &Region) -> Result<Policy, KeyError> {
        let root = format!("arn:{}:iam::{}:root", partition_of(region), self.account);
        let document = serde_json::json!({
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [{
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": root},
                "Action": "kms:*",
                "Resource": "*",
            }],
        });
        parse_policy(&document.to_string())
    }
}

fn parse_policy(json: &str) -> Result<Policy, KeyError> {
    if json.len() > POLICY_BYTES_MAX {
        let reason = format!("{} bytes; at most {POLICY_BYTES_MAX}", json.len());
        return Err(refused("LimitExceededException", "the key policy", reason));
    }
    Policy::parse(json, policy::Kind::Key).map_err(|e| malformed(e.to_string()))
}

fn malformed(reason: String) -> KeyError {
    refused("MalformedPolicyDocumentException", "the key policy", reason)
}
