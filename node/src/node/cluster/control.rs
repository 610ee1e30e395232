//! The federation as the operator's service handles it.

use std::{collections::BTreeSet, sync::Arc};

use exequatur_federation::{
    freshness::Bounds,
    ledger::LogEntry,
    membership::{Invite, NodeId, NodeTicket},
};

use crate::{
    consensus::{
        Consensus, VoterChange,
        control::{Acting, Cluster, ClusterStatus, ViewStatus},
    },
    revocation::ViewAge,
};

/// Consensus and what hangs on it, seen by operators.
pub(in crate::node) struct OperatorsView {
    pub(in crate::node) consensus: Arc<Consensus>,
    pub(in crate::node) view_age: Arc<ViewAge>,
    /// The region's own bounds of that age.
    pub(in crate::node) bounds: Bounds,
}

impl Cluster for OperatorsView {
    fn status(&self) -> ClusterStatus {
        let view = ViewStatus::of(&self.bounds, &self.view_age.facts());
        ClusterStatus { view: Some(view), ..self.consensus.status() }
    }

    fn invite(&self, ticket: NodeTicket) -> Acting<'_, Invite> {
        Box::pin(self.consensus.invite(ticket))
    }

    fn promote(
        &self,
        node: NodeId,
        replacing: Option<NodeId>,
        accept_reduced_survival: bool,
    ) -> Acting<'_, ()> {
        let (promote, demote) = ([node].into(), replacing.into_iter().collect());
        let change = VoterChange { promote, demote, accept_reduced_survival };
        Box::pin(self.consensus.change_voters(change))
    }

    fn demote(&self, node: NodeId, accept_reduced_survival: bool) -> Acting<'_, ()> {
        let (promote, demote) = (BTreeSet::new(), [node].into());
        let change = VoterChange { promote, demote, accept_reduced_survival };
        Box::pin(self.consensus.change_voters(change))
    }

    fn remove(&self, node: NodeId, accept_reduced_survival: bool) -> Acting<'_, ()> {
        Box::pin(self.consensus.remove(node, accept_reduced_survival))
    }

    fn transfer_leader(&self, to: Option<NodeId>) -> Acting<'_, ()> {
        Box::pin(self.consensus.hand_over(to))
    }

    fn drain(&self) -> Acting<'_, ()> {
        Box::pin(self.consensus.drain())
    }

    fn snapshot(&self) -> Acting<'_, ()> {
        Box::pin(self.consensus.snapshot())
    }

    fn entry(&self, index: Option<u64>) -> Acting<'_, LogEntry> {
        Box::pin(self.consensus.entry(index))
    }
}
