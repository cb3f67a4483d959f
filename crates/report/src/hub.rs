//! What the forms for finding hubs share: a report as its JSON has it, be it this run's or an
//! earlier one's; the chains without findings; text within a hub's bounds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use trail::name::TrailArn;
use trail::{Sha256, Timestamp};

/// The parts of a report that hubs are told.
#[derive(Debug, Deserialize)]
pub(crate) struct Doc {
    pub(crate) schema: String,
    pub(crate) tool: Tool,
    pub(crate) generated_at: Timestamp,
    pub(crate) request: Request,
    pub(crate) coverage: Vec<Line>,
    pub(crate) findings: Vec<Item>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tool {
    pub(crate) version: String,
}

/// What was asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    #[serde(default)]
    pub(crate) accounts: Vec<String>,
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    pub(crate) trail_arn: Option<String>,
    pub(crate) trail_name: Option<String>,
    pub(crate) depth: Option<String>,
    pub(crate) bucket_region: Option<String>,
}

impl Request {
    pub(crate) fn arn(&self) -> Option<TrailArn> {
        self.trail_arn.as_deref().and_then(|arn| arn.parse().ok())
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    #[serde(flatten)]
    pub(crate) chain: Chain,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) state: String,
}

/// A chain; its folders are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Chain {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) trail: String,
    pub(crate) home_region: String,
}

impl Chain {
    /// A short name that stays the same from run to run.
    pub(crate) fn id(&self) -> String {
        let Self { account, region, trail, home_region } = self;
        short_hash(&format!("{account}\n{region}\n{trail}\n{home_region}"))
    }
}

/// A chain that no finding concerns.
pub(crate) struct Clean {
    pub(crate) chain: Chain,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) class: String,
    pub(crate) severity: String,
    pub(crate) state: String,
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) trail: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) objects: Vec<String>,
    pub(crate) expected: Option<String>,
    pub(crate) actual: Option<String>,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Item {
    /// Whether it may concern what lies in this scope; what is not known may be anything.
    pub(crate) fn may_concern(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        trail: Option<&str>,
    ) -> bool {
        let meets = |a: Option<&str>, b: Option<&str>| a.is_none() || b.is_none() || a == b;
        meets(self.account.as_deref(), account)
            && meets(self.region.as_deref(), region)
            && meets(self.trail.as_deref(), trail)
    }

    /// What a hub is told: the message, and the values where there are any.
    pub(crate) fn description(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in [("expected", &self.expected), ("actual", &self.actual)] {
            if let Some(value) = value {
                text.push_str(&format!("; {name}: {value}"));
            }
        }
        text
    }

    /// The objects it speaks of, each once.
    pub(crate) fn all_objects(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for object in self.object.iter().chain(&self.objects) {
            if !object.trim().is_empty() && !out.contains(&object.as_str()) {
                out.push(object);
            }
        }
        out
    }
}

impl Doc {
    /// A report's JSON as a hub is told of it.
    pub(crate) fn read(json: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(json)
    }

    /// The chains with proven time and without findings that count.
    pub(crate) fn clean_chains(&self) -> Vec<Clean> {
        let mut spans: BTreeMap<&Chain, (Timestamp, Timestamp, bool)> = BTreeMap::new();
        for line in &self.coverage {
            let span = spans.entry(&line.chain).or_insert((Timestamp::MAX, Timestamp::EPOCH, true));
            match line.state.as_str() {
                "proven" | "proven-earlier" => {
                    (span.0, span.1) = (span.0.min(line.from), span.1.max(line.to));
                }
                // Not there yet, or declared to be gone.
                "pending" | "expired" => {}
                _ => span.2 = false,
            }
        }
        let counts = |f: &&Item| f.class != "info" && f.state == "open";
        let failing: Vec<&Item> = self.findings.iter().filter(counts).collect();
        let clean = |c: &Chain| {
            let concerns =
                |f: &&Item| f.may_concern(Some(&c.account), Some(&c.region), Some(&c.trail));
            !failing.iter().any(concerns)
        };
        spans
            .into_iter()
            .filter(|(chain, (from, to, sound))| *sound && from < to && clean(chain))
            .map(|(chain, (from, to, _))| Clean { chain: chain.clone(), from, to })
            .collect()
    }
}

/// The first 16 hex digits of a text's SHA-256.
pub(crate) fn short_hash(text: &str) -> String {
    Sha256::of(text.as_bytes()).to_string()[..16].to_owned()
}

/// At most `max` characters on one line, never blank.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = text.trim().chars().map(plain).take(max).collect();
    if text.trim().chars().nth(max).is_some() {
        out.pop();
        out.push('…');
    }
    if out.trim().is_empty() { "-".to_owned() } else { out }
}
