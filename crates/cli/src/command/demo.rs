//! `demo`: the whole pipeline on an embedded store, in one go.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use local::{Store, SystemClock};
use producer::Input;
use trail::Timestamp;
use trail::digest::META_SIGNATURE;
use trail::ports::Clock as _;
use verifier::report::Verdict;
use verifier::request::NoProgress;
use verifier::{Report, Request};

use crate::args::{Demo, Format, Global, Scope};
use crate::command::{deliver, mirror};
use crate::config::Config;
use crate::error::CliError;
use crate::output::counted;
use crate::progress::Bar;
use crate::{backend, output, render};

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const HOURS: u64 = 6;
/// Seconds between two events of one account and region.
const PACE: u64 = 20;
/// A directory that this command made, and may clear.
const MARKER: &str = ".trailseal-demo";
const BUCKET: &str = "demo-audit-logs";
const PREFIX: &str = "corp";

pub(crate) async fn run(global: &Global, options: &Demo) -> Result<u8, CliError> {
    let dir = &options.dir;
    make_room(dir)?;
    let global = Global {
        store: Some(dir.join("store")),
        root_key_file: None,
        log_level: global.log_level.clone(),
        color: global.color,
    };
    let end = SystemClock.now();
    let config_path = dir.join("trail.toml");
    let events_path = dir.join("events.ndjson");
    write(&config_path, CONFIG)?;
    write(&events_path, &events(end))?;

    step("1. Deliver: events in, encrypted log files and signed digests out")?;
    let config = Config::read(&config_path, &[], |_| None)?;
    let plan = deliver::plan(&config, true)?;
    let store = backend::open_store(&global, Some(&config.trail.account), true)?;
    let bar = Arc::new(Bar::new());
    let inputs = vec![Input::open(&events_path)?];
    let summary = deliver::deliver(&store, &config, plan, inputs, Arc::clone(&bar)).await;
    bar.finish();
    let summary = summary?;
    output::print(&format!(
        "{} of {} accounts × {} regions × {HOURS} hours: {} (SSE-KMS), {} (signed, SSE-S3)\n",
        counted(summary.delivered, "event"),
        ACCOUNTS.len(),
        REGIONS.len(),
        counted(summary.logs, "log file"),
        counted(summary.digests, "digest"),
    ))?;

    step("2. Verify the trail")?;
    let target = format!("s3://{BUCKET}/{PREFIX}");
    let clean = check(&global, &target, end, &store).await?;
    render::write(&clean, Format::Text, None, None)?;
    render::write(&clean, Format::Json, Some(&dir.join("report-clean.json")), None)?;

    step("3. Tamper with a mirrored copy, as somebody with access to the bucket could")?;
    let copy = dir.join("copy");
    mirror::mirror(&store, BUCKET, PREFIX, &copy, &bar).await?;
    bar.finish();
    let done = tamper(&copy)?;
    output::print(&done)?;

    step("4. Verify the copy")?;
    let tampered = check(&global, &copy.display().to_string(), end, &store).await?;
    render::write(&tampered, Format::Text, None, None)?;
    let report = dir.join("report-tampered.json");
    render::write(&tampered, Format::Json, Some(&report), None)?;
    let page = dir.join("report-tampered.html");
    render::write(&tampered, Format::Html, Some(&page), None)?;

    step("Again, by hand")?;
    output::print(&by_hand(dir, end))?;
    output::print(&format!("\nReport of the tampered copy: {}\n", report.display()))?;
    output::print(&format!("The same as a page: {}\n", page.display()))?;
    let right = clean.verdict == Verdict::Verified && tampered.verdict == Verdict::Tampered;
    if !right {
        output::error("the verdicts are not as they must be; please report this");
    }
    Ok(u8::from(!right))
}

fn step(title: &str) -> Result<(), CliError> {
    output::print(&format!("\n── {title}\n\n"))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    fs::write(path, text).map_err(|e| CliError::file("cannot write", path, e))
}

/// Makes the directory, or clears what an earlier demo left in it; touches nothing else.
fn make_room(dir: &Path) -> Result<(), CliError> {
    let marker = dir.join(MARKER);
    let failed = |e| CliError::file("cannot prepare", dir, e);
    fs::create_dir_all(dir).map_err(failed)?;
    let empty = fs::read_dir(dir).map_err(failed)?.next().is_none();
    if !empty && !marker.exists() {
        return Err(CliError::usage(format!(
            "{} is not empty and no earlier demo made it; name another directory",
            dir.display()
        )));
    }
    for name in ["store", "copy", "spool"] {
        let path = dir.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|e| CliError::file("cannot clear", &path, e))?;
        }
    }
    write(&marker, "made by `trailseal demo`, which clears this directory when it runs again\n")
}

async fn check(
    global: &Global,
    target: &str,
    end: Timestamp,
    store: &Store,
) -> Result<Report, CliError> {
    let scope = Scope { trail_arn: None, trail_name: None, account: vec![], region: vec![] };
    let mut opened =
        backend::open_target(global, Some(target), &scope, Arc::new(NoProgress)).await?;
    opened.request = Request { end: Some(end), ..opened.request };
    debug_assert!(opened.store.is_some_and(|s| s.account() == store.account()));
    Ok(verifier::verify(&opened.request, &opened.ports).await?)
}

/// Changes four objects of the copy, each in another way, and says which.
fn tamper(copy: &Path) -> Result<String, CliError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |e| CliError::file("cannot tamper with", &path, e)
    };
    let of = |account: &str, kind: &str, region: &str| {
        let mut files = Vec::new();
        let folder = copy.join("AWSLogs").join(account).join(kind).join(region);
        walk(&folder, &mut files).map_err(failed(&folder))?;
        files.sort();
        Ok::<_, CliError>(files)
    };
    let mut said = String::new();
    let mut say = |what: &str, path: &Path| {
        let name = path.strip_prefix(copy).unwrap_or(path).display();
        let _ = writeln!(said, "{what:28} {name}");
    };
    let not_enough = || CliError::usage("the copy has fewer objects than a demo makes");
    // An intruder hides a call: one user name replaced in one event, everything else intact.
    let logs = of(ACCOUNTS[0], "CloudTrail", REGIONS[0])?;
    let edited = logs.get(logs.len() / 2).ok_or_else(not_enough)?;
    let stored = fs::read(edited).map_err(failed(edited))?;
    let content = trail::gzip::decompress(&stored, trail::limits::LOG_INFLATED_BYTES_MAX)
        .map_err(|e| CliError::usage(format!("{}: {e}", edited.display())))?;
    let content = String::from_utf8_lossy(&content).replacen("alice", "mallory", 1);
    fs::write(edited, trail::gzip::compress(content.as_bytes())).map_err(failed(edited))?;
    say("edited one event in", edited);
    // And removes a whole log elsewhere.
    let logs = of(ACCOUNTS[1], "CloudTrail", REGIONS[0])?;
    let deleted = logs.get(logs.len() / 3).ok_or_else(not_enough)?;
    fs::remove_file(deleted).map_err(failed(deleted))?;
    say("deleted the log", deleted);
    // And a digest, so that an hour has no proof.
    let digests = of(ACCOUNTS[0], "CloudTrail-Digest", REGIONS[1])?;
    let digest = digests.get(digests.len() / 2).ok_or_else(not_enough)?;
    fs::remove_file(digest).map_err(failed(digest))?;
    say("deleted the digest", digest);
    // And slips in a log of invented events.
    let logs = of(ACCOUNTS[1], "CloudTrail", REGIONS[1])?;
    let model = logs.get(logs.len() / 2).ok_or_else(not_enough)?;
    let name = model.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stem =
        name.strip_suffix(".json.gz").and_then(|n| n.get(..n.len() - 16)).unwrap_or_default();
    let added = model.with_file_name(format!("{stem}0000000000forged.json.gz"));
    fs::copy(model, &added).map_err(failed(&added))?;
    say("added the log", &added);
    Ok(said)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn by_hand(dir: &Path, end: Timestamp) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    let (store, copy) = (at("store"), at("copy"));
    format!(
        "export TRAILSEAL_STORE={store}\n\
         trailseal status s3://{BUCKET}/{PREFIX}\n\
         trailseal verify s3://{BUCKET}/{PREFIX} --end {end}\n\
         trailseal verify {copy} --end {end}\n\
         trailseal verify {copy} --end {end} --format json --output report.json\n\
         # what the store holds is encrypted; a digest's signature is its metadata '{META_SIGNATURE}'\n\
         trailseal deliver --config {} --set spool.path=./spool-2 MORE-EVENTS.ndjson\n",
        at("trail.toml"),
    )
}

const CONFIG: &str = r#"# Made by `trailseal demo`; a good start for a configuration of your own.
[trail]
name = "management-events"
account = "111122223333"
home_region = "us-east-1"

[destination]
url = "s3://demo-audit-logs/corp"
region = "us-east-1"

[encryption]
logs = "sse-kms"
kms_key = "alias/demo-audit"
digests = "sse-s3"
"#;

/// Made-up API calls of the last hours, one JSON object a line. The names are invented; the
/// form is that of CloudTrail's management events.
fn events(end: Timestamp) -> String {
    const CALLS: [(&str, &str, bool); 8] = [
        ("ec2.amazonaws.com", "DescribeInstances", true),
        ("s3.amazonaws.com", "GetBucketPolicy", true),
        ("kms.amazonaws.com", "DescribeKey", true),
        ("ec2.amazonaws.com", "RunInstances", false),
        ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", false),
        ("secretsmanager.amazonaws.com", "GetSecretValue", true),
        ("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress", false),
        ("dynamodb.amazonaws.com", "DescribeTable", true),
    ];
    const USERS: [&str; 4] = ["alice", "bob", "carol", "deploy"];
    let mut text = String::new();
    let count = HOURS * 3600 / PACE;
    for (a, account) in ACCOUNTS.iter().enumerate() {
        for (r, region) in REGIONS.iter().enumerate() {
            for n in 0..count {
                let back = (count - n) * PACE - (a * 7 + r * 3) as u64;
                let time = end - Duration::from_secs(back);
                let i = n as usize * 31 + a * 17 + r * 5;
                let (source, name, read_only) = CALLS[i % CALLS.len()];
                let user = USERS[(i / 3) % USERS.len()];
                let id = trail::Sha256::of(format!("{account}/{region}/{time}/{n}").as_bytes())
                    .to_string();
                let uuid = format!(
                    "{}-{}-4{}-a{}-{}",
                    &id[..8],
                    &id[8..12],
                    &id[13..16],
                    &id[17..20],
                    &id[20..32]
                );
                let _ = writeln!(
                    text,
                    r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","principalId":"AIDA{}","arn":"arn:aws:iam::{account}:user/{user}","accountId":"{account}","userName":"{user}"}},"eventTime":"{time}","eventSource":"{source}","eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"198.51.100.{}","userAgent":"aws-cli/2.31.0","requestParameters":null,"responseElements":null,"requestID":"{uuid}","eventID":"{uuid}","readOnly":{read_only},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management"}}"#,
                    id[..17].to_uppercase(),
                    i % 250 + 1,
                );
            }
        }
    }
    text
}
