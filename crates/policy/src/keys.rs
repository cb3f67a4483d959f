//! The condition keys that policies may name, with the type of their values.

/// The type of a key's values, which decides the operators it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    String,
    Arn,
    Bool,
    Numeric,
    Date,
    IpAddress,
}

/// The names before which a pair's name completes a key, as in
/// `kms:EncryptionContext:aws:s3:arn`.
pub(crate) const ENCRYPTION_CONTEXT: &str = "kms:encryptioncontext:";

/// The type of a key; None for one that is not known.
pub(crate) fn type_of(key: &str) -> Option<KeyType> {
    let key = key.to_ascii_lowercase();
    if key.strip_prefix(ENCRYPTION_CONTEXT).is_some_and(|name| !name.is_empty()) {
        return Some(KeyType::String);
    }
    KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key)).map(|(_, value)| *value)
}

/// IAM user guide, "AWS global condition context keys"; service authorization reference, "Condition
/// keys for AWS KMS" and "for Amazon S3". Keys of tags are left out: nothing here has tags.
const KEYS: &[(&str, KeyType)] = &[
    ("aws:CalledVia", KeyType::String),
    ("aws:CurrentTime", KeyType::Date),
    ("aws:EpochTime", KeyType::Date),
    ("aws:MultiFactorAuthAge", KeyType::Numeric),
    ("aws:MultiFactorAuthPresent", KeyType::Bool),
    ("aws:PrincipalAccount", KeyType::String),
    ("aws:PrincipalArn", KeyType::Arn),
    ("aws:PrincipalIsAWSService", KeyType::Bool),
    ("aws:PrincipalOrgID", KeyType::String),
    ("aws:PrincipalServiceName", KeyType::String),
    ("aws:PrincipalType", KeyType::String),
    ("aws:Referer", KeyType::String),
    ("aws:RequestedRegion", KeyType::String),
    ("aws:ResourceAccount", KeyType::String),
    ("aws:ResourceOrgID", KeyType::String),
    ("aws:SecureTransport", KeyType::Bool),
    ("aws:SourceAccount", KeyType::String),
    ("aws:SourceArn", KeyType::Arn),
    ("aws:SourceIp", KeyType::IpAddress),
    ("aws:SourceOrgID", KeyType::String),
    ("aws:SourceOrgPaths", KeyType::String),
    ("aws:SourceVpc", KeyType::String),
    ("aws:SourceVpce", KeyType::String),
    ("aws:TokenIssueTime", KeyType::Date),
    ("aws:UserAgent", KeyType::String),
    ("aws:ViaAWSService", KeyType::Bool),
    ("aws:userid", KeyType::String),
    ("aws:username", KeyType::String),
    ("kms:BypassPolicyLockoutSafetyCheck", KeyType::Bool),
    ("kms:CallerAccount", KeyType::String),
    ("kms:EncryptionAlgorithm", KeyType::String),
    ("kms:EncryptionContextKeys", KeyType::String),
    ("kms:GrantConstraintType", KeyType::String),
    ("kms:GrantIsForAWSResource", KeyType::Bool),
    ("kms:GrantOperations", KeyType::String),
    ("kms:GranteePrincipal", KeyType::Arn),
    ("kms:KeyOrigin", KeyType::String),
    ("kms:KeySpec", KeyType::String),
    ("kms:KeyUsage", KeyType::String),
    ("kms:MessageType", KeyType::String),
    ("kms:MultiRegion", KeyType::Bool),
    ("kms:ReplicaRegion", KeyType::String),
    ("kms:RequestAlias", KeyType::String),
    ("kms:ResourceAliases", KeyType::String),
    ("kms:RetiringPrincipal", KeyType::Arn),
    ("kms:ScheduleKeyDeletionPendingWindowInDays", KeyType::Numeric),
    ("kms:SigningAlgorithm", KeyType::String),
    ("kms:ViaService", KeyType::String),
    ("s3:LocationConstraint", KeyType::String),
    ("s3:ResourceAccount", KeyType::String),
    ("s3:TlsVersion", KeyType::Numeric),
    ("s3:VersionId", KeyType::String),
    ("s3:authType", KeyType::String),
    ("s3:delimiter", KeyType::String),
    ("s3:if-match", KeyType::String),
    ("s3:if-none-match", KeyType::String),
    ("s3:max-keys", KeyType::Numeric),
    ("s3:object-lock-legal-hold", KeyType::String),
    ("s3:object-lock-mode", KeyType::String),
    ("s3:object-lock-remaining-retention-days", KeyType::Numeric),
    ("s3:object-lock-retain-until-date", KeyType::Date),
    ("s3:prefix", KeyType::String),
    ("s3:signatureAge", KeyType::Numeric),
    ("s3:signatureversion", KeyType::String),
    ("s3:x-amz-acl", KeyType::String),
    ("s3:x-amz-content-sha256", KeyType::String),
    ("s3:x-amz-copy-source", KeyType::String),
    ("s3:x-amz-metadata-directive", KeyType::String),
    ("s3:x-amz-server-side-encryption", KeyType::String),
    ("s3:x-amz-server-side-encryption-aws-kms-key-id", KeyType::Arn),
    ("s3:x-amz-server-side-encryption-customer-algorithm", KeyType::String),
    ("s3:x-amz-storage-class", KeyType::String),
];
