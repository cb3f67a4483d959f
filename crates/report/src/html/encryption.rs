//! How the objects are encrypted, by key and period, and which keys signed the digests.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trail::Timestamp;
use verifier::Report;
use verifier::report::EncryptionLine;

use super::text::{number, scrolling, time, visible};

/// Lines that the page lists.
const LINES_MAX: usize = 1_000;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section #encryption aria-labelledby="encryption-title" {
            h2 #encryption-title { "Encryption" }
            @if report.encryption.is_empty() {
                p .lead { "Nothing is known of the objects' encryption." }
            } @else {
                p .lead {
                    "How the objects of this run are encrypted at rest, by key, with the time of "
                    "the earliest and latest object under it."
                }
                (groups(report))
            }
        }
        section #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Signing keys" }
            @if report.keys.is_empty() {
                p .lead { "No key was needed: no digest was verified." }
            } @else {
                p .lead { "The public keys under which digests of this run were verified." }
                (keys(report))
            }
        }
    }
}

type Group<'a> = (&'static str, Option<&'a str>, Option<&'a str>, Option<bool>);

fn groups(report: &Report) -> Markup {
    let mut groups: BTreeMap<Group<'_>, Vec<&EncryptionLine>> = BTreeMap::new();
    for line in &report.encryption {
        let key = (line.kind, line.sse.as_deref(), line.key.as_deref(), line.bucket_key);
        groups.entry(key).or_default().push(line);
    }
    let room = (LINES_MAX / groups.len().max(1)).max(1);
    html! {
        @for (at, ((kind, sse, key, bucket_key), lines)) in groups.iter().rev().enumerate() {
            div .cipher {
                h3 {
                    @match kind { &"log" => "Log files", _ => "Digest files" }
                    " – " (mode(*sse))
                    @if *bucket_key == Some(true) { " with a Bucket Key" }
                }
                @if let Some(key) = key { p .key { code { (visible(key)) } } }
                (scrolling(&format!("Group {} of objects", at + 1), &html! {
                    table .lines {
                        thead { tr {
                            th scope="col" { "Account" } th scope="col" { "Region" }
                            th scope="col" { "First object" } th scope="col" { "Last object" }
                            th .n scope="col" { "Objects" }
                        } }
                        tbody { @for line in lines.iter().take(room) { (cipher_line(line)) } }
                        tfoot { (total(lines)) }
                    }
                }))
                @if lines.len() > room {
                    p .note {
                        (number((lines.len() - room) as u64)) " more lines are in the JSON report."
                    }
                }
            }
        }
    }
}

fn mode(sse: Option<&str>) -> Markup {
    html! {
        @match sse {
            Some("aws:kms") => "SSE-KMS",
            Some("aws:kms:dsse") => "DSSE-KMS",
            Some("AES256") => "SSE-S3 (a key that S3 manages)",
            Some(other) => (visible(other)),
            None => "not encrypted, or not known",
        }
    }
}

fn cipher_line(line: &EncryptionLine) -> Markup {
    html! {
        tr {
            td { (visible(line.account.as_deref().unwrap_or("–"))) }
            td { (visible(line.region.as_deref().unwrap_or("–"))) }
            td { (time(line.from)) }
            td { (time(line.to)) }
            td .n { (number(line.objects)) }
        }
    }
}

fn total(lines: &[&EncryptionLine]) -> Markup {
    let from = lines.iter().map(|l| l.from).min().unwrap_or(Timestamp::EPOCH);
    let to = lines.iter().map(|l| l.to).max().unwrap_or(Timestamp::EPOCH);
    html! {
        tr {
            th scope="row" colspan="2" { "In all" }
            td { (time(from)) }
            td { (time(to)) }
            td .n { (number(lines.iter().map(|l| l.objects).sum())) }
        }
    }
}

fn keys(report: &Report) -> Markup {
    let table = html! {
            table .lines {
                thead { tr {
                    th scope="col" { "Fingerprint" } th scope="col" { "Region" }
                    th scope="col" { "Valid from" } th scope="col" { "Valid to" }
                    th scope="col" { "Taken from" } th .n scope="col" { "Digests" }
                } }
                tbody {
                    @for key in report.keys.iter().take(LINES_MAX) {
                        tr {
                            td { code { (visible(&key.fingerprint)) } }
                            td { (visible(&key.region)) }
                            td { (time(key.valid_from)) }
                            td { (time(key.valid_to)) }
                            td { (source(&key.source)) }
                            td .n { (number(key.digests)) }
                        }
                    }
                }
            }
    };
    html! {
        (scrolling("Table of signing keys", &table))
        @if report.keys.len() > LINES_MAX {
            p .note {
                (number((report.keys.len() - LINES_MAX) as u64))
                " more keys are in the JSON report."
            }
        }
    }
}

/// Where a key came from, in words.
fn source(source: &str) -> Markup {
    html! {
        @match source {
            "api" => "ListPublicKeys",
            "target" => "the evidence itself (not trusted)",
            other => (visible(other)),
        }
    }
}
