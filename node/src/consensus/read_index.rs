//! How far the ledger goes, by the word of a leader that a quorum has just confirmed (Raft's read
//! index). Never by a lease: a lease trusts clocks, and a leader that was stopped and wakes up
//! believes in its own.
//!
//! The library sends one round of heartbeats for all questions that wait at the same time, and
//! counts only answers to heartbeats that were sent after the question came.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use exequatur_federation::{
    ledger::{Agreement, Digest, StateDigest, Verdict},
    membership::NodeId,
};
use openraft::{
    ReadPolicy,
    async_runtime::WatchReceiver as _,
    errors::{LinearizableReadError, RaftError},
};

use super::{
    Confirmation, Consensus, Probed, Raft, RaftId, convert::from_vote, state_machine::SharedLedger,
};

/// Why nobody says how far the ledger goes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadIndexError {
    /// No leader is known, or who was taken for it leads no more.
    #[error("no leader is known")]
    NoLeader,
    /// The leader cannot be reached, or does not answer.
    #[error("the leader, node {leader}, does not answer: {reason}")]
    NoAnswer {
        /// The node.
        leader: NodeId,
        /// What happened.
        reason: String,
    },
    /// The leader finds no quorum.
    #[error("the leader, node {leader}, finds no quorum")]
    NoQuorum {
        /// The node.
        leader: NodeId,
    },
}

/// The answer to the question how far the ledger goes, still to come.
pub type ReadingIndex<'a> =
    Pin<Box<dyn Future<Output = Result<Confirmation, ReadIndexError>> + Send + 'a>>;

/// Asks the leader, wherever it is, how far the ledger goes.
pub trait ReadsIndex: Send + Sync {
    /// Asks now, tells it how far this node is, and waits at most `limit`.
    fn read_index(&self, limit: Duration) -> ReadingIndex<'_>;
}

/// The leader's side.
pub(super) struct LeaderReads {
    raft: Raft,
    ledger: SharedLedger,
    /// What was told in one term. A leader's ledger is not replaced while it leads, so what was
    /// compared with it holds for as long.
    told: Mutex<(u64, Agreement)>,
}

impl LeaderReads {
    pub(super) fn new(raft: Raft, ledger: SharedLedger) -> Self {
        Self { raft, ledger, told: Mutex::default() }
    }

    /// Answers a probe of a node whose ledger is at `state`.
    pub(super) async fn probed(
        &self,
        (node, own): (NodeId, NodeId),
        state: Option<&StateDigest>,
    ) -> Probed {
        let (id, _) = match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok(read) => read,
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                return Probed::NotLeader { leader: forward.leader_id.map(|RaftId(id)| id) };
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                return Probed::NoQuorum;
            }
            Err(RaftError::Fatal(_)) => return Probed::NotLeader { leader: None },
        };
        let verdict = self.compare((node, own), state);
        if matches!(verdict, Verdict::Differs | Verdict::Minority { .. }) {
            tracing::error!(%node, ?state, ?verdict, "the ledgers of nodes differ (I-C3)");
        }
        Probed::Confirmed(Confirmation { read_index: id.log_id().index, verdict })
    }

    fn compare(&self, (node, own): (NodeId, NodeId), state: Option<&StateDigest>) -> Verdict {
        let metrics = self.raft.server_metrics().borrow_watched().clone();
        let membership = metrics.membership_config;
        let voters: BTreeSet<NodeId> = membership.voter_ids().map(|RaftId(id)| id).collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let term = from_vote(&metrics.vote).term;
        if told.0 != term {
            *told = (term, Agreement::default());
        }
        if node == own {
            return told.1.verdict_of_leader(own, &voters);
        }
        if let Some(state) = state {
            let here: Option<Digest> = self.ledger.digest_at(state.index);
            told.1.note(node, state, here);
        }
        told.1.verdict(node, own, &voters)
    }
}

impl ReadsIndex for Consensus {
    fn read_index(&self, limit: Duration) -> ReadingIndex<'_> {
        Box::pin(async move {
            let leader = self.leader.current().ok_or(ReadIndexError::NoLeader)?;
            let state = self.state_digest();
            let probed = if leader == self.own.node {
                self.reads.probed((leader, leader), state.as_ref()).await
            } else {
                self.elsewhere.probe(leader, state, limit).await?
            };
            match probed {
                Probed::Confirmed(confirmation) => Ok(confirmation),
                Probed::NotLeader { .. } => Err(ReadIndexError::NoLeader),
                Probed::NoQuorum => Err(ReadIndexError::NoQuorum { leader }),
            }
        })
    }
}

impl Consensus {
    /// How far this node's ledger is; nothing before the first entry.
    fn state_digest(&self) -> Option<StateDigest> {
        let view = self.view();
        let applied = view.applied?;
        Some(StateDigest { index: applied.index, digest: view.ledger.digest() })
    }
}
