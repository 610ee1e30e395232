//! One action of an operator: read from its message, carried out on the cluster.

use exequatur_federation::{
    membership::{Invite, NodeId, NodeTicket},
    operator::Action,
};

use super::{RequestId, cause::Cause, cause::Unmet, wire};
use crate::consensus::control::{Cluster, ControlError};

/// What an operator asks for, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Invite(NodeTicket),
    Promote { node: NodeId, replacing: Option<NodeId>, accept_reduced_survival: bool },
    Demote { node: NodeId, accept_reduced_survival: bool },
    Remove { node: NodeId, accept_reduced_survival: bool },
    TransferLeader(Option<NodeId>),
    Drain,
    Snapshot,
}

/// A message that is an order.
pub(super) trait Ordering {
    const ACTION: Action;

    /// Reads it.
    fn read(&self) -> Result<(RequestId, Order), Unmet>;
}

impl Order {
    pub(super) const fn action(self) -> Action {
        match self {
            Self::Invite(_) => Action::Invite,
            Self::Promote { .. } => Action::Promote,
            Self::Demote { .. } => Action::Demote,
            Self::Remove { .. } => Action::Remove,
            Self::TransferLeader(_) => Action::TransferLeader,
            Self::Drain => Action::Drain,
            Self::Snapshot => Action::Snapshot,
        }
    }

    /// The node that it is done to.
    pub(super) const fn target(self) -> Option<NodeId> {
        match self {
            Self::Invite(ticket) => Some(ticket.description.node),
            Self::Promote { node, .. } | Self::Demote { node, .. } | Self::Remove { node, .. } => {
                Some(node)
            }
            Self::TransferLeader(node) => node,
            Self::Drain | Self::Snapshot => None,
        }
    }

    /// The node whose place the target takes.
    pub(super) const fn replaced(self) -> Option<NodeId> {
        match self {
            Self::Promote { replacing, .. } => replacing,
            Self::Invite(_)
            | Self::Demote { .. }
            | Self::Remove { .. }
            | Self::TransferLeader(_)
            | Self::Drain
            | Self::Snapshot => None,
        }
    }

    pub(super) const fn accepts_reduced_survival(self) -> bool {
        match self {
            Self::Promote { accept_reduced_survival, .. }
            | Self::Demote { accept_reduced_survival, .. }
            | Self::Remove { accept_reduced_survival, .. } => accept_reduced_survival,
            Self::Invite(_) | Self::TransferLeader(_) | Self::Drain | Self::Snapshot => false,
        }
    }

    /// Does it; only an invitation has a result.
    pub(super) async fn carry_out(
        self,
        cluster: &dyn Cluster,
    ) -> Result<Option<Invite>, ControlError> {
        match self {
            Self::Invite(ticket) => return cluster.invite(ticket).await.map(Some),
            Self::Promote { node, replacing, accept_reduced_survival } => {
                cluster.promote(node, replacing, accept_reduced_survival).await
            }
            Self::Demote { node, accept_reduced_survival } => {
                cluster.demote(node, accept_reduced_survival).await
            }
            Self::Remove { node, accept_reduced_survival } => {
                cluster.remove(node, accept_reduced_survival).await
            }
            Self::TransferLeader(to) => cluster.transfer_leader(to).await,
            Self::Drain => cluster.drain().await,
            Self::Snapshot => cluster.snapshot().await,
        }?;
        Ok(None)
    }
}

fn request_id(bytes: &[u8]) -> Result<RequestId, Unmet> {
    RequestId::from_bytes(bytes).ok_or_else(|| {
        let got = bytes.len();
        Unmet::new(
            Cause::Malformed,
            format_args!("the request id has {got} bytes, and must have 16"),
        )
    })
}

fn node(bits: u64) -> Result<NodeId, Unmet> {
    NodeId::new(bits).ok_or_else(|| Unmet::new(Cause::Malformed, "the request names no node"))
}

impl Ordering for wire::InviteRequest {
    const ACTION: Action = Action::Invite;

    fn read(&self) -> Result<(RequestId, Order), Unmet> {
        let ticket = NodeTicket::open(&self.ticket).map_err(|error| {
            Unmet::new(Cause::Malformed, format_args!("this is no node ticket: {error}"))
        })?;
        Ok((request_id(&self.request_id)?, Order::Invite(ticket)))
    }
}

impl Ordering for wire::PromoteRequest {
    const ACTION: Action = Action::Promote;

    fn read(&self) -> Result<(RequestId, Order), Unmet> {
        let accept_reduced_survival = self.accept_reduced_survival;
        let (node, replacing) = (node(self.node)?, self.replacing.map(node).transpose()?);
        if replacing == Some(node) {
            return Err(Unmet::new(
                Cause::Malformed,
                format_args!(
                    "node {node} cannot take its own place: name the one that it replaces"
                ),
            ));
        }
        let order = Order::Promote { node, replacing, accept_reduced_survival };
        Ok((request_id(&self.request_id)?, order))
    }
}

macro_rules! ordering_about_a_node {
    ($message:ident, $name:ident) => {
        impl Ordering for wire::$message {
            const ACTION: Action = Action::$name;

            fn read(&self) -> Result<(RequestId, Order), Unmet> {
                let accept_reduced_survival = self.accept_reduced_survival;
                let order = Order::$name { node: node(self.node)?, accept_reduced_survival };
                Ok((request_id(&self.request_id)?, order))
            }
        }
    };
}

ordering_about_a_node!(DemoteRequest, Demote);
ordering_about_a_node!(RemoveRequest, Remove);

impl Ordering for wire::TransferLeaderRequest {
    const ACTION: Action = Action::TransferLeader;

    fn read(&self) -> Result<(RequestId, Order), Unmet> {
        let to = self.node.map(node).transpose()?;
        Ok((request_id(&self.request_id)?, Order::TransferLeader(to)))
    }
}

impl Ordering for wire::DrainRequest {
    const ACTION: Action = Action::Drain;

    fn read(&self) -> Result<(RequestId, Order), Unmet> {
        Ok((request_id(&self.request_id)?, Order::Drain))
    }
}

impl Ordering for wire::SnapshotRequest {
    const ACTION: Action = Action::Snapshot;

    fn read(&self) -> Result<(RequestId, Order), Unmet> {
        Ok((request_id(&self.request_id)?, Order::Snapshot))
    }
}
