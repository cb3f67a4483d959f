//! A request together with what is known of its caller.

use std::fmt;

use crate::caller::{Caller, Principal, last_segment};
use crate::context::Context;
use crate::decide::Request;

/// A request with all its condition keys.
pub(crate) struct Query<'a> {
    pub(crate) principal: &'a Principal,
    /// In lower case.
    pub(crate) action: String,
    pub(crate) resource: &'a str,
    pub(crate) context: Context,
    request: Request<'a>,
}

/// Keys that follow from the caller alone; what a request says of them does not count.
const CALLER_KEYS: [&str; 9] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalServiceName",
    "aws:PrincipalType",
    "aws:userid",
    "aws:username",
    "kms:CallerAccount",
];

impl<'a> Query<'a> {
    pub(crate) fn new(caller: &'a Caller, request: Request<'a>) -> Self {
        let principal = &caller.principal;
        let action = request.action.to_ascii_lowercase();
        let mut context = request.context.clone();
        for key in CALLER_KEYS {
            context.set_all(key, []);
        }
        let is_service = matches!(principal, Principal::Service(_));
        context.set("aws:PrincipalIsAWSService", is_service.to_string());
        if let Principal::Service(name) = principal {
            context.set("aws:PrincipalServiceName", name);
        }
        if let Some(account) = principal.account() {
            context.set("aws:PrincipalAccount", account.as_str());
            if action.starts_with("kms:") {
                context.set("kms:CallerAccount", account.as_str());
            }
            if let Some(organization) = &caller.organization {
                context.set("aws:PrincipalOrgID", organization.as_str());
            }
        }
        if let Some(arn) = principal.policy_arn() {
            context.set("aws:PrincipalArn", arn);
        }
        context.set("aws:ResourceAccount", request.owner.as_str());
        if action.starts_with("s3:") {
            context.set("s3:ResourceAccount", request.owner.as_str());
        }
        // IAM user guide, "Policy variables", the table of principal key values. The unique ids
        // of users and roles, which their `aws:userid` has, are not known here.
        match principal {
            Principal::Root { account, .. } => {
                context.set("aws:PrincipalType", "Account");
                context.set("aws:userid", account.as_str());
            }
            Principal::User { name, .. } => {
                context.set("aws:PrincipalType", "User");
                context.set("aws:username", last_segment(name));
            }
            Principal::Role { .. } => context.set("aws:PrincipalType", "AssumedRole"),
            Principal::Service(_) => {}
        }
        Self { principal, action, resource: request.resource, context, request }
    }
}

/// For reasons: the action, on what, to whom.
impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { action, resource, .. } = self.request;
        write!(f, "{action} on {resource} to {}", self.principal)
    }
}
