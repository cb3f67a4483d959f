//! The AWS Security Finding Format, as `BatchImportFindings` takes it: one array of findings.
//!
//! Ids are stable from run to run. With the previous run's report, findings that are gone come
//! out archived, so that a hub closes them. A finding is gone only when this run asked for at
//! least as much and nothing new in its chain could hide it; else it is left as the hub has it.
//! One call takes 100 findings of one account and region; the file may hold more.
//!
//! Source: <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use trail::name::{TrailArn, partition_of};
use trail::{AccountId, Region, Timestamp};
use verifier::Report;

use crate::hub::{Chain, Clean, Doc, Item, clip, short_hash};
use crate::standards;

const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 1024;
const REMEDY_MAX: usize = 512;
const FIELD_MAX: usize = 1024;
const ID_MAX: usize = 512;
const RESOURCES_MAX: usize = 32;

/// Why a report cannot be given to a hub.
#[derive(Debug, thiserror::Error)]
pub enum AsffError {
    /// A hub's findings belong to an account and a region.
    #[error("no {0} is known to file the findings under; verify with --trail-arn")]
    Nowhere(&'static str),
    /// The previous report is none.
    #[error("the previous report cannot be read: {0}; give the file of --format json")]
    Previous(#[from] serde_json::Error),
    /// The previous report is of another form.
    #[error("the previous report is of the schema {0:?}, not {1:?}")]
    Schema(String, &'static str),
    /// The previous report is newer.
    #[error("the previous report is of {0}, later than this one; give the older one as previous")]
    Later(Timestamp),
    /// The previous report says more than this one, or something else.
    #[error(
        "the previous report asked for another or more {what} ({previous}) than this one \
         ({current}), so what is gone cannot be told; ask for as much, or leave it out"
    )]
    Narrower {
        /// What differs.
        what: &'static str,
        /// As the previous report has it.
        previous: String,
        /// As this one has it.
        current: String,
    },
}

/// The findings of `report` as a JSON array; with `previous`, the JSON of the report before,
/// also those that are gone.
///
/// # Errors
/// When no account or region is known, and when `previous` is not a report that this one can be
/// compared with.
pub fn render(report: &Report, previous: Option<&Value>) -> Result<String, AsffError> {
    // Both are read from their JSON form, so that equal findings are equal.
    let current = Doc::read(&serde_json::to_value(report)?)?;
    let previous = previous.map(Doc::read).transpose()?;
    let mut created = BTreeMap::new();
    if let Some(previous) = &previous {
        comparable(&current, previous, report.schema)?;
        created.extend(previous.findings.iter().map(|f| (f.id.clone(), previous.generated_at)));
        let clean = previous.clean_chains();
        created.extend(clean.iter().map(|c| (c.chain.id(), previous.generated_at)));
    }
    let hub = Hub { doc: &current, now: current.generated_at, created: &created };
    let mut out = hub.findings("ACTIVE", |_| true, |_| true)?;
    if let Some(previous) = &previous {
        let known: BTreeSet<String> = current.findings.iter().map(|f| f.id.clone()).collect();
        let clean: BTreeSet<String> = current.clean_chains().iter().map(|c| c.chain.id()).collect();
        let hiding: Vec<&Item> =
            current.findings.iter().filter(|f| hides(f) && !created.contains_key(&f.id)).collect();
        let gone = |f: &Item| !known.contains(&f.id) && !hiding.iter().any(|h| concerns(h, f));
        let old = Hub { doc: previous, now: current.generated_at, created: &created };
        out.extend(old.findings("ARCHIVED", gone, |c| !clean.contains(&c.chain.id()))?);
    }
    let mut text = serde_json::to_string_pretty(&out)?;
    text.push('\n');
    Ok(text)
}

/// Whether a finding may be why an older one was not found again: what it concerns was not
/// looked at.
fn hides(f: &Item) -> bool {
    let unread = ["unverifiable", "incomplete"].contains(&f.class.as_str());
    let prefixes = ["digest.", "backfill.", "chain."];
    f.class != "info" && (unread || prefixes.iter().any(|p| f.code.starts_with(p)))
}

fn concerns(new: &Item, old: &Item) -> bool {
    new.may_concern(old.account.as_deref(), old.region.as_deref(), old.trail.as_deref())
}

/// Checks that what `previous` found, `current` would find again if it were still there.
fn comparable(current: &Doc, previous: &Doc, schema: &'static str) -> Result<(), AsffError> {
    if previous.schema != schema {
        return Err(AsffError::Schema(previous.schema.clone(), schema));
    }
    if previous.generated_at > current.generated_at {
        return Err(AsffError::Later(previous.generated_at));
    }
    let (now, then) = (&current.request, &previous.request);
    let within = |all: &[String], part: &[String]| {
        all.is_empty() || !part.is_empty() && part.iter().all(|p| all.contains(p))
    };
    let filter = |now: &Option<String>, then: &Option<String>| now.is_none() || now == then;
    let depth = |d: &Option<String>| {
        ["digests", "logs", "events"].iter().position(|n| Some(*n) == d.as_deref())
    };
    let begins = now.start.is_none() || then.start.is_some_and(|t| now.start <= Some(t));
    let checks = [
        ("target", now.target == then.target, json!(then.target), json!(now.target)),
        (
            "accounts",
            within(&now.accounts, &then.accounts),
            json!(then.accounts),
            json!(now.accounts),
        ),
        ("regions", within(&now.regions, &then.regions), json!(then.regions), json!(now.regions)),
        (
            "trails",
            filter(&now.trail_arn, &then.trail_arn),
            json!(then.trail_arn),
            json!(now.trail_arn),
        ),
        (
            "trails",
            filter(&now.trail_name, &then.trail_name),
            json!(then.trail_name),
            json!(now.trail_name),
        ),
        ("time before", begins, json!(then.start), json!(now.start)),
        ("time after", now.end >= then.end, json!(then.end), json!(now.end)),
        ("depth", depth(&now.depth) >= depth(&then.depth), json!(then.depth), json!(now.depth)),
    ];
    match checks.into_iter().find(|(_, holds, ..)| !holds) {
        None => Ok(()),
        Some((what, _, previous, current)) => Err(AsffError::Narrower {
            what,
            previous: previous.to_string(),
            current: current.to_string(),
        }),
    }
}

/// A report on its way to a hub.
struct Hub<'a> {
    doc: &'a Doc,
    now: Timestamp,
    /// When findings that the previous report had were made, as far as that is known.
    created: &'a BTreeMap<String, Timestamp>,
}

/// Where a finding is filed, and the trail it is about.
struct Place {
    account: AccountId,
    region: Region,
}

impl Hub<'_> {
    fn findings(
        &self,
        record_state: &str,
        wanted: impl Fn(&Item) -> bool,
        wanted_chain: impl Fn(&Clean) -> bool,
    ) -> Result<Vec<Value>, AsffError> {
        let items = self.doc.findings.iter().filter(|f| wanted(f)).map(|f| self.item(f));
        let clean = self.doc.clean_chains();
        let clean = clean.iter().filter(|c| wanted_chain(c)).map(|c| self.clean(c));
        let all: Result<Vec<Value>, AsffError> = items.chain(clean).collect();
        let mut all = all?;
        for finding in &mut all {
            finding["RecordState"] = json!(record_state);
        }
        Ok(all)
    }

    fn item(&self, f: &Item) -> Result<Value, AsffError> {
        let chain = self.chain_of(f);
        let place = self.place(f.account.as_deref(), f.region.as_deref(), chain)?;
        let title = format!("{}: {}", f.code, f.object.as_deref().unwrap_or(&f.message));
        let mut finding = self.envelope(&place, &f.id, &f.code);
        finding.extend(object(json!({
            "Types": types(&f.class),
            "Severity": {"Label": label(f), "Original": f.severity},
            "Title": clip(&title, TITLE_MAX),
            "Description": clip(&f.description(), DESCRIPTION_MAX),
            "Remediation": {"Recommendation": {"Text": clip(&f.remedy, REMEDY_MAX)}},
            "Resources": resources(f, chain, &place),
            "ProductFields": self.fields(f),
        })));
        if let Some(compliance) = compliance(f) {
            finding.insert("Compliance".into(), compliance);
        }
        if f.state == "accepted" {
            finding.insert("Workflow".into(), json!({"Status": "SUPPRESSED"}));
        }
        Ok(Value::Object(finding))
    }

    /// That nothing is wrong with a chain.
    fn clean(&self, clean: &Clean) -> Result<Value, AsffError> {
        let Clean { chain, from, to } = clean;
        let place = self.place(Some(&chain.account), Some(&chain.region), Some(chain))?;
        let of = format!("trail {} in {}, {}", chain.trail, chain.account, chain.region);
        let read = match self.doc.request.depth.as_deref() {
            Some("digests") => "its digests; the logs were not read",
            _ => "its digests and the logs that they name",
        };
        let text = format!("From {from} to {to} nothing was found against {read}.");
        let mut finding = self.envelope(&place, &chain.id(), "chain");
        finding.extend(object(json!({
            "Types": types("noncompliant"),
            "Severity": {"Label": "INFORMATIONAL", "Original": "info"},
            "Title": clip(&format!("{of} is as it was signed"), TITLE_MAX),
            "Description": clip(&text, DESCRIPTION_MAX),
            "Resources": trail_arn(chain, &place).map(|arn| [trail_resource(&arn, "")]),
            "Compliance": {"Status": "PASSED"},
        })));
        Ok(Value::Object(finding))
    }

    /// What every finding has. `id` is stable within the target.
    fn envelope(&self, place: &Place, id: &str, generator: &str) -> Map<String, Value> {
        let Place { account, region } = place;
        let partition = partition_of(region);
        let created = self.created.get(id).copied().unwrap_or(self.now);
        let target = short_hash(&self.doc.request.target);
        object(json!({
            "SchemaVersion": "2018-10-08",
            "Id": format!("trailseal/{target}/{}", clip(id, 64)),
            "ProductArn":
                format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
            "ProductName": "trailseal",
            "GeneratorId": clip(&format!("trailseal/{generator}"), ID_MAX),
            "AwsAccountId": account,
            "Region": region,
            "CreatedAt": created,
            "UpdatedAt": self.now,
        }))
    }

    /// The chain a finding is about, or, where it names none, one of its trail.
    fn chain_of(&self, f: &Item) -> Option<&Chain> {
        let concerned =
            |c: &&Chain| f.may_concern(Some(&c.account), Some(&c.region), Some(&c.trail));
        f.trail.as_ref()?;
        self.doc.coverage.iter().map(|l| &l.chain).find(concerned)
    }

    /// The trail's account and home region, as far as they are known; else the best there is.
    fn place(
        &self,
        account: Option<&str>,
        region: Option<&str>,
        chain: Option<&Chain>,
    ) -> Result<Place, AsffError> {
        let request = &self.doc.request;
        let arn = request.arn();
        let any = self.doc.coverage.first().map(|l| &l.chain);
        let accounts = [
            arn.as_ref().map(|a| a.account.as_str()),
            account,
            chain.map(|c| c.account.as_str()),
            request.accounts.first().map(String::as_str),
            any.map(|c| c.account.as_str()),
        ];
        let regions = [
            arn.as_ref().map(|a| a.home_region.as_str()),
            chain.map(|c| c.home_region.as_str()),
            region,
            request.bucket_region.as_deref(),
            request.regions.first().map(String::as_str),
            any.map(|c| c.home_region.as_str()),
        ];
        let account = accounts.into_iter().flatten().find_map(|a| a.parse().ok());
        let region = regions.into_iter().flatten().find_map(|r| r.parse().ok());
        Ok(Place {
            account: account.ok_or(AsffError::Nowhere("account"))?,
            region: region.ok_or(AsffError::Nowhere("region"))?,
        })
    }

    fn fields(&self, f: &Item) -> Value {
        let mut fields = Map::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                fields.insert(format!("trailseal/{name}"), json!(clip(&value, FIELD_MAX)));
            }
        };
        add("version", Some(self.doc.tool.version.clone()));
        add("target", Some(self.doc.request.target.clone()));
        add("code", Some(f.code.clone()));
        add("class", Some(f.class.clone()));
        add("count", Some(f.count.to_string()));
        add("state", Some(f.state.clone()));
        add("digest", f.digest.clone());
        add("from", f.from.map(|t| t.to_string()));
        add("to", f.to.map(|t| t.to_string()));
        add("expected", f.expected.clone());
        add("actual", f.actual.clone());
        Value::Object(fields)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn label(f: &Item) -> &'static str {
    match f.severity.as_str() {
        _ if f.class == "info" => "INFORMATIONAL",
        "critical" => "CRITICAL",
        "high" => "HIGH",
        "medium" => "MEDIUM",
        "low" => "LOW",
        _ => "INFORMATIONAL",
    }
}

fn types(class: &str) -> [&'static str; 1] {
    match class {
        "tampered" => ["TTPs/Defense Evasion"],
        _ => ["Software and Configuration Checks/AWS Security Best Practices"],
    }
}

/// What a finding says about compliance; one that is only worth knowing says nothing.
fn compliance(f: &Item) -> Option<Value> {
    let status = match f.class.as_str() {
        "info" => return None,
        // The check did not come to a result, because something could not be read.
        "unverifiable" => "WARNING",
        _ => "FAILED",
    };
    let requirements = standards::requirements(&f.code);
    let mut out = json!({"Status": status});
    if !requirements.is_empty() {
        out["RelatedRequirements"] = json!(requirements);
    }
    // Security Hub's own controls, where they ask for the same.
    let control = match f.code.as_str() {
        "trail.not-multi-region" => Some("CloudTrail.1"),
        "trail.unencrypted" => Some("CloudTrail.2"),
        "trail.validation-off" => Some("CloudTrail.4"),
        _ => None,
    };
    if let Some(control) = control {
        out["SecurityControlId"] = json!(control);
    }
    Some(out)
}

/// The trail first, then the objects, as many as fit.
fn resources(f: &Item, chain: Option<&Chain>, place: &Place) -> Vec<Value> {
    let named = f.object.as_deref().and_then(|o| o.parse::<TrailArn>().ok());
    let trail = named.or_else(|| chain.and_then(|c| trail_arn(c, place)));
    let mut out: Vec<Value> = trail.map(|arn| trail_resource(&arn, &f.code)).into_iter().collect();
    let room = RESOURCES_MAX - out.len();
    let others = f.all_objects().into_iter().filter(|o| o.parse::<TrailArn>().is_err());
    out.extend(others.take(room).map(|o| object_resource(o, place)));
    if out.is_empty() {
        let partition = partition_of(&place.region);
        out.push(json!({
            "Type": "AwsAccount",
            "Id": format!("arn:{partition}:iam::{}:root", place.account),
            "Partition": partition,
            "Region": place.region,
        }));
    }
    out
}

/// A chain's trail, in the account that the finding is filed under.
fn trail_arn(chain: &Chain, place: &Place) -> Option<TrailArn> {
    let home = chain.home_region.parse().ok()?;
    Some(TrailArn::new(place.account.clone(), home, chain.trail.parse().ok()?))
}

fn trail_resource(arn: &TrailArn, code: &str) -> Value {
    let mut details = json!({"Name": arn.name, "HomeRegion": arn.home_region});
    match code {
        "trail.validation-off" => details["LogFileValidationEnabled"] = json!(false),
        "trail.not-multi-region" => details["IsMultiRegionTrail"] = json!(false),
        "trail.no-global-events" => details["IncludeGlobalServiceEvents"] = json!(false),
        _ => {}
    }
    json!({
        "Type": "AwsCloudTrailTrail",
        "Id": arn.to_string(),
        "Partition": arn.partition,
        "Region": arn.home_region,
        "Details": {"AwsCloudTrailTrail": details},
    })
}

fn object_resource(object: &str, place: &Place) -> Value {
    let partition = partition_of(&place.region);
    let (kind, id) = match object.strip_prefix("s3://") {
        Some(path) if path.contains('/') => ("AwsS3Object", format!("arn:{partition}:s3:::{path}")),
        _ if object.starts_with("arn:") && object.contains(":kms:") => {
            ("AwsKmsKey", object.to_owned())
        }
        _ => ("Other", object.to_owned()),
    };
    let mut resource = json!({"Type": kind, "Id": bounded_id(&id), "Partition": partition});
    if kind == "Other" {
        resource["Details"] = json!({"Other": {"object": clip(object, FIELD_MAX)}});
    }
    resource
}

/// An id of at most 512 characters that still tells two objects apart.
fn bounded_id(id: &str) -> String {
    if id.chars().count() <= ID_MAX && !id.chars().any(char::is_control) {
        return id.to_owned();
    }
    format!("{}#{}", clip(id, ID_MAX - 17), short_hash(id))
}
