//! Conditions against IAM's published rules (IAM user guide, "Condition operators", "Conditions
//! with multiple context keys or values", "Set operators for multivalued context keys").

use policy::{Context, Decision, Kind, Policy};

use crate::support::*;

/// Whether an identity policy with the condition allows, and so whether the condition holds.
fn holds(condition: &str, context: &Context) -> bool {
    let json = format!(
        r#"{{"Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}}}"#
    );
    let mut alice = caller(ALICE, &[]);
    alice.policies.push(Policy::parse(&json, Kind::Identity).unwrap());
    ask_bucket(&alice, None, "s3:GetObject", "arn:aws:s3:::b/k", context) == Decision::Allow
}

/// `{OPERATOR: {KEY: VALUES}}`, VALUES as JSON.
fn one(operator: &str, key: &str, values: &str) -> String {
    format!(r#"{{"{operator}": {{"{key}": {values}}}}}"#)
}

#[test]
fn operators_compare_values() {
    let ip = "aws:SourceIp";
    let date = "aws:CurrentTime";
    let number = "s3:max-keys";
    let arn = "aws:SourceArn";
    let text = "s3:prefix";
    for (operator, key, value, request, expected) in [
        ("StringEquals", text, "a*", "a*", true),
        ("StringEquals", text, "a*", "ab", false),
        ("StringEquals", text, "a", "A", false),
        ("StringEqualsIgnoreCase", text, "aÄ", "AÄ", true),
        ("StringEqualsIgnoreCase", text, "aÄ", "Aä", true),
        ("StringEqualsIgnoreCase", text, "a", "b", false),
        ("StringLike", text, "a*c?", "abbcd", true),
        ("StringLike", text, "a*c?", "abbc", false),
        ("StringLike", text, "A*", "abbc", false),
        ("ArnEquals", arn, "arn:aws:s3:*:*:b*", "arn:aws:s3:::bucket", true),
        ("ArnLike", arn, "*", "arn:aws:s3:::bucket", true),
        ("ArnLike", arn, "arn:aws:s3:::?", "arn:aws:s3:::bucket", false),
        (
            "ArnLike",
            arn,
            "arn:aws:x:*:111122223333:finance/*",
            "arn:aws:x:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
            false,
        ),
        (
            "StringLike",
            arn,
            "arn:aws:x:*:111122223333:finance/*",
            "arn:aws:x:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
            true,
        ),
        ("ArnLike", arn, "arn:aws:sns:*:*:a:*", "arn:aws:sns:x:y:a:b:c", true),
        ("ArnLike", arn, "arn:aws:s3:::*", "bucket", false),
        ("Bool", "aws:SecureTransport", "true", "true", true),
        ("Bool", "aws:SecureTransport", "True", "true", true),
        ("Bool", "aws:SecureTransport", "false", "true", false),
        ("Bool", "aws:SecureTransport", "false", "no", false),
        ("NumericEquals", number, "10", "10.0", true),
        ("NumericEquals", number, "10", "ten", false),
        ("NumericLessThan", number, "10", "9.999", true),
        ("NumericLessThan", number, "10", "10", false),
        ("NumericLessThan", number, "10", "-11", true),
        ("NumericLessThan", number, "-10", "-11", true),
        ("NumericGreaterThan", number, "0.000000001", "0.0000000005", false),
        ("NumericGreaterThan", number, "1", "999999999999999999999", false),
        ("NumericGreaterThan", number, "1", "99999999999999999999", true),
        ("NumericLessThan", number, "-0.5", "-0.25", false),
        ("NumericLessThanEquals", number, "10", "10", true),
        ("NumericLessThanEquals", number, "10", "11", false),
        ("NumericGreaterThan", number, "9", "10", true),
        ("NumericGreaterThan", number, "10", "10", false),
        ("NumericGreaterThanEquals", number, "10", "10", true),
        ("NumericGreaterThanEquals", number, "10", "9", false),
        ("DateEquals", date, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", true),
        ("DateEquals", date, "2026-01-01T00:00:00Z", "1767225600", true),
        ("DateEquals", date, "1767225600", "2026-01-01T00:00:00Z", true),
        ("DateLessThan", date, "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", true),
        ("DateLessThan", date, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", false),
        ("DateLessThan", date, "2026-01-01T00:00:00Z", "yesterday", false),
        ("DateLessThanEquals", date, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", true),
        ("DateGreaterThan", date, "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", true),
        ("DateGreaterThan", date, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", false),
        ("DateGreaterThanEquals", date, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", true),
        ("DateGreaterThan", "aws:EpochTime", "1767225600", "1767225601", true),
        ("IpAddress", ip, "203.0.113.0/24", "203.0.113.255", true),
        ("IpAddress", ip, "203.0.113.77/24", "203.0.113.1", true),
        ("IpAddress", ip, "203.0.113.0/24", "203.0.114.0", false),
        ("IpAddress", ip, "203.0.113.0/24", "::ffff:203.0.113.7", true),
        ("IpAddress", ip, "203.0.113.7", "203.0.113.7", true),
        ("IpAddress", ip, "203.0.113.7", "203.0.113.6", false),
        ("IpAddress", ip, "0.0.0.0/0", "198.51.100.1", true),
        ("IpAddress", ip, "0.0.0.0/0", "2001:db8::1", false),
        ("IpAddress", ip, "::/0", "2001:db8::1", true),
        ("IpAddress", ip, "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::9", true),
        ("IpAddress", ip, "2001:DB8:1234:5678::/64", "2001:db8:1234:5679::9", false),
        ("IpAddress", ip, "203.0.113.0/24", "nowhere", false),
    ] {
        let case = format!("{operator} {value} {request}");
        let request = context(&[(key, request)]);
        let values = format!("{value:?}");
        assert_eq!(holds(&one(operator, key, &values), &request), expected, "{case}");
        // The negated operator says the opposite of every value.
        if let Some(negated) = negation(operator) {
            assert_eq!(holds(&one(negated, key, &values), &request), !expected, "not {case}");
        }
    }
}

fn negation(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "StringEquals" => "StringNotEquals",
        "StringEqualsIgnoreCase" => "StringNotEqualsIgnoreCase",
        "StringLike" => "StringNotLike",
        "ArnEquals" => "ArnNotEquals",
        "ArnLike" => "ArnNotLike",
        "NumericEquals" => "NumericNotEquals",
        "DateEquals" => "DateNotEquals",
        "IpAddress" => "NotIpAddress",
        _ => return None,
    })
}

#[test]
fn an_absent_key() {
    let none = Context::default();
    for (operator, expected) in [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringLike", false),
        ("StringNotLike", true),
        ("StringEqualsIfExists", true),
        ("StringNotEqualsIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAllValues:StringNotEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
        ("ForAnyValue:StringEqualsIfExists", true),
        ("ForAllValues:StringEqualsIfExists", true),
    ] {
        assert_eq!(holds(&one(operator, "aws:CalledVia", "\"x\""), &none), expected, "{operator}");
    }
    for (operator, key, value, expected) in [
        ("Bool", "aws:SecureTransport", "false", false),
        ("BoolIfExists", "aws:SecureTransport", "false", true),
        ("NumericNotEquals", "s3:max-keys", "1", true),
        ("NumericLessThan", "s3:max-keys", "1", false),
        ("DateNotEquals", "aws:CurrentTime", "1", true),
        ("DateGreaterThan", "aws:CurrentTime", "1", false),
        ("IpAddress", "aws:SourceIp", "::1", false),
        ("NotIpAddress", "aws:SourceIp", "::1", true),
        ("ArnNotEquals", "aws:SourceArn", "*", true),
        ("ArnLike", "aws:SourceArn", "*", false),
    ] {
        let condition = one(operator, key, &format!("{value:?}"));
        assert_eq!(holds(&condition, &none), expected, "{condition}");
    }
}

#[test]
fn null_asks_whether_the_key_is_absent() {
    let key = "aws:TokenIssueTime";
    let present = context(&[(key, "2026-01-01T00:00:00Z")]);
    for (values, when_absent, when_present) in [
        ("\"true\"", true, false),
        ("true", true, false),
        ("\"false\"", false, true),
        ("[false]", false, true),
        ("[true, \"false\"]", true, true),
    ] {
        let condition = one("Null", key, values);
        assert_eq!(holds(&condition, &Context::default()), when_absent, "absent {values}");
        assert_eq!(holds(&condition, &present), when_present, "present {values}");
    }
}

/// The published table: a request with `PostDateTime` and `UserName` against a policy with
/// `PostDateTime`, `Message` and `Tags`, and its neighbours.
#[test]
fn set_operators() {
    let values = r#"["PostDateTime", "Message", "Tags"]"#;
    let request = |values: &[&str]| {
        let mut context = Context::default();
        context.set_all("aws:CalledVia", values.iter().map(|v| (*v).to_owned()));
        context
    };
    // In order: any equal, all equal, any unequal, all unequal.
    for (given, expected) in [
        (&["PostDateTime", "UserName"][..], [true, false, true, false]),
        (&["PostDateTime", "Message"], [true, true, false, false]),
        (&["UserName"], [false, false, true, true]),
        (&["UserName", "Message", "PostDateTime"], [true, false, true, false]),
        (&["PostDateTime"], [true, true, false, false]),
        (&["UserName", "ID"], [false, false, true, true]),
        (&[], [false, true, false, true]),
        (&[""], [false, true, false, true]),
    ] {
        let found = [
            "ForAnyValue:StringEquals",
            "ForAllValues:StringEquals",
            "ForAnyValue:StringNotEquals",
            "ForAllValues:StringNotEquals",
        ]
        .map(|operator| holds(&one(operator, "aws:CalledVia", values), &request(given)));
        assert_eq!(found, expected, "{given:?}");
    }
    // Without a set operator, one equal value is equality, and its negation is that of it.
    let both = request(&["PostDateTime", "UserName"]);
    assert!(holds(&one("StringEquals", "aws:CalledVia", values), &both));
    assert!(!holds(&one("StringNotEquals", "aws:CalledVia", values), &both));
    assert!(holds(&one("StringEquals", "s3:prefix", r#""""#), &context(&[("s3:prefix", "")])));
}

#[test]
fn values_are_alternatives_and_keys_and_operators_add_up() {
    let request = context(&[("s3:prefix", "a"), ("s3:delimiter", "/")]);
    for (condition, expected) in [
        (r#"{"StringEquals": {"s3:prefix": ["b", "a"]}}"#, true),
        (r#"{"StringEquals": {"s3:prefix": ["b", "c"]}}"#, false),
        (r#"{"StringNotEquals": {"s3:prefix": ["b", "a"]}}"#, false),
        (r#"{"StringNotEquals": {"s3:prefix": ["b", "c"]}}"#, true),
        (r#"{"StringEquals": {"s3:prefix": "a", "s3:delimiter": "/"}}"#, true),
        (r#"{"StringEquals": {"s3:prefix": "a", "s3:delimiter": "-"}}"#, false),
        (r#"{"StringEquals": {"s3:prefix": "a"}, "StringLike": {"s3:delimiter": "*"}}"#, true),
        (r#"{"StringEquals": {"s3:prefix": "b"}, "StringLike": {"s3:delimiter": "*"}}"#, false),
        (r#"{"StringEqualsIfExists": {"s3:prefix": "b"}}"#, false),
        (r#"{"StringEqualsIfExists": {"S3:PREFIX": "a"}}"#, true),
        (r#"{"StringEquals": {"s3:prefix": "a"}, "StringNotEquals": {"s3:prefix": "a"}}"#, false),
        (r#"{}"#, true),
    ] {
        assert_eq!(holds(condition, &request), expected, "{condition}");
    }
}

#[test]
fn numbers_and_truth_values_need_no_quotes() {
    let request = context(&[("s3:max-keys", "10"), ("aws:SecureTransport", "true")]);
    assert!(holds(&one("NumericEquals", "s3:max-keys", "10"), &request));
    assert!(holds(&one("NumericLessThan", "s3:max-keys", "[10.5]"), &request));
    assert!(holds(&one("NumericGreaterThan", "s3:max-keys", "-3"), &request));
    assert!(holds(&one("Bool", "aws:SecureTransport", "true"), &request));
    assert!(!holds(&one("Bool", "aws:SecureTransport", "[false]"), &request));
}

#[test]
fn the_encryption_context() {
    let mut request = Context::default();
    let pairs = [("Dept", "IT"), ("dept", "HR"), ("aws:s3:arn", "arn:aws:s3:::b/k")];
    request.set_encryption_context(&pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    for (condition, expected) in [
        (one("StringEquals", "kms:EncryptionContext:aws:s3:arn", "\"arn:aws:s3:::b/k\""), true),
        (one("ArnLike", "kms:EncryptionContext:aws:s3:arn", "\"arn:aws:s3:::b/*\""), true),
        // Names are compared without case, so both values count.
        (one("StringEquals", "kms:EncryptionContext:DEPT", "\"IT\""), true),
        (one("StringEquals", "kms:EncryptionContext:DEPT", "\"HR\""), true),
        (one("ForAllValues:StringEquals", "kms:EncryptionContext:Dept", "\"IT\""), false),
        (one("Null", "kms:EncryptionContext:Stage", "true"), true),
        (one("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", "\"Dept\""), true),
        (one("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", "\"DEPT\""), false),
        (
            one("ForAllValues:StringEquals", "kms:EncryptionContextKeys", "[\"Dept\", \"dept\"]"),
            false,
        ),
    ] {
        assert_eq!(holds(&condition, &request), expected, "{condition}");
    }
    request.set_encryption_context(&Default::default());
    assert_eq!(request, Context::default(), "a new encryption context replaces the old one");
}

#[test]
fn keys_of_the_caller() {
    let policy = |condition: &str| {
        let json = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
                "Condition": {condition}}}}}"#
        );
        Policy::parse(&json, Kind::Key).unwrap()
    };
    let service = caller(CLOUDTRAIL, &[]);
    let path = caller("arn:aws:iam::111122223333:user/division/alice", &[]);
    let (root, auditor) = (caller(ROOT, &[]), caller(AUDITOR, &[]));
    let mut member = path.clone();
    member.organization = Some("o-abcdefghij".parse().unwrap());
    for (caller, key, value) in [
        (&root, "aws:PrincipalType", Some("Account")),
        (&root, "aws:userid", Some(OWNER)),
        (&root, "aws:username", None),
        (&root, "aws:PrincipalArn", Some(ROOT)),
        (&path, "aws:PrincipalType", Some("User")),
        (&path, "aws:userid", None),
        (&path, "aws:username", Some("alice")),
        (&path, "aws:PrincipalArn", Some("arn:aws:iam::111122223333:user/division/alice")),
        (&path, "aws:PrincipalAccount", Some(OWNER)),
        (&path, "kms:CallerAccount", Some(OWNER)),
        (&path, "aws:PrincipalIsAWSService", Some("false")),
        (&path, "aws:PrincipalServiceName", None),
        (&path, "aws:PrincipalOrgID", None),
        (&member, "aws:PrincipalOrgID", Some("o-abcdefghij")),
        (&auditor, "aws:PrincipalType", Some("AssumedRole")),
        (&auditor, "aws:PrincipalArn", Some("arn:aws:iam::111122223333:role/auditor")),
        (&auditor, "aws:username", None),
        (&service, "aws:PrincipalIsAWSService", Some("true")),
        (&service, "aws:PrincipalServiceName", Some(CLOUDTRAIL)),
        (&service, "aws:PrincipalAccount", None),
        (&service, "aws:PrincipalArn", None),
        (&service, "kms:CallerAccount", None),
    ] {
        let condition = match value {
            Some(value) => one("StringEquals", key, &format!("{value:?}")),
            None => one("Null", key, "true"),
        };
        // What the request says of these keys is replaced.
        let forged = context(&[(key, "forged")]);
        let decision = ask_key(caller, &policy(&condition), &[], "kms:Decrypt", &forged);
        expect(&decision, Ok(()), &format!("{} {condition}", caller.principal));
    }
    let account = policy(&one("Null", "kms:CallerAccount", "true"));
    let owner = OWNER.parse().unwrap();
    let request = policy::Request {
        action: "s3:GetObject",
        resource: KEY,
        owner: &owner,
        context: &Context::default(),
    };
    let decision = policy::bucket_access(&path, Some(&account), request);
    expect(&decision, Ok(()), "only KMS has kms:CallerAccount");
}
