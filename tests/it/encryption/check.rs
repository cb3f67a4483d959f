//! `trailseal check`: what would stop a delivery is told before it begins.

use std::sync::Arc;

use local::kms::CreateKey;
use local::{OpenOptions, Store, SystemClock};
use policy::Caller;
use serde_json::json;

use super::store::{ACCOUNT, BUCKET, account_decides, document, region};
use crate::support::*;

fn check(site: &Site, set: &[String]) -> Call {
    let mut call =
        trailseal!["check", "--store", site.store(), "--config", site.path("trail.toml")];
    for value in set {
        call = call.arg("--set").arg(value);
    }
    call
}

fn open(site: &Site) -> Store {
    Store::open(&site.store(), &OpenOptions::default(), Arc::new(SystemClock)).unwrap()
}

fn kms(store: &Store) -> local::KmsClient {
    let root = Arc::new(Caller::root("aws", ACCOUNT.parse().unwrap()));
    store.kms(root, &region("us-east-1"))
}

#[test]
fn a_delivery_that_would_work_passes_before_and_after_the_first_and_nothing_is_written() {
    let site = Site::new();
    check(&site, &[]).run().exits(0).prints(&["a delivery makes it"]);
    assert!(!site.store().exists());
    site.delivered(events(3).as_bytes(), &[]);
    let before = contents(&site.store());
    check(&site, &[]).run().exits(0).prints(&["is in us-east-1", "enabled", "no foreign chain"]);
    assert_eq!(contents(&site.store()), before);
}

#[test]
fn every_failing_item_is_told_with_its_remedy() {
    let site = Site::new();
    site.delivered(events(3).as_bytes(), &[]);
    let store = open(&site);
    let elsewhere = store.create_key(&region("eu-west-1")).unwrap();
    let set = |key: &str, value: &str| format!("{key}={value}");
    let fails = |set: &[String], says: &[&str]| {
        check(&site, set).run().exits(1).prints(&["FAIL"]).prints(says);
    };
    fails(
        &[set("encryption.kms_key", &elsewhere.to_string())],
        &["KMS.NotFoundException", "us-east-1", "remedy"],
    );
    fails(&[set("destination.region", "eu-west-1")], &["audit-logs is in us-east-1", "remedy"]);
    fails(&[set("signing.key", "file:none.pem")], &["none.pem", "remedy"]);

    let kms = kms(&store);
    let key = |policy: &str| {
        let asked = CreateKey {
            policy: Some(policy.to_owned()),
            bypass_policy_lockout_safety_check: true,
            ..CreateKey::default()
        };
        let arn = kms.create_key(&asked).unwrap().arn.to_string();
        set("encryption.kms_key", &arn)
    };
    let everyone = json!({"Sid": "too wide", "Effect": "Allow", "Principal": {"AWS": "*"},
        "Action": "kms:Decrypt", "Resource": "*"});
    fails(&[key(&document(&[account_decides(), everyone]))], &["everyone", "too wide"]);
    let root = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:root")});
    let statement = |actions: &[&str]| json!({"Effect": "Allow", "Principal": root, "Action": actions, "Resource": "*"});
    let describe = statement(&["kms:Describe*", "kms:Get*", "kms:Put*"]);
    fails(
        &[key(&document(std::slice::from_ref(&describe)))],
        &["cannot encrypt", "kms:GenerateDataKey"],
    );
    let writes_only = document(&[describe, statement(&["kms:GenerateDataKey"])]);
    fails(&[key(&writes_only)], &["read back", "kms:Decrypt", "nobody decrypt"]);

    let disabled = store.create_key(&region("us-east-1")).unwrap().to_string();
    kms.disable_key(&disabled).unwrap();
    let disabled = [set("encryption.kms_key", &disabled)];
    fails(&disabled, &["is Disabled", "enable it"]);
    let told = check(&site, &disabled).run().exits(1).stdout;
    assert!(!told.contains("takes log files"), "nothing is said of what was not tried: {told}");

    let deny = json!({"Sid": "closed", "Effect": "Deny", "Principal": "*",
        "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*")});
    store.s3_as_root().put_bucket_policy(BUCKET, &document(&[deny])).unwrap();
    fails(&[], &["refuses log files", "closed", "AccessDenied"]);
}

#[test]
fn a_foreign_chain_in_the_folders_is_found() {
    let site = Site::new();
    site.delivered(events(3).as_bytes(), &[]);
    let pem = fixture("keys/throwaway-test-signing-key.pem");
    let set = [format!("signing.key=file:{}", pem.display())];
    check(&site, &set).run().exits(1).prints(&["was not signed by this signer"]);
    check(&site, &["destination.url=s3://audit-logs/elsewhere".to_owned()]).run().exits(0);
}
