//! One statement of a policy: what it says, and whether it applies to a request.

use trail::name::KeyArn;

use crate::condition::Condition;
use crate::document::Kind;
use crate::json::Node;
use crate::party::{Principals, Standing};
use crate::query::Query;
use crate::wildcard;

/// One statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    /// None in an identity policy: whom it is attached to.
    principals: Option<Principals>,
    actions: Patterns,
    resources: Patterns,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// What an `Action`, `NotAction`, `Resource` or `NotResource` element lists.
#[derive(Debug, Clone)]
struct Patterns {
    patterns: Vec<String>,
    negated: bool,
}

impl Statement {
    pub(crate) fn parse(members: Vec<(String, Node)>, kind: Kind) -> Result<Self, String> {
        let (mut effect, mut principals, mut actions, mut resources) = (None, None, None, None);
        let mut conditions = Vec::new();
        for (name, node) in members {
            match name.as_str() {
                "Sid" => {}
                "Effect" => set(&mut effect, &name, parse_effect(node)?)?,
                "Principal" | "NotPrincipal" if kind == Kind::Identity => {
                    return Err(format!("{name} does not belong in an identity policy"));
                }
                "Principal" | "NotPrincipal" => {
                    let parsed = Principals::parse(&name, node)?;
                    set(&mut principals, &name, (parsed, name == "NotPrincipal"))?;
                }
                "Action" | "NotAction" => {
                    let parsed = Patterns::parse(&name, node, check_action)?;
                    set(&mut actions, &name, parsed.lower_case())?;
                }
                "NotResource" if kind == Kind::Key => {
                    return Err("NotResource does not belong in a key policy".to_owned());
                }
                "Resource" | "NotResource" => {
                    let check = if kind == Kind::Key { check_key } else { check_resource };
                    set(&mut resources, &name, Patterns::parse(&name, node, check)?)?;
                }
                "Condition" => conditions = parse_conditions(node)?,
                _ => {
                    return Err(format!(
                        "{name:?} is not known; a statement has Sid, Effect, Principal, Action, \
                         Resource and Condition"
                    ));
                }
            }
        }
        let effect = effect.ok_or("Effect is missing; give \"Allow\" or \"Deny\"")?;
        let principals = match principals {
            Some((_, true)) if effect == Effect::Allow => {
                return Err("NotPrincipal is for Deny only; name whom to allow".to_owned());
            }
            None if kind != Kind::Identity => {
                return Err("Principal is missing; name whom the statement is for".to_owned());
            }
            principals => principals.map(|(principals, _)| principals),
        };
        Ok(Self {
            effect,
            principals,
            actions: actions.ok_or("Action is missing; name at least one, or \"*\"")?,
            resources: resources.ok_or("Resource is missing; name at least one, or \"*\"")?,
            conditions,
        })
    }

    /// How the statement applies to a request, if it does.
    pub(crate) fn applies(&self, query: &Query<'_>) -> Option<Standing> {
        let standing = match &self.principals {
            Some(principals) => principals.standing(query.principal)?,
            None => Standing::Itself,
        };
        let applies = self.covers_action(&query.action)
            && self.resources.cover(|pattern| wildcard::matches_arn(pattern, query.resource))
            && self.conditions.iter().all(|condition| condition.holds(&query.context));
        applies.then_some(standing)
    }

    /// Whether it allows the action to everyone, whatever the account.
    pub(crate) fn is_open(&self, action: &str) -> bool {
        self.may_allow(action)
            && self.principals.as_ref().is_some_and(Principals::name_everyone)
            && !self.conditions.iter().any(Condition::confines)
    }

    /// Whether it allows the action to anyone, under whatever conditions.
    pub(crate) fn may_allow(&self, action: &str) -> bool {
        self.effect == Effect::Allow && self.covers_action(&action.to_ascii_lowercase())
    }

    /// `action` in lower case.
    fn covers_action(&self, action: &str) -> bool {
        self.actions.cover(|pattern| wildcard::matches(pattern, action))
    }
}

impl Patterns {
    fn parse(
        name: &str,
        node: Node,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Result<Self, String> {
        let patterns = node.texts(name)?;
        for pattern in &patterns {
            if pattern.contains("${") {
                return Err(format!(
                    "{name} {pattern:?} has a policy variable, which is not supported; \
                     write the value out"
                ));
            }
            check(pattern).map_err(|expected| {
                format!("{name} {pattern:?} is not valid; expected {expected}")
            })?;
        }
        Ok(Self { patterns, negated: name.starts_with("Not") })
    }

    fn lower_case(mut self) -> Self {
        self.patterns.iter_mut().for_each(|pattern| pattern.make_ascii_lowercase());
        self
    }

    fn cover(&self, fits: impl Fn(&str) -> bool) -> bool {
        self.patterns.iter().any(|pattern| fits(pattern)) != self.negated
    }
}

/// Fills one of an element and its negation; both would contradict each other.
fn set<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => {
            let plain = name.strip_prefix("Not").unwrap_or(name);
            Err(format!("{plain} and Not{plain} exclude each other; give one"))
        }
    }
}

fn parse_effect(node: Node) -> Result<Effect, String> {
    match node.text("Effect")?.as_str() {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(format!("Effect {other:?} is not valid; expected \"Allow\" or \"Deny\"")),
    }
}

fn check_action(action: &str) -> Result<(), &'static str> {
    let valid = match action.split_once(':') {
        None => action == "*",
        Some(("*", name)) => name == "*",
        Some((service, name)) => {
            let service_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let name_char = |b: u8| b.is_ascii_alphanumeric() || b"*?".contains(&b);
            !service.is_empty()
                && !name.is_empty()
                && service.bytes().all(service_char)
                && name.bytes().all(name_char)
        }
    };
    if valid {
        Ok(())
    } else {
        Err("SERVICE:NAME, such as \"kms:Decrypt\" or \"s3:Get*\", or \"*\"")
    }
}

fn check_resource(resource: &str) -> Result<(), &'static str> {
    if resource == "*" || wildcard::arn_parts(resource).is_some() {
        return Ok(());
    }
    Err("\"*\" or an ARN of six parts, arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE")
}

/// In a key policy, only the key itself can be meant (KMS developer guide, "Key policies").
fn check_key(resource: &str) -> Result<(), &'static str> {
    if resource == "*" || resource.parse::<KeyArn>().is_ok() {
        return Ok(());
    }
    Err("\"*\", which is the key itself, or the key's ARN")
}

fn parse_conditions(node: Node) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (operator, keys) in node.members("Condition")? {
        let block = format!("Condition {operator}");
        let keys = keys.members(&block)?;
        for (i, (key, _)) in keys.iter().enumerate() {
            if keys[..i].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(key)) {
                return Err(format!("{block} has {key:?} twice; name it once"));
            }
        }
        for (key, values) in keys {
            let values = values.scalars(&format!("{block} {key:?}"))?;
            conditions.push(Condition::parse(&operator, &key, &values)?);
        }
    }
    Ok(conditions)
}
