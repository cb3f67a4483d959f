//! Who may: finding the key that a request means, and asking its policy.
//!
//! In the order of KMS: a key that does not exist is told first, then a denial, and only then
//! what the key's state or usage refuses.

use policy::{Caller, Context, Decision, Grant, Policy, Request};
use trail::Region;
use trail::error::KeyError;
use trail::limits::ENCRYPTION_CONTEXT_BYTES_MAX;
use trail::name::{KeyArn, KeyRef};
use trail::ports::Pairs;

use super::keys::{KmsKey, not_found};
use crate::store::Inner;

/// On whose behalf a call is made.
#[derive(Clone, Copy)]
pub(crate) struct Use<'a> {
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// The service that asks for the caller, as `kms:ViaService` names it.
    pub(crate) via: Option<&'a str>,
    /// What a service principal asks for (`aws:SourceArn`).
    pub(crate) source_arn: Option<&'a str>,
}

impl<'a> Use<'a> {
    /// A call that the caller makes itself.
    pub(crate) fn direct(caller: &'a Caller) -> Self {
        Self { caller, via: None, source_arn: None }
    }
}

/// Condition keys of one call.
pub(super) fn facts<const N: usize>(of: [(&str, &str); N]) -> Context {
    let mut context = Context::default();
    for (key, value) in of {
        context.set(key, value);
    }
    context
}

/// The encryption context as condition keys.
///
/// # Errors
/// `ValidationException` when it is longer than KMS takes.
pub(super) fn encryption_facts(pairs: &Pairs) -> Result<Context, KeyError> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENCRYPTION_CONTEXT_BYTES_MAX {
        let reason = format!("it has {bytes} bytes, more than {ENCRYPTION_CONTEXT_BYTES_MAX}");
        return Err(invalid("the encryption context", reason));
    }
    let mut context = facts([("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT")]);
    context.set_encryption_context(pairs);
    Ok(context)
}

pub(super) fn refused(
    code: &'static str,
    what: impl Into<String>,
    reason: impl Into<String>,
) -> KeyError {
    KeyError::Refused { code, what: what.into(), reason: reason.into() }
}

pub(super) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> KeyError {
    refused("ValidationException", what, reason)
}

impl Inner {
    /// The key that `key` means in `region`, if the caller may do `action` with it.
    pub(super) fn permitted(
        &self,
        who: Use<'_>,
        region: &Region,
        key: &str,
        action: &str,
        context: Context,
    ) -> Result<KmsKey, KeyError> {
        let key = self.find_key(who, region, key)?;
        self.permit(who, &key, action, context)?;
        Ok(key)
    }

    /// The key that `key` (id, ARN, alias name, alias ARN) means to the caller.
    pub(super) fn find_key(
        &self,
        who: Use<'_>,
        region: &Region,
        key: &str,
    ) -> Result<KmsKey, KeyError> {
        let missing = || not_found(key, region);
        // A bare id or alias is looked for in the caller's own account.
        let at_home = who.caller.principal.account() == Some(&self.account);
        let (id, alias) = match key.parse().map_err(KeyError::Malformed)? {
            KeyRef::Id(_) | KeyRef::Alias { account: None, .. } if !at_home => {
                return Err(missing());
            }
            KeyRef::Arn(arn) if arn != self.key_arn(&arn.region, arn.id.clone()) => {
                return Err(missing());
            }
            KeyRef::Alias { account: Some(account), .. } if account != self.account => {
                return Err(missing());
            }
            KeyRef::Arn(arn) if arn.region != *region => return Err(elsewhere(key, region)),
            KeyRef::Alias { region: Some(of), .. } if of != *region => {
                return Err(elsewhere(key, region));
            }
            KeyRef::Id(id) => (id, None),
            KeyRef::Arn(arn) => (arn.id, None),
            KeyRef::Alias { name, .. } => {
                let id = self.aliases(region)?.and_then(|all| all.get(&name).cloned());
                (id.ok_or_else(missing)?, Some(format!("alias/{name}")))
            }
        };
        let mut found = self.key(region, &id)?.ok_or_else(missing)?;
        found.alias = alias;
        Ok(found)
    }

    /// Refused unless the caller may do `action` with the key.
    pub(super) fn permit(
        &self,
        who: Use<'_>,
        key: &KmsKey,
        action: &str,
        context: Context,
    ) -> Result<(), KeyError> {
        self.permit_with(who, key, &key.record().grants, action, context)
    }

    /// As [`Inner::permit`], as if the key had these grants alone.
    pub(super) fn permit_with(
        &self,
        who: Use<'_>,
        key: &KmsKey,
        grants: &[Grant],
        action: &str,
        mut context: Context,
    ) -> Result<(), KeyError> {
        let arn = key.arn().to_string();
        self.describe(who, key, &mut context)?;
        match &key.own().policy {
            Ok(policy) => self.decide(who, policy, grants, &arn, action, &context),
            Err(e) => Err(denied(&arn, action, format!("its policy is not understood: {e}"))),
        }
    }

    /// What the call and the key say about themselves.
    fn describe(&self, who: Use<'_>, key: &KmsKey, context: &mut Context) -> Result<(), KeyError> {
        let record = key.record();
        self.describe_caller(who, &key.arn().region, context);
        context.set("kms:KeySpec", record.spec.as_str());
        context.set("kms:KeyUsage", record.usage.as_str());
        context.set("kms:KeyOrigin", record.origin.as_str());
        context.set("kms:MultiRegion", record.multi_region.is_some().to_string());
        if let Some(alias) = &key.alias {
            context.set("kms:RequestAlias", alias.as_str());
        }
        let aliases = self.aliases_of(key.arn())?;
        context.set_all("kms:ResourceAliases", aliases.into_iter().map(|a| format!("alias/{a}")));
        Ok(())
    }

    fn describe_caller(&self, who: Use<'_>, region: &Region, context: &mut Context) {
        let now = self.clock.now();
        context.set("aws:CurrentTime", now.to_string());
        context.set("aws:EpochTime", now.unix().to_string());
        context.set("aws:RequestedRegion", region.as_str());
        context.set("aws:ViaAWSService", who.via.is_some().to_string());
        if let Some(via) = who.via {
            context.set("kms:ViaService", via);
        }
        if let Some(arn) = who.source_arn {
            context.set("aws:SourceArn", arn);
            // The fifth part of an ARN; those of buckets have none.
            if let Some(account) = arn.split(':').nth(4).filter(|account| !account.is_empty()) {
                context.set("aws:SourceAccount", account);
            }
        }
    }

    /// Asks the policy. `resource` is an ARN, or `*`.
    fn decide(
        &self,
        who: Use<'_>,
        policy: &Policy,
        grants: &[Grant],
        resource: &str,
        action: &str,
        context: &Context,
    ) -> Result<(), KeyError> {
        let request = Request { action, resource, owner: &self.account, context };
        match policy::key_access(who.caller, policy, grants, request) {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(denied(resource, action, reason)),
        }
    }

    /// Calls that are not about one key (CreateKey, ListKeys, …) or about an alias: identity
    /// policies decide alone, as they do for a key with the default policy.
    pub(super) fn permit_in_account(
        &self,
        who: Use<'_>,
        region: &Region,
        resource: &str,
        action: &str,
        mut context: Context,
    ) -> Result<(), KeyError> {
        self.describe_caller(who, region, &mut context);
        let policy = self.default_policy(region)?;
        self.decide(who, &policy, &[], resource, action, &context)
    }

    /// Whether the caller could do `action` with the key if it had this policy.
    pub(super) fn permit_under(
        &self,
        who: Use<'_>,
        policy: &Policy,
        arn: &KeyArn,
        action: &str,
    ) -> Result<(), KeyError> {
        let mut context = Context::default();
        self.describe_caller(who, &arn.region, &mut context);
        self.decide(who, policy, &[], &arn.to_string(), action, &context)
    }
}

fn denied(key: &str, action: &str, reason: String) -> KeyError {
    KeyError::AccessDenied { key: key.to_owned(), action: action.to_owned(), reason }
}

fn elsewhere(key: &str, region: &Region) -> KeyError {
    KeyError::WrongRegion { key: key.to_owned(), region: region.to_string() }
}
