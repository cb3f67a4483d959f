//! What the key service says of the keys that objects are encrypted with: state, rotation,
//! policy.

use policy::{Kind, Policy};
use trail::name::KeyArn;
use trail::ports::{KeyInfo, KeyService};

use crate::finding::{Code, Finding, Scope};

/// Findings about the keys `arns`; what could not be asked or understood goes to `notes`.
pub(crate) async fn judge(
    kms: &dyn KeyService,
    arns: impl IntoIterator<Item = &str>,
    notes: &mut Vec<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for arn in arns {
        let Ok(parsed) = arn.parse::<KeyArn>() else { continue };
        let info = match kms.describe_key(&parsed.region, arn).await {
            Ok(info) => info,
            Err(e) => {
                notes.push(format!("the state, rotation and policy of KMS key {arn}: {e}"));
                continue;
            }
        };
        let scope = Scope { region: Some(parsed.region.clone()), ..Scope::default() };
        let mut found = |code, message: String| {
            findings.push(Finding::new(code, &scope, message).object(arn));
        };
        if let Some((code, message)) = state(&info) {
            found(code, format!("KMS key {arn} {message}"));
        }
        match info.policy.as_deref().map(|document| Policy::parse(document, Kind::Key)) {
            None => notes.push(format!("who may use KMS key {arn}: its policy was not read")),
            Some(Err(e)) => {
                notes.push(format!("who may use KMS key {arn}: its policy is not understood: {e}"));
            }
            Some(Ok(policy)) => {
                if let Some(statement) = policy.open_to_everyone("kms:Decrypt") {
                    let message = format!("the policy of KMS key {arn} lets everyone decrypt");
                    found(Code::KeyPolicy, format!("{message}: {statement}"));
                }
            }
        }
    }
    findings
}

fn state(info: &KeyInfo) -> Option<(Code, String)> {
    let code = match info.state.as_str() {
        "Enabled" if info.rotation == Some(false) => {
            return Some((Code::KeyRotationOff, "is not rotated automatically".to_owned()));
        }
        "Enabled" => return None,
        "Disabled" => Code::KeyDisabled,
        "PendingDeletion" | "PendingReplicaDeletion" => Code::KeyPendingDeletion,
        _ => Code::KeyUnavailable,
    };
    Some((code, format!("is {}", info.state)))
}
