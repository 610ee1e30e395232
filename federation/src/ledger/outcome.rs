//! What became of a proposal. Codes are part of the format: they are folded into the state digest.

use std::fmt;

/// What `apply` did with one proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It has taken effect.
    Applied,
    /// It had taken effect before, and nothing changed.
    Duplicate,
    /// It is one of the two that are needed, and waits for another region's.
    Pending,
    /// It may not take effect, and nothing changed.
    Refused(Objection),
}

/// Why a proposal may not take effect. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Objection {
    /// The ledger has no genesis yet, or this is a second one, or not the pinned one.
    Genesis = 1,
    /// The proposing region is not one of the federation.
    UnknownRegion = 2,
    /// The proposing node is not a member of the proposing region.
    UnknownNode = 3,
    /// The signature is missing or not the region's.
    Signature = 4,
    /// It was made for a feature level that is not in force.
    Level = 5,
    /// Its serial is older than the window in which duplicates are known.
    SerialTooOld = 6,
    /// The region may not do this.
    NotAuthorised = 7,
    /// The quota of the region is used up for now.
    QuotaExceeded = 8,
    /// A table is full.
    TableFull = 9,
    /// What it speaks of is not there.
    Unknown = 10,
    /// It does not follow from the present state.
    WrongState = 11,
    /// A value is out of range, or contradicts another.
    Invalid = 12,
    /// What it adds is there already with another content.
    Conflict = 13,
    /// It has expired already.
    Expired = 14,
    /// The id was a member and has left.
    Tombstone = 15,
    /// A condition of other regions is not met yet.
    NotReady = 16,
    /// The consistency proof or cosignature does not verify.
    Proof = 17,
    /// The tree is smaller than, or another than, the one that is anchored.
    Fork = 18,
    /// A membership would let the loss of one region stop the federation.
    VoterRules = 19,
}

/// Why a leader did not take a proposal into the log. Nothing of it is replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The clock of the proposing node and the leader's are too far apart.
    #[error(
        "the clocks of the proposing node and of the leader are {seconds} s apart: set the clock \
         that is wrong"
    )]
    ClocksApart {
        /// By how much.
        seconds: u64,
    },
    /// A command that needs no signature was brought by another than its proposer.
    #[error("a revocation or tick can only be brought by the node that proposes it")]
    NotTheBearers,
    /// `apply` would refuse it.
    #[error("{0}")]
    Objection(Objection),
}

impl Outcome {
    /// The number that is folded into the state digest and travels in answers.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Applied => 0,
            Self::Duplicate => 0x8000,
            Self::Pending => 0x8001,
            Self::Refused(objection) => objection as u16,
        }
    }

    /// The outcome of a number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::Applied),
            0x8000 => Some(Self::Duplicate),
            0x8001 => Some(Self::Pending),
            _ => Objection::ALL.into_iter().find(|o| *o as u16 == code).map(Self::Refused),
        }
    }
}

impl Objection {
    /// Every objection.
    pub const ALL: [Self; 19] = [
        Self::Genesis,
        Self::UnknownRegion,
        Self::UnknownNode,
        Self::Signature,
        Self::Level,
        Self::SerialTooOld,
        Self::NotAuthorised,
        Self::QuotaExceeded,
        Self::TableFull,
        Self::Unknown,
        Self::WrongState,
        Self::Invalid,
        Self::Conflict,
        Self::Expired,
        Self::Tombstone,
        Self::NotReady,
        Self::Proof,
        Self::Fork,
        Self::VoterRules,
    ];

    /// What is wrong, for an operator.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Genesis => "this is not the genesis that the ledger begins with",
            Self::UnknownRegion => "the proposing region is not one of the federation",
            Self::UnknownNode => "the proposing node is not a member of its region",
            Self::Signature => "the signature is not one of the region's identity key",
            Self::Level => "the feature level that it was made for is not in force",
            Self::SerialTooOld => "it is too old for its effect to be known",
            Self::NotAuthorised => "the region may not do this",
            Self::QuotaExceeded => "the region's quota is used up for now",
            Self::TableFull => "the ledger has no room for more of these",
            Self::Unknown => "what it speaks of is not in the ledger",
            Self::WrongState => "it does not follow from the present state",
            Self::Invalid => "a value is out of range or contradicts another",
            Self::Conflict => "it is in the ledger already with another content",
            Self::Expired => "it has expired already",
            Self::Tombstone => "this node has left, and an id is never used again",
            Self::NotReady => "other regions or nodes have yet to confirm",
            Self::Proof => "the proof does not verify",
            Self::Fork => "the log is shorter than, or another than, what was anchored",
            Self::VoterRules => "the loss of one region would stop the federation",
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
