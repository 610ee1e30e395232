//! Ids of nodes and of federations, feature levels, builds.

use std::{fmt, num::NonZeroU64};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    ledger::{Fixed, Replicable},
    replicable,
};

/// A node: a random number that is not 0, drawn by `init`. A node that lost its disk is a new node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NonZeroU64);

/// A federation: 128 random bits, drawn by `cluster bootstrap`.
pub type ClusterId = Fixed<16>;

/// The lowest and highest feature level that this program knows.
pub const LEVELS: LevelRange = LevelRange { lowest: 1, highest: 1 };

replicable! {
    /// Feature levels that a node knows.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub struct LevelRange {
        /// The lowest.
        pub lowest: u16,
        /// The highest.
        pub highest: u16,
    }
}

replicable! {
    /// A version of the program.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub struct Build {
        /// Changes that break.
        pub major: u16,
        /// Changes that add.
        pub minor: u16,
        /// Changes that mend.
        pub patch: u16,
    }
}

impl LevelRange {
    /// Whether the level is one of these.
    #[must_use]
    pub const fn contains(self, level: u16) -> bool {
        self.lowest <= level && level <= self.highest
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl NodeId {
    /// Takes 64 random bits; `None` for 0.
    #[must_use]
    pub const fn new(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// Reads 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        Fixed::<8>::from_hex(text).and_then(|bytes| Self::new(u64::from_be_bytes(bytes.0)))
    }
}

impl Replicable for NodeId {}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for NodeId {
    /// Eight bytes: a random number has no short form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fixed(self.bits().to_be_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Fixed::<8>::deserialize(deserializer)?;
        Self::new(u64::from_be_bytes(bytes.0)).ok_or_else(|| D::Error::custom("a node id is not 0"))
    }
}
