//! Hands proposals to the leader, and asks it what only it knows.

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::{Batch, StateDigest},
    membership::NodeId,
};
use tonic::Code;

use super::lane::{CallError, Lanes, Purpose};
use crate::{
    consensus::{
        Probed, ReadIndexError,
        control::ControlError,
        convert::{
            Forwarded, LeaderAction, read_done, read_forwarded, read_probed, wire_action,
            wire_probe, wire_proposals,
        },
    },
    peer::transport::PeerConnector,
};

/// Hands proposals to other nodes.
#[derive(Debug)]
pub struct Forwarder<C> {
    lanes: Arc<Lanes<C>>,
}

/// Why nothing is known of proposals that were handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// They may or may not have been taken: the call broke or took too long. Whoever sends them
    /// again must be ready for their having been applied.
    #[error("node {node} did not say what became of the proposals: {reason}")]
    Unknown {
        /// The node.
        node: NodeId,
        /// What happened.
        reason: String,
    },
    /// They were not taken, and will not be.
    #[error("node {node} does not take the proposals: {reason}")]
    Refused {
        /// The node.
        node: NodeId,
        /// Why.
        reason: String,
    },
}

impl<C> Clone for Forwarder<C> {
    fn clone(&self) -> Self {
        Self { lanes: Arc::clone(&self.lanes) }
    }
}

impl<C: PeerConnector> Forwarder<C> {
    pub(super) const fn new(lanes: Arc<Lanes<C>>) -> Self {
        Self { lanes }
    }

    /// Hands a batch of this node's proposals to the node that seems to lead, and waits at most
    /// `limit`.
    ///
    /// # Errors
    /// It did not say what became of them.
    pub async fn propose(
        &self,
        leader: NodeId,
        batch: &Batch,
        limit: Duration,
    ) -> Result<Forwarded, ForwardError> {
        let message = wire_proposals(batch);
        let answer = self
            .lanes
            .lane(leader, Purpose::Forward)
            .call(limit, async |mut client| client.propose(message).await)
            .await
            .and_then(|answer| Ok(read_forwarded(answer, batch.len() as usize)?));
        answer.map_err(|error| {
            let (node, reason) = (leader, error.to_string());
            let refused = matches!(
                &error,
                CallError::Refused(status) if matches!(
                    status.code(),
                    Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition
                )
            );
            if refused {
                ForwardError::Refused { node, reason }
            } else {
                ForwardError::Unknown { node, reason }
            }
        })
    }

    /// Asks the node that seems to lead how far the ledger goes, tells it how far this node is, and
    /// waits at most `limit`.
    ///
    /// # Errors
    /// It did not answer.
    pub async fn probe(
        &self,
        leader: NodeId,
        state: Option<&StateDigest>,
        limit: Duration,
    ) -> Result<Probed, ReadIndexError> {
        let message = wire_probe(state);
        let answer = self
            .lanes
            // Small, and useless when late.
            .lane(leader, Purpose::Heartbeat)
            .call(limit, async |mut client| client.probe(message).await)
            .await
            .and_then(|answer| Ok(read_probed(&answer)?));
        answer.map_err(|error| ReadIndexError::NoAnswer { leader, reason: error.to_string() })
    }

    /// Asks the node that seems to lead for what only a leader can do, and waits at most `limit`.
    ///
    /// # Errors
    /// See [`ControlError`]; a leader that does not answer is no quorum.
    pub async fn control(
        &self,
        leader: NodeId,
        action: &LeaderAction,
        limit: Duration,
    ) -> Result<(), ControlError> {
        let message = wire_action(action);
        let answer = self
            .lanes
            .lane(leader, Purpose::Forward)
            .call(limit, async |mut client| client.control(message).await)
            .await
            .and_then(|answer| Ok(read_done(answer)?));
        answer.unwrap_or_else(|error| {
            tracing::warn!(%leader, %error, "the leader did not answer an operator's request");
            Err(ControlError::NoQuorum)
        })
    }
}
