//! Who may say what: the node that the connection certifies, held against the membership of this
//! moment.

use std::sync::Arc;

use exequatur_federation::membership::{Certified, NodeId};
use openraft::alias::VoteOf;
use tonic::{Request, Status};

use crate::{
    consensus::{LeaderContact, TypeConfig, convert::from_vote},
    peer::Standpoint,
};

/// Whether this node leads.
pub(super) type LeadsHere = dyn Fn() -> bool + Send + Sync;

/// Judges who calls.
#[derive(Clone)]
pub(super) struct Gate {
    standpoint: Arc<dyn Standpoint>,
    contact: Arc<LeaderContact>,
    leads_here: Arc<LeadsHere>,
}

impl Gate {
    pub(super) const fn new(
        standpoint: Arc<dyn Standpoint>,
        contact: Arc<LeaderContact>,
        leads_here: Arc<LeadsHere>,
    ) -> Self {
        Self { standpoint, contact, leads_here }
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
    /// may campaign; who may lead, see [`Self::leader`].
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

    /// The leader that calls.
    pub(super) fn leader<T>(&self, request: &Request<T>) -> Result<Certified, Status> {
        let caller = self.member(request)?;
        self.still(caller)?;
        Ok(caller)
    }

    /// Whether a leader, once let in, may go on.
    ///
    /// A voter may lead. So may any member while no leader is heard here: what made it a voter may
    /// be in the entries that it brings, and whoever refused them would stay behind for ever. A
    /// node that leads or hears its leader needs nobody's word for who votes.
    pub(super) fn still(&self, caller: Certified) -> Result<(), Status> {
        self.belongs(caller)?;
        let followed = match self.contact.present() {
            Some(leader) => leader == caller.node,
            None => !(self.leads_here)(),
        };
        if followed { Ok(()) } else { self.may_lead(caller.node) }
    }

    /// Consensus follows this leader: no later one is known here.
    pub(super) fn follows(&self, leader: Certified) {
        self.contact.heard(leader.node);
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
