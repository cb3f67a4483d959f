//! Grants: permissions to use one key, given without touching its policy.

use std::collections::BTreeSet;

use encryptor::keys::random;
use policy::{Context, Grant, GrantConstraint, Principal};
use trail::error::KeyError;

use super::KmsClient;
use super::access::{facts, invalid, refused};
use super::keys::KmsKey;
use super::record::KeyUsage;

/// Grants of one key. KMS takes 50,000; here they share a file with the key, which stays one that
/// is read ([`trail::limits::SMALL_FILE_BYTES_MAX`]) however long they are.
const GRANTS_MAX: usize = 1_000;
/// A grant's name (KMS API, CreateGrant).
const NAME_CHARS_MAX: usize = 256;
/// An ARN of a principal (KMS API, CreateGrant).
const PRINCIPAL_CHARS_MAX: usize = 256;
/// The ARN that a grant is confined to; longer than any of CloudTrail or S3.
const SOURCE_ARN_CHARS_MAX: usize = 1024;
/// Names and values of a grant's encryption context (KMS API, GrantConstraints).
const CONSTRAINT_CHARS_MAX: usize = 384;

/// No service makes or looks at grants here.
const BY_THE_CALLER: [(&str, &str); 1] = [("kms:GrantIsForAWSResource", "false")];

const FOR_ALL: [&str; 3] = ["CreateGrant", "DescribeKey", "RetireGrant"];
const FOR_ENCRYPTION: [&str; 6] = [
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
];
const FOR_SIGNING: [&str; 3] = ["GetPublicKey", "Sign", "Verify"];

/// What CreateGrant is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateGrant {
    /// Who may use the key: the ARN of an account, user, role or session, or a service.
    pub grantee_principal: String,
    /// Who else may retire the grant.
    pub retiring_principal: Option<String>,
    /// What the grantee may do: `Decrypt`, `GenerateDataKey`, …
    pub operations: Vec<String>,
    /// Under which encryption contexts.
    pub constraints: Option<GrantConstraint>,
    /// A name; the same grant asked for twice under one name is one grant.
    pub name: Option<String>,
}

impl KmsClient {
    /// CreateGrant; gives the grant's id. It holds at once, so there are no grant tokens. Blocks
    /// on file I/O, as every call here.
    ///
    /// # Errors
    /// When an operation does not exist for such a key or the constraints do not fit it, when a
    /// caller who is a grantee himself gives more than he has, and as every call.
    pub fn create_grant(&self, key: &str, asked: &CreateGrant) -> Result<String, KeyError> {
        let mut context = facts(BY_THE_CALLER);
        context.set("kms:GranteePrincipal", asked.grantee_principal.as_str());
        if let Some(principal) = &asked.retiring_principal {
            context.set("kms:RetiringPrincipal", principal.as_str());
        }
        context.set_all("kms:GrantOperations", asked.operations.iter().cloned());
        if let Some(of) = &asked.constraints {
            let kinds = [
                ("EncryptionContextEquals", of.encryption_context_equals.is_some()),
                ("EncryptionContextSubset", of.encryption_context_subset.is_some()),
            ];
            let set = kinds.into_iter().filter(|(_, set)| *set).map(|(kind, _)| kind.to_owned());
            context.set_all("kms:GrantConstraintType", set);
        }
        let key = self.permitted(key, "kms:CreateGrant", context.clone())?;
        check(&key, asked)?;
        self.check_delegation(&key, asked, &context)?;
        self.inner.edit_key(key.arn(), |record, _| {
            record.usable()?;
            let same = |g: &&Grant| asked.name.is_some() && *asked == CreateGrant::of(g);
            if let Some(grant) = record.grants.iter().find(same) {
                return Ok(grant.grant_id.clone());
            }
            if record.grants.len() >= GRANTS_MAX {
                let reason = format!("it has {GRANTS_MAX} grants already; retire some");
                return Err(refused("LimitExceededException", record.arn.clone(), reason));
            }
            let grant_id = hex::encode(random::<32>()?);
            record.grants.push(asked.grant(grant_id.clone()));
            Ok(grant_id)
        })
    }

    /// ListGrants, oldest first.
    ///
    /// # Errors
    /// As every call.
    pub fn list_grants(&self, key: &str) -> Result<Vec<Grant>, KeyError> {
        let key = self.permitted(key, "kms:ListGrants", facts(BY_THE_CALLER))?;
        Ok(key.record().grants.clone())
    }

    /// RevokeGrant: by who manages the key.
    ///
    /// # Errors
    /// When there is no such grant, and as every call.
    pub fn revoke_grant(&self, key: &str, grant_id: &str) -> Result<(), KeyError> {
        let key = self.permitted(key, "kms:RevokeGrant", facts(BY_THE_CALLER))?;
        self.remove_grant(&key, grant_id)
    }

    /// RetireGrant: by the grant's retiring principal, by a grantee who may, by the account, or by
    /// whom key policy or identity policy allows it.
    ///
    /// # Errors
    /// When there is no such grant, and as every call.
    pub fn retire_grant(&self, key: &str, grant_id: &str) -> Result<(), KeyError> {
        let key = self.find(key)?;
        let grants = &key.record().grants;
        let grant = grants.iter().find(|g| g.grant_id == grant_id);
        let grant = grant.ok_or_else(|| no_grant(&key, grant_id))?;
        let caller = &self.caller.principal;
        let is_root = matches!(caller, Principal::Root { .. })
            && caller.account() == Some(&self.inner.account);
        let named = grant.retiring_principal.as_ref().is_some_and(|retiring| {
            caller.to_string() == *retiring || caller.policy_arn().as_ref() == Some(retiring)
        });
        if !named && !is_root {
            // Being the grantee of another grant gives no right to retire this one.
            let (only, action) = (std::slice::from_ref(grant), "kms:RetireGrant");
            self.inner.permit_with(self.who(), &key, only, action, Context::default())?;
        }
        self.remove_grant(&key, grant_id)
    }

    fn remove_grant(&self, key: &KmsKey, grant_id: &str) -> Result<(), KeyError> {
        self.inner.edit_key(key.arn(), |record, _| {
            let before = record.grants.len();
            record.grants.retain(|g| g.grant_id != grant_id);
            if record.grants.len() == before { Err(no_grant(key, grant_id)) } else { Ok(()) }
        })
    }

    /// Whoever may create grants by a grant alone gives at most what that one gives (KMS
    /// developer guide, "Granting CreateGrant permission").
    fn check_delegation(
        &self,
        key: &KmsKey,
        asked: &CreateGrant,
        context: &Context,
    ) -> Result<(), KeyError> {
        let may = |grants: &[Grant]| {
            let action = "kms:CreateGrant";
            self.inner.permit_with(self.who(), key, grants, action, context.clone()).is_ok()
        };
        let covers = |grant: &Grant| {
            asked.operations.iter().all(|op| grant.operations.contains(op))
                && (grant.constraints.is_none() || grant.constraints == asked.constraints)
        };
        let mut grants = key.record().grants.iter();
        if may(&[]) || grants.any(|g| covers(g) && may(std::slice::from_ref(g))) {
            return Ok(());
        }
        Err(KeyError::AccessDenied {
            key: key.arn().to_string(),
            action: "kms:CreateGrant".to_owned(),
            reason: "you have it by a grant, which lets you give no more than it gives you, under \
                     the same constraints"
                .to_owned(),
        })
    }
}

impl CreateGrant {
    fn grant(&self, grant_id: String) -> Grant {
        Grant {
            grant_id,
            grantee_principal: self.grantee_principal.clone(),
            retiring_principal: self.retiring_principal.clone(),
            operations: self.operations.clone(),
            constraints: self.constraints.clone(),
            name: self.name.clone(),
        }
    }

    fn of(grant: &Grant) -> Self {
        let Grant { grantee_principal, retiring_principal, operations, constraints, name, .. } =
            grant.clone();
        Self { grantee_principal, retiring_principal, operations, constraints, name }
    }
}

fn check(key: &KmsKey, asked: &CreateGrant) -> Result<(), KeyError> {
    for principal in std::iter::once(&asked.grantee_principal).chain(&asked.retiring_principal) {
        if principal.len() > PRINCIPAL_CHARS_MAX || !is_principal(principal) {
            let reason = "name an account, user, role, session or service";
            return Err(refused("InvalidArnException", format!("principal {principal}"), reason));
        }
    }
    let usage = key.record().usage;
    let own: &[&str] = match usage {
        KeyUsage::EncryptDecrypt => &FOR_ENCRYPTION,
        KeyUsage::SignVerify => &FOR_SIGNING,
    };
    let known = |op: &str| FOR_ALL.contains(&op) || own.contains(&op);
    let operations: BTreeSet<&String> = asked.operations.iter().collect();
    if operations.is_empty() || operations.len() < asked.operations.len() {
        return Err(invalid("the grant", "name at least one operation, and each once"));
    }
    if let Some(op) = asked.operations.iter().find(|op| !known(op)) {
        let reason =
            format!("a key for {} has {}, {}", usage.as_str(), own.join(", "), FOR_ALL.join(", "));
        return Err(invalid(format!("operation {op}"), reason));
    }
    if asked.name.as_ref().is_some_and(|n| !(1..=NAME_CHARS_MAX).contains(&n.chars().count())) {
        return Err(invalid("the grant's name", format!("give 1 to {NAME_CHARS_MAX} characters")));
    }
    let Some(constraints) = &asked.constraints else { return Ok(()) };
    let GrantConstraint { encryption_context_equals, encryption_context_subset, source_arn } =
        constraints;
    let is_arn = |arn: &String| arn.starts_with("arn:") && arn.len() <= SOURCE_ARN_CHARS_MAX;
    if source_arn.as_ref().is_some_and(|arn| !is_arn(arn)) {
        let reason = format!("give an ARN of at most {SOURCE_ARN_CHARS_MAX} characters");
        return Err(refused("InvalidArnException", "the grant's source", reason));
    }
    let pairs = encryption_context_equals.iter().chain(encryption_context_subset).flatten();
    let chars: usize = pairs.map(|(n, v)| n.chars().count() + v.chars().count()).sum();
    if chars > CONSTRAINT_CHARS_MAX {
        let reason = format!("{chars} characters; at most {CONSTRAINT_CHARS_MAX}");
        return Err(invalid("the encryption context of the grant", reason));
    }
    let contexts = encryption_context_equals.is_some() || encryption_context_subset.is_some();
    if contexts && usage != KeyUsage::EncryptDecrypt {
        return Err(invalid("the constraints", "a key that signs has no encryption context"));
    }
    Ok(())
}

/// Whether it has the form of one; whether anybody has that name is not known here.
fn is_principal(text: &str) -> bool {
    let role = || {
        text.split_once(":role/").is_some_and(|(account, name)| {
            // A role's ARN differs from a user's in this word alone.
            format!("{account}:user/{name}").parse::<Principal>().is_ok()
        })
    };
    text.parse::<Principal>().is_ok() || role()
}

fn no_grant(key: &KmsKey, grant_id: &str) -> KeyError {
    refused("NotFoundException", format!("grant {grant_id}"), format!("{} has none", key.arn()))
}
