//! KMS grants: permissions to use one key, given without touching its policy.

use serde::{Deserialize, Serialize};
use trail::ports::Pairs;

use crate::party::{Party, Standing};
use crate::query::Query;

/// A grant (KMS API, CreateGrant).
///
/// Where one grant permits to make another, the service must compare both grants' operations and
/// constraints besides: a decision knows nothing of the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Grant {
    /// Its id: 64 hex digits.
    pub grant_id: String,
    /// ARN or service name of who may use the key.
    pub grantee_principal: String,
    /// ARN of who else may retire the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring_principal: Option<String>,
    /// What the grantee may do: `Decrypt`, `GenerateDataKey`, …
    pub operations: Vec<String>,
    /// Under which encryption contexts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraints: Option<GrantConstraint>,
    /// A name; the same grant asked for twice under one name is one grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a grant's uses must meet, all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GrantConstraint {
    /// The encryption context is exactly this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_context_equals: Option<Pairs>,
    /// The encryption context has these pairs, and maybe others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_context_subset: Option<Pairs>,
    /// The request is made for this resource (`aws:SourceArn`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_arn: Option<String>,
}

/// The operations without an encryption context, which constraints on it do not bind (KMS API,
/// GrantConstraints).
const WITHOUT_ENCRYPTION_CONTEXT: [&str; 9] = [
    "CreateGrant",
    "DeriveSharedSecret",
    "DescribeKey",
    "GenerateMac",
    "GetPublicKey",
    "RetireGrant",
    "Sign",
    "Verify",
    "VerifyMac",
];

impl Grant {
    /// How the grant lets the caller do what it asks for, if it does.
    pub(crate) fn permits(&self, query: &Query<'_>) -> Option<Standing> {
        let standing = Party::named(&self.grantee_principal)?.standing(query.principal)?;
        let operation = query.action.strip_prefix("kms:")?;
        let granted = self.operations.iter().find(|o| o.eq_ignore_ascii_case(operation))?;
        let met = self.constraints.as_ref().is_none_or(|c| c.is_met(granted, query));
        met.then_some(standing)
    }
}

impl GrantConstraint {
    fn is_met(&self, operation: &str, query: &Query<'_>) -> bool {
        let context = query.context.encryption_context();
        let source = query.context.get("aws:SourceArn").unwrap_or_default();
        let has = |(name, value): (&String, &String)| context.get(name) == Some(value);
        let exact = self.encryption_context_equals.as_ref().is_none_or(|pairs| pairs == context);
        let subset = self.encryption_context_subset.as_ref();
        let subset = subset.is_none_or(|pairs| pairs.iter().all(has));
        let source_fits = self.source_arn.as_ref().is_none_or(|arn| source.contains(arn));
        let free = WITHOUT_ENCRYPTION_CONTEXT.contains(&operation);
        source_fits && (free || (exact && subset))
    }
}
