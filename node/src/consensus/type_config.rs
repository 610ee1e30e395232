//! The types that openraft is used with. Ids and members are those of the ledger, wrapped so that
//! openraft's own test suite, which numbers nodes from 0, can make some.

use std::fmt;

use exequatur_federation::{
    ledger::{Batch, Member, Outcome},
    membership::NodeId,
};

use super::runtime::SeededRuntime;

openraft::declare_raft_types!(
    /// The consensus of a federation.
    pub TypeConfig:
        D = Batch,
        R = Outcomes,
        NodeId = RaftId,
        Node = RaftMember,
        AsyncRuntime = SeededRuntime,
);

/// A node's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RaftId(pub NodeId);

/// What a membership says about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftMember(pub Member);

/// One outcome for each proposal of an entry; none for an entry without proposals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(pub Vec<Outcome>);

impl fmt::Display for RaftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RaftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} outcomes", self.0.len())
    }
}

#[cfg(test)]
mod suite_ids {
    use exequatur_federation::{ledger::Fixed, region::RegionNumber};

    use super::*;

    impl From<u64> for RaftId {
        fn from(number: u64) -> Self {
            Self(NodeId::new(number + 1).unwrap())
        }
    }

    impl Default for RaftMember {
        fn default() -> Self {
            Self(Member { region: RegionNumber::new(1).unwrap(), key: Fixed([7; 32]) })
        }
    }
}
