//! Who may use a bucket and its objects.

use policy::{Context, Kind, Policy};

use crate::support::*;

const BUCKET: &str = "arn:aws:s3:::trails";
const LOG: &str = "arn:aws:s3:::trails/prefix/AWSLogs/111122223333/log.json.gz";

/// Caller, its identity policies, action, resource, expected.
type Case<'a> = (&'a str, &'a [&'a str], &'a str, &'a str, Result<(), &'a str>);

fn check(policy: Option<&Policy>, context: &Context, cases: &[Case<'_>]) {
    for (principal, policies, action, resource, expected) in cases {
        let decision = ask_bucket(&caller(principal, policies), policy, action, resource, context);
        expect(&decision, *expected, &format!("{principal} {policies:?} {action} {resource}"));
    }
}

#[test]
fn without_a_bucket_policy_identity_policies_decide() {
    check(
        None,
        &Context::default(),
        &[
            (ROOT, &[], "s3:PutObject", LOG, Ok(())),
            (
                ALICE,
                &[],
                "s3:GetObject",
                LOG,
                Err("neither the bucket policy nor an identity policy"),
            ),
            (ALICE, &["identity-reader"], "s3:GetObject", LOG, Ok(())),
            (
                ALICE,
                &["identity-reader"],
                "s3:PutObject",
                LOG,
                Err("s3:PutObject on arn:aws:s3:::trails/"),
            ),
            (ALICE, &["identity-reader"], "s3:GetObject", "arn:aws:s3:::trails2/x", Err("neither")),
            (
                BOB,
                &["identity-reader"],
                "s3:GetObject",
                LOG,
                Err("no statement of the bucket policy"),
            ),
            (OTHER_ROOT, &[], "s3:GetObject", LOG, Err("no statement of the bucket policy")),
            (CLOUDTRAIL, &[], "s3:PutObject", LOG, Err("no statement of the bucket policy")),
        ],
    );
}

#[test]
fn the_bucket_policy_of_cloudtrail() {
    let policy = document("bucket-cloudtrail");
    let policy = Some(&policy);
    let organization = "arn:aws:s3:::trails/prefix/AWSLogs/o-abcdefghij/444455556666/x";
    let put = [("aws:SourceArn", TRAIL), ("s3:x-amz-acl", "bucket-owner-full-control")];
    check(
        policy,
        &context(&put),
        &[
            (CLOUDTRAIL, &[], "s3:GetBucketAcl", BUCKET, Ok(())),
            (CLOUDTRAIL, &[], "s3:PutObject", LOG, Ok(())),
            (CLOUDTRAIL, &[], "s3:PutObject", organization, Ok(())),
            (
                CLOUDTRAIL,
                &[],
                "s3:PutObject",
                "arn:aws:s3:::trails/prefix/AWSLogs/444455556666/x",
                Err(""),
            ),
            (
                CLOUDTRAIL,
                &[],
                "s3:PutObject",
                "arn:aws:s3:::trails/AWSLogs/111122223333/x",
                Err(""),
            ),
            (CLOUDTRAIL, &[], "s3:GetObject", LOG, Err("no statement")),
            ("config.amazonaws.com", &[], "s3:PutObject", LOG, Err("no statement")),
            (ALICE, &[], "s3:PutObject", LOG, Err("neither")),
            (ROOT, &[], "s3:GetObject", LOG, Ok(())),
        ],
    );
    check(
        policy,
        &context(&put[..1]),
        &[
            (CLOUDTRAIL, &[], "s3:GetBucketAcl", BUCKET, Ok(())),
            (CLOUDTRAIL, &[], "s3:PutObject", LOG, Err("no statement")),
        ],
    );
    check(policy, &context(&put[1..]), &[(CLOUDTRAIL, &[], "s3:PutObject", LOG, Err(""))]);
}

#[test]
fn uploads_must_be_encrypted() {
    let policy = document("bucket-encrypted-only");
    let sse = "s3:x-amz-server-side-encryption";
    let key = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    let customer = "s3:x-amz-server-side-encryption-customer-algorithm";
    let other_key = KEY.replace("1234abcd", "ffffffff");
    let denies = |sid| Err(sid);
    for (request, expected) in [
        (&[(sse, "aws:kms"), (key, KEY)][..], Ok(())),
        (&[(sse, "aws:kms"), (key, &other_key)], denies("DenyOtherKey")),
        // The bucket's default key is not in the request.
        (&[(sse, "aws:kms")], denies("DenyOtherKey")),
        (&[(sse, "AES256")], denies("DenyOtherEncryption")),
        (&[], denies("DenyOtherEncryption")),
        (&[(sse, "aws:kms"), (key, KEY), (customer, "AES256")], denies("DenyCustomerKeys")),
        (&[(sse, "aws:kms"), (key, KEY), ("aws:SecureTransport", "true")], Ok(())),
        (
            &[(sse, "aws:kms"), (key, KEY), ("aws:SecureTransport", "false")],
            denies("DenyPlainHttp"),
        ),
    ] {
        // Not even the owner's root is let past a Deny.
        for principal in [ROOT, CLOUDTRAIL] {
            let decision = ask_bucket(
                &caller(principal, &[]),
                Some(&policy),
                "s3:PutObject",
                LOG,
                &context(request),
            );
            let expected =
                if principal == ROOT { expected } else { expected.and(Err("no statement")) };
            expect(&decision, expected, &format!("{principal} {request:?}"));
        }
    }
    let plain = context(&[("aws:SecureTransport", "false")]);
    check(
        Some(&policy),
        &plain,
        &[
            (ROOT, &[], "s3:ListBucket", BUCKET, Err("DenyPlainHttp")),
            (ROOT, &[], "s3:DeleteBucketPolicy", BUCKET, Ok(())),
            (ROOT, &[], "s3:PutBucketPolicy", BUCKET, Ok(())),
            (ROOT, &[], "s3:getbucketpolicy", BUCKET, Ok(())),
            (OTHER_ROOT, &[], "s3:PutBucketPolicy", BUCKET, Err("DenyPlainHttp")),
            (ALICE, &["identity-no-decrypt"], "s3:PutBucketPolicy", BUCKET, Err("DenyPlainHttp")),
        ],
    );
    let header = document("bucket-header-required");
    check(
        Some(&header),
        &Context::default(),
        &[
            (
                ROOT,
                &[],
                "s3:PutObject",
                LOG,
                Err("statement \"DenyWithoutHeader\" of the bucket policy"),
            ),
            (ROOT, &[], "s3:GetObject", LOG, Ok(())),
            // {"AWS": "*"} is every account's principals; a service is none of them.
            (CLOUDTRAIL, &[], "s3:PutObject", LOG, Err("no statement")),
        ],
    );
    let given = context(&[(sse, "aws:kms")]);
    check(Some(&header), &given, &[(ROOT, &[], "s3:PutObject", LOG, Ok(()))]);
}

#[test]
fn readers_of_two_accounts_and_of_an_organization() {
    let policy = document("bucket-readers");
    let mallory = "arn:aws:iam::444455556666:user/division/mallory";
    let secret = "arn:aws:s3:::trails/secret/x";
    check(
        Some(&policy),
        &Context::default(),
        &[
            // Naming the account leaves it to identity policies, at home too.
            (ALICE, &[], "s3:GetObject", LOG, Err("only together with an identity policy")),
            (ALICE, &["identity-reader"], "s3:GetObject", LOG, Ok(())),
            (BOB, &[], "s3:GetObject", LOG, Err("only together with an identity policy")),
            (BOB, &["identity-reader"], "s3:GetObject", LOG, Ok(())),
            (
                BOB,
                &["identity-no-decrypt"],
                "s3:PutObject",
                LOG,
                Err("no statement of the bucket policy"),
            ),
            (OTHER_ROOT, &[], "s3:GetObject", LOG, Ok(())),
            // Naming the role suffices.
            (AUDITOR, &[], "s3:GetObject", LOG, Ok(())),
            (AUDITOR, &[], "s3:GetObject", secret, Err("only together")),
            (AUDITOR, &[], "s3:PutObject", LOG, Err("neither")),
            (mallory, &["identity-reader"], "s3:GetObject", LOG, Err("MalloryStaysOut")),
            (mallory, &["identity-reader"], "s3:ListBucket", BUCKET, Ok(())),
        ],
    );
    let mut carol = caller("arn:aws:iam::777788889999:user/carol", &["identity-reader"]);
    carol.organization = Some("o-abcdefghij".parse().unwrap());
    for (prefix, expected) in
        [(Some("AWSLogs/x"), Ok(())), (Some(""), Ok(())), (Some("x"), Err("")), (None, Err(""))]
    {
        let mut context = Context::default();
        if let Some(prefix) = prefix {
            context.set("s3:prefix", prefix);
        }
        let decision = ask_bucket(&carol, Some(&policy), "s3:ListBucket", BUCKET, &context);
        expect(&decision, expected, &format!("{prefix:?}"));
    }
}

#[test]
fn a_role_is_its_partition_account_path_and_name() {
    let policy = document("bucket-readers");
    let asks = |partition: &str, account: &str, path_and_name: &str| {
        let mut caller = caller(AUDITOR, &[]);
        caller.principal = policy::Principal::Role {
            partition: partition.to_owned(),
            account: account.parse().unwrap(),
            role: path_and_name.to_owned(),
            session: "monday".to_owned(),
        };
        ask_bucket(&caller, Some(&policy), "s3:GetObject", LOG, &Context::default())
    };
    expect(&asks("aws", OWNER, "security/auditor"), Ok(()), "the role");
    expect(&asks("aws", OWNER, "auditor"), Ok(()), "path not known");
    expect(&asks("aws", OWNER, "guests/auditor"), Err("only together"), "another path");
    expect(&asks("aws", OWNER, "reader"), Err("only together"), "another name");
    expect(&asks("aws-cn", OWNER, "security/auditor"), Err("only together"), "another partition");
    let mut other = caller(AUDITOR, &["identity-no-decrypt"]);
    other.principal = "arn:aws:sts::777788889999:assumed-role/auditor/x".parse().unwrap();
    let decision = ask_bucket(&other, Some(&policy), "s3:GetObject", LOG, &Context::default());
    expect(&decision, Err("no statement of the bucket policy"), "another account");
}

#[test]
fn the_resource_s_account_is_known() {
    let json = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceAccount": "111122223333",
            "s3:ResourceAccount": "111122223333"}}}}"#;
    let mut alice = caller(ALICE, &[]);
    alice.policies.push(Policy::parse(json, Kind::Identity).unwrap());
    let forged = context(&[("aws:ResourceAccount", "999999999999")]);
    expect(&ask_bucket(&alice, None, "s3:GetObject", LOG, &forged), Ok(()), "owner");
}
