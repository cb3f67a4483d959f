//! JSON as it was written: members in order, none lost when a name comes twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One JSON value. Numbers keep only their text, since policies compare text.
#[derive(Debug)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The members of an object called `name` in the errors.
    pub(crate) fn members(self, name: &str) -> Result<Vec<(String, Node)>, String> {
        let Self::Object(members) = self else {
            return Err(format!("{name} is {self}; expected an object"));
        };
        for (i, (member, _)) in members.iter().enumerate() {
            if members[..i].iter().any(|(earlier, _)| earlier == member) {
                return Err(format!("{name} has {member:?} twice; name it once"));
            }
        }
        Ok(members)
    }

    /// A string.
    pub(crate) fn text(self, name: &str) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("{name} is {other}; expected a string")),
        }
    }

    /// A string, or a list of at least one.
    pub(crate) fn texts(self, name: &str) -> Result<Vec<String>, String> {
        self.each(name, |node| node.text(name))
    }

    /// As [`Node::texts`], with truth values and numbers taken as their text, which is how AWS
    /// reads the values of a condition.
    pub(crate) fn scalars(self, name: &str) -> Result<Vec<String>, String> {
        self.each(name, |node| match node {
            Self::Bool(value) => Ok(value.to_string()),
            Self::Number(text) => Ok(text),
            other => other.text(name),
        })
    }

    fn each<T>(
        self,
        name: &str,
        read: impl Fn(Node) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        match self {
            Self::List(nodes) if nodes.is_empty() => {
                Err(format!("{name} is an empty list; give at least one value"))
            }
            Self::List(nodes) => nodes.into_iter().map(read).collect(),
            node => Ok(vec![read(node)?]),
        }
    }
}

/// What kind of value it is, for errors.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}
