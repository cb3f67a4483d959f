//! How a reader can check the report without trusting it, or this program.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trail::key::{DigestKey, LogKey};
use trail::name::TrailArn;
use verifier::Report;

use super::text::{plain, visible};
use super::{asked, target};

/// Trails for which the command of the AWS CLI is written out.
const TRAILS_MAX: usize = 3;

pub(super) fn section(report: &Report) -> Markup {
    let example = Example::of(report);
    let Example { bucket, log, digest, region, .. } = &example;
    html! {
        section #howto aria-labelledby="howto-title" {
            h2 #howto-title { "Check it yourself" }
            h3 { "Again, with this program" }
            p {
                "The same evidence gives the same report. Add the options of the original run "
                "that name keys or demand an encryption."
            }
            (command(&again(report)))
            h3 { "With the AWS CLI, against the original bucket" }
            p {
                "It validates one trail and one source region at a time, looks at neither "
                "encryption nor logs that no digest names, and stops at the first object that it "
                "may not read. " code { "OWNER" } " is the account that owns the trail, where "
                "the report does not tell."
            }
            @for line in validate_logs(report) { (command(&line)) }
            h3 { "One log by hand" }
            p {
                "The hash is that of the log's content, not of the compressed file. "
                @if let Some((expected, actual)) = &example.hashes {
                    "The digest was signed over " code { (visible(expected)) } "; this run read "
                    code { (visible(actual)) } "."
                } @else { "Both commands must print the same hash." }
                @if !target(report).starts_with("s3://") {
                    " In a copy, the same keys are paths below its directory."
                }
            }
            (command(&format!(
                "BUCKET={bucket}\nLOG={log}\nDIGEST={digest}\n\
                 aws s3 cp \"s3://$BUCKET/$LOG\" - | gunzip | sha256sum\n\
                 aws s3 cp \"s3://$BUCKET/$DIGEST\" - | gunzip > digest.json\n\
                 jq -r --arg log \"$LOG\" \\\n  \
                 '.logFiles[] | select(.s3Object == $log) | .hashValue' digest.json"
            )))
            h3 { "One digest's signature by hand" }
            p {
                "Signed are the digest's end, its own address, its hash and its predecessor's "
                "signature. The last command must print " code { "Verified OK" } "."
            }
            (command(&format!(
                "printf '%s\\n%s\\n%s\\n%s' \"$(jq -r .digestEndTime digest.json)\" \
                 \"$BUCKET/$DIGEST\" \\\n  \
                 \"$(sha256sum < digest.json | cut -c-64)\" \\\n  \
                 \"$(jq -r '.previousDigestSignature // \"null\"' digest.json)\" > signed.txt\n\
                 aws s3api head-object --bucket \"$BUCKET\" --key \"$DIGEST\" \\\n  \
                 --query Metadata.signature --output text | xxd -r -p > signature.bin\n\
                 KEY=$(jq -r .digestPublicKeyFingerprint digest.json)\n\
                 aws cloudtrail list-public-keys --region {region} \\\n  \
                 --start-time \"$(jq -r .digestStartTime digest.json)\" \
                 --end-time \"$(jq -r .digestEndTime digest.json)\" \\\n  \
                 --query \"PublicKeyList[?Fingerprint=='$KEY'].Value\" --output text \
                 | base64 -d > key.der\n\
                 openssl rsa -RSAPublicKey_in -inform DER -in key.der -pubout -out key.pem\n\
                 openssl dgst -sha256 -verify key.pem -signature signature.bin signed.txt"
            )))
        }
    }
}

fn command(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (text) } } }
}

/// A word of a POSIX shell.
fn word(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn again(report: &Report) -> String {
    // A name that cannot be shown as it is cannot be copied from here either.
    let target = Some(target(report)).filter(|t| plain(t)).map_or("TARGET".to_owned(), word);
    let mut parts = vec![format!("trailseal verify {target}")];
    let texts = |name: &str| -> Vec<&str> {
        let value = report.request.get(name);
        let many = value.and_then(|v| v.as_array()).into_iter().flatten();
        many.chain(value).filter_map(|v| v.as_str()).collect()
    };
    let options = [
        ("trail_arn", "trail-arn", ""),
        ("trail_name", "trail-name", ""),
        ("accounts", "account", ""),
        ("regions", "region", ""),
        ("start", "start", ""),
        ("end", "end", ""),
        ("grace", "grace", "7200s"),
        ("backfill_grace", "backfill-grace", "259200s"),
        ("depth", "depth", "logs"),
    ];
    for (name, option, default) in options {
        for value in texts(name).into_iter().filter(|v| *v != default && plain(v)) {
            parts.push(format!("--{option} {}", word(value)));
        }
    }
    parts.push("--format html --output report.html".to_owned());
    parts.join(" \\\n  ")
}

/// One command for each of the first trails, in the region of its first chain.
fn validate_logs(report: &Report) -> Vec<String> {
    let mut trails: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in &report.coverage {
        trails.entry((&line.trail, &line.home_region)).or_default().push(line);
    }
    let given = asked(report, "trail_arn").and_then(|a| a.parse::<TrailArn>().ok());
    let commands = trails.into_iter().take(TRAILS_MAX).filter_map(|((name, home), lines)| {
        let first = lines.first()?;
        let one_account = lines.iter().all(|l| l.account == first.account);
        let arn =
            TrailArn::new(first.account.parse().ok()?, home.parse().ok()?, name.parse().ok()?);
        let arn = match &given {
            Some(given) if given.name == arn.name => given.to_string(),
            _ if one_account => arn.to_string(),
            _ => arn.to_string().replacen(&format!(":{}:", first.account), ":OWNER:", 1),
        };
        let from = lines.iter().map(|l| l.from).min()?;
        let start = asked(report, "start").map_or(from.to_string(), ToOwned::to_owned);
        let end =
            asked(report, "end").map_or_else(String::new, |e| format!(" --end-time {}", word(e)));
        Some(format!(
            "aws cloudtrail validate-logs --verbose --region {} \\\n  --trail-arn {} \\\n  \
             --start-time {}{end}",
            word(&first.region),
            word(&arn),
            word(&start),
        ))
    });
    let commands: Vec<_> = commands.collect();
    if commands.is_empty() {
        vec![
            "aws cloudtrail validate-logs --verbose --region REGION --trail-arn ARN \
              --start-time TIME"
                .to_owned(),
        ]
    } else {
        commands
    }
}

/// The objects that the commands name: those of a finding, so that the reader sees it for
/// themselves, else placeholders.
struct Example {
    bucket: String,
    log: String,
    digest: String,
    region: String,
    /// What the log's hash should have been, and was.
    hashes: Option<(String, String)>,
}

impl Example {
    fn of(report: &Report) -> Self {
        let mismatch = report.findings.iter().find_map(|f| {
            let (bucket, log) = place::<LogKey>(f.object.as_deref()?)?;
            let (digests, digest) = place::<DigestKey>(f.digest.as_deref()?)?;
            let hashes = (f.expected.clone()?, f.actual.clone()?);
            (f.code == "log.hash-mismatch" && bucket == digests).then(|| Self {
                bucket: bucket.to_owned(),
                log: log.to_owned(),
                digest: digest.to_owned(),
                region: f.region.clone().unwrap_or_else(|| "REGION".to_owned()),
                hashes: Some(hashes),
            })
        });
        mismatch.unwrap_or_else(|| Self {
            bucket: "BUCKET".to_owned(),
            log: "KEY-OF-THE-LOG".to_owned(),
            digest: "KEY-OF-THE-DIGEST".to_owned(),
            region: "REGION".to_owned(),
            hashes: None,
        })
    }
}

/// Bucket and key of an address whose key is of the grammar, and so safe in a command.
fn place<K: std::str::FromStr>(address: &str) -> Option<(&str, &str)> {
    let (bucket, key) = address.strip_prefix("s3://")?.split_once('/')?;
    let safe = word(bucket) == bucket && word(key) == key;
    (safe && key.parse::<K>().is_ok()).then_some((bucket, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_to_the_shell() {
        assert_eq!(word("s3://b/p"), "s3://b/p");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("$(id)'; rm"), r"'$(id)'\''; rm'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn only_keys_of_the_grammar_come_into_a_command() {
        let digest = "s3://b/p/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/23/\
                      111122223333_CloudTrail-Digest_eu-west-1_main_us-east-1_20261123T200000Z.json.gz";
        assert!(place::<DigestKey>(digest).is_some());
        for hostile in ["s3://b/$(id).json.gz", &digest.replace("/p/", "/$(id)/"), "nowhere"] {
            assert!(place::<DigestKey>(hostile).is_none(), "{hostile}");
        }
    }
}
