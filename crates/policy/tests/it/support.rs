//! Callers, requests and documents that the tests share.

use policy::{Caller, Context, Decision, Grant, Kind, Policy, Request};

pub(crate) const OWNER: &str = "111122223333";
pub(crate) const KEY: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const TRAIL: &str = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit";

pub(crate) const ROOT: &str = "arn:aws:iam::111122223333:root";
pub(crate) const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
pub(crate) const AUDITOR: &str = "arn:aws:sts::111122223333:assumed-role/auditor/monday";
pub(crate) const OTHER_ROOT: &str = "arn:aws:iam::444455556666:root";
pub(crate) const BOB: &str = "arn:aws:iam::444455556666:user/bob";
pub(crate) const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// A document of `tests/documents`; the first word of its name is its kind.
pub(crate) fn document(name: &str) -> Policy {
    let path = format!("{}/tests/documents/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let kind = match name.split('-').next() {
        Some("key") => Kind::Key,
        Some("bucket") => Kind::Bucket,
        _ => Kind::Identity,
    };
    Policy::parse(&std::fs::read_to_string(path).unwrap(), kind).unwrap()
}

/// A caller with identity policies named as `document` takes them.
pub(crate) fn caller(principal: &str, policies: &[&str]) -> Caller {
    let policies = policies.iter().map(|name| document(name)).collect();
    Caller { principal: principal.parse().unwrap(), policies, organization: None }
}

pub(crate) fn context(pairs: &[(&str, &str)]) -> Context {
    let mut context = Context::default();
    for (key, value) in pairs {
        context.set(key, *value);
    }
    context
}

pub(crate) fn ask_key(
    caller: &Caller,
    policy: &Policy,
    grants: &[Grant],
    action: &str,
    context: &Context,
) -> Decision {
    let owner = OWNER.parse().unwrap();
    policy::key_access(
        caller,
        policy,
        grants,
        Request { action, resource: KEY, owner: &owner, context },
    )
}

pub(crate) fn ask_bucket(
    caller: &Caller,
    policy: Option<&Policy>,
    action: &str,
    resource: &str,
    context: &Context,
) -> Decision {
    let owner = OWNER.parse().unwrap();
    policy::bucket_access(caller, policy, Request { action, resource, owner: &owner, context })
}

/// Checks a decision against `Ok(())`, or against a part of the reason.
pub(crate) fn expect(decision: &Decision, expected: Result<(), &str>, case: &str) {
    match (decision, expected) {
        (Decision::Allow, Ok(())) => {}
        (Decision::Deny(reason), Err(part)) => {
            assert!(reason.contains(part), "{case}: {reason:?} does not say {part:?}");
        }
        (decision, expected) => panic!("{case}: {decision:?}, expected {expected:?}"),
    }
}
