//! The federation as the operator's service handles it.

use std::{collections::BTreeSet, sync::Arc};

use exequatur_federation::{
    ledger::LogEntry,
    membership::{Invite, NodeId, NodeTicket},
};

use crate::consensus::{
    Consensus, VoterChange,
    control::{Acting, Cluster, ClusterStatus},
};

/// Consensus, seen by operators.
pub(in crate::node) struct OperatorsView(pub(in crate::node) Arc<Consensus>);

impl Cluster for OperatorsView {
    fn status(&self) -> ClusterStatus {
        self.0.status()
    }

    fn invite(&self, ticket: NodeTicket) -> Acting<'_, Invite> {
        Box::pin(self.0.invite(ticket))
    }

    fn promote(
        &self,
        node: NodeId,
        replacing: Option<NodeId>,
        accept_reduced_survival: bool,
    ) -> Acting<'_, ()> {
        let (promote, demote) = ([node].into(), replacing.into_iter().collect());
        let change = VoterChange { promote, demote, accept_reduced_survival };
        Box::pin(self.0.change_voters(change))
    }

    fn demote(&self, node: NodeId, accept_reduced_survival: bool) -> Acting<'_, ()> {
        let (promote, demote) = (BTreeSet::new(), [node].into());
        let change = VoterChange { promote, demote, accept_reduced_survival };
        Box::pin(self.0.change_voters(change))
    }

    fn remove(&self, node: NodeId, accept_reduced_survival: bool) -> Acting<'_, ()> {
        Box::pin(self.0.remove(node, accept_reduced_survival))
    }

    fn transfer_leader(&self, to: Option<NodeId>) -> Acting<'_, ()> {
        Box::pin(self.0.hand_over(to))
    }

    fn drain(&self) -> Acting<'_, ()> {
        Box::pin(self.0.drain())
    }

    fn snapshot(&self) -> Acting<'_, ()> {
        Box::pin(self.0.snapshot())
    }

    fn entry(&self, index: Option<u64>) -> Acting<'_, LogEntry> {
        Box::pin(self.0.entry(index))
    }
}
