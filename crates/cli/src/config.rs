//! The configuration file (contract section 8): TOML, then `TRAILSEAL_SECTION_KEY`, then `--set`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};
use trail::name::{BucketName, KeyRef};
use trail::{AccountId, OrgId, Region, TrailName, limits};

use crate::error::CliError;

/// A configuration, checked as far as it can be without looking at the store.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) trail: Trail,
    pub(crate) destination: Destination,
    #[serde(default)]
    pub(crate) encryption: Encryption,
    #[serde(default)]
    pub(crate) signing: Signing,
    #[serde(default)]
    pub(crate) delivery: Delivery,
    #[serde(default)]
    pub(crate) spool: Spool,
    /// For the daemon; read so that one file serves both.
    #[serde(default)]
    #[expect(dead_code, reason = "the one-shot delivery takes its events from files")]
    ingest: Ingest,
    /// Where the file lies; paths in it are relative to this.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trail {
    pub(crate) name: TrailName,
    pub(crate) account: AccountId,
    pub(crate) home_region: Region,
    pub(crate) organization: Option<OrgId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) region: Region,
    pub(crate) expected_owner: Option<AccountId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sse {
    SseKms,
    SseS3,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Encryption {
    pub(crate) logs: Sse,
    pub(crate) kms_key: Option<String>,
    pub(crate) bucket_key: bool,
    pub(crate) digests: Sse,
}

impl Default for Encryption {
    fn default() -> Self {
        Self { logs: Sse::SseKms, kms_key: None, bucket_key: true, digests: Sse::SseS3 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Signing {
    pub(crate) key: String,
}

impl Default for Signing {
    fn default() -> Self {
        Self { key: "store".to_owned() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    #[serde(deserialize_with = "duration")]
    pub(crate) flush_interval: Duration,
    #[serde(deserialize_with = "size")]
    pub(crate) max_log_size: u64,
    #[serde(deserialize_with = "duration")]
    pub(crate) digest_interval: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(300),
            max_log_size: 50_000_000,
            digest_interval: Duration::from_secs(3600),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Spool {
    pub(crate) path: PathBuf,
    #[serde(deserialize_with = "size")]
    pub(crate) max_size: u64,
    pub(crate) encrypt: bool,
}

impl Default for Spool {
    fn default() -> Self {
        Self { path: PathBuf::from("./spool"), max_size: 10 << 30, encrypt: true }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ingest {
    listen: Option<String>,
    auth: Option<String>,
    tokens_file: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

/// Every key, and whether it holds a boolean; all others hold text.
const KEYS: [(&str, &str, bool); 23] = [
    ("trail", "name", false),
    ("trail", "account", false),
    ("trail", "home_region", false),
    ("trail", "organization", false),
    ("destination", "url", false),
    ("destination", "region", false),
    ("destination", "expected_owner", false),
    ("encryption", "logs", false),
    ("encryption", "kms_key", false),
    ("encryption", "bucket_key", true),
    ("encryption", "digests", false),
    ("signing", "key", false),
    ("delivery", "flush_interval", false),
    ("delivery", "max_log_size", false),
    ("delivery", "digest_interval", false),
    ("spool", "path", false),
    ("spool", "max_size", false),
    ("spool", "encrypt", true),
    ("ingest", "listen", false),
    ("ingest", "auth", false),
    ("ingest", "tokens_file", false),
    ("ingest", "tls_cert", false),
    ("ingest", "tls_key", false),
];

impl Config {
    /// Reads `file` and lays the environment and `--set` over it.
    pub(crate) fn read(
        file: &Path,
        set: &[String],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let cannot = |e| CliError::file("cannot read the configuration", file, e);
        let size = std::fs::metadata(file).map_err(cannot)?.len();
        if size > limits::SMALL_FILE_BYTES_MAX {
            return Err(CliError::usage(format!(
                "{}: too large for a configuration",
                file.display()
            )));
        }
        let text = std::fs::read_to_string(file).map_err(cannot)?;
        let refuse =
            |e: &dyn std::fmt::Display| CliError::usage(format!("{}: {e}", file.display()));
        let mut table: Table = text.parse().map_err(|e| refuse(&e))?;
        for (section, key, boolean) in KEYS {
            let name = format!("TRAILSEAL_{section}_{key}").to_ascii_uppercase();
            if let Some(value) = env(&name) {
                put(&mut table, section, key, boolean, &value).map_err(|e| refuse(&e))?;
            }
        }
        for assignment in set {
            let wrong =
                || CliError::usage(format!("--set {assignment}: expected section.key=value"));
            let (path, value) = assignment.split_once('=').ok_or_else(wrong)?;
            let (section, key) = path.split_once('.').ok_or_else(wrong)?;
            let boolean = KEYS.iter().find(|(s, k, _)| (*s, *k) == (section, key)).map(|k| k.2);
            let unknown = || CliError::usage(format!("--set {assignment}: there is no {path}"));
            put(&mut table, section, key, boolean.ok_or_else(unknown)?, value)
                .map_err(|e| refuse(&e))?;
        }
        let mut config: Self =
            table.try_into().map_err(|e: toml::de::Error| refuse(&e.to_string().trim_end()))?;
        config.folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
        config.check().map_err(|e| refuse(&e))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        self.bucket_and_prefix()?;
        if self.uses_kms() {
            let key =
                self.encryption.kms_key.as_deref().ok_or(
                    "encryption.kms_key is missing: sse-kms needs a key ARN or alias/NAME",
                )?;
            key.parse::<KeyRef>().map_err(|e| format!("encryption.kms_key: {e}"))?;
        }
        Ok(())
    }

    /// What is wrong with a key whose own name says that it is not of the bucket's region.
    pub(crate) fn key_elsewhere(&self) -> Option<String> {
        let key = self.encryption.kms_key.as_deref().filter(|_| self.uses_kms())?;
        let region = match key.parse().ok()? {
            KeyRef::Arn(arn) => Some(arn.region),
            KeyRef::Alias { region, .. } => region,
            KeyRef::Id(_) => None,
        };
        let bucket = &self.destination.region;
        let region = region.filter(|region| region != bucket)?;
        Some(format!(
            "encryption.kms_key: {key} is a key of {region}, but the bucket is in {bucket}; S3 takes \
             keys of the bucket's region only and answers KMS.NotFoundException"
        ))
    }

    pub(crate) fn uses_kms(&self) -> bool {
        [self.encryption.logs, self.encryption.digests].contains(&Sse::SseKms)
    }

    pub(crate) fn bucket_and_prefix(&self) -> Result<(BucketName, String), String> {
        let url = &self.destination.url;
        let wrong = || format!("destination.url {url:?}: expected s3://BUCKET[/PREFIX]");
        let rest = url.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if prefix.chars().count() > limits::KEY_PREFIX_CHARS_MAX
            || prefix.split('/').any(|part| matches!(part, "." | "..") || part == "AWSLogs")
            || (prefix.contains("//"))
        {
            return Err(format!(
                "destination.url {url:?}: a prefix has at most 200 characters and no part that is \
                 empty, '.', '..' or 'AWSLogs'"
            ));
        }
        let bucket = bucket.parse().map_err(|e| format!("destination.url: {e}"))?;
        Ok((bucket, prefix.to_owned()))
    }

    /// A path of the file, as seen from here.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        // Through its components, so that messages show no `/./`.
        self.folder.join(path).components().collect()
    }
}

fn put(
    table: &mut Table,
    section: &str,
    key: &str,
    boolean: bool,
    text: &str,
) -> Result<(), String> {
    let value = match (boolean, text.parse::<bool>()) {
        (true, Ok(b)) => Value::Boolean(b),
        (true, Err(_)) => {
            return Err(format!("{section}.{key} = {text:?}: expected true or false"));
        }
        (false, _) => Value::String(text.to_owned()),
    };
    let section_table = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    let section_table = section_table
        .as_table_mut()
        .ok_or_else(|| format!("{section}: expected a section, [{section}]"))?;
    section_table.insert(key.to_owned(), value);
    Ok(())
}

fn duration<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    trail::time::parse_duration(&text).map_err(serde::de::Error::custom)
}

fn size<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let text = String::deserialize(d)?;
    let wrong =
        || serde::de::Error::custom(format!("size {text:?}: expected such as 50MB or 10GiB"));
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let n: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let factor: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    n.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [trail]
        name = "main-trail"
        account = "111122223333"
        home_region = "us-east-1"
        [destination]
        url = "s3://audit-logs/corp"
        region = "us-east-1"
        [encryption]
        kms_key = "alias/audit"
    "#;

    fn read(text: &str, set: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::read(file.path(), &set, env).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_the_contracts() {
        let config = read(GOOD, &[], &[]).unwrap();
        assert_eq!(config.delivery.max_log_size, 50_000_000);
        assert_eq!(config.delivery.flush_interval.as_secs(), 300);
        assert!(config.encryption.bucket_key && config.spool.encrypt);
        assert_eq!(config.encryption.digests, Sse::SseS3);
    }

    #[test]
    fn environment_overrides_the_file_and_set_overrides_both() {
        let env = [("TRAILSEAL_TRAIL_NAME", "from-env"), ("TRAILSEAL_SPOOL_ENCRYPT", "false")];
        let config = read(GOOD, &["trail.account=444455556666"], &env).unwrap();
        assert_eq!(config.trail.name.as_str(), "from-env");
        assert_eq!(config.trail.account.as_str(), "444455556666");
        assert!(!config.spool.encrypt);
        let config = read(GOOD, &["trail.name=from-set"], &env).unwrap();
        assert_eq!(config.trail.name.as_str(), "from-set");
    }

    #[test]
    fn refusals_name_the_key() {
        for (change, set, why) in [
            ("[trail]\nnmae = \"x\"", &[][..], "nmae"),
            ("[tail]\n", &[], "tail"),
            ("", &["trail.nmae=x"], "trail.nmae"),
            ("", &["trail"], "section.key=value"),
            ("", &["spool.encrypt=maybe"], "spool.encrypt"),
            ("", &["trail.account=12"], "12"),
            ("", &["destination.url=audit"], "s3://BUCKET"),
            ("", &["destination.url=s3://b/../x"], "'..'"),
            ("", &["delivery.max_log_size=many"], "size"),
            ("", &["encryption.logs=sse-c"], "sse-c"),
        ] {
            let text = if change.starts_with("[trail]") {
                GOOD.replacen("[trail]", change, 1)
            } else {
                format!("{GOOD}\n{change}")
            };
            let error = read(&text, set, &[]).unwrap_err();
            assert!(error.contains(why), "{set:?}{change}: {error}");
        }
    }

    #[test]
    fn a_key_whose_name_says_another_region_is_told() {
        let elsewhere = |key: &str| {
            let set = format!("encryption.kms_key={key}");
            read(GOOD, &[&set], &[]).unwrap().key_elsewhere()
        };
        let told = elsewhere("arn:aws:kms:eu-west-1:111122223333:key/k").unwrap();
        assert!(told.contains("eu-west-1") && told.contains("KMS.NotFoundException"), "{told}");
        assert!(elsewhere("arn:aws:kms:eu-west-1:111122223333:alias/k").is_some());
        for near in ["arn:aws:kms:us-east-1:111122223333:key/k", "alias/k", "k"] {
            assert_eq!(elsewhere(near), None);
        }
    }
}
