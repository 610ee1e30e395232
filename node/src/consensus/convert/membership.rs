//! Memberships.

use std::collections::{BTreeMap, BTreeSet};

use exequatur_federation::{
    ledger::{List, Membership, TooMany},
    membership::NodeId,
};

use openraft::errors::MembershipError;

use crate::consensus::{RaftId, RaftMember};

/// What openraft calls a membership.
type RaftMembership = openraft::Membership<RaftId, RaftMember>;

/// The record of a membership.
///
/// # Errors
/// It has more nodes or configurations than a record has room for.
pub(crate) fn from_membership(membership: &RaftMembership) -> Result<Membership, TooMany> {
    let configurations = membership
        .get_joint_config()
        .iter()
        .map(|voters| List::new(voters.iter().map(|id| id.0).collect()))
        .collect::<Result<Vec<_>, _>>()?;
    let nodes = membership.nodes().map(|(id, member)| (id.0, member.0)).collect();
    Ok(Membership { configurations: List::new(configurations)?, nodes: List::new(nodes)? })
}

/// A record of a membership that no federation can have.
#[derive(Debug, thiserror::Error)]
#[error("the record of a membership makes no sense")]
pub(crate) struct BadMembership(#[source] MembershipError<RaftId>);

/// The membership of a record.
///
/// # Errors
/// A set of voters is empty, or a voter is not among the nodes.
pub(crate) fn to_membership(record: &Membership) -> Result<RaftMembership, BadMembership> {
    let voters = |ids: &[NodeId]| ids.iter().map(|id| RaftId(*id)).collect::<BTreeSet<_>>();
    let configurations =
        record.configurations.items().iter().map(|list| voters(list.items())).collect();
    let nodes: BTreeMap<RaftId, RaftMember> = record
        .nodes
        .items()
        .iter()
        .map(|(id, member)| (RaftId(*id), RaftMember(*member)))
        .collect();
    RaftMembership::new(configurations, nodes).map_err(BadMembership)
}
