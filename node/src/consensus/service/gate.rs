//! Who may say what: the node that the connection certifies, held against the membership of this
//! moment.

use std::sync::Arc;

use exequatur_federation::membership::{Certified, NodeId};
use openraft::alias::VoteOf;
use tonic::{Request, Status};

use crate::{
    consensus::{TypeConfig, convert::from_vote},
    peer::Standpoint,
};

/// Judges who calls.
#[derive(Clone)]
pub(super) struct Gate {
    standpoint: Arc<dyn Standpoint>,
}

impl Gate {
    pub(super) const fn new(standpoint: Arc<dyn Standpoint>) -> Self {
        Self { standpoint }
    }

    /// The member that calls.
    pub(super) fn member<T>(&self, request: &Request<T>) -> Result<Certified, Status> {
        let certified = request.extensions().get::<Certified>().copied();
        let caller = certified.ok_or_else(|| Status::unauthenticated("nobody is certified"))?;
        self.belongs(caller)?;
        Ok(caller)
    }

    fn belongs(&self, caller: Certified) -> Result<(), Status> {
        if self.standpoint.standing(caller.node).region() == Some(caller.region) {
            return Ok(());
        }
        Err(Status::permission_denied(format!("node {} is not a member any more", caller.node)))
    }

    /// The voter that calls. A term is raised by whoever campaigns or leads, so that only voters
    /// may seem to do either.
    pub(super) fn voter<T>(&self, request: &Request<T>) -> Result<Certified, Status> {
        let caller = self.member(request)?;
        self.may_lead(caller.node)?;
        Ok(caller)
    }

    /// Whether a node votes, and so may lead.
    pub(super) fn may_lead(&self, node: NodeId) -> Result<(), Status> {
        if self.standpoint.is_voter(node) {
            return Ok(());
        }
        Err(Status::permission_denied(format!("node {node} does not vote")))
    }

    /// Whether a caller, once let in, may go on.
    pub(super) fn still(&self, caller: Certified) -> Result<(), Status> {
        self.belongs(caller)?;
        self.may_lead(caller.node)
    }

    /// Whether the caller leads under its own vote.
    pub(super) fn leads(&self, caller: Certified, vote: &VoteOf<TypeConfig>) -> Result<(), Status> {
        self.speaks_for_itself(caller, vote)?;
        if from_vote(vote).committed {
            return Ok(());
        }
        Err(Status::invalid_argument("a leader's vote was granted by a quorum, this was not"))
    }

    /// Whether the caller campaigns for itself.
    pub(super) fn campaigns(
        &self,
        caller: Certified,
        vote: &VoteOf<TypeConfig>,
    ) -> Result<(), Status> {
        self.speaks_for_itself(caller, vote)?;
        if from_vote(vote).committed {
            return Err(Status::invalid_argument("a candidate's vote is not yet granted"));
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "all questions are asked of the gate")]
    fn speaks_for_itself(
        &self,
        caller: Certified,
        vote: &VoteOf<TypeConfig>,
    ) -> Result<(), Status> {
        let named = from_vote(vote).node;
        if named == caller.node {
            return Ok(());
        }
        let text = format!("node {} speaks for node {named}", caller.node);
        Err(Status::permission_denied(text))
    }
}
