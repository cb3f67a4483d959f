//! Whom a `Principal` element or a grant names.

use trail::AccountId;

use crate::caller::{IamArn, Principal, is_path_and_name, last_segment};
use crate::json::Node;

/// One principal as a policy writes it (IAM user guide, "Principal").
#[derive(Debug, Clone)]
pub(crate) enum Party {
    /// `"*"`: everybody, services too.
    Everyone,
    /// `{"AWS": "*"}`: every principal of every account.
    AnyAccount,
    /// An account, which may delegate to its own principals.
    Account(AccountId),
    /// A role, and with it its sessions.
    Role { partition: String, account: AccountId, path_and_name: String },
    /// A user, a role's session or a service, as [`Principal`] prints it.
    Identity(String),
}

/// How a caller is named. Naming the account permits nothing to its users and roles by itself;
/// it lets the account do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    ThroughAccount,
    Itself,
}

impl Party {
    /// Reads an account id, an ARN or a service; no wildcard.
    pub(crate) fn named(s: &str) -> Option<Self> {
        if let Ok(account) = s.parse() {
            return Some(Self::Account(account));
        }
        match s.parse() {
            Ok(Principal::Root { account, .. }) => return Some(Self::Account(account)),
            Ok(identity) => return Some(Self::Identity(identity.to_string())),
            Err(_) => {}
        }
        let arn = IamArn::split(s).filter(|arn| arn.service == "iam")?;
        let role = arn.resource.strip_prefix("role/").filter(|role| is_path_and_name(role))?;
        Some(Self::Role {
            partition: arn.partition.to_owned(),
            account: arn.account,
            path_and_name: role.to_owned(),
        })
    }

    pub(crate) fn standing(&self, caller: &Principal) -> Option<Standing> {
        let itself = match (self, caller) {
            (Self::Everyone, _) => true,
            (Self::AnyAccount, _) => caller.account().is_some(),
            (Self::Account(account), Principal::Root { account: own, .. }) => account == own,
            (Self::Account(account), _) => {
                return (caller.account() == Some(account)).then_some(Standing::ThroughAccount);
            }
            (
                Self::Role { partition, account, path_and_name },
                Principal::Role { partition: own, account: own_account, role, .. },
            ) => {
                // A session's ARN does not tell the path. An account has only one role of a name.
                let same_role = path_and_name == role || last_segment(path_and_name) == role;
                partition == own && account == own_account && same_role
            }
            (Self::Role { .. }, _) => false,
            (Self::Identity(identity), _) => *identity == caller.to_string(),
        };
        itself.then_some(Standing::Itself)
    }
}

/// A `Principal` or `NotPrincipal` element.
#[derive(Debug, Clone)]
pub(crate) struct Principals {
    parties: Vec<Party>,
    negated: bool,
}

impl Principals {
    pub(crate) fn parse(name: &str, node: Node) -> Result<Self, String> {
        let mut parties = Vec::new();
        match node {
            Node::Text(all) if all == "*" => parties.push(Party::Everyone),
            Node::Object(members) if !members.is_empty() => {
                for (kind, values) in Node::Object(members).members(name)? {
                    for value in values.texts(&format!("{name} {kind}"))? {
                        parties.push(party(name, &kind, &value)?);
                    }
                }
            }
            Node::Text(_) | Node::Object(_) => {
                return Err(format!("{name} must be \"*\", {{\"AWS\": …}} or {{\"Service\": …}}"));
            }
            other => return Err(format!("{name} is {other}; expected \"*\" or an object")),
        }
        Ok(Self { parties, negated: name == "NotPrincipal" })
    }

    /// How the caller is among those that a statement applies to.
    pub(crate) fn standing(&self, caller: &Principal) -> Option<Standing> {
        if self.negated {
            return (!self.exempts(caller)).then_some(Standing::Itself);
        }
        self.parties.iter().filter_map(|party| party.standing(caller)).max()
    }

    /// Whether everybody of every account is among those named.
    pub(crate) fn name_everyone(&self) -> bool {
        self.parties.iter().any(|p| matches!(p, Party::Everyone | Party::AnyAccount))
    }

    /// A `NotPrincipal` spares whom it names at every level: account, role, session (IAM user
    /// guide, "NotPrincipal": without the account's ARN, the whole account may be denied).
    fn exempts(&self, caller: &Principal) -> bool {
        let any = |test: &dyn Fn(&Party) -> bool| self.parties.iter().any(test);
        let names = |party: &Party| party.standing(caller).is_some();
        let all = any(&|p| matches!(p, Party::Everyone | Party::AnyAccount) && names(p));
        let account = any(&|p| matches!(p, Party::Account(_)) && names(p));
        let role = any(&|p| matches!(p, Party::Role { .. }) && names(p));
        let identity = any(&|p| matches!(p, Party::Identity(_)) && names(p));
        all || match caller {
            Principal::Root { .. } => account,
            Principal::User { .. } => account && identity,
            Principal::Role { .. } => account && role && identity,
            Principal::Service(_) => identity,
        }
    }
}

fn party(name: &str, kind: &str, value: &str) -> Result<Party, String> {
    let party = match (kind, value) {
        ("AWS", "*") => Some(Party::AnyAccount),
        ("AWS", _) => Party::named(value).filter(|_| !is_service(value)),
        ("Service", _) => Party::named(value).filter(|_| is_service(value)),
        _ => {
            return Err(format!("{name} {kind:?} is not known; expected \"AWS\" or \"Service\""));
        }
    };
    party.ok_or_else(|| {
        let expected = match kind {
            "AWS" => {
                "an account id, the ARN of an account's root, a user, a role or a role's session, \
                 or \"*\" alone"
            }
            _ => "a service such as cloudtrail.amazonaws.com",
        };
        format!("{name} {kind} {value:?} is not valid; expected {expected}")
    })
}

fn is_service(value: &str) -> bool {
    matches!(value.parse(), Ok(Principal::Service(_)))
}
