//! Runs the real binary in a directory of its own, and reads what it leaves.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use local::SystemClock;
use serde_json::Value;
use tempfile::TempDir;
use trail::Timestamp;
use trail::key::DigestKey;
use trail::ports::Clock as _;

pub(crate) const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
pub(crate) const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
pub(crate) const BUCKET: &str = "audit-logs";
pub(crate) const TARGET: &str = "s3://audit-logs/corp";
pub(crate) const HOURS: u64 = 6;
const HOUR: Duration = Duration::from_secs(3600);

/// A call of the binary, ready to run: `trailseal!["verify", &path]`.
macro_rules! trailseal {
    ($($arg:expr),* $(,)?) => {{
        let call = $crate::support::Call::new();
        $(let call = call.arg($arg);)*
        call
    }};
}

/// The binary, built once with the profile and into the directory that the tests were.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let exe = std::env::current_exe().unwrap();
        let profile_dir = exe.parent().unwrap().parent().unwrap();
        let profile = match profile_dir.file_name().and_then(OsStr::to_str).unwrap() {
            "debug" => "dev",
            other => other,
        };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "-p", "trailseal", "--profile", profile])
            .arg("--target-dir")
            .arg(profile_dir.parent().unwrap())
            .current_dir(workspace())
            .status()
            .unwrap();
        assert!(built.success(), "the binary does not build");
        profile_dir.join(format!("trailseal{}", std::env::consts::EXE_SUFFIX))
    })
}

pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    workspace().join("fixtures").join(name)
}

pub(crate) struct Call {
    pub(crate) command: Command,
    stdin: Vec<u8>,
}

impl Call {
    pub(crate) fn new() -> Self {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRAILSEAL_") {
                command.env_remove(name);
            }
        }
        Self { command, stdin: Vec::new() }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    pub(crate) fn run(mut self) -> Outcome {
        let piped = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = self.stdin;
        let writer = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        let code = output.status.code().expect("not killed");
        Outcome { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let told = match serde_json::from_str::<Value>(&self.stdout) {
            Ok(report) => report["findings"].to_string(),
            Err(_) => self.stdout.clone(),
        };
        assert_eq!(self.code, code, "stdout:\n{told}\nstderr:\n{}", self.stderr);
        self
    }

    /// Asserts that what a person is told names each of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in stderr:\n{}", self.stderr);
        }
        self
    }

    /// Asserts that the data on stdout has each of `parts`.
    #[track_caller]
    pub(crate) fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "no {part:?} in stdout:\n{}", self.stdout);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        Report(self.json())
    }
}

/// A report as `--format json` prints it.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Value);

impl Report {
    pub(crate) fn verdict(&self) -> &str {
        self.0["verdict"].as_str().unwrap()
    }

    pub(crate) fn findings(&self) -> &[Value] {
        self.0["findings"].as_array().unwrap()
    }

    pub(crate) fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<_> =
            self.findings().iter().map(|f| f["code"].as_str().unwrap()).collect();
        codes.sort_unstable();
        codes
    }

    /// Codes of the findings that name `uri` as their object or in their objects.
    pub(crate) fn codes_of(&self, uri: &str) -> Vec<&str> {
        let named = |f: &&Value| {
            f["object"] == *uri || f["objects"].as_array().unwrap().iter().any(|o| o == uri)
        };
        self.findings().iter().filter(named).map(|f| f["code"].as_str().unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn only(&self, code: &str) -> Vec<&Value> {
        let found: Vec<_> = self.findings().iter().filter(|f| f["code"] == code).collect();
        assert_eq!(found.len(), self.findings().len(), "not only {code}: {:?}", self.codes());
        found
    }

    pub(crate) fn summary(&self, pointer: &str) -> &Value {
        self.0["summary"].pointer(pointer).unwrap_or_else(|| panic!("no summary{pointer}"))
    }

    pub(crate) fn not_proven(&self) -> String {
        let lines = self.0["not_proven"].as_array().unwrap();
        lines.iter().map(|l| l.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

/// A directory with a configuration, a store that is to be, and a spool.
pub(crate) struct Site {
    dir: TempDir,
}

pub(crate) const CONFIG: &str = r#"
[trail]
name = "main_trail"
account = "111122223333"
home_region = "us-east-1"

[destination]
url = "s3://audit-logs/corp"
region = "us-east-1"

[encryption]
kms_key = "alias/audit"
"#;

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self { dir: TempDir::new().unwrap() };
        site.write("trail.toml", CONFIG.as_bytes());
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// `deliver` with this site's store and configuration, its events on stdin unless given.
    pub(crate) fn deliver(&self) -> Call {
        let config = self.path("trail.toml");
        trailseal!["deliver", "--store", self.store(), "--config", config]
    }

    #[track_caller]
    pub(crate) fn delivered(&self, events: &[u8], more: &[&str]) -> Value {
        self.deliver().args(more).args(&["--json", "-"]).stdin(events).run().exits(0).json()
    }

    /// `verify` on the store's trail, with the report as JSON.
    pub(crate) fn verify(&self) -> Call {
        trailseal!["verify", TARGET, "--store", self.store(), "--format", "json"]
    }

    /// `mirror` of the whole trail to a directory of this name.
    #[track_caller]
    pub(crate) fn mirror(&self, name: &str) -> PathBuf {
        let to = self.path(name);
        trailseal!["mirror", TARGET, &to, "--store", self.store()].run().exits(0);
        to
    }

    #[track_caller]
    pub(crate) fn public_keys(&self) -> PathBuf {
        let keys = trailseal!["keys", "export", "--store", self.store()].run().exits(0);
        self.write("public-keys.json", keys.stdout.as_bytes())
    }
}

/// A site whose trail has 2 accounts × 2 regions × 6 hours, two log files an hour in each
/// chain, up to the last whole hour but one. Old enough to be due, young enough to end there.
pub(crate) struct Trail {
    pub(crate) site: Site,
    pub(crate) events: Vec<String>,
    pub(crate) start: Timestamp,
    /// Where the newest digests end.
    pub(crate) end: Timestamp,
}

impl Trail {
    pub(crate) fn new() -> Self {
        let site = Site::new();
        let this_hour = now().unix() / 3600 * 3600;
        let start = Timestamp::from_unix(this_hour) - HOUR * (HOURS as u32);
        let mut events = Vec::new();
        for half in 0..HOURS * 2 {
            let time = start + Duration::from_secs(600 + 1800 * half);
            for account in ACCOUNTS {
                for region in REGIONS {
                    let n = events.len();
                    events.push(event(account, region, time, n, ""));
                }
            }
        }
        let summary = site.delivered(events.join("\n").as_bytes(), &["--replay"]);
        let end = heads(&summary).iter().map(|k| k.end).max().unwrap();
        Self { site, events, start, end }
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// The newest digest of each chain, from the summary of a delivery.
pub(crate) fn heads(summary: &Value) -> Vec<DigestKey> {
    let chains = summary["chains"].as_array().unwrap();
    chains.iter().map(|c| c["last_digest"].as_str().unwrap().parse().unwrap()).collect()
}

/// An invented event with a text in it that can be searched for.
pub(crate) fn event(account: &str, region: &str, time: Timestamp, n: usize, mark: &str) -> String {
    format!(
        concat!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","accountId":"{account}","#,
            r#""userName":"user-{n}"}},"eventTime":"{time}","eventSource":"ec2.amazonaws.com","#,
            r#""eventName":"DescribeInstances","awsRegion":"{region}","#,
            r#""sourceIPAddress":"198.51.100.7","userAgent":"{mark}","requestParameters":null,"#,
            r#""responseElements":null,"eventID":"00000000-0000-4000-8000-{n:012}","#,
            r#""readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"#,
            r#""recipientAccountId":"{account}","eventCategory":"Management"}}"#
        ),
        account = account,
        region = region,
        time = time,
        n = n,
        mark = mark
    )
}

/// `count` events of one account and region, now.
pub(crate) fn events(count: usize) -> String {
    let one = |n| event(ACCOUNTS[0], REGIONS[0], now(), n, "");
    (0..count).map(one).collect::<Vec<_>>().join("\n")
}

/// Every file below `dir`, by its path relative to it.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, below: &str, out: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), &format!("{name}/"), out),
                false => out.push(name),
            }
        }
    }
    let mut out = Vec::new();
    if dir.exists() {
        walk(dir, "", &mut out);
    }
    out.sort();
    out
}

/// Every file below `dir` with its bytes, to see that nothing was changed.
pub(crate) fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    files(dir).into_iter().map(|f| (f.clone(), fs::read(dir.join(f)).unwrap())).collect()
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    for name in files(from) {
        let path = to.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // With its mode: a store refuses a root key that others can read.
        fs::copy(from.join(name), &path).unwrap();
    }
}

/// The logs and digests of a copy, digests first, each kind by key.
pub(crate) fn objects(copy: &Path) -> (Vec<String>, Vec<String>) {
    let evidence = files(copy).into_iter().filter(|f| f.starts_with("AWSLogs/"));
    evidence.partition(|f| f.contains("/CloudTrail-Digest/"))
}

/// The original address of an object of a copy of [`TARGET`].
pub(crate) fn original(name: &str) -> String {
    format!("{TARGET}/{name}")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    trail::gzip::compress(bytes)
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    trail::gzip::decompress(bytes, trail::limits::LOG_INFLATED_BYTES_MAX).unwrap()
}
