//! Names of the units that a federation is made of: the region (a deployment unit) and the
//! jurisdiction (a legal unit). Both are short, lower-case where it matters, and safe to stand in
//! a URL, a file name, a log line or a metric label.

use std::{fmt, num::NonZeroU16};

use serde::{Deserialize, Serialize};

/// Longest name of a region or jurisdiction: it stands in every metric label and SAN URI.
pub const NAME_BYTES_MAX: usize = 32;

/// The name of one region, for example `eu-central`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RegionId(String);

/// The number of a region in the ledger: written by hand in `federation.toml`, never used again for
/// another region. Names stay out of what is replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegionNumber(NonZeroU16);

/// A legal unit, for example `EU`. Several regions may lie in one jurisdiction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Jurisdiction(String);

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a name: use 1 to {NAME_BYTES_MAX} characters of {alphabet}")]
pub struct NameError {
    name: String,
    alphabet: &'static str,
}

impl RegionId {
    /// Takes a name of lower-case letters, digits and inner hyphens.
    ///
    /// # Errors
    /// The name is empty, too long, or holds another character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        checked(name, inner, "a-z, 0-9 and inner hyphens").map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RegionNumber {
    /// Takes a number; `None` for 0.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for RegionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Jurisdiction {
    /// Takes a name of letters, digits and inner hyphens; case is kept.
    ///
    /// # Errors
    /// The name is empty, too long, or holds another character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        checked(name, inner, "A-Z, a-z, 0-9 and inner hyphens").map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(
    name: &str,
    inner: impl Fn(u8) -> bool,
    alphabet: &'static str,
) -> Result<String, NameError> {
    let ends_well = !name.starts_with('-') && !name.ends_with('-');
    let sized = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    if sized && ends_well && name.bytes().all(inner) {
        return Ok(name.to_owned());
    }
    Err(NameError { name: name.chars().take(NAME_BYTES_MAX).collect(), alphabet })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_names_people_give_to_regions() {
        for name in ["eu-central", "us-east", "ap-southeast-2", "x"] {
            assert_eq!(RegionId::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_names_that_would_not_survive_a_url_or_a_path() {
        for name in ["", "-eu", "eu-", "EU", "eu/central", "eu central", "..", &"a".repeat(33)] {
            assert!(RegionId::new(name).is_err(), "{name}");
        }
    }
}
