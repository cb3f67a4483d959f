//! Decisions, as IAM makes them (IAM user guide, "Policy evaluation logic").

use trail::AccountId;

use crate::caller::{Caller, Principal};
use crate::context::Context;
use crate::document::{Kind, Policy};
use crate::grant::Grant;
use crate::party::Standing;
use crate::query::Query;

/// What a caller wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Such as `kms:Decrypt`.
    pub action: &'a str,
    /// The ARN of the key, bucket or object.
    pub resource: &'a str,
    /// The account that owns the key or bucket.
    pub owner: &'a AccountId,
    /// Condition keys. The caller's own (`aws:PrincipalArn`, …) and `aws:ResourceAccount` are
    /// added by the decision, and replace what is given here.
    pub context: &'a Context,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, and why: which statement denies, or what would have had to allow.
    Deny(String),
}

/// Whether the caller may use a KMS key (KMS developer guide, "Key policies", "Grants",
/// "Allowing users in other accounts to use a KMS key").
#[must_use]
pub fn key_access(
    caller: &Caller,
    policy: &Policy,
    grants: &[Grant],
    request: Request<'_>,
) -> Decision {
    let query = Query::new(caller, request);
    if let Some(denial) = explicit_denial(caller, Some(("key policy", policy)), &query) {
        return denial;
    }
    let foreign = is_foreign(caller, request);
    if foreign && !crosses_accounts(request.action) {
        let Request { action, owner, .. } = request;
        return Decision::Deny(format!("{action} is for principals of account {owner} only"));
    }
    let by_policy = policy.allows(&query);
    let by_grant = grants.iter().filter_map(|grant| grant.permits(&query)).max();
    let by_key = by_policy.max(by_grant);
    let by_identity = identity_allows(caller, &query);
    // A grant to the principal itself needs nothing beside it, whatever the account.
    let alone =
        by_grant == Some(Standing::Itself) || (by_policy == Some(Standing::Itself) && !foreign);
    if alone || (by_key.is_some() && by_identity) {
        return Decision::Allow;
    }
    refusal(&query, "the key policy or a grant", by_key, by_identity)
}

/// Whether the caller may use a bucket or an object in it (IAM user guide, "Cross-account policy
/// evaluation logic").
#[must_use]
pub fn bucket_access(caller: &Caller, policy: Option<&Policy>, request: Request<'_>) -> Decision {
    let query = Query::new(caller, request);
    let foreign = is_foreign(caller, request);
    let is_root = matches!(caller.principal, Principal::Root { .. });
    // Else a careless Deny would lock the bucket for ever (S3 API, PutBucketPolicy).
    if is_root && !foreign && BUCKET_POLICY_ACTIONS.contains(&query.action.as_str()) {
        return Decision::Allow;
    }
    let named = policy.map(|policy| ("bucket policy", policy));
    if let Some(denial) = explicit_denial(caller, named, &query) {
        return denial;
    }
    let by_bucket = policy.and_then(|policy| policy.allows(&query));
    let by_identity = identity_allows(caller, &query);
    let allowed = if foreign {
        by_bucket.is_some() && by_identity
    } else {
        by_bucket == Some(Standing::Itself) || by_identity
    };
    if allowed {
        return Decision::Allow;
    }
    refusal(&query, "the bucket policy", by_bucket, by_identity)
}

/// In lower case, as queries have them.
const BUCKET_POLICY_ACTIONS: [&str; 3] =
    ["s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"];

/// What a key policy can permit to other accounts; anything else it permits them has no effect
/// (KMS developer guide, "Allowing users in other accounts to use a KMS key").
const CROSS_ACCOUNT_OPERATIONS: [&str; 20] = [
    "CreateGrant",
    "Decrypt",
    "DeriveSharedSecret",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetKeyRotationStatus",
    "GetPublicKey",
    "ListGrants",
    "ReEncryptFrom",
    "ReEncryptTo",
    "RetireGrant",
    "RevokeGrant",
    "Sign",
    "Verify",
    "VerifyMac",
];

fn crosses_accounts(action: &str) -> bool {
    let operation = action.split_once(':').map_or(action, |(_, operation)| operation);
    CROSS_ACCOUNT_OPERATIONS.iter().any(|known| known.eq_ignore_ascii_case(operation))
}

/// Whether the caller belongs to another account; a service belongs to none.
fn is_foreign(caller: &Caller, request: Request<'_>) -> bool {
    caller.principal.account().is_some_and(|account| account != request.owner)
}

/// Whether the caller's own account lets it: a root user is let everything.
fn identity_allows(caller: &Caller, query: &Query<'_>) -> bool {
    match caller.principal {
        Principal::Root { .. } => true,
        Principal::Service(_) => false,
        _ => caller.policies.iter().any(|policy| policy.allows(query).is_some()),
    }
}

/// The first `Deny` that applies, wherever it stands; or a document that is not of its place.
fn explicit_denial(
    caller: &Caller,
    resource: Option<(&str, &Policy)>,
    query: &Query<'_>,
) -> Option<Decision> {
    let limited = matches!(caller.principal, Principal::User { .. } | Principal::Role { .. });
    let own = caller.policies.iter().filter(|_| limited).enumerate();
    let own = own.map(|(i, policy)| (format!("identity policy {}", i + 1), policy, true));
    let resource = resource.map(|(name, policy)| (name.to_owned(), policy, false));
    resource.into_iter().chain(own).find_map(|(name, policy, is_own)| {
        // Without principals, a resource's policy would be for everyone.
        if (policy.kind() == Kind::Identity) != is_own {
            let kind = policy.kind();
            return Some(Decision::Deny(format!("the {name} was read as one of {kind:?}")));
        }
        let statement = policy.denies(query)?;
        Some(Decision::Deny(format!("{statement} of the {name} denies {query}")))
    })
}

/// Why nothing allows: which side lacks it.
fn refusal(
    query: &Query<'_>,
    resource_side: &str,
    by_resource: Option<Standing>,
    by_identity: bool,
) -> Decision {
    let principal = query.principal;
    Decision::Deny(match (by_resource, by_identity) {
        (Some(_), _) => format!(
            "{resource_side} allows {query} only together with an identity policy of its own \
             account, and none allows it"
        ),
        (None, true) => format!(
            "no statement of {resource_side} allows {query}, and the permission of its own \
             account is not enough"
        ),
        (None, false) if principal.account().is_none() => {
            format!("no statement of {resource_side} allows {query}")
        }
        (None, false) => {
            format!("neither {resource_side} nor an identity policy allows {query}")
        }
    })
}
