//! Whether a requester may do what it asks of a bucket.

use std::sync::Arc;

use policy::{Caller, Context, Decision, Principal, Request, bucket_access};
use trail::error::StoreError;
use trail::name::partition_of;
use trail::{AccountId, Region};

use crate::s3::request::Connection;
use crate::s3::settings::Bucket;
use crate::store::Inner;

/// Who makes a request, and how it came.
#[derive(Clone)]
pub(crate) struct Requester {
    pub(crate) caller: Arc<Caller>,
    pub(crate) connection: Connection,
    /// On whose behalf a service acts: its `aws:SourceArn`.
    pub(crate) source_arn: Option<Arc<str>>,
}

impl Requester {
    /// The account's root, within this process.
    pub(crate) fn root(account: &AccountId, region: &Region) -> Self {
        let caller = Arc::new(Caller::root(partition_of(region), account.clone()));
        Self { caller, connection: Connection::Private, source_arn: None }
    }
}

/// What is asked: the action, and the object unless it is the bucket itself.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) action: &'static str,
    pub(crate) key: Option<&'a str>,
}

impl Inner {
    /// Refuses what policies do not allow. `more` adds the condition keys of the request.
    pub(crate) fn authorize(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        ask: Ask<'_>,
        more: impl FnOnce(&mut Context),
    ) -> Result<(), StoreError> {
        let policy = bucket.settings.policy.as_ref();
        // The owner's root is bound by a bucket policy only; most requests end here.
        if policy.is_none()
            && matches!(&who.caller.principal, Principal::Root { account, .. } if *account == self.account)
        {
            return Ok(());
        }
        let mut context = Context::default();
        context.set("aws:SecureTransport", who.connection.secure().to_string());
        context.set("aws:RequestedRegion", bucket.region.as_str());
        context.set("aws:ResourceAccount", self.account.as_str());
        context.set("s3:ResourceAccount", self.account.as_str());
        let now = self.clock.now();
        context.set("aws:CurrentTime", now.to_string());
        context.set("aws:EpochTime", now.unix().to_string());
        if let Some(arn) = &who.source_arn {
            context.set("aws:SourceArn", arn.as_ref());
            if let Some(account) = arn.split(':').nth(4).filter(|a| !a.is_empty()) {
                context.set("aws:SourceAccount", account);
            }
        }
        more(&mut context);
        let resource = arn_of(bucket, ask.key);
        let request = Request {
            action: ask.action,
            resource: &resource,
            owner: &self.account,
            context: &context,
        };
        match bucket_access(&who.caller, policy, request) {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(StoreError::AccessDenied {
                bucket: bucket.name.to_owned(),
                key: ask.key.unwrap_or_default().to_owned(),
                action: format!("{}: {reason}", ask.action),
            }),
        }
    }
}

/// The ARN of an object, or of the bucket.
pub(crate) fn arn_of(bucket: &Bucket<'_>, key: Option<&str>) -> String {
    let (partition, name) = (partition_of(&bucket.region), bucket.name);
    match key {
        Some(key) => format!("arn:{partition}:s3:::{name}/{key}"),
        None => format!("arn:{partition}:s3:::{name}"),
    }
}
