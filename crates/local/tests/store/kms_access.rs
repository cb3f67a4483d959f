//! Who may use a KMS key: key policies, identity policies, other accounts, the lockout check.

use std::sync::Arc;

use local::kms::{
    CreateKey, KeyAndContext, KeySpec, KeyUsage, KmsClient, Message, Origin, ReplicateKey,
};
use policy::{Caller, Kind, Policy, Principal};
use serde_json::{Value, json};
use trail::error::KeyError;
use trail::ports::{KeyService as _, ObjectStore as _, Pairs};

use crate::support::{BUCKET, Fixture, kms as sse_kms, pairs, put_of, region};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/reader/session";
const STRANGER: &str = "arn:aws:iam::444455556666:user/eve";
const SERVICE: &str = "cloudtrail.amazonaws.com";

/// The key service as `principal` sees it, whose account lets it do `actions`.
pub(crate) fn client(f: &Fixture, principal: &str, actions: &[&str]) -> KmsClient {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    if actions.is_empty() {
        return client_under(f, principal, &[]);
    }
    client_under(f, principal, &[statement])
}

/// The key service as `principal` sees it, whose identity policy has these statements.
fn client_under(f: &Fixture, principal: &str, statements: &[Value]) -> KmsClient {
    let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let policies = match statements {
        [] => Vec::new(),
        _ => vec![Policy::parse(&policy, Kind::Identity).unwrap()],
    };
    let principal: Principal = principal.parse().unwrap();
    let caller = Caller { principal, policies, organization: None };
    f.store.kms(Arc::new(caller), &region("us-east-1"))
}

/// The account's root may do everything, and `statements` hold besides.
pub(crate) fn key_policy(statements: &[Value]) -> String {
    let mut all = vec![json!({
        "Sid": "root", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    })];
    all.extend_from_slice(statements);
    json!({"Version": "2012-10-17", "Statement": all}).to_string()
}

fn allow(principal: &Value, action: &str, condition: &Value) -> Value {
    json!({
        "Sid": "extra", "Effect": "Allow", "Principal": principal, "Action": action,
        "Resource": "*", "Condition": condition,
    })
}

pub(crate) fn key_with(f: &Fixture, statements: &[Value]) -> String {
    let policy = Some(key_policy(statements));
    f.kms().create_key(&CreateKey { policy, ..CreateKey::default() }).unwrap().arn.to_string()
}

pub(crate) fn code<T>(result: Result<T, KeyError>) -> &'static str {
    result.map_or_else(|e| e.code(), |_| "")
}

const DENIED: &str = "AccessDeniedException";

#[test]
fn an_identity_policy_counts_only_where_the_key_policy_names_the_account() {
    let f = Fixture::new();
    let delegating = key_with(&f, &[]);
    let root_only_here = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:*", "Resource": "*",
    }]})
    .to_string();
    let bypass = CreateKey {
        policy: Some(root_only_here),
        bypass_policy_lockout_safety_check: true,
        ..CreateKey::default()
    };
    let alices = f.kms().create_key(&bypass).unwrap().arn.to_string();
    let bob = "arn:aws:iam::111122223333:user/bob";
    for (who, actions, key, expected) in [
        (bob, &["kms:Encrypt"][..], &delegating, ""),
        (bob, &["kms:Decrypt"], &delegating, DENIED),
        (bob, &[], &delegating, DENIED),
        (SESSION, &["kms:*"], &delegating, ""),
        (bob, &["kms:*"], &alices, DENIED),
        (ALICE, &[], &alices, ""),
        (ALICE, &[], &delegating, DENIED),
    ] {
        let answer = client(&f, who, actions).encrypt(key, b"x", &Pairs::new());
        assert_eq!(code(answer), expected, "{who} {actions:?} {key}");
    }
    // The account's root is shut out too where the policy does not name the account.
    assert_eq!(code(f.kms().encrypt(&alices, b"x", &Pairs::new())), DENIED);
}

#[test]
fn the_key_policy_lets_users_roles_and_services_in_and_keeps_them_out() {
    let f = Fixture::new();
    let context = pairs(&[("aws:cloudtrail:arn", "arn:aws:cloudtrail:us-east-1:111122223333:t/x")]);
    let like = json!({"StringLike": {
        "kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:*:111122223333:t/*",
    }});
    let key = key_with(
        &f,
        &[
            allow(&json!({"AWS": ALICE}), "kms:Encrypt", &json!({})),
            json!({
                "Sid": "role", "Effect": "Allow", "Action": "kms:GenerateDataKey*",
                "Principal": {"AWS": "arn:aws:iam::111122223333:role/reader"}, "Resource": "*",
            }),
            json!({
                "Sid": "service", "Effect": "Allow", "Action": "kms:GenerateDataKey*",
                "Principal": {"Service": SERVICE}, "Resource": "*", "Condition": like,
            }),
            json!({
                "Sid": "never", "Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*",
                "Principal": "*", "Condition": {"StringEquals": {
                    "kms:EncryptionContext:forbidden": "yes",
                }},
            }),
        ],
    );
    let none = Pairs::new();
    let alice = client(&f, ALICE, &[]);
    assert_eq!(code(alice.encrypt(&key, b"x", &none)), "");
    assert_eq!(code(alice.generate_data_key(&key, &none)), DENIED);
    let forbidden = alice.encrypt(&key, b"x", &pairs(&[("forbidden", "yes")])).err().unwrap();
    let KeyError::AccessDenied { action, reason, .. } = &forbidden else { panic!("{forbidden}") };
    assert_eq!(action, "kms:Encrypt");
    assert!(reason.contains("never"), "{reason}");
    assert_eq!(code(client(&f, SESSION, &[]).generate_data_key(&key, &none)), "");
    assert_eq!(code(client(&f, SESSION, &[]).encrypt(&key, b"x", &none)), DENIED);
    let service = client(&f, SERVICE, &[]);
    assert_eq!(code(service.generate_data_key(&key, &context)), "");
    assert_eq!(code(service.generate_data_key(&key, &none)), DENIED);
    assert_eq!(code(service.encrypt(&key, b"x", &context)), DENIED);
}

#[test]
fn another_account_needs_both_sides_and_an_arn() {
    let f = Fixture::new();
    let open = key_with(&f, &[allow(&json!({"AWS": "444455556666"}), "kms:Encrypt", &json!({}))]);
    let closed = key_with(&f, &[]);
    f.kms().create_alias("alias/open", &open).unwrap();
    let none = Pairs::new();
    let encrypt =
        |actions: &[&str], key: &str| code(client(&f, STRANGER, actions).encrypt(key, b"x", &none));
    assert_eq!(encrypt(&["kms:Encrypt"], &open), "");
    assert_eq!(encrypt(&[], &open), DENIED);
    assert_eq!(encrypt(&["kms:Encrypt"], &closed), DENIED);
    assert_eq!(encrypt(&["kms:Encrypt"], "arn:aws:kms:us-east-1:111122223333:alias/open"), "");
    let id = open.rsplit_once('/').unwrap().1;
    for unnamed in [id, "alias/open", "arn:aws:kms:us-east-1:444455556666:alias/open"] {
        assert_eq!(encrypt(&["kms:*"], unnamed), "NotFoundException", "{unnamed}");
    }
    let foreign = client(&f, STRANGER, &["kms:*"]);
    assert_eq!(code(foreign.list_keys()), DENIED);
    assert_eq!(code(foreign.create_key(&CreateKey::default())), DENIED);
    // A ciphertext names its key: no ARN is needed, the permission is.
    let made = f.kms().encrypt(&open, b"x", &none).unwrap().ciphertext;
    assert_eq!(code(foreign.decrypt(None, &made, &none)), DENIED);
}

#[test]
fn a_missing_key_is_told_before_a_denial_and_a_denial_before_a_state() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    f.kms().disable_key(&key).unwrap();
    let nobody = client(&f, ALICE, &[]);
    let none = Pairs::new();
    f.kms().create_alias("alias/here", &key).unwrap();
    let missing = "00000000-0000-4000-8000-000000000000";
    assert_eq!(code(nobody.encrypt(missing, b"x", &none)), "NotFoundException");
    assert_eq!(code(nobody.encrypt(&key, b"x", &none)), DENIED);
    assert_eq!(code(f.kms().encrypt(&key, b"x", &none)), "DisabledException");
    for wrong in [
        key.replace("us-east-1", "eu-west-1"),
        key.replace("111122223333", "999900001111"),
        key.replace("arn:aws:", "arn:aws-cn:"),
        "alias/none".to_owned(),
        "arn:aws:kms:eu-west-1:111122223333:alias/here".to_owned(),
    ] {
        assert_eq!(code(f.kms().encrypt(&wrong, b"x", &none)), "NotFoundException", "{wrong}");
    }
    for wrong in ["", "../x", "key/1", "alias/"] {
        assert_eq!(code(f.kms().describe_key(wrong)), "ValidationException", "{wrong}");
    }
}

#[test]
fn moving_a_ciphertext_needs_permission_on_both_sides() {
    let f = Fixture::new();
    let [from, to] = [(); 2].map(|()| key_with(&f, &[]));
    let (old, new) = (pairs(&[("a", "old")]), pairs(&[("a", "new")]));
    let made = f.kms().encrypt(&from, b"x", &old).unwrap().ciphertext;
    for (actions, expected) in [
        (&["kms:ReEncryptFrom"][..], DENIED),
        (&["kms:ReEncryptTo"], DENIED),
        (&["kms:Decrypt", "kms:Encrypt"], DENIED),
        (&["kms:ReEncrypt*"], ""),
    ] {
        let source = KeyAndContext { key: None, context: &old };
        let target = KeyAndContext { key: Some(&to), context: &new };
        let answer = client(&f, ALICE, actions).re_encrypt(&made, source, target);
        assert_eq!(code(answer), expected, "{actions:?}");
    }
}

#[test]
fn conditions_see_the_alias_the_key_and_the_time() {
    let f = Fixture::new();
    let everybody = json!({"AWS": ALICE});
    let may = |condition: Value| {
        let key = key_with(&f, &[allow(&everybody, "kms:*", &condition)]);
        f.kms().create_alias("alias/project/a", &key).unwrap();
        let alice = client(&f, ALICE, &[]);
        let by_alias = alice.encrypt("alias/project/a", b"x", &Pairs::new()).is_ok();
        let by_arn = alice.encrypt(&key, b"x", &Pairs::new()).is_ok();
        f.kms().delete_alias("alias/project/a").unwrap();
        (by_alias, by_arn)
    };
    let requested = json!({"StringEquals": {"kms:RequestAlias": "alias/project/a"}});
    assert_eq!(may(requested), (true, false));
    let has = |alias: &str| json!({"ForAnyValue:StringLike": {"kms:ResourceAliases": alias}});
    assert_eq!(may(has("alias/project/*")), (true, true));
    assert_eq!(may(has("alias/other/*")), (false, false));
    for (condition, expected) in [
        (json!({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}), true),
        (json!({"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}), false),
        (json!({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}), true),
        (json!({"Bool": {"kms:MultiRegion": "false"}}), true),
        (json!({"Bool": {"aws:ViaAWSService": "false"}}), true),
        (json!({"DateLessThan": {"aws:EpochTime": "1700000001"}}), true),
        (json!({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}), true),
        (json!({"StringEquals": {"kms:CallerAccount": "111122223333"}}), true),
        (json!({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}), false),
        (json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}), true),
        (json!({"DateLessThan": {"aws:CurrentTime": "2023-11-15T00:00:00Z"}}), true),
        (json!({"DateLessThan": {"aws:CurrentTime": "2023-11-14T00:00:00Z"}}), false),
        (json!({"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "8"}}), false),
    ] {
        assert_eq!(may(condition.clone()), (expected, expected), "{condition}");
    }
    let short = json!({"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "8"}});
    let key = key_with(&f, &[allow(&everybody, "kms:ScheduleKeyDeletion", &short)]);
    let alice = client(&f, ALICE, &[]);
    assert_eq!(code(alice.schedule_key_deletion(&key, Some(8))), DENIED);
    assert_eq!(code(alice.schedule_key_deletion(&key, Some(7))), "");
}

#[test]
fn conditions_confine_what_keys_are_made() {
    let f = Fixture::new();
    let plain = CreateKey::default();
    let signs =
        CreateKey { spec: KeySpec::Rsa2048, usage: KeyUsage::SignVerify, ..CreateKey::default() };
    let external = CreateKey { origin: Origin::External, ..CreateKey::default() };
    let multi = CreateKey { multi_region: true, ..CreateKey::default() };
    let bypass = CreateKey { bypass_policy_lockout_safety_check: true, ..CreateKey::default() };
    for (operator, name, value, asked) in [
        ("StringEquals", "kms:KeySpec", "RSA_2048", &signs),
        ("StringEquals", "kms:KeyUsage", "SIGN_VERIFY", &signs),
        ("StringEquals", "kms:KeyOrigin", "EXTERNAL", &external),
        ("Bool", "kms:MultiRegion", "true", &multi),
        ("Bool", "kms:BypassPolicyLockoutSafetyCheck", "true", &bypass),
    ] {
        let alice = client_under(
            &f,
            ALICE,
            &[json!({
                "Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*",
                "Condition": {operator: {name: value}},
            })],
        );
        assert_eq!(code(alice.create_key(asked)), "", "{name}");
        assert_eq!(code(alice.create_key(&plain)), DENIED, "{name}");
    }
}

#[test]
fn conditions_confine_signing_replication_and_bypassing() {
    let f = Fixture::new();
    let confined = |action: &str, operator: &str, name: &str, value: &str| {
        let of = json!({
            "Effect": "Allow", "Action": action, "Resource": "*",
            "Condition": {operator: {name: value}},
        });
        client_under(&f, ALICE, &[of])
    };
    let signs =
        CreateKey { spec: KeySpec::Rsa2048, usage: KeyUsage::SignVerify, ..CreateKey::default() };
    let signs = f.kms().create_key(&signs).unwrap().arn.to_string();
    let alice = confined("kms:Sign", "StringEquals", "kms:MessageType", "DIGEST");
    assert_eq!(code(alice.sign(&signs, Message::Digest(&[0; 32]))), "");
    assert_eq!(code(alice.sign(&signs, Message::Raw(b"x"))), DENIED);
    let name = "kms:SigningAlgorithm";
    for (algorithm, expected) in [("RSASSA_PKCS1_V1_5_SHA_256", ""), ("ECDSA_SHA_256", DENIED)] {
        let alice = confined("kms:Sign", "StringEquals", name, algorithm);
        assert_eq!(code(alice.sign(&signs, Message::Raw(b"x"))), expected);
    }
    let key = key_with(&f, &[]);
    let name = "kms:BypassPolicyLockoutSafetyCheck";
    let alice = confined("kms:PutKeyPolicy", "Bool", name, "false");
    assert_eq!(code(alice.put_key_policy(&key, &key_policy(&[]), true)), DENIED);
    let multi = CreateKey { multi_region: true, ..CreateKey::default() };
    let multi = f.kms().create_key(&multi).unwrap().arn.to_string();
    let to = |name: &str| ReplicateKey {
        region: region(name),
        policy: None,
        bypass_policy_lockout_safety_check: false,
        description: String::new(),
    };
    let replicate = json!({
        "Effect": "Allow", "Action": "kms:ReplicateKey", "Resource": "*",
        "Condition": {"StringEquals": {"kms:ReplicaRegion": "eu-west-1"}},
    });
    let create = json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"});
    let alone = client_under(&f, ALICE, std::slice::from_ref(&replicate));
    assert_eq!(code(alone.replicate_key(&multi, &to("eu-west-1"))), DENIED, "no CreateKey there");
    let alice = client_under(&f, ALICE, &[replicate, create]);
    assert_eq!(code(alice.replicate_key(&multi, &to("us-west-2"))), DENIED);
    assert_eq!(code(alice.replicate_key(&multi, &to("eu-west-1"))), "");
    // A replica's policy is checked as a key's.
    let policy = Some(key_policy(&[]).replace("root", "user/bob"));
    let locked = ReplicateKey { policy, ..to("us-west-2") };
    let refused = f.kms().replicate_key(&multi, &locked);
    assert_eq!(code(refused), "MalformedPolicyDocumentException");
}

#[test]
fn nobody_locks_himself_out_unawares() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = key_with(&f, &[]);
    let alices = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:*", "Resource": "*",
    }]})
    .to_string();
    let refused = kms.put_key_policy(&key, &alices, false).unwrap_err();
    assert_eq!(refused.code(), "MalformedPolicyDocumentException");
    assert!(refused.to_string().contains("locks you out"), "{refused}");
    let asked = CreateKey { policy: Some(alices.clone()), ..CreateKey::default() };
    assert_eq!(code(kms.create_key(&asked)), "MalformedPolicyDocumentException");
    // It is nobody else whom the check asks about.
    let alice = client(&f, ALICE, &["kms:*"]);
    alice.put_key_policy(&key, &alices, false).unwrap();
    assert_eq!(alice.get_key_policy(&key).unwrap(), alices);
    assert_eq!(code(kms.put_key_policy(&key, &alices, true)), DENIED);
    let other = key_with(&f, &[]);
    kms.put_key_policy(&other, &alices, true).unwrap();
    assert_eq!(code(kms.describe_key(&other)), DENIED);
}

#[test]
fn a_policy_that_is_not_understood_is_refused_and_one_on_disk_lets_nobody_in() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    let before = f.kms().get_key_policy(&key).unwrap();
    for (policy, expected) in [
        ("{}".to_owned(), "MalformedPolicyDocumentException"),
        ("not JSON".to_owned(), "MalformedPolicyDocumentException"),
        (before.replace("kms:*", "kms"), "MalformedPolicyDocumentException"),
        (before.replace('}', &(" ".repeat(32_768) + "}")), "LimitExceededException"),
    ] {
        assert_eq!(code(f.kms().put_key_policy(&key, &policy, true)), expected);
    }
    assert_eq!(f.kms().get_key_policy(&key).unwrap(), before);
    let id = key.rsplit_once('/').unwrap().1;
    let path = f.dir.path().join(format!("kms/us-east-1/{id}.json"));
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    file["policy"] = json!("whatever an older program kept");
    std::fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
    let denied = f.kms().describe_key(&key).unwrap_err();
    assert_eq!(denied.code(), DENIED);
    assert!(denied.to_string().contains("policy is not understood"), "{denied}");
}

#[tokio::test]
async fn the_key_of_s3_is_made_once_and_used_through_s3_alone() {
    let f = Fixture::new();
    let home = region("us-east-1");
    let put = put_of(b"x", sse_kms("alias/aws/s3", false));
    let receipt = f.store.put(BUCKET, "k", put).await.unwrap();
    let key = receipt.sse.kms_key.unwrap();
    let again = f.reopen();
    assert_eq!(again.get(BUCKET, "k", 10).await.unwrap().body.as_ref(), b"x");
    let put = put_of(b"x", sse_kms("alias/aws/s3", true));
    assert_eq!(again.put(BUCKET, "l", put).await.unwrap().sse.kms_key.as_ref(), Some(&key));
    let about = f.kms().describe_key(&key).unwrap();
    assert_eq!(about.manager.as_str(), "AWS");
    assert_eq!(f.kms().key_rotation_status(&key).unwrap().period_days, Some(365));
    assert!(f.kms().get_key_policy(&key).unwrap().contains("s3.us-east-1.amazonaws.com"));
    assert_eq!(f.store.describe_key(&home, &key).await.unwrap().rotation, Some(true));
    let root = f.kms();
    for (name, answer) in [
        ("GenerateDataKey", code(root.generate_data_key(&key, &Pairs::new()))),
        ("Encrypt", code(root.encrypt(&key, b"x", &Pairs::new()))),
        ("DisableKey", code(root.disable_key(&key))),
        ("PutKeyPolicy", code(root.put_key_policy(&key, &key_policy(&[]), true))),
        ("ScheduleKeyDeletion", code(root.schedule_key_deletion(&key, None))),
        ("DisableKeyRotation", code(root.disable_key_rotation(&key))),
        ("CreateAlias", code(root.create_alias("alias/mine", &key))),
        ("UpdateKeyDescription", code(root.update_key_description(&key, "x"))),
    ] {
        assert_eq!(answer, DENIED, "{name}");
    }
    for name in ["alias/aws/s3", "alias/aws/mine"] {
        let own = key_with(&f, &[]);
        assert_eq!(code(root.create_alias(name, &own)), "NotAuthorizedException");
        assert_eq!(code(root.update_alias(name, &own)), "NotAuthorizedException");
        assert_eq!(code(root.delete_alias(name)), "NotAuthorizedException");
    }
    assert_eq!(f.store.key_behind_alias(&home, "alias/aws/s3").unwrap().0.to_string(), key);
}

#[test]
fn many_processes_that_need_the_key_of_s3_make_one() {
    let f = Fixture::new();
    let home = region("us-east-1");
    let arns: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
        let make = || f.reopen().key_behind_alias(&home, "alias/aws/s3").unwrap().0.to_string();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(arns.len(), 1);
    assert_eq!(f.kms().list_keys().unwrap().len(), 1);
}

#[test]
fn aliases_need_permission_on_themselves_and_on_every_key_concerned() {
    let f = Fixture::new();
    let mine = key_with(&f, &[allow(&json!({"AWS": ALICE}), "kms:*", &json!({}))]);
    let theirs = key_with(&f, &[]);
    let alice = client(&f, ALICE, &[]);
    assert_eq!(code(alice.create_alias("alias/a", &mine)), DENIED, "not on the alias");
    let arn = "arn:aws:kms:us-east-1:111122223333:alias/*";
    let own = json!({
        "Effect": "Allow", "Resource": arn,
        "Action": ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"],
    });
    let alice = client_under(&f, ALICE, &[own]);
    assert_eq!(code(alice.create_alias("alias/a", &mine)), "");
    assert_eq!(code(alice.create_alias("alias/b", &theirs)), DENIED);
    assert_eq!(code(alice.update_alias("alias/a", &theirs)), DENIED);
    f.kms().create_alias("alias/b", &theirs).unwrap();
    assert_eq!(code(alice.update_alias("alias/b", &mine)), DENIED);
    assert_eq!(code(alice.delete_alias("alias/b")), DENIED);
    assert_eq!(code(alice.delete_alias("alias/a")), "");
}
