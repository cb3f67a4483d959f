//! Which statements let everyone in.

use policy::{Kind, Policy};

fn open(principal: &str, rest: &str, condition: &str, action: &str) -> Option<String> {
    let json = format!(
        r#"{{"Statement": [{{"Sid": "Door", "Effect": "Allow", "Principal": {principal}, {rest},
            "Resource": "*", "Condition": {condition}}}]}}"#
    );
    Policy::parse(&json, Kind::Bucket).unwrap().open_to_everyone(action)
}

const DECRYPT: &str = r#""Action": "kms:Decrypt""#;

#[test]
fn by_principal_and_action() {
    for (principal, rest, action, expected) in [
        (r#""*""#, DECRYPT, "kms:Decrypt", true),
        (r#""*""#, DECRYPT, "kms:decrypt", true),
        (r#""*""#, DECRYPT, "kms:Encrypt", false),
        (r#""*""#, r#""Action": ["s3:*", "kms:De*"]"#, "kms:Decrypt", true),
        (r#""*""#, r#""NotAction": "s3:*""#, "kms:Decrypt", true),
        (r#""*""#, r#""NotAction": "kms:*""#, "kms:Decrypt", false),
        (r#"{"AWS": "*"}"#, DECRYPT, "kms:Decrypt", true),
        (r#"{"AWS": ["111122223333", "*"]}"#, DECRYPT, "kms:Decrypt", true),
        (r#"{"AWS": "111122223333"}"#, DECRYPT, "kms:Decrypt", false),
        (r#"{"Service": "cloudtrail.amazonaws.com"}"#, DECRYPT, "kms:Decrypt", false),
    ] {
        let expected = expected.then(|| "statement \"Door\"".to_owned());
        assert_eq!(open(principal, rest, "{}", action), expected, "{principal} {rest} {action}");
    }
}

#[test]
fn unless_a_condition_confines() {
    for (condition, expected) in [
        (r#"{"StringEquals": {"kms:CallerAccount": "111122223333"}}"#, false),
        (r#"{"StringEquals": {"aws:PrincipalAccount": ["111122223333", "444455556666"]}}"#, false),
        (r#"{"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}"#, false),
        (r#"{"StringEquals": {"AWS:principalorgid": "o-abcdefghij"}}"#, false),
        (r#"{"StringEquals": {"aws:SourceOrgID": "o-abcdefghij"}}"#, false),
        (r#"{"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-abcdefghij/*"}}"#, false),
        (r#"{"StringEquals": {"aws:SourceAccount": "111122223333"}}"#, false),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:111122223333:trail/*"}}"#, false),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}}"#, false),
        (r#"{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}"#, false),
        (r#"{"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}"#, false),
        (
            r#"{"StringLike": {"s3:prefix": "*"},
             "StringEquals": {"kms:ViaService": "s3", "kms:CallerAccount": "111122223333"}}"#,
            false,
        ),
        // By what, from where and about what confines nobody.
        (r#"{}"#, true),
        (r#"{"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}"#, true),
        (r#"{"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::b"}}"#, true),
        (r#"{"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}"#, true),
        (r#"{"Bool": {"aws:SecureTransport": "true"}}"#, true),
        (r#"{"StringEquals": {"aws:PrincipalType": "User"}}"#, true),
        // Others are as welcome as before.
        (r#"{"StringNotEquals": {"kms:CallerAccount": "111122223333"}}"#, true),
        (r#"{"Null": {"kms:CallerAccount": "false"}}"#, true),
        (r#"{"StringLike": {"kms:CallerAccount": "*"}}"#, true),
        (r#"{"StringLike": {"kms:CallerAccount": "1111*"}}"#, true),
        (r#"{"StringLike": {"aws:PrincipalOrgID": ["o-abcdefghij", "o-*"]}}"#, true),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/*"}}"#, true),
        (r#"{"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket*"}}"#, true),
        (r#"{"ArnLike": {"aws:SourceArn": "*"}}"#, true),
        (r#"{"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin"}}"#, true),
        (r#"{"StringLike": {"aws:userid": "*:session"}}"#, true),
        (r#"{"StringLike": {"aws:userid": ":*"}}"#, true),
        // Met by a request without the key.
        (r#"{"StringEqualsIfExists": {"aws:SourceAccount": "111122223333"}}"#, true),
        (r#"{"ForAllValues:StringLike": {"aws:SourceOrgPaths": "o-abcdefghij/*"}}"#, true),
    ] {
        let found = open(r#"{"AWS": "*"}"#, DECRYPT, condition, "kms:Decrypt");
        assert_eq!(found.is_some(), expected, "{condition}");
    }
}

#[test]
fn the_statement_is_named() {
    let json = r#"{"Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "NotPrincipal": "*", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}"#;
    let policy = Policy::parse(json, Kind::Bucket).unwrap();
    assert_eq!(policy.open_to_everyone("s3:GetObject").as_deref(), Some("statement 3"));
    assert_eq!(policy.open_to_everyone("s3:PutObject"), None);
    let mine = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    assert_eq!(Policy::parse(mine, Kind::Identity).unwrap().open_to_everyone("s3:GetObject"), None);
}
