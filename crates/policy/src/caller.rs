//! Who makes a request.

use std::fmt;
use std::str::FromStr;

use trail::name::OrgId;
use trail::{AccountId, ParseError};

use crate::document::Policy;
use crate::wildcard::arn_parts;

/// An identity, as `sts get-caller-identity` names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// An account's root user.
    Root {
        /// `aws`, `aws-cn`, `aws-us-gov`.
        partition: String,
        /// Its account.
        account: AccountId,
    },
    /// An IAM user.
    User {
        /// `aws`, `aws-cn`, `aws-us-gov`.
        partition: String,
        /// Its account.
        account: AccountId,
        /// Path and name, such as `division/alice`.
        name: String,
    },
    /// A session of an IAM role.
    Role {
        /// `aws`, `aws-cn`, `aws-us-gov`.
        partition: String,
        /// The role's account.
        account: AccountId,
        /// The role's path and name; read from a session's ARN, which has no path, the name.
        role: String,
        /// The session's name.
        session: String,
    },
    /// An AWS service, such as `cloudtrail.amazonaws.com`.
    Service(String),
}

impl Principal {
    /// The account; a service has none.
    #[must_use]
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Root { account, .. }
            | Self::User { account, .. }
            | Self::Role { account, .. } => Some(account),
            Self::Service(_) => None,
        }
    }

    /// The value of `aws:PrincipalArn`: of a role's session the role, of a service none. A
    /// condition on a role with a path needs the path in [`Principal::Role`].
    #[must_use]
    pub fn policy_arn(&self) -> Option<String> {
        match self {
            Self::Root { .. } | Self::User { .. } => Some(self.to_string()),
            Self::Role { partition, account, role, .. } => {
                Some(format!("arn:{partition}:iam::{account}:role/{role}"))
            }
            Self::Service(_) => None,
        }
    }
}

/// The ARN as `sts get-caller-identity` gives it (of a role's session: `assumed-role/…`); a
/// service's name.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { partition, account } => write!(f, "arn:{partition}:iam::{account}:root"),
            Self::User { partition, account, name } => {
                write!(f, "arn:{partition}:iam::{account}:user/{name}")
            }
            Self::Role { partition, account, role, session } => {
                let name = last_segment(role);
                write!(f, "arn:{partition}:sts::{account}:assumed-role/{name}/{session}")
            }
            Self::Service(name) => f.write_str(name),
        }
    }
}

impl FromStr for Principal {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = || {
            let expected = "the ARN of an account's root, a user or an assumed role's session, \
                            or a service such as cloudtrail.amazonaws.com";
            ParseError::new("principal", s, expected)
        };
        if is_service(s) {
            return Ok(Self::Service(s.to_owned()));
        }
        let arn = IamArn::split(s).ok_or_else(wrong)?;
        let (partition, account) = (arn.partition.to_owned(), arn.account);
        match (arn.service, arn.resource.split_once('/')) {
            ("iam", None) if arn.resource == "root" => Ok(Self::Root { partition, account }),
            ("iam", Some(("user", name))) if is_path_and_name(name) => {
                Ok(Self::User { partition, account, name: name.to_owned() })
            }
            ("sts", Some(("assumed-role", rest))) => match rest.split_once('/') {
                Some((role, session)) if is_name(role) && is_name(session) => Ok(Self::Role {
                    partition,
                    account,
                    role: role.to_owned(),
                    session: session.to_owned(),
                }),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }
}

/// `arn:PARTITION:iam|sts::ACCOUNT:RESOURCE`.
pub(crate) struct IamArn<'a> {
    pub(crate) partition: &'a str,
    pub(crate) service: &'a str,
    pub(crate) account: AccountId,
    pub(crate) resource: &'a str,
}

impl<'a> IamArn<'a> {
    pub(crate) fn split(s: &'a str) -> Option<Self> {
        let [_, partition, service, "", account, resource] = arn_parts(s)? else { return None };
        let partition_char = |b: u8| b.is_ascii_lowercase() || b == b'-';
        if !partition.starts_with("aws") || !partition.bytes().all(partition_char) {
            return None;
        }
        Some(Self { partition, service, account: account.parse().ok()?, resource })
    }
}

/// A user's or role's name behind its path (IAM user guide, "IAM and AWS STS quotas": a path
/// has up to 512 characters, a name up to 64).
pub(crate) fn is_path_and_name(s: &str) -> bool {
    let (path, name) = s.rsplit_once('/').unwrap_or(("", s));
    // A path may have any visible ASCII; wildcards would not mean what they seem to.
    let path_char = |b: u8| b.is_ascii_graphic() && !b"*?:".contains(&b);
    path.len() <= 512 && path.bytes().all(path_char) && is_name(name)
}

/// A user's, role's or session's name.
fn is_name(s: &str) -> bool {
    (1..=64).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

/// Behind the path.
pub(crate) fn last_segment(path_and_name: &str) -> &str {
    path_and_name.rsplit('/').next().unwrap_or(path_and_name)
}

fn is_service(s: &str) -> bool {
    let name = s.strip_suffix(".cn").unwrap_or(s).strip_suffix(".amazonaws.com").unwrap_or("");
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    s.len() <= 128 && name.split('.').all(label)
}

/// A principal with what its own account lets it do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// Its identity policies; an account's root needs none.
    pub policies: Vec<Policy>,
    /// The organization its account belongs to (`aws:PrincipalOrgID`).
    pub organization: Option<OrgId>,
}

impl Caller {
    /// The root user of an account.
    #[must_use]
    pub fn root(partition: &str, account: AccountId) -> Self {
        let principal = Principal::Root { partition: partition.to_owned(), account };
        Self { principal, policies: Vec::new(), organization: None }
    }
}
