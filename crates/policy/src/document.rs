//! Policy documents.

use crate::json::Node;
use crate::party::Standing;
use crate::query::Query;
use crate::statement::{Effect, Statement};

/// What a document is attached to, which decides its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user or role: no principals.
    Identity,
    /// An S3 bucket.
    Bucket,
    /// A KMS key.
    Key,
}

impl Kind {
    /// The longest document in bytes (IAM user guide, "IAM and AWS STS quotas": a role's inline
    /// policies; S3 user guide, "Bucket policies"; KMS developer guide, "Resource quotas").
    #[must_use]
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Identity => 10_240,
            Self::Bucket => 20 << 10,
            Self::Key => 32 << 10,
        }
    }
}

/// A document that was read and understood whole.
#[derive(Debug, Clone)]
pub struct Policy {
    json: String,
    kind: Kind,
    /// With what errors and reasons call them: the Sid, else the number.
    statements: Vec<(String, Statement)>,
}

/// Two documents are equal when they are the same bytes, attached to the same kind of thing.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        (&self.json, self.kind) == (&other.json, other.kind)
    }
}

impl Eq for Policy {}

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct PolicyError {
    /// Which part: the document, or a statement by its Sid or number.
    pub what: String,
    /// Why, and what would be accepted.
    pub reason: String,
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not JSON, not in the grammar of its kind, or says anything unknown.
    pub fn parse(json: &str, kind: Kind) -> Result<Self, PolicyError> {
        let refused =
            |reason: String| PolicyError { what: "the policy document".to_owned(), reason };
        if json.len() > kind.bytes_max() {
            return Err(refused(format!(
                "it has {} bytes; at most {} are accepted",
                json.len(),
                kind.bytes_max()
            )));
        }
        // serde_json's own limit bounds the depth.
        let root: Node =
            serde_json::from_str(json).map_err(|e| refused(format!("it is not JSON: {e}")))?;
        let nodes = statement_nodes(root).map_err(refused)?;
        let mut statements = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.into_iter().enumerate() {
            let number = format!("statement {}", i + 1);
            let refused = |reason| PolicyError { what: number.clone(), reason };
            let members = node.members("it").map_err(refused)?;
            let sid = sid(&members, kind).map_err(refused)?;
            let name = sid.map_or(number.clone(), |sid| format!("statement {sid:?}"));
            if statements.iter().any(|(earlier, _)| *earlier == name) {
                let reason = "its Sid is that of an earlier statement; give it another";
                return Err(refused(reason.to_owned()));
            }
            let statement = Statement::parse(members, kind)
                .map_err(|reason| PolicyError { what: name.clone(), reason })?;
            statements.push((name, statement));
        }
        Ok(Self { json: json.to_owned(), kind, statements })
    }

    /// The document, byte for byte as it was given.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The statement (its Sid, or its number) that allows `action` to everyone, with no
    /// condition that confines account, organization or principal. What the document denies
    /// elsewhere is not weighed against it.
    #[must_use]
    pub fn open_to_everyone(&self, action: &str) -> Option<String> {
        let open = self.statements.iter().find(|(_, statement)| statement.is_open(action));
        open.map(|(name, _)| name.clone())
    }

    /// Whether any statement allows `action` to anyone, under whatever conditions.
    #[must_use]
    pub fn allows_somebody(&self, action: &str) -> bool {
        self.statements.iter().any(|(_, statement)| statement.may_allow(action))
    }

    /// The statement that denies, by name. An account named in a `Deny` is every principal in it.
    pub(crate) fn denies(&self, query: &Query<'_>) -> Option<&str> {
        self.applying(Effect::Deny, query).map(|(name, _)| name).next()
    }

    /// How the caller is allowed, as far as this document alone goes.
    pub(crate) fn allows(&self, query: &Query<'_>) -> Option<Standing> {
        self.applying(Effect::Allow, query).map(|(_, standing)| standing).max()
    }

    fn applying<'s>(
        &'s self,
        effect: Effect,
        query: &Query<'_>,
    ) -> impl Iterator<Item = (&'s str, Standing)> {
        let of_effect = self.statements.iter().filter(move |(_, s)| s.effect == effect);
        of_effect.filter_map(|(name, statement)| Some((name.as_str(), statement.applies(query)?)))
    }
}

/// Checks the elements around the statements.
fn statement_nodes(root: Node) -> Result<Vec<Node>, String> {
    let mut statements = None;
    for (name, node) in root.members("it")? {
        match name.as_str() {
            "Version" => {
                let version = node.text("Version")?;
                if !["2012-10-17", "2008-10-17"].contains(&version.as_str()) {
                    return Err(format!("Version {version:?} is not known; expected 2012-10-17"));
                }
            }
            "Id" => {
                node.text("Id")?;
            }
            "Statement" => {
                statements = Some(match node {
                    Node::List(nodes) => nodes,
                    node => vec![node],
                });
            }
            _ => {
                return Err(format!(
                    "{name:?} is not known; a policy has Version, Id and Statement"
                ));
            }
        }
    }
    match statements {
        Some(nodes) if !nodes.is_empty() => Ok(nodes),
        _ => Err("Statement is missing or empty; give at least one".to_owned()),
    }
}

/// The Sid, unless absent or empty. IAM's own has letters and digits only; KMS and S3 take more.
fn sid(members: &[(String, Node)], kind: Kind) -> Result<Option<&str>, String> {
    let Some((_, node)) = members.iter().find(|(name, _)| name == "Sid") else { return Ok(None) };
    let Node::Text(sid) = node else {
        return Err(format!("Sid is {node}; expected a string"));
    };
    let valid = match kind {
        Kind::Identity => sid.bytes().all(|b| b.is_ascii_alphanumeric()),
        Kind::Bucket | Kind::Key => !sid.contains(char::is_control),
    };
    if !valid {
        return Err(format!("Sid {sid:?} is not valid; expected letters and digits"));
    }
    Ok(Some(sid.as_str()).filter(|sid| !sid.is_empty()))
}
