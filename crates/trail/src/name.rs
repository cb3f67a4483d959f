//! Names that appear in keys and ARNs, each a type that admits nothing else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseError;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(s: &str) -> Result<Self, ParseError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(s) {
                    Ok(Self(s.to_owned()))
                } else {
                    Err(ParseError::new($what, s, $expected))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;
            fn try_from(s: String) -> Result<Self, ParseError> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// An AWS account id: twelve digits.
    AccountId,
    "account id",
    "twelve digits",
    |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit())
);

name_type!(
    /// A region: `[a-z0-9-]{3,32}`, not checked against a list (contract section 2), because
    /// new regions appear without notice.
    Region,
    "region",
    "3 to 32 of a-z, 0-9 and -",
    |s| (3..=32).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

name_type!(
    /// An AWS Organizations id: `o-` and 10 to 32 lower-case letters or digits.
    OrgId,
    "organization id",
    "o- and 10 to 32 lower-case letters or digits",
    |s| s.strip_prefix("o-").is_some_and(|rest| {
        (10..=32).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
);

name_type!(
    /// A trail's name (CloudTrail API, CreateTrail): 3 to 128 letters, digits, `.`, `_`, `-`;
    /// first and last a letter or digit; no two of `._-` side by side; not an IPv4 address.
    TrailName,
    "trail name",
    "3 to 128 letters, digits, . _ -, none of . _ - at an end or side by side, and no IP address",
    valid_trail_name
);

name_type!(
    /// A bucket's name (S3 user guide, "General purpose bucket naming rules"): 3 to 63 lower-case
    /// letters, digits, `.`, `-`; first and last a letter or digit; not an IPv4 address.
    BucketName,
    "bucket name",
    "3 to 63 of a-z, 0-9, . and -, starting and ending with a letter or digit, and no IP address",
    valid_bucket_name
);

fn valid_trail_name(s: &str) -> bool {
    let alphanumeric = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let b = s.as_bytes();
    (3..=128).contains(&b.len())
        && alphanumeric(b.first())
        && alphanumeric(b.last())
        && b.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        && b.windows(2).all(|w| w.iter().any(u8::is_ascii_alphanumeric))
        && s.parse::<std::net::Ipv4Addr>().is_err()
}

fn valid_bucket_name(s: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let b = s.as_bytes();
    (3..=63).contains(&b.len())
        && edge(b.first())
        && edge(b.last())
        && b.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(b))
        && !s.contains("..")
        && s.parse::<std::net::Ipv4Addr>().is_err()
}

/// The partition that a region belongs to, judged by the region's name as the AWS SDKs do.
#[must_use]
pub fn partition_of(region: &Region) -> &'static str {
    let r = region.as_str();
    // Longest prefixes first: us-isob- also begins with us-iso.
    const PREFIXES: [(&str, &str); 6] = [
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
        ("cn-", "aws-cn"),
    ];
    PREFIXES.iter().find(|(p, _)| r.starts_with(p)).map_or("aws", |(_, partition)| partition)
}

/// A trail's ARN, `arn:PARTITION:cloudtrail:HOME-REGION:ACCOUNT:trail/NAME`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrailArn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// The region the trail was made in.
    pub home_region: Region,
    /// The account that owns the trail.
    pub account: AccountId,
    /// The trail's name.
    pub name: TrailName,
}

impl TrailArn {
    /// The ARN of a trail in the partition of its home region.
    #[must_use]
    pub fn new(account: AccountId, home_region: Region, name: TrailName) -> Self {
        Self { partition: partition_of(&home_region).to_owned(), home_region, account, name }
    }
}

impl FromStr for TrailArn {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong =
            || ParseError::new("trail ARN", s, "arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME");
        let arn = Arn::split(s).ok_or_else(wrong)?;
        let name = arn.resource.strip_prefix("trail/").ok_or_else(wrong)?;
        if arn.service != "cloudtrail" {
            return Err(wrong());
        }
        Ok(Self {
            partition: arn.partition.to_owned(),
            home_region: arn.region.parse()?,
            account: arn.account.parse()?,
            name: name.parse()?,
        })
    }
}

impl fmt::Display for TrailArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, home_region, account, name } = self;
        write!(f, "arn:{partition}:cloudtrail:{home_region}:{account}:trail/{name}")
    }
}

impl fmt::Debug for TrailArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A KMS key's ARN, `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyArn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// The region the key lives in; it must be the bucket's.
    pub region: Region,
    /// The account that owns the key.
    pub account: AccountId,
    /// The key id: a UUID, or `mrk-` and 32 hex digits.
    pub id: String,
}

impl FromStr for KeyArn {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("KMS key ARN", s, "arn:aws:kms:REGION:ACCOUNT:key/ID");
        let arn = Arn::split(s).ok_or_else(wrong)?;
        let id = arn.resource.strip_prefix("key/").ok_or_else(wrong)?;
        if arn.service != "kms" || !valid_key_id(id) {
            return Err(wrong());
        }
        Ok(Self {
            partition: arn.partition.to_owned(),
            region: arn.region.parse()?,
            account: arn.account.parse()?,
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, id } = self;
        write!(f, "arn:{partition}:kms:{region}:{account}:key/{id}")
    }
}

impl fmt::Debug for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn valid_key_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// What a KMS API takes as `KeyId`: a key id, key ARN, alias name or alias ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRef {
    /// A key id in the region asked.
    Id(String),
    /// A full key ARN.
    Arn(KeyArn),
    /// An alias name without `alias/`, with region and account of its ARN when given as one.
    Alias {
        /// The name after `alias/`.
        name: String,
        /// The region that an alias ARN names.
        region: Option<Region>,
        /// The account that an alias ARN names.
        account: Option<AccountId>,
    },
}

impl FromStr for KeyRef {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let expected = "a key id, key ARN, alias/NAME or alias ARN";
        let wrong = || ParseError::new("KMS key", s, expected);
        let alias = |name: &str, region, account| {
            let valid = (1..=250).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b));
            let name = name.to_owned();
            if valid { Ok(Self::Alias { name, region, account }) } else { Err(wrong()) }
        };
        if let Some(name) = s.strip_prefix("alias/") {
            return alias(name, None, None);
        }
        if s.starts_with("arn:") {
            let arn = Arn::split(s).filter(|a| a.service == "kms").ok_or_else(wrong)?;
            return match arn.resource.strip_prefix("alias/") {
                Some(name) => alias(name, Some(arn.region.parse()?), Some(arn.account.parse()?)),
                None => s.parse().map(Self::Arn),
            };
        }
        if valid_key_id(s) { Ok(Self::Id(s.to_owned())) } else { Err(wrong()) }
    }
}

struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn split(s: &'a str) -> Option<Self> {
        let mut parts = s.splitn(6, ':');
        let mut next = || parts.next();
        let (arn, partition) = (next()?, next()?);
        let known = arn == "arn" && partition.starts_with("aws");
        let rest = Self {
            partition,
            service: next()?,
            region: next()?,
            account: next()?,
            resource: next()?,
        };
        known.then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trail_names() {
        for ok in ["abc", "foo_us-east-1_bar", "a.b", "A1-b_2", "1.2.3.4.5"] {
            assert!(ok.parse::<TrailName>().is_ok(), "{ok}");
        }
        for bad in
            ["ab", "-abc", "abc_", "a--b", "a._b", "1.2.3.4", "ab c", "a/b", &"x".repeat(129)]
        {
            assert!(bad.parse::<TrailName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_are_not_checked_against_a_list() {
        for ok in ["us-east-1", "sagov-westsouth-1r", "abc"] {
            assert!(ok.parse::<Region>().is_ok(), "{ok}");
        }
        for bad in ["ab", "US-EAST-1", "us_east_1", "../etc", "", &"a".repeat(33)] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }

    #[test]
    fn partitions() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(partition_of(&region.parse().unwrap()), partition);
        }
    }

    #[test]
    fn arns_round_trip() {
        let trail = "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/a_b";
        assert_eq!(trail.parse::<TrailArn>().unwrap().to_string(), trail);
        let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(key.parse::<KeyArn>().unwrap().to_string(), key);
        for bad in ["arn:aws:kms:eu-west-1:111122223333:alias/x", "arn:aws:s3:::b", "key/1"] {
            assert!(bad.parse::<KeyArn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn key_references() {
        let alias = |region: Option<&str>, account: Option<&str>| KeyRef::Alias {
            name: "main".into(),
            region: region.map(|r| r.parse().unwrap()),
            account: account.map(|a| a.parse().unwrap()),
        };
        assert_eq!("alias/main".parse(), Ok(alias(None, None)));
        assert_eq!(
            "arn:aws:kms:eu-west-1:111122223333:alias/main".parse(),
            Ok(alias(Some("eu-west-1"), Some("111122223333")))
        );
        assert!(matches!("mrk-0123".parse(), Ok(KeyRef::Id(_))));
        assert!("alias/".parse::<KeyRef>().is_err());
        assert!("../x".parse::<KeyRef>().is_err());
    }
}
