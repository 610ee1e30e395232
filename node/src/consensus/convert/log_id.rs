//! Names of entries.

use exequatur_federation::ledger::LogId;
use openraft::{
    alias::{LeaderIdOf, LogIdOf},
    vote::RaftLeaderId,
};

use crate::consensus::{RaftId, TypeConfig};

/// The record of a log id.
pub(crate) fn from_log_id(id: &LogIdOf<TypeConfig>) -> LogId {
    let leader = id.committed_leader_id();
    LogId { term: leader.term, leader: leader.node_id.0, index: id.index }
}

/// The log id of a record.
pub(crate) fn to_log_id(record: &LogId) -> LogIdOf<TypeConfig> {
    let leader = LeaderIdOf::<TypeConfig>::new(record.term, RaftId(record.leader));
    LogIdOf::<TypeConfig>::new(leader, record.index)
}
