//! Who may use a KMS key: key policies, identity policies and grants.

use policy::{Context, Grant, GrantConstraint, Kind, Policy};
use trail::ports::Pairs;

use crate::support::*;

fn trail_context(trail: &str) -> Context {
    let mut context = context(&[("aws:SourceArn", TRAIL)]);
    let pairs = [("aws:cloudtrail:arn", trail), ("aws:s3:arn", "arn:aws:s3:::trails/x")];
    context.set_encryption_context(&pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    context
}

/// Caller, its identity policies, action, expected.
type Case<'a> = (&'a str, &'a [&'a str], &'a str, Result<(), &'a str>);

fn check(policy: &str, context: &Context, cases: &[Case<'_>]) {
    let policy = document(policy);
    for (principal, policies, action, expected) in cases {
        let decision = ask_key(&caller(principal, policies), &policy, &[], action, context);
        expect(&decision, *expected, &format!("{principal} {policies:?} {action}"));
    }
}

#[test]
fn the_default_key_policy_leaves_everything_to_identity_policies() {
    let none = Context::default();
    check(
        "key-default",
        &none,
        &[
            (ROOT, &[], "kms:Decrypt", Ok(())),
            (ROOT, &[], "kms:PutKeyPolicy", Ok(())),
            (ALICE, &[], "kms:Decrypt", Err("only together with an identity policy")),
            (ALICE, &["identity-reader"], "kms:Decrypt", Ok(())),
            (ALICE, &["identity-reader"], "KMS:decrypt", Ok(())),
            (ALICE, &["identity-reader"], "kms:Encrypt", Err("kms:Encrypt on arn:aws:kms")),
            (
                ALICE,
                &["identity-reader", "identity-no-decrypt"],
                "kms:Decrypt",
                Err("statement \"NoDecrypt\" of the identity policy 2 denies kms:Decrypt"),
            ),
            (AUDITOR, &["identity-reader"], "kms:Decrypt", Ok(())),
            (BOB, &["identity-reader"], "kms:Decrypt", Err("kms:Decrypt on arn:aws:kms")),
            (OTHER_ROOT, &[], "kms:Decrypt", Err("no statement of the key policy")),
            (CLOUDTRAIL, &[], "kms:GenerateDataKey", Err("no statement of the key policy")),
        ],
    );
}

#[test]
fn the_key_policy_of_cloudtrail() {
    let ours = trail_context(TRAIL);
    check(
        "key-cloudtrail",
        &ours,
        &[
            (CLOUDTRAIL, &[], "kms:GenerateDataKey", Ok(())),
            (CLOUDTRAIL, &[], "kms:GenerateDataKeyWithoutPlaintext", Ok(())),
            (CLOUDTRAIL, &[], "kms:DescribeKey", Ok(())),
            (CLOUDTRAIL, &[], "kms:Decrypt", Err("kms:Decrypt")),
            ("config.amazonaws.com", &[], "kms:GenerateDataKey", Err("config.amazonaws.com")),
            // A role's session is named by its role, whose path the session's ARN lacks.
            (AUDITOR, &[], "kms:Decrypt", Ok(())),
            (AUDITOR, &[], "kms:Encrypt", Err("identity policy")),
            (ALICE, &[], "kms:Decrypt", Err("identity policy")),
            // Another account, named as a whole, delegates.
            (
                BOB,
                &[],
                "kms:Decrypt",
                Err("only together with an identity policy of its own account"),
            ),
            (BOB, &["identity-reader"], "kms:Decrypt", Ok(())),
            (OTHER_ROOT, &[], "kms:Decrypt", Ok(())),
        ],
    );
    check(
        "key-cloudtrail",
        &trail_context("arn:aws:cloudtrail:eu-west-1:999999999999:trail/x"),
        &[
            (CLOUDTRAIL, &[], "kms:GenerateDataKey", Err("kms:GenerateDataKey")),
            (CLOUDTRAIL, &[], "kms:DescribeKey", Ok(())),
            (AUDITOR, &[], "kms:Decrypt", Ok(())),
        ],
    );
    // Without CloudTrail's pair: no log.
    check(
        "key-cloudtrail",
        &context(&[("aws:SourceArn", TRAIL)]),
        &[
            (AUDITOR, &[], "kms:Decrypt", Err("identity policy")),
            (BOB, &["identity-reader"], "kms:Decrypt", Err("own account is not enough")),
        ],
    );
    // On behalf of another trail.
    let mut foreign = trail_context(TRAIL);
    foreign.set("aws:SourceArn", "arn:aws:cloudtrail:eu-west-1:999999999999:trail/x");
    check(
        "key-cloudtrail",
        &foreign,
        &[
            (CLOUDTRAIL, &[], "kms:GenerateDataKey", Err("")),
            (CLOUDTRAIL, &[], "kms:DescribeKey", Err("")),
        ],
    );
}

#[test]
fn the_managed_key_of_s3_is_for_its_account_through_s3() {
    let via_s3 = context(&[("kms:ViaService", "s3.eu-west-1.amazonaws.com")]);
    check(
        "key-aws-s3",
        &via_s3,
        &[
            (ALICE, &[], "kms:Decrypt", Ok(())),
            (AUDITOR, &[], "kms:GenerateDataKey", Ok(())),
            (ALICE, &[], "kms:PutKeyPolicy", Err("neither")),
            (ROOT, &[], "kms:PutKeyPolicy", Err("no statement of the key policy")),
            (BOB, &["identity-reader"], "kms:Decrypt", Err("own account is not enough")),
            (ALICE, &["identity-no-decrypt"], "kms:Decrypt", Err("NoDecrypt")),
            ("s3.amazonaws.com", &[], "kms:Decrypt", Err("no statement")),
        ],
    );
    check(
        "key-aws-s3",
        &Context::default(),
        &[
            (ALICE, &[], "kms:Decrypt", Err("neither")),
            (ALICE, &["identity-no-decrypt"], "kms:DescribeKey", Ok(())),
        ],
    );
    // What the request says of its caller does not count.
    let mut forged = via_s3.clone();
    forged.set("KMS:CallerAccount", OWNER);
    check("key-aws-s3", &forged, &[(OTHER_ROOT, &[], "kms:Decrypt", Err("no statement"))]);
}

#[test]
fn organization_wide_and_all_but_one() {
    let policy = document("key-organization");
    let none = Context::default();
    let mut bob = caller(BOB, &["identity-reader"]);
    expect(&ask_key(&bob, &policy, &[], "kms:Decrypt", &none), Err("no statement"), "no member");
    bob.organization = Some("o-abcdefghij".parse().unwrap());
    expect(&ask_key(&bob, &policy, &[], "kms:Decrypt", &none), Ok(()), "member");
    bob.policies.clear();
    expect(&ask_key(&bob, &policy, &[], "kms:Decrypt", &none), Err("identity"), "no policy");
    let all = "identity-no-decrypt";
    check(
        "key-organization",
        &none,
        &[
            (ROOT, &[], "kms:DisableKey", Ok(())),
            ("arn:aws:iam::111122223333:user/break-glass", &[all], "kms:DisableKey", Ok(())),
            (ALICE, &[all], "kms:DisableKey", Err("statement \"NobodyDeletes\" of the key policy")),
            (AUDITOR, &[all], "kms:DisableKey", Err("NobodyDeletes")),
            (OTHER_ROOT, &[], "kms:DisableKey", Err("NobodyDeletes")),
            (CLOUDTRAIL, &[], "kms:DisableKey", Err("NobodyDeletes")),
            (ALICE, &[all], "kms:EnableKey", Ok(())),
        ],
    );
}

#[test]
fn other_accounts_never_manage_a_key() {
    let policy = r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "444455556666"},
        "Action": "kms:*", "Resource": "*"}}"#;
    let policy = Policy::parse(policy, Kind::Key).unwrap();
    let none = Context::default();
    let root = caller(OTHER_ROOT, &[]);
    for (action, expected) in [
        ("kms:Decrypt", Ok(())),
        ("kms:ReEncryptFrom", Ok(())),
        ("kms:DescribeKey", Ok(())),
        ("kms:PutKeyPolicy", Err("for principals of account 111122223333 only")),
        ("kms:ScheduleKeyDeletion", Err("for principals of account 111122223333 only")),
    ] {
        expect(&ask_key(&root, &policy, &[], action, &none), expected, action);
    }
}

#[test]
fn not_principal_spares_whom_it_names_at_every_level() {
    let account = r#""AWS": ["111122223333""#;
    let role = r#""arn:aws:iam::111122223333:role/security/auditor""#;
    let (user, session) = (format!("{ALICE:?}"), format!("{AUDITOR:?}"));
    let spares = |principal: &str, named: &str| {
        let json = format!(
            r#"{{"Statement": [
                {{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}},
                {{"Effect": "Deny", "NotPrincipal": {{{named}}}, "Action": "*", "Resource": "*"}}]}}"#
        );
        let policy = Policy::parse(&json, Kind::Key).unwrap();
        let caller = caller(principal, &[]);
        ask_key(&caller, &policy, &[], "kms:Decrypt", &Context::default())
            == policy::Decision::Allow
    };
    for (principal, named, expected) in [
        (AUDITOR, format!("{account}, {role}, {session}]"), true),
        (AUDITOR, format!("{account}, {role}]"), false),
        (AUDITOR, format!("{account}, {session}]"), false),
        (AUDITOR, format!("\"AWS\": [{role}, {session}]"), false),
        (AUDITOR, "\"AWS\": \"*\"".to_owned(), true),
        (ALICE, format!("{account}, {user}]"), true),
        (ALICE, format!("\"AWS\": {user}"), false),
        (ALICE, format!("{account}]"), false),
        (ROOT, format!("{account}]"), true),
        (ROOT, format!("\"AWS\": {user}"), false),
        (CLOUDTRAIL, format!("\"Service\": {CLOUDTRAIL:?}"), true),
        (CLOUDTRAIL, "\"Service\": \"config.amazonaws.com\"".to_owned(), false),
        (CLOUDTRAIL, "\"AWS\": \"*\"".to_owned(), false),
    ] {
        assert_eq!(spares(principal, &named), expected, "{principal} {named}");
    }
}

#[test]
fn naming_the_account_takes_nothing_from_a_user_named_beside_it() {
    let json = format!(
        r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": ["{ALICE}", "{OWNER}"]}},
            "Action": "kms:Decrypt", "Resource": "*"}}}}"#
    );
    let policy = Policy::parse(&json, Kind::Key).unwrap();
    let ask = |who| ask_key(&caller(who, &[]), &policy, &[], "kms:Decrypt", &Context::default());
    expect(&ask(ALICE), Ok(()), "named");
    expect(&ask(AUDITOR), Err("only together with an identity policy"), "not named");
}

#[test]
fn a_document_in_the_place_of_another_kind_allows_nobody() {
    let (none, identity) = (Context::default(), document("identity-reader"));
    let decision = ask_key(&caller(BOB, &[]), &identity, &[], "kms:Decrypt", &none);
    expect(&decision, Err("the key policy was read as one of Identity"), "as key policy");
    let mut alice = caller(ALICE, &[]);
    alice.policies.push(document("key-default"));
    let decision = ask_key(&alice, &document("key-default"), &[], "kms:Decrypt", &none);
    expect(&decision, Err("the identity policy 1 was read as one of Key"), "as identity policy");
}

#[test]
fn identity_policies_are_for_users_and_roles() {
    let none = Context::default();
    let policy = document("key-default");
    let root = caller(ROOT, &["identity-no-decrypt"]);
    expect(&ask_key(&root, &policy, &[], "kms:Decrypt", &none), Ok(()), "nothing limits root");
    let service = caller(CLOUDTRAIL, &["identity-reader"]);
    let decision = ask_bucket(&service, None, "s3:GetObject", "arn:aws:s3:::trails/x", &none);
    expect(&decision, Err("no statement of the bucket policy"), "a service has none");
}

fn grant(grantee: &str, operations: &[&str], constraints: Option<GrantConstraint>) -> Grant {
    Grant {
        grant_id: "0".repeat(64),
        grantee_principal: grantee.to_owned(),
        retiring_principal: None,
        operations: operations.iter().map(|&o| o.to_owned()).collect(),
        constraints,
        name: None,
    }
}

#[test]
fn a_grant_permits_its_grantee_its_operations() {
    let policy = document("key-default");
    let none = Context::default();
    let role = "arn:aws:iam::111122223333:role/security/auditor";
    for (grantee, principal, policies, action, expected) in [
        (ALICE, ALICE, &[] as &[&str], "kms:Decrypt", Ok(())),
        (ALICE, ALICE, &[], "kms:Encrypt", Err("the key policy or a grant")),
        (ALICE, AUDITOR, &[], "kms:Decrypt", Err("identity policy")),
        (ALICE, ALICE, &["identity-no-decrypt"], "kms:Decrypt", Err("NoDecrypt")),
        (AUDITOR, AUDITOR, &[], "kms:Decrypt", Ok(())),
        (role, AUDITOR, &[], "kms:Decrypt", Ok(())),
        (BOB, BOB, &[], "kms:Decrypt", Ok(())),
        (OTHER_ROOT, OTHER_ROOT, &[], "kms:Decrypt", Ok(())),
        (OTHER_ROOT, BOB, &[], "kms:Decrypt", Err("only together with an identity policy")),
        (OTHER_ROOT, BOB, &["identity-reader"], "kms:Decrypt", Ok(())),
        (CLOUDTRAIL, CLOUDTRAIL, &[], "kms:Decrypt", Ok(())),
        (CLOUDTRAIL, "config.amazonaws.com", &[], "kms:Decrypt", Err("no statement")),
        ("*", BOB, &["identity-reader"], "kms:Decrypt", Err("own account is not enough")),
    ] {
        let grants = [grant(grantee, &["Decrypt", "DescribeKey"], None)];
        let decision = ask_key(&caller(principal, policies), &policy, &grants, action, &none);
        expect(&decision, expected, &format!("{grantee} {principal} {action}"));
    }
}

#[test]
fn a_denial_in_the_key_policy_beats_a_grant() {
    let json = format!(
        r#"{{"Statement": {{"Effect": "Deny", "Principal": {{"AWS": "{ROOT}"}},
            "Action": "kms:Decrypt", "Resource": "*"}}}}"#
    );
    let policy = Policy::parse(&json, Kind::Key).unwrap();
    let grants = [grant(ALICE, &["Decrypt", "Encrypt"], None)];
    let none = Context::default();
    let alice = caller(ALICE, &[]);
    let denied = Err("statement 1 of the key policy denies kms:Decrypt on arn:aws:kms");
    expect(&ask_key(&alice, &policy, &grants, "kms:Decrypt", &none), denied, "named by account");
    expect(&ask_key(&alice, &policy, &grants, "kms:Encrypt", &none), Ok(()), "not denied");
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn constraints_bind_operations_with_an_encryption_context() {
    let policy = document("key-default");
    let exact = || GrantConstraint {
        encryption_context_equals: Some(pairs(&[("Dept", "IT")])),
        ..GrantConstraint::default()
    };
    let subset = || GrantConstraint {
        encryption_context_subset: Some(pairs(&[("Dept", "IT")])),
        ..GrantConstraint::default()
    };
    let both = &[("Dept", "IT"), ("Purpose", "test")][..];
    let one = &both[..1];
    for (constraint, given, action, allowed) in [
        (exact(), one, "kms:Decrypt", true),
        (exact(), both, "kms:Decrypt", false),
        (exact(), &[("dept", "IT")], "kms:Decrypt", false),
        (exact(), &[], "kms:Decrypt", false),
        (exact(), &[], "kms:DescribeKey", true),
        (subset(), one, "kms:Decrypt", true),
        (subset(), both, "kms:Decrypt", true),
        (subset(), &both[1..], "kms:Decrypt", false),
        (subset(), &[("Dept", "it")], "kms:Decrypt", false),
        (subset(), &[("dept", "IT")], "kms:Decrypt", false),
        (subset(), &[], "kms:GenerateDataKey", false),
    ] {
        let operations = ["Decrypt", "GenerateDataKey", "DescribeKey"];
        let grants = [grant(ALICE, &operations, Some(constraint))];
        let mut context = Context::default();
        context.set_encryption_context(&pairs(given));
        let expected = if allowed { Ok(()) } else { Err("the key policy or a grant") };
        let decision = ask_key(&caller(ALICE, &[]), &policy, &grants, action, &context);
        expect(&decision, expected, &format!("{grants:?} {given:?} {action}"));
    }
    let for_trail = GrantConstraint { source_arn: Some(TRAIL.to_owned()), ..Default::default() };
    let grants = [grant(CLOUDTRAIL, &["Decrypt", "DescribeKey"], Some(for_trail))];
    let service = caller(CLOUDTRAIL, &[]);
    for (source, expected) in [(TRAIL, Ok(())), ("arn:aws:s3:::x", Err("no statement"))] {
        for action in ["kms:Decrypt", "kms:DescribeKey"] {
            let context = context(&[("aws:SourceArn", source)]);
            expect(&ask_key(&service, &policy, &grants, action, &context), expected, source);
        }
    }
    let none = Context::default();
    expect(&ask_key(&service, &policy, &grants, "kms:Decrypt", &none), Err(""), "no source");
}

#[test]
fn a_grant_is_stored_as_kms_names_its_parts() {
    let json = r#"{"GrantId":"0c23","GranteePrincipal":"arn:aws:iam::111122223333:user/alice",
        "Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"Dept":"IT"}}}"#;
    let grant: Grant = serde_json::from_str(json).unwrap();
    let stored: serde_json::Value = serde_json::to_value(&grant).unwrap();
    assert_eq!(stored, serde_json::from_str::<serde_json::Value>(json).unwrap());
    let unknown = r#"{"EncryptionContextNot":{}}"#;
    assert!(serde_json::from_str::<GrantConstraint>(unknown).is_err());
}
