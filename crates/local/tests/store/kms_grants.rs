//! Grants: who, what, under which context, given by whom, retired and revoked.

use local::kms::{CreateGrant, CreateKey, KeySpec, KeyUsage};
use policy::GrantConstraint;
use serde_json::json;
use trail::ports::Pairs;

use crate::kms_access::{client, code, key_with};
use crate::support::{Fixture, pairs, region};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";
const STRANGER: &str = "arn:aws:iam::444455556666:user/eve";
const DENIED: &str = "AccessDeniedException";

fn grant(to: &str, operations: &[&str]) -> CreateGrant {
    CreateGrant {
        grantee_principal: to.to_owned(),
        operations: operations.iter().map(|o| (*o).to_owned()).collect(),
        ..CreateGrant::default()
    }
}

fn under(constraints: GrantConstraint, of: CreateGrant) -> CreateGrant {
    CreateGrant { constraints: Some(constraints), ..of }
}

#[test]
fn a_grant_gives_its_operations_and_no_others_until_it_is_revoked() {
    let f = Fixture::new();
    let (key, none) = (key_with(&f, &[]), Pairs::new());
    let encrypt = |who: &str| code(client(&f, who, &[]).encrypt(&key, b"x", &none));
    assert_eq!(encrypt(ALICE), DENIED);
    let id = f.kms().create_grant(&key, &grant(ALICE, &["Encrypt"])).unwrap();
    assert_eq!(id.len(), 64);
    assert_eq!((encrypt(ALICE), encrypt(BOB)), ("", DENIED));
    let ciphertext = f.kms().encrypt(&key, b"x", &none).unwrap().ciphertext;
    assert_eq!(code(client(&f, ALICE, &[]).decrypt(None, &ciphertext, &none)), DENIED);
    let listed = f.kms().list_grants(&key).unwrap();
    assert_eq!((listed.len(), &listed[0].grant_id), (1, &id));
    assert_eq!(code(client(&f, ALICE, &[]).list_grants(&key)), DENIED);
    assert_eq!(code(client(&f, ALICE, &[]).revoke_grant(&key, &id)), DENIED);
    f.kms().revoke_grant(&key, &id).unwrap();
    assert_eq!(encrypt(ALICE), DENIED);
    assert_eq!(code(f.kms().revoke_grant(&key, &id)), "NotFoundException");
    assert_eq!(code(f.kms().retire_grant(&key, &id)), "NotFoundException");
}

#[test]
fn another_account_and_a_service_can_be_given_a_key() {
    let f = Fixture::new();
    let (key, none) = (key_with(&f, &[]), Pairs::new());
    let service = "cloudtrail.amazonaws.com";
    for who in [STRANGER, service] {
        assert_eq!(code(client(&f, who, &[]).generate_data_key(&key, &none)), DENIED);
        f.kms().create_grant(&key, &grant(who, &["GenerateDataKey"])).unwrap();
        assert_eq!(code(client(&f, who, &[]).generate_data_key(&key, &none)), "");
    }
}

#[test]
fn a_grant_holds_under_its_encryption_context_alone() {
    let f = Fixture::new();
    let (subset, equals) = (key_with(&f, &[]), key_with(&f, &[]));
    let ab = pairs(&[("a", "b")]);
    let more = pairs(&[("a", "b"), ("c", "d")]);
    let wrong = pairs(&[("a", "x")]);
    let of = |pairs: &Pairs| Some(pairs.clone());
    let (by_subset, by_equals) = (
        GrantConstraint { encryption_context_subset: of(&ab), ..GrantConstraint::default() },
        GrantConstraint { encryption_context_equals: of(&ab), ..GrantConstraint::default() },
    );
    f.kms().create_grant(&subset, &under(by_subset, grant(ALICE, &["Encrypt"]))).unwrap();
    f.kms().create_grant(&equals, &under(by_equals, grant(ALICE, &["Encrypt"]))).unwrap();
    for (key, context, expected) in [
        (&subset, &ab, ""),
        (&subset, &more, ""),
        (&subset, &wrong, DENIED),
        (&subset, &Pairs::new(), DENIED),
        (&equals, &ab, ""),
        (&equals, &more, DENIED),
        (&equals, &wrong, DENIED),
    ] {
        let answer = client(&f, ALICE, &[]).encrypt(key, b"x", context);
        assert_eq!(code(answer), expected, "{context:?}");
    }
}

#[test]
fn one_grant_asked_for_twice_under_a_name_is_one() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    let named = CreateGrant { name: Some("n".into()), ..grant(ALICE, &["Encrypt"]) };
    let unnamed = grant(ALICE, &["Encrypt"]);
    let other = CreateGrant { name: Some("n".into()), ..grant(BOB, &["Encrypt"]) };
    let make = |asked: &CreateGrant| f.kms().create_grant(&key, asked).unwrap();
    let first = make(&named);
    assert_eq!(make(&named), first);
    assert_ne!(make(&other), first, "only the same grant");
    assert_ne!(make(&unnamed), make(&unnamed));
    assert_eq!(f.kms().list_grants(&key).unwrap().len(), 4);
}

#[test]
fn a_grant_is_retired_by_whom_it_names_by_its_grantee_and_by_the_account() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    let make = |operations: &[&str], retiring: Option<&str>| {
        let retiring_principal = retiring.map(str::to_owned);
        let asked = CreateGrant { retiring_principal, ..grant(ALICE, operations) };
        f.kms().create_grant(&key, &asked).unwrap()
    };
    let retire = |who: &str, actions: &[&str], id: &str| {
        code(client(&f, who, actions).retire_grant(&key, id))
    };
    let plain = make(&["Encrypt"], None);
    assert_eq!(retire(ALICE, &[], &plain), DENIED);
    let own = make(&["Encrypt", "RetireGrant"], None);
    assert_eq!(retire(ALICE, &[], &plain), DENIED, "her other grant gives no right to this one");
    assert_eq!(retire(BOB, &[], &own), DENIED);
    assert_eq!(retire(ALICE, &[], &own), "");
    let bobs = make(&["Encrypt"], Some(BOB));
    assert_eq!((retire(ALICE, &[], &bobs), retire(BOB, &[], &bobs)), (DENIED, ""));
    let role = "arn:aws:iam::111122223333:role/retirer";
    let of_role = make(&["Encrypt"], Some(role));
    let session = "arn:aws:sts::111122223333:assumed-role/retirer/s";
    assert_eq!(retire(session, &[], &of_role), "");
    assert_eq!(retire(BOB, &["kms:RetireGrant"], &plain), "", "by an identity policy");
    // By the account's root, also where the key policy does not name the account.
    let last = make(&["Encrypt"], None);
    let alices = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:PutKeyPolicy",
        "Resource": "*",
    }]});
    f.kms().put_key_policy(&key, &alices.to_string(), true).unwrap();
    assert_eq!(code(f.kms().revoke_grant(&key, &last)), DENIED);
    assert_eq!(code(f.kms().retire_grant(&key, &last)), "");
}

#[test]
fn who_may_give_by_a_grant_gives_no_more_than_the_grant() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    let subset = |value: &str| GrantConstraint {
        encryption_context_subset: Some(pairs(&[("a", value)])),
        ..GrantConstraint::default()
    };
    let given = under(subset("b"), grant(ALICE, &["CreateGrant", "Encrypt"]));
    f.kms().create_grant(&key, &given).unwrap();
    let alice = client(&f, ALICE, &[]);
    for (asked, expected) in [
        (under(subset("b"), grant(BOB, &["Encrypt"])), ""),
        (under(subset("x"), grant(BOB, &["Encrypt"])), DENIED),
        (grant(BOB, &["Encrypt"]), DENIED),
        (under(subset("b"), grant(BOB, &["Decrypt"])), DENIED),
        (under(subset("b"), grant(BOB, &["Encrypt", "Decrypt"])), DENIED),
    ] {
        assert_eq!(code(alice.create_grant(&key, &asked)), expected, "{asked:?}");
    }
    let free = client(&f, ALICE, &["kms:CreateGrant"]);
    assert_eq!(code(free.create_grant(&key, &grant(BOB, &["Decrypt"]))), "");
}

#[test]
fn conditions_confine_what_may_be_granted_and_to_whom() {
    let f = Fixture::new();
    let condition = json!({
        "ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]},
        "StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"},
        "ArnLike": {"kms:GranteePrincipal": "arn:aws:iam::111122223333:user/*"},
    });
    let key = key_with(
        &f,
        &[json!({
            "Sid": "alice", "Effect": "Allow", "Principal": {"AWS": ALICE}, "Resource": "*",
            "Action": "kms:CreateGrant", "Condition": condition,
        })],
    );
    let subset = || GrantConstraint {
        encryption_context_subset: Some(pairs(&[("a", "b")])),
        ..GrantConstraint::default()
    };
    for (asked, expected) in [
        (under(subset(), grant(BOB, &["Encrypt", "Decrypt"])), ""),
        (under(subset(), grant(BOB, &["Encrypt", "ReEncryptFrom"])), DENIED),
        (grant(BOB, &["Encrypt"]), DENIED),
        (under(subset(), grant(STRANGER, &["Encrypt"])), DENIED),
    ] {
        let answer = client(&f, ALICE, &[]).create_grant(&key, &asked);
        assert_eq!(code(answer), expected, "{asked:?}");
    }
}

#[test]
fn conditions_see_who_retires_and_that_no_service_asks() {
    let f = Fixture::new();
    let key = key_with(
        &f,
        &[json!({
            "Sid": "alice", "Effect": "Allow", "Principal": {"AWS": ALICE}, "Resource": "*",
            "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"], "Condition": {
                "Bool": {"kms:GrantIsForAWSResource": "false"},
                "ArnEqualsIfExists": {"kms:RetiringPrincipal": BOB},
            },
        })],
    );
    let alice = client(&f, ALICE, &[]);
    let retired_by = |who: &str| CreateGrant {
        retiring_principal: Some(who.to_owned()),
        ..grant(BOB, &["Encrypt"])
    };
    assert_eq!(code(alice.create_grant(&key, &retired_by(ALICE))), DENIED);
    let made = alice.create_grant(&key, &retired_by(BOB)).unwrap();
    assert_eq!(alice.list_grants(&key).unwrap().len(), 1);
    assert_eq!(code(alice.revoke_grant(&key, &made)), "");
}

#[test]
fn a_key_has_so_many_grants_and_no_more() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    f.kms().create_grant(&key, &grant(ALICE, &["Encrypt"])).unwrap();
    let path = f.dir.path().join("kms/us-east-1");
    let id = key.rsplit_once('/').unwrap().1;
    let path = path.join(format!("{id}.json"));
    let mut file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let one = file["grants"][0].clone();
    file["grants"] = vec![one; 999].into();
    std::fs::write(&path, file.to_string()).unwrap();
    assert_eq!(code(f.kms().create_grant(&key, &grant(BOB, &["Encrypt"]))), "");
    let refused = f.kms().create_grant(&key, &grant(BOB, &["Decrypt"]));
    assert_eq!(code(refused), "LimitExceededException");
}

#[test]
fn grants_that_no_key_could_honour_are_refused() {
    let f = Fixture::new();
    let key = key_with(&f, &[]);
    let (spec, usage) = (KeySpec::Rsa2048, KeyUsage::SignVerify);
    let signs = CreateKey { spec, usage, ..CreateKey::default() };
    let signs = f.kms().create_key(&signs).unwrap().arn.to_string();
    let long = "x".repeat(385);
    let context = |value: &str| GrantConstraint {
        encryption_context_equals: Some(pairs(&[("a", value)])),
        ..GrantConstraint::default()
    };
    let arn = format!("arn:{}", "x".repeat(1021));
    let source = |arn: &str| GrantConstraint {
        source_arn: Some(arn.to_owned()),
        ..GrantConstraint::default()
    };
    let named = |name: String| CreateGrant { name: Some(name), ..grant(ALICE, &["Encrypt"]) };
    for (key, asked, expected) in [
        (&key, grant(ALICE, &[]), "ValidationException"),
        (&key, grant(ALICE, &["Encrypt", "Encrypt"]), "ValidationException"),
        (&key, under(source("bucket"), grant(ALICE, &["Encrypt"])), "InvalidArnException"),
        (&key, under(source(&arn), grant(ALICE, &["Encrypt"])), "InvalidArnException"),
        (&key, under(source(&arn[..1024]), grant(ALICE, &["Encrypt"])), ""),
        (&key, grant(ALICE, &["Sign"]), "ValidationException"),
        (&key, grant(ALICE, &["DeleteKey"]), "ValidationException"),
        (&key, grant("alice", &["Encrypt"]), "InvalidArnException"),
        (&key, grant("arn:aws:iam::1:user/alice", &["Encrypt"]), "InvalidArnException"),
        (&key, named(String::new()), "ValidationException"),
        (&key, named("x".repeat(257)), "ValidationException"),
        (&key, under(context(&long), grant(ALICE, &["Encrypt"])), "ValidationException"),
        (&signs, grant(ALICE, &["Encrypt"]), "ValidationException"),
        (&signs, under(context("b"), grant(ALICE, &["Sign"])), "ValidationException"),
        (&signs, grant(ALICE, &["Sign"]), ""),
    ] {
        assert_eq!(code(f.kms().create_grant(key, &asked)), expected, "{asked:?}");
    }
    let elsewhere = f.store.kms(f.root(), &region("eu-west-1"));
    let asked = grant(ALICE, &["Encrypt"]);
    assert_eq!(code(elsewhere.create_grant(&key, &asked)), "NotFoundException");
}
