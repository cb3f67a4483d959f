//! Documents that are refused, each with the statement and the element that is wrong.

use policy::{Kind, Policy, Principal};

const ALLOW: &str = r#""Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*""#;

fn refusal(json: &str, kind: Kind) -> String {
    match Policy::parse(json, kind) {
        Ok(_) => panic!("accepted: {json}"),
        Err(error) => error.to_string(),
    }
}

fn check(kind: Kind, cases: &[(&str, &str)]) {
    for (json, expected) in cases {
        let found = refusal(json, kind);
        assert!(found.contains(expected), "{json}\n  says  {found}\n  not   {expected}");
    }
}

#[test]
fn around_the_statements() {
    let statement = format!("{{{ALLOW}}}");
    let with = |rest: &str| format!(r#"{{"Statement": {statement}, {rest}}}"#);
    check(
        Kind::Bucket,
        &[
            ("", "the policy document: it is not JSON: EOF"),
            ("{", "not JSON"),
            ("[]", "the policy document: it is a list; expected an object"),
            ("{}", "Statement is missing or empty"),
            (r#"{"Statement": []}"#, "Statement is missing or empty"),
            (r#"{"Statement": null}"#, "statement 1: it is null"),
            (r#"{"Statement": ["x"]}"#, "statement 1: it is a string"),
            (&with(r#""Version": "2012-10-18""#), "Version \"2012-10-18\" is not known"),
            (&with(r#""Version": 2012"#), "Version is a number"),
            (&with(r#""Id": ["x"]"#), "Id is a list"),
            (&with(r#""Name": "x""#), "\"Name\" is not known"),
            (&with(r#""version": "2012-10-17""#), "\"version\" is not known"),
            (&with(r#""Id": "a", "Id": "a""#), "the policy document: it has \"Id\" twice"),
            (&with(&format!(r#""Statement": {statement}"#)), "\"Statement\" twice"),
            (&format!("{{\"Statement\": {statement}}} x"), "trailing characters"),
        ],
    );
}

#[test]
fn in_a_statement() {
    let lacks = |element: &str| {
        let parts = [
            r#""Effect": "Allow""#,
            r#""Principal": "*""#,
            r#""Action": "*""#,
            r#""Resource": "*""#,
        ];
        let rest: Vec<&str> = parts.into_iter().filter(|part| !part.contains(element)).collect();
        format!(r#"{{"Statement": [{{"Sid": "S", {}}}]}}"#, rest.join(","))
    };
    for element in ["Effect", "Principal", "Action", "Resource"] {
        for kind in [Kind::Bucket, Kind::Key] {
            let expected = format!("statement \"S\": {element} is missing");
            assert!(refusal(&lacks(element), kind).starts_with(&expected));
        }
    }
    let replaced = |from: &str, to: &str| {
        let changed = ALLOW.replace(from, to);
        assert_ne!(changed, ALLOW);
        format!(r#"{{"Statement": [{{{ALLOW}}}, {{{changed}}}]}}"#)
    };
    let action = r#""Action": "*""#;
    let resource = r#""Resource": "*""#;
    let principal = r#""Principal": "*""#;
    for (from, to, expected) in [
        ("Allow", "allow", "Effect \"allow\" is not valid"),
        ("\"Allow\"", "true", "Effect is a truth value"),
        (action, r#""Action": []"#, "Action is an empty list"),
        (action, r#""Action": 1"#, "Action is a number; expected a string"),
        (action, r#""Action": ["s3:*", null]"#, "Action is null"),
        (
            action,
            r#""Action": "GetObject""#,
            "Action \"GetObject\" is not valid; expected SERVICE:NAME",
        ),
        (action, r#""Action": "s3:""#, "Action \"s3:\""),
        (action, r#""Action": ":Get""#, "Action \":Get\""),
        (action, r#""Action": "s*:Get""#, "Action \"s*:Get\""),
        (action, r#""Action": "s3:Get Object""#, "Action \"s3:Get Object\""),
        (action, r#""Action": "*", "Action": "*""#, "\"Action\" twice"),
        (
            action,
            r#""Action": "*", "NotAction": "s3:*""#,
            "Action and NotAction exclude each other",
        ),
        (resource, r#""Resource": "*", "NotResource": "*""#, "Resource and NotResource exclude"),
        (resource, r#""Resource": "trails/*""#, "Resource \"trails/*\" is not valid"),
        (resource, r#""Resource": "arn:aws:s3:::b/${aws:username}/*""#, "has a policy variable"),
        (
            resource,
            r#""NotResource": "arn:aws:s3:::${*}""#,
            "NotResource \"arn:aws:s3:::${*}\" has a policy",
        ),
        (principal, r#""NotPrincipal": "*""#, "NotPrincipal is for Deny only"),
        (
            principal,
            r#""Principal": "*", "NotPrincipal": "*""#,
            "Principal and NotPrincipal exclude",
        ),
        (principal, r#""Principal": "111122223333""#, "Principal must be \"*\""),
        (principal, r#""Principal": ["*"]"#, "Principal is a list"),
        (principal, r#""Principal": {}"#, "Principal must be"),
        (principal, r#""Principal": {"AWS": []}"#, "Principal AWS is an empty list"),
        (principal, r#""Principal": {"AWS": "1"}"#, "Principal AWS \"1\" is not valid"),
        (principal, r#""Principal": {"AWS": "*", "AWS": "*"}"#, "Principal has \"AWS\" twice"),
        (
            principal,
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:user/*"}"#,
            "Principal AWS \"arn",
        ),
        (principal, r#""Principal": {"AWS": "arn:aws:iam::*:root"}"#, "Principal AWS \"arn"),
        (
            principal,
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:group/g"}"#,
            "Principal AWS \"arn",
        ),
        (
            principal,
            r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/a/"}"#,
            "Principal AWS \"arn",
        ),
        (
            principal,
            r#""Principal": {"AWS": "arn:aws:sts::111122223333:role/a"}"#,
            "Principal AWS \"arn:aws:sts",
        ),
        (principal, r#""Principal": {"AWS": "AIDAEXAMPLE"}"#, "Principal AWS \"AIDAEXAMPLE\""),
        (principal, r#""Principal": {"AWS": "s3.amazonaws.com"}"#, "Principal AWS \"s3"),
        (principal, r#""Principal": {"Service": "*"}"#, "Principal Service \"*\""),
        (principal, r#""Principal": {"Service": "111122223333"}"#, "Principal Service \"1111"),
        (
            principal,
            r#""Principal": {"Service": "example.com"}"#,
            "Principal Service \"example.com\"",
        ),
        (principal, r#""Principal": {"Federated": "x"}"#, "Principal \"Federated\" is not known"),
        (principal, r#""Principal": {"CanonicalUser": "x"}"#, "\"CanonicalUser\" is not known"),
        (principal, r#""Principal": "*", "Comment": "x""#, "\"Comment\" is not known"),
        (principal, r#""Principal": "*", "Sid": 1"#, "Sid is a number"),
        (principal, r#""Principal": "*", "Sid": "a\nb""#, "Sid \"a\\nb\" is not valid"),
    ] {
        let found = refusal(&replaced(from, to), Kind::Bucket);
        let expected = format!("statement 2: {expected}");
        assert!(
            found.starts_with("statement 2: ") && found.contains(&expected[13..]),
            "{to}: {found}"
        );
    }
}

#[test]
fn in_a_condition() {
    let with = |condition: &str| {
        format!(r#"{{"Statement": {{"Sid": "Reads it", {ALLOW}, "Condition": {condition}}}}}"#)
    };
    for (condition, expected) in [
        ("[]", "Condition is a list"),
        (r#"{"StringEquals": "x"}"#, "Condition StringEquals is a string"),
        (
            r#"{"StringEquals": {"s3:prefix": []}}"#,
            "Condition StringEquals \"s3:prefix\" is an empty list",
        ),
        (r#"{"StringEquals": {"s3:prefix": null}}"#, "\"s3:prefix\" is null"),
        (r#"{"StringEquals": {"s3:prefix": {"x": 1}}}"#, "\"s3:prefix\" is an object"),
        (r#"{"StringEquals": {"s3:prefix": "a", "s3:prefix": "b"}}"#, "\"s3:prefix\" twice"),
        (r#"{"StringEquals": {"s3:prefix": "a", "S3:Prefix": "b"}}"#, "\"S3:Prefix\" twice"),
        (
            r#"{"Null": {"s3:prefix": "true"}, "Null": {"s3:delimiter": "true"}}"#,
            "Condition has \"Null\" twice",
        ),
        (r#"{"StringIs": {"s3:prefix": "a"}}"#, "Condition operator \"StringIs\" is not known"),
        (
            r#"{"stringequals": {"s3:prefix": "a"}}"#,
            "Condition operator \"stringequals\" is not known",
        ),
        (
            r#"{"ForSomeValues:StringEquals": {"s3:prefix": "a"}}"#,
            "operator \"ForSomeValues:StringEquals\"",
        ),
        (r#"{"ForAnyValue:": {"s3:prefix": "a"}}"#, "operator \"ForAnyValue:\""),
        (r#"{"IfExists": {"s3:prefix": "a"}}"#, "operator \"IfExists\""),
        (r#"{"NullIfExists": {"s3:prefix": "true"}}"#, "operator \"NullIfExists\""),
        (r#"{"ForAllValues:Null": {"s3:prefix": "true"}}"#, "operator \"ForAllValues:Null\""),
        (
            r#"{"StringEquals": {"aws:PrincipalTag/team": "a"}}"#,
            "key \"aws:PrincipalTag/team\" is not known",
        ),
        (
            r#"{"StringEquals": {"kms:EncryptionContext:": "a"}}"#,
            "key \"kms:EncryptionContext:\" is not known",
        ),
        (
            r#"{"Bool": {"s3:prefix": "true"}}"#,
            "key \"s3:prefix\" has no values that Bool compares",
        ),
        (
            r#"{"NumericEquals": {"aws:SourceIp": "1"}}"#,
            "key \"aws:SourceIp\" has no values that NumericEquals",
        ),
        (r#"{"DateEqualsIfExists": {"s3:prefix": "1"}}"#, "has no values that DateEquals compares"),
        (r#"{"IpAddress": {"aws:SourceArn": "::1"}}"#, "has no values that IpAddress"),
        (r#"{"ArnLike": {"s3:max-keys": "*"}}"#, "has no values that ArnLike"),
        (
            r#"{"Null": {"s3:prefix": "maybe"}}"#,
            "Condition Null \"s3:prefix\": \"maybe\" is not \"true\"",
        ),
        (r#"{"Bool": {"aws:SecureTransport": "1"}}"#, "\"1\" is not \"true\" or \"false\""),
        (r#"{"NumericEquals": {"s3:max-keys": ["1", "1e3"]}}"#, "\"1e3\" is not a number"),
        (r#"{"NumericEquals": {"s3:max-keys": "1."}}"#, "\"1.\" is not a number"),
        (r#"{"NumericEquals": {"s3:max-keys": ""}}"#, "\"\" is not a number"),
        (r#"{"DateEquals": {"aws:CurrentTime": "2026-01-01"}}"#, "\"2026-01-01\" is not a time"),
        (r#"{"DateEquals": {"aws:CurrentTime": ""}}"#, "\"\" is not a time"),
        (r#"{"DateEquals": {"aws:CurrentTime": "99999999999999999999"}}"#, "is not a time"),
        (r#"{"IpAddress": {"aws:SourceIp": "203.0.113.0/33"}}"#, "\"203.0.113.0/33\" is not an IP"),
        (r#"{"IpAddress": {"aws:SourceIp": "203.0.113.0/+8"}}"#, "is not an IP"),
        (r#"{"NotIpAddress": {"aws:SourceIp": "203.0.113"}}"#, "is not an IP"),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:s3"}}"#, "\"arn:aws:s3\" is not an ARN"),
        (r#"{"StringLike": {"s3:prefix": "home/${aws:username}/*"}}"#, "has a policy variable"),
    ] {
        let found = refusal(&with(condition), Kind::Bucket);
        assert!(found.starts_with("statement \"Reads it\": Condition"), "{found}");
        assert!(found.contains(expected), "{condition}\n  says  {found}\n  not   {expected}");
    }
}

#[test]
fn by_kind() {
    let identity = r#"{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    Policy::parse(identity, Kind::Identity).unwrap();
    check(
        Kind::Identity,
        &[
            (&format!(r#"{{"Statement": {{{ALLOW}}}}}"#), "statement 1: Principal does not belong"),
            (
                &identity.replace("Action", r#"NotPrincipal": "*", "Action"#),
                "NotPrincipal does not belong",
            ),
            (&identity.replace("\"Resource\": \"*\"", "\"Sid\": \"\""), "Resource is missing"),
            (
                &identity.replace("\"Action\"", "\"Sid\": \"a b\", \"Action\""),
                "Sid \"a b\" is not valid",
            ),
        ],
    );
    let key = |resource: &str| {
        format!(r#"{{"Statement": {{{}}}}}"#, ALLOW.replace(r#""Resource": "*""#, resource))
    };
    Policy::parse(&key(&format!("\"Resource\": {:?}", crate::support::KEY)), Kind::Key).unwrap();
    check(
        Kind::Key,
        &[
            (&key(r#""NotResource": "*""#), "NotResource does not belong in a key policy"),
            (&key(r#""Resource": "arn:aws:kms:*:111122223333:key/*""#), "Resource \"arn:aws:kms:*"),
            (&key(r#""Resource": "arn:aws:s3:::b""#), "expected \"*\", which is the key itself"),
        ],
    );
}

#[test]
fn actions_may_be_everything() {
    for action in ["*", "*:*", "s3:*", "new-service2:Do?It*"] {
        let json = format!(r#"{{"Statement": {{{ALLOW}}}}}"#);
        let json = json.replace(r#""Action": "*""#, &format!(r#""Action": {action:?}"#));
        Policy::parse(&json, Kind::Bucket).unwrap();
    }
}

#[test]
fn sids_are_unique() {
    let two = |a: &str, b: &str| {
        format!(r#"{{"Statement": [{{"Sid": {a:?}, {ALLOW}}}, {{"Sid": {b:?}, {ALLOW}}}]}}"#)
    };
    let found = refusal(&two("Reads", "Reads"), Kind::Bucket);
    assert!(found.starts_with("statement 2: its Sid is that of an earlier"), "{found}");
    for (a, b) in [("Reads", "reads"), ("", ""), ("Enable IAM User Permissions", "2")] {
        Policy::parse(&two(a, b), Kind::Bucket).unwrap();
    }
}

#[test]
fn sizes_are_bounded() {
    let allow = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    for (kind, max) in [(Kind::Identity, 10_240), (Kind::Bucket, 20_480), (Kind::Key, 32_768)] {
        let json = match kind {
            Kind::Identity => allow.to_owned(),
            _ => allow.replace("\"Action\"", "\"Principal\": \"*\", \"Action\""),
        };
        let padded = |len: usize| format!("{json}{}", " ".repeat(len - json.len()));
        let policy = Policy::parse(&padded(max), kind).unwrap();
        assert_eq!(policy.json(), padded(max));
        let found = refusal(&padded(max + 1), kind);
        assert!(found.contains(&format!("{} bytes; at most {max}", max + 1)), "{found}");
    }
    let deep = format!("{{\"Statement\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(refusal(&deep, Kind::Bucket).contains("recursion limit"));
}

#[test]
fn principals_are_exact() {
    for s in [
        "arn:aws:iam::111122223333:root",
        "arn:aws-cn:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:user/division/sub-division/alice+x=y,z.@_-",
        "arn:aws-us-gov:sts::111122223333:assumed-role/auditor/monday@example.com",
        "cloudtrail.amazonaws.com",
        "delivery.logs.amazonaws.com",
        "ec2.amazonaws.com.cn",
    ] {
        assert_eq!(s.parse::<Principal>().unwrap().to_string(), s);
    }
    for s in [
        "",
        "*",
        "111122223333",
        "arn:aws:iam::1111:root",
        "arn:aws:iam:eu-west-1:111122223333:root",
        "arn:azure:iam::111122223333:root",
        "arn:aws*:iam::111122223333:root",
        "arn:aws:iam::111122223333:root/x",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user/a b",
        "arn:aws:iam::111122223333:user/a*/b",
        "arn:aws:iam::111122223333:role/auditor",
        "arn:aws:sts::111122223333:user/alice",
        "arn:aws:iam::111122223333:assumed-role/auditor/monday",
        "arn:aws:sts::111122223333:assumed-role/auditor",
        "arn:aws:sts::111122223333:assumed-role/auditor/",
        "arn:aws:sts::111122223333:assumed-role/path/auditor/monday",
        ".amazonaws.com",
        "amazonaws.com",
        "a..amazonaws.com",
        "Cloudtrail.amazonaws.com",
        "cloudtrail.amazonaws.com.de",
        "cloudtrail.amazonaws.com:x",
    ] {
        assert!(s.parse::<Principal>().is_err(), "{s}");
    }
    let user = |path: usize, name: usize| {
        let (path, name) = ("p".repeat(path), "n".repeat(name));
        format!("arn:aws:iam::111122223333:user/{path}/{name}").parse::<Principal>().is_ok()
    };
    assert!(user(512, 64) && !user(513, 64) && !user(512, 65));
    let service = |len: usize| format!("{}.amazonaws.com", "s".repeat(len - 14));
    assert!(service(128).parse::<Principal>().is_ok());
    assert!(service(129).parse::<Principal>().is_err());
    let session = Principal::Role {
        partition: "aws".to_owned(),
        account: "111122223333".parse().unwrap(),
        role: "security/auditor".to_owned(),
        session: "monday".to_owned(),
    };
    assert_eq!(session.to_string(), "arn:aws:sts::111122223333:assumed-role/auditor/monday");
    let arn = session.policy_arn();
    assert_eq!(arn.as_deref(), Some("arn:aws:iam::111122223333:role/security/auditor"));
}
