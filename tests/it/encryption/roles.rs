//! Who can read a log: the bucket's side and the key's side, and that it takes both.

use std::sync::Arc;

use local::kms::CreateGrant;
use local::s3::{PutObject, Sse};
use policy::Caller;
use serde_json::{Value, json};
use trail::ports::{ListRequest, Pairs};

use super::store::*;

/// The key policy of a CloudTrail key, as the CloudTrail user guide has it: the service encrypts
/// for its trail, readers decrypt what carries a trail's context, the administrator manages.
fn trail_key_policy(readers: &[&Arc<Caller>]) -> String {
    let mut statements = vec![
        json!({
            "Sid": "administrators manage, and use nothing", "Effect": "Allow", "Resource": "*",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/key-admin")},
            "Action": ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*",
                "kms:Update*", "kms:Revoke*", "kms:Disable*", "kms:Get*", "kms:Delete*",
                "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"],
        }),
        json!({
            "Sid": "CloudTrail encrypts for its trails", "Effect": "Allow", "Resource": "*",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "kms:GenerateDataKey*",
            "Condition": {
                "StringEquals": {"aws:SourceArn": TRAIL},
                "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn":
                    format!("arn:aws:cloudtrail:*:{ACCOUNT}:trail/*")},
            },
        }),
        json!({
            "Sid": "CloudTrail looks at the key", "Effect": "Allow", "Resource": "*",
            "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:DescribeKey",
            "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}},
        }),
    ];
    if !readers.is_empty() {
        let arns: Vec<String> = readers.iter().map(|r| r.principal.to_string()).collect();
        statements.push(json!({
            "Sid": "readers decrypt trails", "Effect": "Allow", "Resource": "*",
            "Principal": {"AWS": arns}, "Action": "kms:Decrypt",
            "Condition": {"Null": {"kms:EncryptionContext:aws:cloudtrail:arn": "false"}},
        }));
    }
    document(&statements)
}

/// The bucket policy that CloudTrail needs.
fn trail_bucket_policy() -> String {
    document(&[
        json!({
            "Sid": "AWSCloudTrailAclCheck20150319", "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl",
            "Resource": format!("arn:aws:s3:::{BUCKET}"),
            "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}},
        }),
        json!({
            "Sid": "AWSCloudTrailWrite20150319", "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/AWSLogs/{ACCOUNT}/*"),
            "Condition": {"StringEquals": {
                "s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": TRAIL,
            }},
        }),
    ])
}

/// A log as CloudTrail puts it.
fn log(key: &str, with_bucket_key: bool) -> PutObject {
    let context = pairs(&[("aws:cloudtrail:arn", TRAIL)]);
    let sse = Sse::Kms { key: Some(key.to_owned()), context, bucket_key: Some(with_bucket_key) };
    PutObject { acl: Some("bucket-owner-full-control".to_owned()), ..PutObject::new(sse) }
}

/// A bucket and key as CloudTrail demands them, and a log that it delivered.
fn delivered(f: &Fixture, readers: &[&Arc<Caller>], with_bucket_key: bool) -> String {
    let arn = f.key();
    f.kms().put_key_policy(&arn, &trail_key_policy(readers), true).unwrap();
    f.root().put_bucket_policy(BUCKET, &trail_bucket_policy()).unwrap();
    let cloudtrail = f.s3_of(&service("cloudtrail.amazonaws.com"));
    let log = log(&arn, with_bucket_key);
    cloudtrail.on_behalf_of(TRAIL).put_bytes(BUCKET, KEY, log, BODY).unwrap();
    arn
}

fn auditor() -> Arc<Caller> {
    user("auditor", &allow(&["s3:GetObject", "s3:ListBucket", "kms:Decrypt"]))
}

#[test]
fn roles_are_separate_storage_keys_and_audit() {
    let f = Fixture::new();
    let auditor = auditor();
    let arn = delivered(&f, &[&auditor], false);

    // Who administers the bucket lists and deletes, but cannot read.
    let storage_admin = f.s3_of(&user("storage-admin", &allow(&["s3:*"])));
    let all = ListRequest { prefix: "", start_after: None, delimiter: false };
    assert_eq!(storage_admin.list_objects(BUCKET, &all).unwrap().entries.len(), 1);
    assert!(storage_admin.head_object(BUCKET, KEY, &Default::default()).is_ok());
    let refused = storage_admin.read(KEY).unwrap_err();
    assert_eq!((refused.status(), refused.code().as_ref()), (403, "AccessDenied"));
    assert!(refused.to_string().contains("kms:Decrypt"), "{refused}");
    // Nor does it help to claim the key: the key policy does not let the account decide.
    let claiming = f.s3_of(&user("storage-admin", &allow(&["s3:*", "kms:*"])));
    assert_eq!(answer(claiming.read(KEY)), is(403, "AccessDenied"));

    // Who administers the key cannot read either, by S3 or by KMS.
    let key_admin = user("key-admin", &allow(&["kms:*", "s3:GetObject"]));
    assert_eq!(answer(f.s3_of(&key_admin).read(KEY)), is(403, "AccessDenied"));
    assert!(f.kms_of(&key_admin).describe_key(&arn).is_ok());
    let direct = f.kms_of(&key_admin).generate_data_key(&arn, &Pairs::new()).map(drop);
    assert_eq!(direct.unwrap_err().code(), "AccessDeniedException");

    // An auditor with both reads.
    assert_eq!(f.s3_of(&auditor).read(KEY).unwrap(), BODY);

    // The key's administrator revokes the statement: at once the auditor reads no more.
    f.kms_of(&key_admin).put_key_policy(&arn, &trail_key_policy(&[]), false).unwrap();
    assert_eq!(answer(f.s3_of(&auditor).read(KEY)), is(403, "AccessDenied"));
    assert!(f.s3_of(&auditor).list_objects(BUCKET, &all).is_ok());

    // What is deleted is gone, whoever had the key.
    storage_admin.delete_object(BUCKET, KEY).unwrap();
    assert_eq!(answer(f.s3_of(&auditor).read(KEY)), is(404, "NoSuchKey"));
}

#[test]
fn with_a_bucket_key_a_revoked_reader_is_stopped_when_its_cache_ends() {
    let f = Fixture::new();
    let (auditor, late) = (auditor(), user("late", &allow(&["s3:*", "kms:Decrypt"])));
    let arn = delivered(&f, &[&auditor, &late], true);
    assert_eq!(f.s3_of(&auditor).read(KEY).unwrap(), BODY);
    f.kms().put_key_policy(&arn, &trail_key_policy(&[]), true).unwrap_err();
    let key_admin = user("key-admin", &allow(&["kms:*"]));
    f.kms_of(&key_admin).put_key_policy(&arn, &trail_key_policy(&[]), false).unwrap();
    // S3 does not ask KMS again while it holds the bucket's key for this reader …
    assert_eq!(f.s3_of(&auditor).read(KEY).unwrap(), BODY);
    // … but for nobody else, and not for long.
    assert_eq!(answer(f.s3_of(&late).read(KEY)), is(403, "AccessDenied"));
    f.advance(299);
    assert_eq!(f.s3_of(&auditor).read(KEY).unwrap(), BODY);
    f.advance(1);
    assert_eq!(answer(f.s3_of(&auditor).read(KEY)), is(403, "AccessDenied"));
}

#[test]
fn reading_a_log_takes_the_objects_permission_and_the_keys() {
    let f = Fixture::new();
    let arn = f.key();
    f.root().put_bytes(BUCKET, KEY, log(&arn, false), BODY).unwrap();
    f.root().write("AWSLogs/sse-s3", Sse::S3).unwrap();
    for (actions, key, expected) in [
        (&["s3:GetObject", "kms:Decrypt"][..], KEY, is(200, "")),
        (&["s3:GetObject"], KEY, is(403, "AccessDenied")),
        (&["kms:Decrypt"], KEY, is(403, "AccessDenied")),
        (&["s3:ListBucket"], KEY, is(403, "AccessDenied")),
        (&["s3:GetObject"], "AWSLogs/sse-s3", is(200, "")),
        (&["kms:Decrypt"], "AWSLogs/sse-s3", is(403, "AccessDenied")),
        // Whether an object is there is told only to those who may list.
        (&["s3:GetObject", "kms:Decrypt"], "absent", is(403, "AccessDenied")),
        (&["s3:GetObject", "s3:ListBucket"], "absent", is(404, "NoSuchKey")),
    ] {
        let reader = f.s3_of(&user("reader", &allow(actions)));
        assert_eq!(answer(reader.read(key)), expected, "{actions:?} {key}");
    }
}

#[test]
fn a_reader_of_another_account_needs_both_sides_twice() {
    let f = Fixture::new();
    let arn = f.key();
    f.root().put_bytes(BUCKET, KEY, log(&arn, false), BODY).unwrap();
    let there = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let bucket = json!({
        "Sid": "bucket", "Effect": "Allow", "Principal": {"AWS": there},
        "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    });
    let key = json!({
        "Sid": "key", "Effect": "Allow", "Principal": {"AWS": there},
        "Action": "kms:Decrypt", "Resource": "*",
    });
    for (on_bucket, on_key, actions, expected) in [
        (true, true, &["s3:GetObject", "kms:Decrypt"][..], 200),
        (true, true, &["s3:GetObject"], 403),
        (true, true, &["kms:Decrypt"], 403),
        (true, false, &["s3:GetObject", "kms:Decrypt"], 403),
        (false, true, &["s3:GetObject", "kms:Decrypt"], 403),
    ] {
        let bucket: Vec<Value> = on_bucket.then(|| bucket.clone()).into_iter().collect();
        match bucket.is_empty() {
            true => f.root().delete_bucket_policy(BUCKET).unwrap(),
            false => f.root().put_bucket_policy(BUCKET, &document(&bucket)).unwrap(),
        }
        let mut statements = vec![account_decides()];
        statements.extend(on_key.then(|| key.clone()));
        f.kms().put_key_policy(&arn, &document(&statements), false).unwrap();
        let reader = f.s3_of(&user_of(OTHER_ACCOUNT, "reader", &allow(actions)));
        assert_eq!(answer(reader.read(KEY)).0, expected, "{on_bucket} {on_key} {actions:?}");
    }
}

#[test]
fn cloudtrail_itself_may_write_for_its_trail_and_nothing_else() {
    let f = Fixture::new();
    let arn = delivered(&f, &[], false);
    let cloudtrail = || f.s3_of(&service("cloudtrail.amazonaws.com"));
    let put = |client: local::S3Client, key: &str, put: PutObject| {
        answer(client.put_bytes(BUCKET, key, put, BODY))
    };
    let denied = is(403, "AccessDenied");
    let next = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/23/next.json.gz";
    let ours = || cloudtrail().on_behalf_of(TRAIL);
    assert_eq!(put(ours(), next, log(&arn, false)), is(200, ""));
    let foreign = TRAIL.replace(ACCOUNT, OTHER_ACCOUNT);
    assert_eq!(put(cloudtrail().on_behalf_of(&foreign), next, log(&arn, false)), denied);
    assert_eq!(put(cloudtrail(), next, log(&arn, false)), denied);
    assert_eq!(put(ours(), "AWSLogs/444455556666/x", log(&arn, false)), denied);
    assert_eq!(put(ours(), next, PutObject { acl: None, ..log(&arn, false) }), denied);
    // Without the trail in the encryption context the key refuses.
    let bare = PutObject { sse: kms(&arn), ..log(&arn, false) };
    assert_eq!(put(ours(), next, bare), denied);
    // It never reads what it wrote, and another service is nobody.
    assert_eq!(answer(ours().read(KEY)), denied);
    let config = f.s3_of(&service("config.amazonaws.com")).on_behalf_of(TRAIL);
    assert_eq!(put(config, next, log(&arn, false)), denied);
}

#[test]
fn a_bucket_key_made_for_one_trail_serves_no_other() {
    let f = Fixture::new();
    let arn = delivered(&f, &[], true);
    // The bucket takes any trail of the service; the key knows one.
    let open = json!({
        "Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    });
    f.root().put_bucket_policy(BUCKET, &document(&[open])).unwrap();
    let put = |trail: &str| {
        let cloudtrail = f.s3_of(&service("cloudtrail.amazonaws.com")).on_behalf_of(trail);
        answer(cloudtrail.put_bytes(BUCKET, "next", log(&arn, true), BODY))
    };
    assert_eq!(put(TRAIL), is(200, ""));
    // Even with the other's name in the encryption context.
    assert_eq!(put(&TRAIL.replace("main", "other")), is(403, "AccessDenied"));
}

#[test]
fn one_key_serves_all_accounts_and_regions_of_an_organization() {
    let f = Fixture::new();
    let arn = f.key();
    let trail = |region: &str, account: &str| {
        format!("arn:aws:cloudtrail:{region}:{account}:trail/organization")
    };
    let accounts = [ACCOUNT, OTHER_ACCOUNT, "777788889999"];
    let mut statements = vec![account_decides()];
    statements.push(json!({
        "Sid": "members encrypt", "Effect": "Allow", "Resource": "*",
        "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "kms:GenerateDataKey*",
        "Condition": {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn":
            accounts.map(|a| format!("arn:aws:cloudtrail:*:{a}:trail/*"))}},
    }));
    statements.push(json!({
        "Sid": "the organization reads", "Effect": "Allow", "Resource": "*",
        "Principal": {"AWS": "*"}, "Action": "kms:Decrypt",
        "Condition": {
            "StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"},
            "Null": {"kms:EncryptionContext:aws:cloudtrail:arn": "false"},
        },
    }));
    f.kms().put_key_policy(&arn, &document(&statements), false).unwrap();
    let open = json!({
        "Effect": "Allow", "Principal": "*", "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    });
    f.root().put_bucket_policy(BUCKET, &document(&[open])).unwrap();
    let cloudtrail = f.s3_of(&service("cloudtrail.amazonaws.com"));
    let put = |region: &str, account: &str| {
        let context = pairs(&[("aws:cloudtrail:arn", &trail(region, account))]);
        let sse = Sse::Kms { key: Some(arn.clone()), context, bucket_key: Some(false) };
        let key = format!("AWSLogs/o-exampleorgid/{account}/CloudTrail/{region}/log");
        answer(cloudtrail.put_bytes(BUCKET, &key, PutObject::new(sse), BODY))
    };
    for account in accounts {
        for region in ["us-east-1", "eu-west-1", "ap-southeast-2"] {
            assert_eq!(put(region, account), is(200, ""), "{account} {region}");
        }
    }
    assert_eq!(put("us-east-1", "999900001111"), is(403, "AccessDenied"), "no member");
    let member = |organization: &str| {
        let caller = user_of("777788889999", "reader", &allow(&["s3:GetObject", "kms:Decrypt"]));
        let organization = Some(organization.parse().unwrap());
        Arc::new(Caller { organization, ..(*caller).clone() })
    };
    let key = format!("AWSLogs/o-exampleorgid/{ACCOUNT}/CloudTrail/eu-west-1/log");
    assert_eq!(f.s3_of(&member("o-exampleorgid")).read(&key).unwrap(), BODY);
    assert_eq!(answer(f.s3_of(&member("o-anotherone")).read(&key)), is(403, "AccessDenied"));
}

#[test]
fn a_grant_lets_in_without_touching_the_policy_and_ends_when_retired_or_revoked() {
    let f = Fixture::new();
    let arn = f.key();
    f.root().put_bytes(BUCKET, KEY, log(&arn, false), BODY).unwrap();
    let reader = user("reader", &allow(&["s3:GetObject"]));
    let read = || answer(f.s3_of(&reader).read(KEY));
    assert_eq!(read(), is(403, "AccessDenied"));
    let grant = |operations: &[&str], context: Option<Pairs>| CreateGrant {
        grantee_principal: reader.principal.to_string(),
        operations: operations.iter().map(|o| (*o).to_owned()).collect(),
        constraints: context.map(|pairs| policy::GrantConstraint {
            encryption_context_subset: Some(pairs),
            ..Default::default()
        }),
        ..CreateGrant::default()
    };
    let wrong = f.kms().create_grant(&arn, &grant(&["GenerateDataKey"], None)).unwrap();
    assert_eq!(read(), is(403, "AccessDenied"), "another operation");
    let other_trail = pairs(&[("aws:cloudtrail:arn", "arn:aws:cloudtrail:us-east-1:1:trail/x")]);
    f.kms().create_grant(&arn, &grant(&["Decrypt"], Some(other_trail))).unwrap();
    assert_eq!(read(), is(403, "AccessDenied"), "another context");
    let this_trail = pairs(&[("aws:cloudtrail:arn", TRAIL)]);
    let right = f.kms().create_grant(&arn, &grant(&["Decrypt"], Some(this_trail))).unwrap();
    assert_eq!(read(), is(200, ""));
    f.kms().revoke_grant(&arn, &right).unwrap();
    assert_eq!(read(), is(403, "AccessDenied"));
    assert_ne!(wrong, right);
}

#[test]
fn the_policy_language_decides_as_kms_and_refuses_what_it_does_not_know() {
    let f = Fixture::new();
    let arn = f.key();
    f.root().put_bytes(BUCKET, KEY, log(&arn, false), BODY).unwrap();
    let role = Arc::new(Caller {
        principal: format!("arn:aws:sts::{ACCOUNT}:assumed-role/audit/alice").parse().unwrap(),
        ..(*user("x", &allow(&["s3:GetObject", "kms:Decrypt"]))).clone()
    });
    let role_arn = format!("arn:aws:iam::{ACCOUNT}:role/audit");
    let statement = |effect: &str, principal: Value, action: &str, condition: Value| {
        json!({"Effect": effect, "Principal": principal, "Action": action, "Resource": "*",
            "Condition": condition})
    };
    let allowed = |condition: Value| {
        let aws = json!({"AWS": role_arn});
        vec![statement("Allow", aws, "kms:Decrypt", condition)]
    };
    let everyone = json!({"AWS": "*"});
    let with_deny = |deny: Value| [allowed(json!({})), vec![deny]].concat();
    let context = "kms:EncryptionContext:aws:cloudtrail:arn";
    for (name, statements, expected) in [
        ("the role", allowed(json!({})), 200),
        ("nobody", vec![], 403),
        ("like", allowed(json!({"StringLike": {context: "arn:aws:cloudtrail:*:trail/*"}})), 200),
        ("not like", allowed(json!({"StringLike": {context: "arn:aws:s3:*"}})), 403),
        ("null", allowed(json!({"Null": {context: "false"}})), 200),
        ("absent", allowed(json!({"Null": {context: "true"}})), 403),
        ("arn", allowed(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/a*"}})), 200),
        ("arn equals", allowed(json!({"ArnEquals": {"aws:PrincipalArn": role_arn}})), 200),
        ("other arn", allowed(json!({"ArnEquals": {"aws:PrincipalArn": TRAIL}})), 403),
        (
            "via",
            allowed(json!({"StringEquals":
            {"kms:ViaService": "s3.us-east-1.amazonaws.com"}})),
            200,
        ),
        (
            "via elsewhere",
            allowed(json!({"StringEquals":
            {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}})),
            403,
        ),
        ("account", allowed(json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}})), 200),
        (
            "two",
            allowed(json!({"StringEquals": {"kms:CallerAccount": ACCOUNT},
            "Null": {context: "true"}})),
            403,
        ),
        ("deny wins", with_deny(statement("Deny", everyone.clone(), "kms:*crypt", json!({}))), 403),
        (
            "deny elsewhere",
            with_deny(statement(
                "Deny",
                everyone,
                "kms:Decrypt",
                json!({"StringNotEquals": {"kms:CallerAccount": ACCOUNT}}),
            )),
            200,
        ),
    ] {
        // Root may go on, or nobody could put the next policy; it may not decrypt.
        let root = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:root")});
        let keeper = statement("Allow", root, "kms:Put*", json!({}));
        let all = [vec![keeper], statements].concat();
        f.kms().put_key_policy(&arn, &document(&all), false).unwrap();
        assert_eq!(answer(f.s3_of(&role).read(KEY)).0, expected, "{name}");
    }
    let put = |policy: &str| f.kms().put_key_policy(&arn, policy, true).map_err(|e| e.code());
    let kept = f.kms().get_key_policy(&arn);
    for unknown in [
        json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Condition": {"StringSimilar": {"kms:CallerAccount": ACCOUNT}}}]),
        json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Condition": {"StringEquals": {"kms:Unheard": "x"}}}]),
        json!([{"Effect": "Perhaps", "Principal": "*", "Action": "kms:*", "Resource": "*"}]),
        json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Unless": {}}]),
        json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]),
    ] {
        let policy = json!({"Version": "2012-10-17", "Statement": unknown}).to_string();
        assert_eq!(put(&policy), Err("MalformedPolicyDocumentException"), "{policy}");
    }
    assert_eq!(put("no JSON"), Err("MalformedPolicyDocumentException"));
    assert_eq!(f.kms().get_key_policy(&arn).map_err(|e| e.code()), kept.map_err(|e| e.code()));
}

#[test]
fn bucket_policies_see_what_the_request_carries() {
    let f = Fixture::new();
    let arn = f.key();
    let deny = |sid: &str, condition: Value| {
        json!({"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/*"), "Condition": condition})
    };
    let algorithm = "s3:x-amz-server-side-encryption";
    let key_id = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    let policy = document(&[
        deny("only KMS", json!({"StringNotEquals": {algorithm: "aws:kms"}})),
        deny("only this key", json!({"StringNotEqualsIfExists": {key_id: arn}})),
        deny("only TLS", json!({"Bool": {"aws:SecureTransport": "false"}})),
    ]);
    f.root().put_bucket_policy(BUCKET, &policy).unwrap();
    let writer = f.s3_of(&user("writer", &allow(&["s3:*", "kms:*"])));
    assert_eq!(answer(writer.write("a", kms(&arn))), is(200, ""));
    assert_eq!(answer(writer.write("b", Sse::S3)), is(403, "AccessDenied"));
    assert_eq!(answer(writer.write("b", kms(&f.key()))), is(403, "AccessDenied"));
    // A default is not in the request, so a policy does not see it.
    let default = local::s3::DefaultSse::Kms { key: Some(arn.clone()), bucket_key: false };
    f.root().put_bucket_encryption(BUCKET, default, None).unwrap();
    assert_eq!(answer(writer.write("b", Sse::BucketDefault)), is(403, "AccessDenied"));
    let plain = writer.clone().over(local::s3::Connection::PlainLoopback);
    assert_eq!(answer(plain.write("b", kms(&arn))), is(403, "AccessDenied"));
    // An explicit deny binds the account's root too, but never locks it out of the policy.
    assert_eq!(answer(f.root().write("b", Sse::S3)), is(403, "AccessDenied"));
    let all = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")]});
    f.root().put_bucket_policy(BUCKET, &document(&[all])).unwrap();
    assert_eq!(answer(f.root().read("a")), is(403, "AccessDenied"));
    f.root().delete_bucket_policy(BUCKET).unwrap();
    assert_eq!(f.root().read("a").unwrap(), BODY);
    let unknown = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*",
        "Resource": "*", "Conditions": {}}]}"#;
    assert_eq!(answer(f.root().put_bucket_policy(BUCKET, unknown)), is(400, "MalformedPolicy"));
}
