//! Votes.

use exequatur_federation::ledger::Vote;
use openraft::{
    alias::{LeaderIdOf, VoteOf},
    vote::{RaftLeaderId, RaftVote},
};

use crate::consensus::{RaftId, TypeConfig};

/// The record of a vote.
pub(crate) fn from_vote(vote: &VoteOf<TypeConfig>) -> Vote {
    let leader = vote.leader_id();
    Vote { term: leader.term, node: leader.node_id.0, committed: vote.is_committed() }
}

/// The vote of a record.
pub(crate) fn to_vote(record: &Vote) -> VoteOf<TypeConfig> {
    let leader = LeaderIdOf::<TypeConfig>::new(record.term, RaftId(record.node));
    VoteOf::<TypeConfig>::from_leader_id(leader, record.committed)
}
