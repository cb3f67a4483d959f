//! The command line's grammar.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use trail::name::TrailArn;
use trail::{AccountId, Region, Timestamp, TrailName};

/// Delivers audit events as signed, hash-chained, encrypted trails, and proves them.
#[derive(Debug, Parser)]
#[command(
    name = "trailseal",
    version,
    max_term_width = 100,
    after_help = "Example: trailseal demo"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The embedded store: buckets, keys and trails in one directory
    #[arg(long, global = true, value_name = "DIR", env = "TRAILSEAL_STORE")]
    pub(crate) store: Option<PathBuf>,
    /// Where the store's root secret is kept (in the store)
    #[arg(long, global = true, value_name = "FILE", env = "TRAILSEAL_ROOT_KEY_FILE")]
    pub(crate) root_key_file: Option<PathBuf>,
    /// How much to say on stderr: error, warn, info, debug, trace, or a filter
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        env = "TRAILSEAL_LOG_LEVEL"
    )]
    pub(crate) log_level: String,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one is made per process")]
pub(crate) enum Command {
    /// Show the whole pipeline on an embedded store: deliver, verify, tamper, verify again
    #[command(after_help = "Example: trailseal demo /tmp/demo")]
    Demo(Demo),
    /// Deliver events from files or standard input, once
    #[command(
        after_help = "Example: trailseal deliver --store ./store --config trail.toml events.ndjson"
    )]
    Deliver(Deliver),
    /// Look for whatever would stop a delivery or its readers; writes nothing
    #[command(after_help = "Example: trailseal check --store ./store --config trail.toml")]
    Check(Check),
    /// Prove a trail, or find what was done to it
    #[command(
        after_help = "Example: trailseal verify --store ./store s3://audit-logs/corp --format json"
    )]
    Verify(Verify),
    /// What changed from one report to the next
    #[command(after_help = "Example: trailseal diff yesterday.json today.json")]
    Diff(Diff),
    /// Check signed reports
    #[command(
        after_help = "Example: trailseal report verify evidence.dsse.json --public-key auditor.pub"
    )]
    Report(ReportCommand),
    /// List chains, their first and last digests and lag, from listings only
    #[command(after_help = "Example: trailseal status --store ./store s3://audit-logs")]
    Status(Status),
    /// Show who vouches for one log or digest, and what is proven of it
    #[command(after_help = "Example: trailseal explain --store ./store s3://audit-logs \
        AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/01/NAME.json.gz")]
    Explain(Explain),
    /// Copy a trail with all its metadata for offline verification; resumes
    #[command(after_help = "Example: trailseal mirror --store ./store s3://audit-logs ./evidence")]
    Mirror(Mirror),
    /// Handle the keys that sign digests
    #[command(after_help = "Example: trailseal keys export --store ./store > public-keys.json")]
    Keys(Keys),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: trailseal completions bash > /etc/bash_completion.d/trailseal"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example: trailseal man | man -l -")]
    Man,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Where to put the store, the copy and the reports
    #[arg(value_name = "DIR", default_value = "./trailseal-demo")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Deliver {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Set a value of the configuration: section.key=value; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Let the delivery clock follow the events' own times
    #[arg(long)]
    pub(crate) replay: bool,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Files of events, or - for standard input (the default when something is piped in): NDJSON, a JSON array or {"Records":[…]}, plain or gzip
    #[arg(value_name = "EVENTS")]
    pub(crate) events: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Set a value of the configuration: section.key=value; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Ndjson,
    Csv,
    Html,
    Junit,
    Sarif,
    Asff,
    Ocsf,
    Oscal,
    Prometheus,
    /// Controls of published standards and what this run says of them, as Markdown
    Standards,
}

/// Of commands that print one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlainFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Depth {
    Digests,
    Logs,
    Events,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogSse {
    SseKms,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestSse {
    SseS3,
    SseKms,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Tampered,
    Incomplete,
    Unverifiable,
    Noncompliant,
    Info,
}

/// What to look at: shared by all commands that read a trail.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Scope {
    /// Only this trail; with it TARGET may be left out
    #[arg(long, value_name = "ARN")]
    pub(crate) trail_arn: Option<TrailArn>,
    /// Only trails of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) trail_name: Option<TrailName>,
    /// Only this account; repeatable, and each must have a chain
    #[arg(long, value_name = "ID")]
    pub(crate) account: Vec<AccountId>,
    /// Only this region; repeatable, and each must have a chain
    #[arg(long, value_name = "R")]
    pub(crate) region: Vec<Region>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    /// s3://BUCKET[/PREFIX], or the directory or .tar of an offline copy
    #[arg(value_name = "TARGET", required_unless_present = "trail_arn")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) checks: Checks,
    /// Which classes make the exit code
    #[arg(
        long,
        value_name = "CLASS",
        value_delimiter = ',',
        default_value = "tampered,incomplete,unverifiable,noncompliant"
    )]
    pub(crate) fail_on: Vec<FailOn>,
    /// Output format; repeatable, the n-th --output is for the n-th format
    #[arg(long, value_name = "F")]
    pub(crate) format: Vec<Format>,
    /// Where to write; at most one format goes without, to stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// The JSON report of the run before: findings that are gone come out archived in asff
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// Sign the report: an RSA key in a PEM file, or the ARN of a KMS key that signs
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<String>,
    /// Where the signed evidence goes
    #[arg(long, value_name = "FILE", default_value = "evidence.dsse.json", requires = "sign")]
    pub(crate) evidence: PathBuf,
    /// Tell the verdict to a webhook; a failure to tell never changes the verdict
    #[arg(long, value_name = "URL", env = "TRAILSEAL_WEBHOOK", hide_env_values = true)]
    pub(crate) webhook: Option<String>,
    /// What the webhook takes
    #[arg(long, value_name = "KIND", default_value = "json")]
    pub(crate) webhook_kind: WebhookKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WebhookKind {
    Json,
    Slack,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportCommand {
    #[command(subcommand)]
    pub(crate) action: ReportAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportAction {
    /// Check that signed evidence is by a key that you trust, and unchanged
    #[command(
        after_help = "Example: trailseal report verify evidence.dsse.json --public-key auditor.pub"
    )]
    Verify(ReportVerify),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportVerify {
    /// What `verify --sign` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// A public key in PEM that you have from the signer; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) public_key: Vec<PathBuf>,
    /// Write the report that is in it, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) extract: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// The JSON report of the earlier run
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The JSON report of the later run
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// Output format
    #[arg(long, value_name = "F", default_value = "text")]
    pub(crate) format: PlainFormat,
    /// Compare reports of different targets
    #[arg(long)]
    pub(crate) force: bool,
}

/// How to verify: shared by `verify` and `explain`.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Checks {
    /// Start of the time asked, RFC 3339 (each chain's own first digest)
    #[arg(long, value_name = "T", value_parser = Timestamp::parse_rfc3339)]
    pub(crate) start: Option<Timestamp>,
    /// End of the time asked, RFC 3339 (now; when a copy was taken)
    #[arg(long, value_name = "T", value_parser = Timestamp::parse_rfc3339)]
    pub(crate) end: Option<Timestamp>,
    /// The newest stretch that may be undigested
    #[arg(long, value_name = "D", default_value = "2h", value_parser = trail::time::parse_duration)]
    pub(crate) grace: Duration,
    /// How long a late log may wait for a backfill digest
    #[arg(long, value_name = "D", default_value = "72h", value_parser = trail::time::parse_duration)]
    pub(crate) backfill_grace: Duration,
    /// Digests older than this may have expired (nothing expires)
    #[arg(long, value_name = "D", value_parser = trail::time::parse_duration)]
    pub(crate) retention: Option<Duration>,
    /// Logs older than this may have expired (nothing expires)
    #[arg(long, value_name = "D", value_parser = trail::time::parse_duration)]
    pub(crate) log_retention: Option<Duration>,
    /// Public keys as `aws cloudtrail list-public-keys` or `trailseal keys export` prints them; repeatable
    #[arg(long, value_name = "[REGION=]FILE")]
    pub(crate) public_keys: Vec<String>,
    /// Logs must be SSE-KMS under one of these keys; repeatable
    #[arg(long, value_name = "ARN[@FROM[..TO]]")]
    pub(crate) kms_key: Vec<String>,
    /// What is demanded of logs
    #[arg(long, value_name = "MODE", default_value = "sse-kms")]
    pub(crate) log_sse: LogSse,
    /// What is demanded of digests
    #[arg(long, value_name = "MODE", default_value = "any")]
    pub(crate) digest_sse: DigestSse,
    /// Accounts that may own KMS keys; repeatable (the trail's)
    #[arg(long, value_name = "ID")]
    pub(crate) key_account: Vec<AccountId>,
    /// The bucket's region, where it cannot be asked
    #[arg(long, value_name = "R")]
    pub(crate) bucket_region: Option<Region>,
    /// Where the objects were first delivered, for a copy or replica
    #[arg(long, value_name = "s3://B[/P]")]
    pub(crate) original: Option<String>,
    /// How deep to look: digests; and every log's hash; and every event
    #[arg(long, value_name = "DEPTH", default_value = "logs")]
    pub(crate) depth: Depth,
    /// Do not look for logs that no digest names
    #[arg(long)]
    pub(crate) no_unreferenced: bool,
    /// Leave archived logs out
    #[arg(long)]
    pub(crate) skip_archived: bool,
    /// Objects read at once (as the machine suggests)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) concurrency: usize,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Status {
    /// s3://BUCKET[/PREFIX], or the directory or .tar of an offline copy
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Output format
    #[arg(long, value_name = "F", default_value = "text")]
    pub(crate) format: PlainFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// s3://BUCKET[/PREFIX], or the directory or .tar of an offline copy
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// The log or digest: s3://BUCKET/KEY as first delivered, or its key
    #[arg(value_name = "OBJECT")]
    pub(crate) object: String,
    #[command(flatten)]
    pub(crate) checks: Checks,
    /// Output format
    #[arg(long, value_name = "F", default_value = "text")]
    pub(crate) format: PlainFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Mirror {
    /// s3://BUCKET[/PREFIX]
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// Where to put the copy
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// Make the signing key of a region now, instead of when it first signs
    #[command(after_help = "Example: trailseal keys generate --store ./store us-east-1")]
    Generate {
        /// The source region whose digests it signs
        #[arg(value_name = "REGION")]
        region: Region,
    },
    /// Make the key that signs for a region from now on; those before it stay listed and valid
    #[command(after_help = "Example: trailseal keys rotate --store ./store us-east-1")]
    Rotate {
        /// The source region whose digests it signs
        #[arg(value_name = "REGION")]
        region: Region,
    },
    /// Take in a private key, sealed, to sign for a region
    #[command(
        after_help = "Example: trailseal keys import --store ./store us-east-1 key.pem --days 365"
    )]
    Import {
        /// The source region whose digests it signs
        #[arg(value_name = "REGION")]
        region: Region,
        /// An RSA key of at least 2048 bits, PEM
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// How long it may sign
        #[arg(long, value_name = "N", default_value_t = 365)]
        days: u32,
    },
    /// List signing keys
    #[command(after_help = "Example: trailseal keys list --store ./store")]
    List,
    /// Print the public keys as ListPublicKeys does, with the region of each
    #[command(after_help = "Example: trailseal keys export --store ./store > public-keys.json")]
    Export,
    /// Add today's public keys to a file; those already in it stay
    #[command(after_help = "Example: trailseal keys archive --store ./store public-keys.json")]
    Archive {
        /// The file; made when absent
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
