//! Object keys of log files and digests: built, and parsed back with nothing let through.
//!
//! Grammar (CloudTrail user guide, "log file examples" and "digest file structure"):
//!
//! ```text
//! log    = [prefix/]AWSLogs/[org/]account/kind/region/YYYY/MM/DD/account_kind_region_stamp_unique.json.gz
//! digest = [prefix/]AWSLogs/[org/]account/CloudTrail-Digest/region/YYYY/MM/DD/
//!          account_CloudTrail-Digest_region_trail_home_stamp[_backfill].json.gz
//! ```
//!
//! Parsing a key and printing it again gives the same bytes; what would not is refused. A
//! trail's name may itself hold `_` and a region, so names are read from both ends.

use std::fmt;
use std::str::FromStr;

use crate::name::{AccountId, OrgId, Region, TrailName};
use crate::{ParseError, Timestamp};

/// What a log file holds; each kind has a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogKind {
    /// Management and data events.
    CloudTrail,
    /// Insights events.
    Insight,
    /// VPC endpoint (network activity) events.
    NetworkActivity,
    /// Five-minute summaries of data events.
    Aggregated,
}

impl LogKind {
    /// All kinds.
    pub const ALL: [Self; 4] =
        [Self::CloudTrail, Self::Insight, Self::NetworkActivity, Self::Aggregated];

    /// The folder's name, which file names repeat.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudTrail => "CloudTrail",
            Self::Insight => "CloudTrail-Insight",
            Self::NetworkActivity => "CloudTrail-NetworkActivity",
            Self::Aggregated => "CloudTrail-Aggregated",
        }
    }
}

impl FromStr for LogKind {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|k| k.as_str() == s)
            .ok_or_else(|| ParseError::new("log kind", s, "CloudTrail or one of its variants"))
    }
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The folder of digests beside the log kinds.
pub const DIGEST_FOLDER: &str = "CloudTrail-Digest";

/// Where one account's files lie: `[prefix/]AWSLogs/[org/]account`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountFolder {
    /// What stands before `AWSLogs`, without the slash; empty for none. May hold slashes.
    pub prefix: String,
    /// The organization whose trail writes here.
    pub org: Option<OrgId>,
    /// The account whose events these are.
    pub account: AccountId,
}

impl fmt::Display for AccountFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.prefix.is_empty() {
            write!(f, "{}/", self.prefix)?;
        }
        f.write_str("AWSLogs/")?;
        if let Some(org) = &self.org {
            write!(f, "{org}/")?;
        }
        write!(f, "{}", self.account)
    }
}

/// A log file's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogKey {
    /// The account's folder.
    pub folder: AccountFolder,
    /// What the file holds.
    pub kind: LogKind,
    /// The region the events were recorded in.
    pub region: Region,
    /// The minute in the name, about the time of delivery.
    pub stamp: Timestamp,
    /// 16 letters or digits without meaning that keep two files of a minute apart.
    pub unique: String,
}

impl LogKey {
    /// The folder that holds every log of this kind and region, with a trailing slash.
    #[must_use]
    pub fn region_folder(folder: &AccountFolder, kind: LogKind, region: &Region) -> String {
        format!("{folder}/{kind}/{region}/")
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, kind, region, stamp, unique } = self;
        let (date, minute, account) = (stamp.date_folders(), stamp.minute_stamp(), &folder.account);
        write!(
            f,
            "{folder}/{kind}/{region}/{date}/{account}_{kind}_{region}_{minute}_{unique}.json.gz"
        )
    }
}

impl FromStr for LogKey {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(
                "log file key",
                s,
                "[prefix/]AWSLogs/[org/]account/kind/region/YYYY/MM/DD/\
                 account_kind_region_YYYYMMDDTHHmmZ_unique.json.gz",
            )
        };
        let path = Path::split(s).ok_or_else(wrong)?;
        let mut parts = path.name.strip_suffix(".json.gz").ok_or_else(wrong)?.split('_');
        let mut next = || parts.next().ok_or_else(wrong);
        let (_account, _kind, _region, stamp, unique) =
            (next()?, next()?, next()?, next()?, next()?);
        if unique.len() != 16 || !unique.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(wrong());
        }
        let key = Self {
            folder: path.folder()?,
            kind: path.kind.parse()?,
            region: path.region.parse()?,
            stamp: Timestamp::parse_minute_stamp(stamp)?,
            unique: unique.to_owned(),
        };
        if key.to_string() == s { Ok(key) } else { Err(wrong()) }
    }
}

/// A digest's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestKey {
    /// The account's folder.
    pub folder: AccountFolder,
    /// The source region: whose logs are digested, and whose key signs.
    pub region: Region,
    /// The trail's name.
    pub trail: TrailName,
    /// The region the trail was made in.
    pub home_region: Region,
    /// `digestEndTime`.
    pub end: Timestamp,
    /// Whether this digest names logs that were too late for their hour's regular digest.
    pub backfill: bool,
}

impl DigestKey {
    /// The folder that holds a folder for every region, with a trailing slash.
    #[must_use]
    pub fn regions_folder(folder: &AccountFolder) -> String {
        format!("{folder}/{DIGEST_FOLDER}/")
    }

    /// The folder that holds every digest of a region, with a trailing slash.
    #[must_use]
    pub fn region_folder(folder: &AccountFolder, region: &Region) -> String {
        format!("{folder}/{DIGEST_FOLDER}/{region}/")
    }
}

impl fmt::Display for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, region, trail, home_region, end, backfill } = self;
        let (date, stamp, account) = (end.date_folders(), end.second_stamp(), &folder.account);
        let tail = if *backfill { "_backfill" } else { "" };
        write!(
            f,
            "{folder}/{DIGEST_FOLDER}/{region}/{date}/\
             {account}_{DIGEST_FOLDER}_{region}_{trail}_{home_region}_{stamp}{tail}.json.gz"
        )
    }
}

impl FromStr for DigestKey {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(
                "digest key",
                s,
                "[prefix/]AWSLogs/[org/]account/CloudTrail-Digest/region/YYYY/MM/DD/\
                 account_CloudTrail-Digest_region_trail_home_YYYYMMDDTHHmmssZ[_backfill].json.gz",
            )
        };
        let path = Path::split(s).ok_or_else(wrong)?;
        let name = path.name.strip_suffix(".json.gz").ok_or_else(wrong)?;
        let (name, backfill) = match name.strip_suffix("_backfill") {
            Some(name) => (name, true),
            None => (name, false),
        };
        // From the right: stamp, home region. From the left: account, folder, region. What
        // remains is the trail's name, whatever it holds.
        let (rest, stamp) = name.rsplit_once('_').ok_or_else(wrong)?;
        let (rest, home_region) = rest.rsplit_once('_').ok_or_else(wrong)?;
        let trail = rest.splitn(4, '_').nth(3).ok_or_else(wrong)?;
        let key = Self {
            folder: path.folder()?,
            region: path.region.parse()?,
            trail: trail.parse()?,
            home_region: home_region.parse()?,
            end: Timestamp::parse_second_stamp(stamp)?,
            backfill,
        };
        if key.to_string() == s { Ok(key) } else { Err(wrong()) }
    }
}

/// The parts of `[prefix/]AWSLogs/[org/]account/kind/region/YYYY/MM/DD/name`.
struct Path<'a> {
    prefix: &'a str,
    org: Option<&'a str>,
    account: &'a str,
    kind: &'a str,
    region: &'a str,
    name: &'a str,
}

impl<'a> Path<'a> {
    fn split(s: &'a str) -> Option<Self> {
        let (rest, name) = s.rsplit_once('/')?;
        let (rest, _day) = rest.rsplit_once('/')?;
        let (rest, _month) = rest.rsplit_once('/')?;
        let (rest, _year) = rest.rsplit_once('/')?;
        let (rest, region) = rest.rsplit_once('/')?;
        let (rest, kind) = rest.rsplit_once('/')?;
        let (root, account) = rest.rsplit_once('/')?;
        let (root, org) = match root.rsplit_once('/') {
            Some((above, org)) if org != "AWSLogs" => (above, Some(org)),
            _ => (root, None),
        };
        let prefix = root.strip_suffix("AWSLogs")?;
        let prefix = if prefix.is_empty() { prefix } else { prefix.strip_suffix('/')? };
        Some(Self { prefix, org, account, kind, region, name })
    }

    fn folder(&self) -> Result<AccountFolder, ParseError> {
        Ok(AccountFolder {
            prefix: self.prefix.to_owned(),
            org: self.org.map(str::parse).transpose()?,
            account: self.account.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_keys_of_every_form() {
        for key in [
            "AWSLogs/111111111111/CloudTrail/eu-central-1/2017/12/11/\
             111111111111_CloudTrail_eu-central-1_20171211T1505Z_A6kvhMoVeCsc7v8U.json.gz",
            "AWSLogs/o-hmvgqmav88/349687196588/CloudTrail/eu-west-2/2026/06/24/\
             349687196588_CloudTrail_eu-west-2_20260624T1240Z_zpKV6nRhbMHCJjFV.json.gz",
            "a/b/AWSLogs/111111111111/CloudTrail-Insight/ca-central-1/2020/09/23/\
             111111111111_CloudTrail-Insight_ca-central-1_20200923T0516Z_KL5e9VCV2SS7IqzB.json.gz",
            "o-hmvgqmav88/AWSLogs/o-hmvgqmav88/111111111111/CloudTrail-NetworkActivity/us-gov-west-1/\
             2020/09/23/111111111111_CloudTrail-NetworkActivity_us-gov-west-1_20200923T0516Z_\
             KL5e9VCV2SS7IqzB.json.gz",
        ] {
            assert_eq!(key.parse::<LogKey>().unwrap().to_string(), key);
            assert!(key.parse::<DigestKey>().is_err());
        }
        let key = "AWSLogs/420228061920/CloudTrail-Digest/eu-west-1/2026/03/07/\
             420228061920_CloudTrail-Digest_eu-west-1_medical-global-trail_ap-northeast-1_\
             20260307T134121Z.json.gz";
        let parsed: DigestKey = key.parse().unwrap();
        assert_eq!(parsed.to_string(), key);
        assert_eq!(parsed.region.as_str(), "eu-west-1");
        assert_eq!(parsed.home_region.as_str(), "ap-northeast-1");
        assert!(!parsed.backfill);
    }

    #[test]
    fn a_trail_named_like_another_trails_digest_is_not_mistaken_for_it() {
        let key = "AWSLogs/420228061920/CloudTrail-Digest/us-east-1/2026/03/07/\
             420228061920_CloudTrail-Digest_us-east-1_foo_us-east-1_bar_us-east-1_\
             20260307T134121Z_backfill.json.gz";
        let parsed: DigestKey = key.parse().unwrap();
        assert_eq!(parsed.trail.as_str(), "foo_us-east-1_bar");
        assert!(parsed.backfill);
        assert_eq!(parsed.to_string(), key);
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        let good = "p/AWSLogs/111111111111/CloudTrail/eu-central-1/2017/12/11/\
             111111111111_CloudTrail_eu-central-1_20171211T1505Z_A6kvhMoVeCsc7v8U.json.gz";
        assert!(good.parse::<LogKey>().is_ok());
        for (from, to) in [
            ("2017/12/11", "2017/12/12"),
            ("p/AWSLogs/111111111111", "p/AWSLogs/111111111112"),
            ("/eu-central-1/", "/eu-central-2/"),
            ("_eu-central-1_", "_eu-central-2_"),
            ("A6kvhMoVeCsc7v8U", "A6kvhMoVeCsc7v8"),
            ("A6kvhMoVeCsc7v8U", "A6kvhMoVeCsc7v_U"),
            (".json.gz", ".json"),
            ("T1505Z", "T2505Z"),
            ("p/AWSLogs", "p/awslogs"),
            ("/CloudTrail/", "/CloudTrail-Other/"),
            ("p/AWSLogs/", "p/AWSLogs/o-short/"),
            ("p/AWSLogs", "/AWSLogs"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(bad.parse::<LogKey>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_string_panics_or_changes(s in "[a-zA-Z0-9/_.-]{0,120}") {
            if let Ok(key) = s.parse::<LogKey>() {
                proptest::prop_assert_eq!(key.to_string(), s.clone());
            }
            if let Ok(key) = s.parse::<DigestKey>() {
                proptest::prop_assert_eq!(key.to_string(), s);
            }
        }

        #[test]
        fn every_digest_key_survives(
            prefix in "([a-z]{1,8}(/[A-Za-z0-9._-]{1,8}){0,2})?",
            org in proptest::option::of("o-[a-z0-9]{10,32}"),
            account in "[0-9]{12}", region in "[a-z0-9-]{3,32}", home in "[a-z0-9-]{3,32}",
            trail in "[A-Za-z0-9]([._-][A-Za-z0-9]{1,3}){1,5}",
            end in 0i64..253_402_207_200, backfill: bool,
        ) {
            let key = DigestKey {
                folder: AccountFolder {
                    prefix,
                    org: org.map(|o| o.parse().unwrap()),
                    account: account.parse().unwrap(),
                },
                region: region.parse().unwrap(),
                trail: match trail.parse() { Ok(t) => t, Err(_) => return Ok(()) },
                home_region: home.parse().unwrap(),
                end: Timestamp::from_unix(end),
                backfill,
            };
            proptest::prop_assert_eq!(key.to_string().parse::<DigestKey>(), Ok(key));
        }
    }
}
