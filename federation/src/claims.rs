//! Claims of a person: those of the global token, and those that a region lets through.
//!
//! Both types hold personal data. They are not `Serialize`, their `Debug` is redacted, and the
//! only way out is a method whose name says where the claims go.

use std::fmt;

use serde_json::{Map, Value};

/// Longest JSON Pointer in a rule.
const POINTER_BYTES_MAX: usize = 256;

/// A JSON Pointer (RFC 6901) to a member of an object. Array indexes are not followed: the place
/// of a value in an array says nothing, and providers reorder arrays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: String,
    members: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no JSON Pointer to a member: write `/name` or `/outer/inner` (`~1` for `/`, `~0` for `~`)"
)]
pub struct PointerError {
    text: String,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// The text does not start with `/`, has an empty member or a bad escape, or is too long.
    pub fn new(text: &str) -> Result<Self, PointerError> {
        let error = || PointerError { text: text.chars().take(64).collect() };
        let path = text.strip_prefix('/').ok_or_else(error)?;
        if text.len() > POINTER_BYTES_MAX {
            return Err(error());
        }
        let members: Option<Vec<String>> = path.split('/').map(unescaped).collect();
        Ok(Self { text: text.to_owned(), members: members.ok_or_else(error)? })
    }

    /// The value it points to, if every member on the way is there.
    #[must_use]
    pub fn select<'v>(&self, object: &'v Map<String, Value>) -> Option<&'v Value> {
        let (first, rest) = self.members.split_first()?;
        rest.iter().try_fold(object.get(first)?, |value, member| value.as_object()?.get(member))
    }

    /// The members that it passes through, outermost first.
    #[must_use]
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// The outermost member that it passes through.
    #[must_use]
    pub fn first_member(&self) -> &str {
        self.members.first().map_or("", String::as_str)
    }

    /// The innermost member that it names.
    #[must_use]
    pub fn last_member(&self) -> &str {
        self.members.last().map_or("", String::as_str)
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn unescaped(member: &str) -> Option<String> {
    if member.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(member.len());
    let mut chars = member.chars();
    while let Some(c) = chars.next() {
        match c {
            '~' => match chars.next() {
                Some('0') => out.push('~'),
                Some('1') => out.push('/'),
                _ => return None,
            },
            _ => out.push(c),
        }
    }
    Some(out)
}

/// The payload of a global token whose signature was verified.
#[derive(Clone, PartialEq)]
pub struct GlobalClaims(Map<String, Value>);

impl GlobalClaims {
    /// Takes a payload.
    #[must_use]
    pub const fn new(payload: Map<String, Value>) -> Self {
        Self(payload)
    }

    /// The members, for rules to read.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The value at a pointer.
    #[must_use]
    pub fn at(&self, pointer: &Pointer) -> Option<&Value> {
        pointer.select(&self.0)
    }

    /// The first value that one of the pointers finds.
    #[must_use]
    pub fn first(&self, pointers: &[Pointer]) -> Option<&Value> {
        pointers.iter().find_map(|p| self.at(p))
    }

    /// The first text that one of the pointers finds; other types are not text.
    #[must_use]
    pub fn first_text(&self, pointers: &[Pointer]) -> Option<&str> {
        self.first(pointers).and_then(Value::as_str)
    }
}

/// Claims that a region lets through, under their names here. Never a protocol claim.
#[derive(Clone, Default, PartialEq)]
pub struct RegionalClaims(Map<String, Value>);

impl RegionalClaims {
    /// Takes claims under their names here.
    #[must_use]
    pub const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The claims that a resource may have, and no other.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| names.contains(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// The members, for the token that is being issued in this region.
    #[must_use]
    pub fn into_token_members(self) -> Map<String, Value> {
        self.0
    }

    /// The members, for explaining a projection to an operator of this region.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for GlobalClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GlobalClaims(redacted)")
    }
}

impl fmt::Debug for RegionalClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegionalClaims(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(pointer: &str, json: &str) -> Option<String> {
        let object: Map<String, Value> = serde_json::from_str(json).unwrap();
        Pointer::new(pointer).unwrap().select(&object).map(Value::to_string)
    }

    #[test]
    fn selects_members_and_understands_the_two_escapes() {
        assert_eq!(selected("/a/b", r#"{"a":{"b":1}}"#), Some("1".to_owned()));
        assert_eq!(
            selected("/https:~1~1x.example~1c", r#"{"https://x.example/c":2}"#),
            Some("2".to_owned())
        );
        assert_eq!(selected("/a~0b", r#"{"a~b":3}"#), Some("3".to_owned()));
        assert_eq!(selected("/a/c", r#"{"a":{"b":1}}"#), None);
    }

    #[test]
    fn does_not_index_into_arrays() {
        assert_eq!(selected("/a/0", r#"{"a":["x"]}"#), None);
    }

    #[test]
    fn refuses_what_is_no_pointer_to_a_member() {
        for text in ["", "a", "/", "/a/", "//a", "/a~2", "/a~"] {
            assert!(Pointer::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_claim() {
        let members: Map<String, Value> =
            serde_json::from_str(r#"{"email":"a@b.example"}"#).unwrap();
        assert!(!format!("{:?}", GlobalClaims::new(members.clone())).contains("example"));
        assert!(!format!("{:?}", RegionalClaims::new(members)).contains("example"));
    }
}
