//! Status, to its message and back.

use exequatur_federation::{
    ledger::{Digest, Fixed},
    membership::{Build, LevelRange, NodeId},
    time::UnixTime,
};

use super::wire;
use crate::consensus::control::{ClusterStatus, NodeState, NodeStatus, ViewState, ViewStatus};

/// A node's answer is not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is not what the protocol says: is the node's version another?")]
pub(super) struct BadReply {
    field: &'static str,
}

/// The message of a status.
pub(super) fn reply(status: ClusterStatus) -> wire::StatusReply {
    wire::StatusReply {
        cluster: status.cluster,
        epoch: status.epoch,
        node: status.node.bits(),
        region: status.region,
        state: state_number(status.state).into(),
        term: status.term,
        leader: status.leader.map(NodeId::bits),
        level: status.level.into(),
        last_log_index: status.last_log_index,
        committed_index: status.committed_index,
        applied_index: status.applied_index,
        snapshot_index: status.snapshot_index,
        purged_index: status.purged_index,
        replicated_time: status.replicated_time.seconds(),
        state_digest: status.state_digest.bytes().to_vec().into(),
        law: status.law.bytes().to_vec().into(),
        nodes: status.nodes.into_iter().map(node).collect(),
        survives_any_region: status.survives_any_region,
        view: status.view.map(view),
        warnings: status.warnings,
    }
}

/// The status of a message.
pub(super) fn status(reply: wire::StatusReply) -> Result<ClusterStatus, BadReply> {
    Ok(ClusterStatus {
        state: state(reply.state())?,
        cluster: reply.cluster,
        epoch: reply.epoch,
        node: node_id("node", reply.node)?,
        region: reply.region,
        term: reply.term,
        leader: reply.leader.map(|bits| node_id("leader", bits)).transpose()?,
        level: narrow("level", reply.level)?,
        last_log_index: reply.last_log_index,
        committed_index: reply.committed_index,
        applied_index: reply.applied_index,
        snapshot_index: reply.snapshot_index,
        purged_index: reply.purged_index,
        replicated_time: UnixTime::from_seconds(reply.replicated_time),
        state_digest: digest("state_digest", &reply.state_digest)?,
        law: digest("law", &reply.law)?,
        nodes: reply.nodes.into_iter().map(node_status).collect::<Result<_, _>>()?,
        survives_any_region: reply.survives_any_region,
        view: reply.view.map(view_status).transpose()?,
        warnings: reply.warnings,
    })
}

fn view(view: ViewStatus) -> wire::View {
    let state = match view.state {
        ViewState::Fresh => wire::ViewState::Fresh,
        ViewState::Local => wire::ViewState::Local,
        ViewState::Stale => wire::ViewState::Stale,
    };
    wire::View {
        age_ms: view.age_ms,
        state: state.into(),
        local_seconds_left: view.local_seconds_left,
    }
}

fn view_status(view: wire::View) -> Result<ViewStatus, BadReply> {
    let state = match view.state() {
        wire::ViewState::Fresh => ViewState::Fresh,
        wire::ViewState::Local => ViewState::Local,
        wire::ViewState::Stale => ViewState::Stale,
        wire::ViewState::Unspecified => return Err(BadReply { field: "view" }),
    };
    let wire::View { age_ms, local_seconds_left, .. } = view;
    Ok(ViewStatus { age_ms, state, local_seconds_left })
}

fn node(status: NodeStatus) -> wire::NodeStatus {
    wire::NodeStatus {
        node: status.node.bits(),
        region: status.region,
        voter: status.voter,
        address: status.address,
        matched_index: status.matched_index,
        last_seen_ms: status.last_seen_ms,
        build: status.build.map(|build| wire::Build {
            major: build.major.into(),
            minor: build.minor.into(),
            patch: build.patch.into(),
        }),
        levels: status.levels.map(|levels| wire::LevelRange {
            lowest: levels.lowest.into(),
            highest: levels.highest.into(),
        }),
    }
}

fn node_status(message: wire::NodeStatus) -> Result<NodeStatus, BadReply> {
    let build = |build: wire::Build| {
        Ok(Build {
            major: narrow("build", build.major)?,
            minor: narrow("build", build.minor)?,
            patch: narrow("build", build.patch)?,
        })
    };
    let levels = |levels: wire::LevelRange| {
        Ok(LevelRange {
            lowest: narrow("levels", levels.lowest)?,
            highest: narrow("levels", levels.highest)?,
        })
    };
    Ok(NodeStatus {
        node: node_id("nodes.node", message.node)?,
        region: message.region,
        voter: message.voter,
        address: message.address,
        matched_index: message.matched_index,
        last_seen_ms: message.last_seen_ms,
        build: message.build.map(build).transpose()?,
        levels: message.levels.map(levels).transpose()?,
    })
}

const fn state_number(state: NodeState) -> wire::NodeState {
    match state {
        NodeState::Leader => wire::NodeState::Leader,
        NodeState::Follower => wire::NodeState::Follower,
        NodeState::Candidate => wire::NodeState::Candidate,
        NodeState::Learner => wire::NodeState::Learner,
        NodeState::Shutdown => wire::NodeState::Shutdown,
    }
}

const fn state(message: wire::NodeState) -> Result<NodeState, BadReply> {
    Ok(match message {
        wire::NodeState::Leader => NodeState::Leader,
        wire::NodeState::Follower => NodeState::Follower,
        wire::NodeState::Candidate => NodeState::Candidate,
        wire::NodeState::Learner => NodeState::Learner,
        wire::NodeState::Shutdown => NodeState::Shutdown,
        wire::NodeState::Unspecified => return Err(BadReply { field: "state" }),
    })
}

fn node_id(field: &'static str, bits: u64) -> Result<NodeId, BadReply> {
    NodeId::new(bits).ok_or(BadReply { field })
}

fn narrow(field: &'static str, number: u32) -> Result<u16, BadReply> {
    u16::try_from(number).map_err(|_| BadReply { field })
}

fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, BadReply> {
    bytes.try_into().map(Fixed).map_err(|_| BadReply { field })
}
