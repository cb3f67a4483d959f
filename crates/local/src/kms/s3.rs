//! What S3 asks of the key service, in the name of whoever asks S3.

use encryptor::keys::SecretKey;
use trail::Region;
use trail::error::KeyError;
use trail::name::{KeyArn, partition_of};
use trail::ports::{DataKey, Pairs};

use super::access::Use;
use super::keys::not_found;
use super::lifecycle::CreateKey;
use super::record::KeyManager;
use crate::store::Inner;

/// The alias, without `alias/`, of the key that S3 uses when a request names none.
pub(super) const ALIAS: &str = "aws/s3";

/// S3 as `kms:ViaService` names it.
pub(crate) fn s3_service(region: &Region) -> String {
    let suffix = if partition_of(region) == "aws-cn" { ".cn" } else { "" };
    format!("s3.{region}.amazonaws.com{suffix}")
}

impl Inner {
    /// The key that a request means: `key`, or the account's `aws/s3` key, which is made on first
    /// use. Permissions and state are asked when the key is used.
    pub(crate) fn kms_resolve(
        &self,
        who: Use<'_>,
        region: &Region,
        key: Option<&str>,
    ) -> Result<KeyArn, KeyError> {
        let Some(key) = key.filter(|key| key.strip_prefix("alias/") != Some(ALIAS)) else {
            return Ok(self.s3_key(region)?.0);
        };
        Ok(self.find_key(who, region, key)?.arn().clone())
    }

    /// GenerateDataKey of `key`, or of the account's `aws/s3` key.
    pub(crate) fn kms_generate_data_key(
        &self,
        who: Use<'_>,
        region: &Region,
        key: Option<&str>,
        context: &Pairs,
    ) -> Result<DataKey, KeyError> {
        let arn = self.kms_resolve(who, region, key)?.to_string();
        self.generate_data_key(who, region, &arn, context)
    }

    /// Decrypt of what [`Inner::kms_generate_data_key`] gave to keep.
    pub(crate) fn kms_decrypt_data_key(
        &self,
        who: Use<'_>,
        region: &Region,
        arn: &str,
        wrapped: &[u8],
        context: &Pairs,
    ) -> Result<SecretKey, KeyError> {
        self.decrypt(who, region, Some(arn), wrapped, context)?.data_key()
    }

    /// Whether the key's state lets a Bucket Key that is still cached be used; nobody's
    /// permissions are asked again.
    pub(crate) fn kms_usable(&self, region: &Region, arn: &str) -> Result<(), KeyError> {
        let parsed: KeyArn = arn.parse().map_err(KeyError::Malformed)?;
        let key = self.key(region, &parsed.id)?.filter(|key| *key.arn() == parsed);
        key.ok_or_else(|| not_found(arn, region))?.record().usable()
    }

    /// The `aws/s3` key of a region; true when it was made now.
    pub(super) fn s3_key(&self, region: &Region) -> Result<(KeyArn, bool), KeyError> {
        self.key_behind(region, ALIAS, || {
            let asked = CreateKey {
                description: "Default key that protects my S3 objects when no other key is defined"
                    .to_owned(),
                ..CreateKey::default()
            };
            let arn = self.new_arn(region, &asked)?;
            self.make_key(&arn, &asked, self.s3_key_policy(region), KeyManager::Aws)?;
            Ok(arn)
        })
    }

    /// As AWS's own: all principals of the account use the key through S3 alone, and the account
    /// may look at it. Nothing lets anyone change its state, policy, rotation or deletion.
    fn s3_key_policy(&self, region: &Region) -> String {
        let account = &self.account;
        serde_json::json!({
            "Version": "2012-10-17",
            "Id": "auto-s3-2",
            "Statement": [
                {
                    "Sid": "Allow access through S3 for all principals in the account that are \
                            authorized to use S3",
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": [
                        "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
                        "kms:DescribeKey",
                    ],
                    "Resource": "*",
                    "Condition": {"StringEquals": {
                        "kms:CallerAccount": account, "kms:ViaService": s3_service(region),
                    }},
                },
                {
                    "Sid": "Allow direct access to key metadata to the account",
                    "Effect": "Allow",
                    "Principal": {
                        "AWS": format!("arn:{}:iam::{account}:root", partition_of(region)),
                    },
                    "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
                    "Resource": "*",
                },
            ],
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::Caller;
    use serde_json::json;

    use super::*;
    use crate::{OpenOptions, Store, SystemClock};

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let store = Store::open(dir.path(), &options, Arc::new(SystemClock)).unwrap();
        (dir, store)
    }

    fn caller(principal: &str) -> Caller {
        let everything = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
        ]});
        let everything = policy::Policy::parse(&everything.to_string(), policy::Kind::Identity);
        let principal = principal.parse().unwrap();
        Caller { principal, policies: vec![everything.unwrap()], organization: None }
    }

    #[test]
    fn s3s_own_key_is_for_the_account_through_s3_of_its_region() {
        let (_dir, store) = store();
        let (inner, region) = (&store.inner, "us-east-1".parse().unwrap());
        let (s3, none) = (s3_service(&region), Pairs::new());
        assert_eq!(s3, "s3.us-east-1.amazonaws.com");
        assert_eq!(s3_service(&"cn-north-1".parse().unwrap()), "s3.cn-north-1.amazonaws.com.cn");
        for (who, via, allowed) in [
            ("arn:aws:iam::111122223333:user/alice", Some(s3.as_str()), true),
            ("arn:aws:iam::111122223333:user/alice", None, false),
            ("arn:aws:iam::111122223333:user/alice", Some("s3.eu-west-1.amazonaws.com"), false),
            ("arn:aws:iam::111122223333:user/alice", Some("ec2.us-east-1.amazonaws.com"), false),
            ("arn:aws:iam::444455556666:user/eve", Some(s3.as_str()), false),
            ("cloudtrail.amazonaws.com", Some(s3.as_str()), false),
        ] {
            let caller = caller(who);
            let who = Use { caller: &caller, via, source_arn: None };
            let made = inner.kms_generate_data_key(who, &region, None, &none);
            assert_eq!(made.is_ok(), allowed, "{who:?} {via:?}", who = caller.principal);
            let Ok(made) = made else { continue };
            let arn = made.key.to_string();
            let opened = inner.kms_decrypt_data_key(who, &region, &arn, &made.wrapped, &none);
            assert_eq!(opened.unwrap().bytes(), &made.plaintext);
        }
        assert_eq!(store.kms_as_root(&region).list_keys().unwrap().len(), 1);
    }

    #[test]
    fn a_service_is_known_by_what_it_acts_for() {
        let (_dir, store) = store();
        let (inner, region) = (&store.inner, "us-east-1".parse().unwrap());
        let trail = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
        let kms = store.kms_as_root(&region);
        let service = caller("cloudtrail.amazonaws.com");
        for (name, value) in [("aws:SourceArn", trail), ("aws:SourceAccount", "111122223333")] {
            let policy = json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*",
                 "Resource": "*"},
                {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
                 "Action": "kms:GenerateDataKey*", "Resource": "*",
                 "Condition": {"StringEquals": {name: value}}},
            ]});
            let policy = Some(policy.to_string());
            let key = kms.create_key(&CreateKey { policy, ..CreateKey::default() }).unwrap();
            let key = key.arn.to_string();
            let may = |source_arn: Option<&str>| {
                let who = Use { caller: &service, via: None, source_arn };
                inner.kms_generate_data_key(who, &region, Some(&key), &Pairs::new()).is_ok()
            };
            assert!(may(Some(trail)) && !may(None), "{name}");
            assert!(!may(Some(&trail.replace("1111", "9999"))), "{name}");
        }
    }

    #[test]
    fn a_bucket_key_is_as_usable_as_its_kms_key() {
        let (_dir, store) = store();
        let (inner, region): (_, Region) = (&store.inner, "us-east-1".parse().unwrap());
        let kms = store.kms_as_root(&region);
        let key = store.create_key(&region).unwrap().to_string();
        inner.kms_usable(&region, &key).unwrap();
        kms.disable_key(&key).unwrap();
        assert_eq!(inner.kms_usable(&region, &key).unwrap_err().code(), "DisabledException");
        kms.schedule_key_deletion(&key, None).unwrap();
        let error = inner.kms_usable(&region, &key).unwrap_err();
        assert_eq!(error.code(), "KMSInvalidStateException");
        for other in [key.replace("us-east-1", "eu-west-1"), key.replace("1111", "9999")] {
            let error = inner.kms_usable(&region, &other).unwrap_err();
            assert_eq!(error.code(), "NotFoundException");
        }
    }
}
