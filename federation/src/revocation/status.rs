//! Status references: where a token's status stands (Token Status List draft, section 6).
//!
//! A reference needs no consensus: list ids are 64 random bits and indexes are drawn at random, so
//! nothing is allocated twice and no counter can roll back.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::status_list::uri;
use crate::ledger::Fixed;

/// Indexes in one list.
pub const LIST_SIZE: u32 = 1 << 20;

/// The id of a status list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(u64);

/// One token's place in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusReference {
    /// The list.
    pub list: ListId,
    /// The index in it, below [`LIST_SIZE`].
    pub index: u32,
}

impl ListId {
    /// Takes 64 random bits.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Reads 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let canonical =
            text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        canonical.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for ListId {
    /// Eight bytes: a random number has no short form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fixed(self.0.to_be_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ListId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fixed::<8>::deserialize(deserializer).map(|bytes| Self(u64::from_be_bytes(bytes.0)))
    }
}

impl StatusReference {
    /// The `status` claim of a token issued by `issuer`.
    #[must_use]
    pub fn to_claim(self, issuer: &str) -> Value {
        json!({"status_list": {"idx": self.index, "uri": uri(issuer, self.list)}})
    }

    /// Reads the `status` claim of a token issued by `issuer`.
    #[must_use]
    pub fn from_claim(claim: &Value, issuer: &str) -> Option<Self> {
        let status_list = claim.get("status_list")?;
        let index = u32::try_from(status_list.get("idx")?.as_u64()?).ok()?;
        let uri = status_list.get("uri")?.as_str()?;
        let list = uri.strip_prefix(issuer)?.strip_prefix("/statuslists/")?;
        let list = ListId::from_hex(list)?;
        (index < LIST_SIZE).then_some(Self { list, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_survives_the_claim() {
        let reference = StatusReference { list: ListId::new(0xab), index: 7 };
        let claim = reference.to_claim("https://eu.example");
        assert_eq!(
            claim.to_string(),
            r#"{"status_list":{"idx":7,"uri":"https://eu.example/statuslists/00000000000000ab"}}"#
        );
        assert_eq!(StatusReference::from_claim(&claim, "https://eu.example"), Some(reference));
    }

    #[test]
    fn a_reference_to_another_issuer_or_beyond_the_list_is_none() {
        let claim =
            StatusReference { list: ListId::new(1), index: 0 }.to_claim("https://us.example");
        assert_eq!(StatusReference::from_claim(&claim, "https://eu.example"), None);
        let beyond = StatusReference { list: ListId::new(1), index: LIST_SIZE }
            .to_claim("https://eu.example");
        assert_eq!(StatusReference::from_claim(&beyond, "https://eu.example"), None);
    }
}
