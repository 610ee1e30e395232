//! Memberships.

use std::collections::{BTreeMap, BTreeSet};

use exequatur_federation::{
    ledger::{List, Membership, TooMany},
    membership::NodeId,
};

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

/// The membership of a record.
pub(crate) fn to_membership(record: &Membership) -> RaftMembership {
    let voters = |ids: &[NodeId]| ids.iter().map(|id| RaftId(*id)).collect::<BTreeSet<_>>();
    let configurations =
        record.configurations.items().iter().map(|list| voters(list.items())).collect();
    let nodes: BTreeMap<RaftId, RaftMember> = record
        .nodes
        .items()
        .iter()
        .map(|(id, member)| (RaftId(*id), RaftMember(*member)))
        .collect();
    RaftMembership::new(configurations, nodes).unwrap_or_default()
}
