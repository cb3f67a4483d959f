//! Conditions: an operator, a key, and the values one of which must be met (IAM user guide,
//! "Condition operators" and "Conditions with multiple context keys or values").

use std::net::IpAddr;

use trail::Timestamp;

use crate::context::Context;
use crate::keys::{self, KeyType};
use crate::wildcard;

/// One operator applied to one key.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    key: String,
    quantifier: Option<Quantifier>,
    if_exists: bool,
    test: Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone)]
enum Test {
    /// Whether the key is absent, for each value given.
    Null(Vec<bool>),
    Compare {
        negated: bool,
        operands: Vec<Operand>,
    },
}

/// A value of the policy, with how a value of the request is compared to it.
#[derive(Debug, Clone)]
enum Operand {
    Text(String),
    /// In lower case.
    Caseless(String),
    Pattern(String),
    Arn(String),
    Bool(bool),
    Number(Order, i128),
    Time(Order, Timestamp),
    Network(Network),
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Null,
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Bool,
    Numeric(Order),
    Date(Order),
    IpAddress,
}

/// Operators by name; true for the negated ones.
const OPERATORS: &[(&str, Comparison, bool)] = &[
    ("Null", Comparison::Null, false),
    ("StringEquals", Comparison::Equals, false),
    ("StringNotEquals", Comparison::Equals, true),
    ("StringEqualsIgnoreCase", Comparison::EqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Comparison::EqualsIgnoreCase, true),
    ("StringLike", Comparison::Like, false),
    ("StringNotLike", Comparison::Like, true),
    ("ArnEquals", Comparison::Arn, false),
    ("ArnNotEquals", Comparison::Arn, true),
    ("ArnLike", Comparison::Arn, false),
    ("ArnNotLike", Comparison::Arn, true),
    ("Bool", Comparison::Bool, false),
    ("NumericEquals", Comparison::Numeric(Order::Equal), false),
    ("NumericNotEquals", Comparison::Numeric(Order::Equal), true),
    ("NumericLessThan", Comparison::Numeric(Order::Less), false),
    ("NumericLessThanEquals", Comparison::Numeric(Order::LessEqual), false),
    ("NumericGreaterThan", Comparison::Numeric(Order::Greater), false),
    ("NumericGreaterThanEquals", Comparison::Numeric(Order::GreaterEqual), false),
    ("DateEquals", Comparison::Date(Order::Equal), false),
    ("DateNotEquals", Comparison::Date(Order::Equal), true),
    ("DateLessThan", Comparison::Date(Order::Less), false),
    ("DateLessThanEquals", Comparison::Date(Order::LessEqual), false),
    ("DateGreaterThan", Comparison::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Comparison::Date(Order::GreaterEqual), false),
    ("IpAddress", Comparison::IpAddress, false),
    ("NotIpAddress", Comparison::IpAddress, true),
];

impl Condition {
    /// Reads `"OPERATOR": {"KEY": VALUES}`.
    pub(crate) fn parse(operator: &str, key: &str, values: &[String]) -> Result<Self, String> {
        let (quantifier, rest) = match operator.split_once(':') {
            Some(("ForAllValues", rest)) => (Some(Quantifier::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::ForAnyValue), rest),
            _ => (None, operator),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        let (_, comparison, negated) = OPERATORS
            .iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(|| format!("Condition operator {operator:?} is not known"))?;
        if matches!(comparison, Comparison::Null) && (quantifier.is_some() || if_exists) {
            return Err(format!("Condition operator {operator:?} is not known; use \"Null\""));
        }
        let key_type = keys::type_of(key).ok_or_else(|| {
            format!("Condition key {key:?} is not known, so it would never apply")
        })?;
        if !comparison.takes(key_type) {
            return Err(format!("Condition key {key:?} has no values that {name} compares"));
        }
        let test = match comparison {
            Comparison::Null => {
                let absent = values.iter().map(|v| parse_bool(v).ok_or(v));
                Test::Null(absent.collect::<Result<_, _>>().map_err(|v| {
                    format!("Condition {operator} {key:?}: {v:?} is not \"true\" or \"false\"")
                })?)
            }
            _ => {
                let operands = values.iter().map(|value| {
                    comparison
                        .operand(value)
                        .map_err(|e| format!("Condition {operator} {key:?}: {value:?} {e}"))
                });
                Test::Compare { negated: *negated, operands: operands.collect::<Result<_, _>>()? }
            }
        };
        Ok(Self { key: key.to_ascii_lowercase(), quantifier, if_exists, test })
    }

    pub(crate) fn holds(&self, context: &Context) -> bool {
        let values = context.get(&self.key);
        let (negated, operands) = match &self.test {
            Test::Null(absent) => return absent.contains(&values.is_none()),
            Test::Compare { negated, operands } => (*negated, operands),
        };
        let equal = |value: &String| operands.iter().any(|operand| operand.matches(value));
        // To a set operator, an empty string is an empty set.
        let is_set = |v: &&[String]| self.quantifier.is_none() || !v.iter().all(String::is_empty);
        match (values.filter(is_set), self.quantifier) {
            (None, _) if self.if_exists => true,
            (None, Some(quantifier)) => quantifier == Quantifier::ForAllValues,
            (None, None) => negated,
            (Some(values), None) => values.iter().any(equal) != negated,
            (Some(values), Some(Quantifier::ForAllValues)) => {
                values.iter().all(|value| equal(value) != negated)
            }
            (Some(values), Some(Quantifier::ForAnyValue)) => {
                values.iter().any(|value| equal(value) != negated)
            }
        }
    }

    /// Whether only requests by or for accounts, organizations or identities that the policy
    /// names can meet it. A condition that an absent key meets does not, nor one on where a
    /// request comes from or what it is about.
    pub(crate) fn confines(&self) -> bool {
        const CONFINING: [&str; 9] = [
            "aws:principalaccount",
            "aws:principalarn",
            "aws:principalorgid",
            "aws:sourceaccount",
            "aws:sourcearn",
            "aws:sourceorgid",
            "aws:sourceorgpaths",
            "aws:userid",
            "kms:calleraccount",
        ];
        let Test::Compare { negated: false, operands } = &self.test else { return false };
        CONFINING.contains(&self.key.as_str())
            && !self.if_exists
            && self.quantifier != Some(Quantifier::ForAllValues)
            && operands.iter().all(Operand::names_owner)
    }
}

impl Comparison {
    /// Every key's values are strings, too.
    fn takes(self, key_type: KeyType) -> bool {
        match self {
            Self::Null | Self::Equals | Self::EqualsIgnoreCase | Self::Like => true,
            Self::Arn => matches!(key_type, KeyType::Arn | KeyType::String),
            Self::Bool => key_type == KeyType::Bool,
            Self::Numeric(_) => key_type == KeyType::Numeric,
            Self::Date(_) => key_type == KeyType::Date,
            Self::IpAddress => key_type == KeyType::IpAddress,
        }
    }

    fn operand(self, value: &str) -> Result<Operand, &'static str> {
        if value.contains("${") {
            return Err("has a policy variable, which is not supported; write the value out");
        }
        match self {
            Self::Equals => Ok(Operand::Text(value.to_owned())),
            Self::EqualsIgnoreCase => Ok(Operand::Caseless(value.to_lowercase())),
            Self::Like => Ok(Operand::Pattern(value.to_owned())),
            Self::Arn if value == "*" || wildcard::arn_parts(value).is_some() => {
                Ok(Operand::Arn(value.to_owned()))
            }
            Self::Arn => Err("is not an ARN of six parts, arn:PARTITION:SERVICE:REGION:ACCOUNT:…"),
            Self::Bool | Self::Null => {
                parse_bool(value).map(Operand::Bool).ok_or("is not \"true\" or \"false\"")
            }
            Self::Numeric(order) => {
                parse_number(value).map(|n| Operand::Number(order, n)).ok_or("is not a number")
            }
            Self::Date(order) => parse_time(value)
                .map(|t| Operand::Time(order, t))
                .ok_or("is not a time: RFC 3339, or seconds since 1970"),
            Self::IpAddress => Network::parse(value)
                .map(Operand::Network)
                .ok_or("is not an IP address or range, such as 203.0.113.0/24"),
        }
    }
}

impl Operand {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => text == value,
            Self::Caseless(text) => *text == value.to_lowercase(),
            Self::Pattern(pattern) => wildcard::matches(pattern, value),
            Self::Arn(pattern) => wildcard::matches_arn(pattern, value),
            Self::Bool(expected) => parse_bool(value) == Some(*expected),
            Self::Number(order, n) => parse_number(value).is_some_and(|v| order.holds(v, *n)),
            Self::Time(order, t) => parse_time(value).is_some_and(|v| order.holds(v, *t)),
            Self::Network(network) => value.parse().is_ok_and(|ip| network.contains(ip)),
        }
    }

    /// Whether a wildcard stands where the account, organization or identity does: an ARN's
    /// account (or anywhere, in an ARN without one), else what precedes `:` or `/`, as in
    /// `AROAEXAMPLE:*` and `o-example/*`.
    fn names_owner(&self) -> bool {
        let text = match self {
            Self::Text(_) | Self::Caseless(_) => return true,
            Self::Pattern(text) | Self::Arn(text) => text,
            _ => return false,
        };
        let owner = match wildcard::arn_parts(text) {
            Some([_, _, _, _, "", _]) => text,
            Some([_, _, _, _, account, _]) => account,
            None => text.split([':', '/']).next().unwrap_or(text),
        };
        !owner.is_empty() && !owner.contains(['*', '?'])
    }
}

impl Order {
    fn holds<T: Ord + Copy>(self, value: T, operand: T) -> bool {
        match self {
            Self::Equal => value == operand,
            Self::Less => value < operand,
            Self::LessEqual => value <= operand,
            Self::Greater => value > operand,
            Self::GreaterEqual => value >= operand,
        }
    }
}

/// A range of addresses in CIDR notation.
#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(s: &str) -> Option<Self> {
        let (address, prefix) = match s.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (s, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let digits = |p: &str| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|n| digits(prefix) && *n <= bits)?,
            None => bits,
        };
        Some(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        let network = |bits: u128, width: u32| bits.checked_shr(width - self.prefix).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                network(u32::from(a).into(), 32) == network(u32::from(b).into(), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => network(a.into(), 128) == network(b.into(), 128),
            _ => false,
        }
    }
}

fn parse_bool(s: &str) -> Option<bool> {
    match s {
        _ if s.eq_ignore_ascii_case("true") => Some(true),
        _ if s.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A decimal number in billionths, so that numbers compare exactly.
fn parse_number(s: &str) -> Option<i128> {
    const DECIMALS: usize = 9;
    let (negative, digits) = match s.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, s),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |d: &str| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.len() > 20 || fraction.len() > DECIMALS
    {
        return None;
    }
    let billionths: i128 = format!("{whole}{fraction:0<DECIMALS$}").parse().ok()?;
    Some(if negative { -billionths } else { billionths })
}

fn parse_time(s: &str) -> Option<Timestamp> {
    if s.bytes().all(|b| b.is_ascii_digit()) {
        return s.parse().ok().map(Timestamp::from_unix);
    }
    Timestamp::parse_rfc3339(s).ok()
}
