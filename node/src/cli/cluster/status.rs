//! `exequatur cluster status`: the federation as a node sees it. Field names are stable: programs
//! read them.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::{
    super::{CliError, Exit, Output},
    condition::Condition,
    connection::Connection,
    table,
};
use crate::{
    clock::{Clock as _, SystemClock},
    consensus::control::{ClusterStatus, NodeState, NodeStatus, ViewState},
};

/// Show the federation as a node sees it.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 4 if there is no leader, if what the node knows is old, if its view of revocations is
stale, or if the loss of one region can stop the federation.

Examples:
  exequatur cluster status
  exequatur cluster status --address eu1.example:8444 \\
    --tls-certificate alice.pem --tls-key alice.key --ca eu-ca.pem --output json")]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Shown<'a> {
    cluster: &'a str,
    epoch: u32,
    node: String,
    region: &'a str,
    state: &'static str,
    term: u64,
    leader: Option<String>,
    level: u16,
    last_log_index: Option<u64>,
    committed_index: Option<u64>,
    applied_index: Option<u64>,
    snapshot_index: Option<u64>,
    purged_index: Option<u64>,
    replicated_time: u64,
    state_digest: String,
    law: String,
    nodes: Vec<ShownNode<'a>>,
    survives_any_region: bool,
    view: Option<ShownView>,
    warnings: &'a [String],
    degraded: &'a [Condition],
}

#[derive(Serialize)]
struct ShownView {
    state: &'static str,
    age_ms: Option<u64>,
    local_seconds_left: Option<u64>,
}

#[derive(Serialize)]
struct ShownNode<'a> {
    node: String,
    region: &'a str,
    voter: bool,
    address: Option<&'a str>,
    matched_index: Option<u64>,
    last_seen_ms: Option<u64>,
    build: Option<String>,
    levels: Option<BTreeMap<&'static str, u16>>,
}

impl Status {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let status = self.connection.ask(async |node| node.status().await)?;
        let now = SystemClock::start().now();
        let degraded = Condition::of(&status, now);
        let shown = shown(&status, &degraded);
        output.result(&shown, |out| table::write(out, &status, &degraded, now))?;
        if degraded.is_empty() {
            return Ok(());
        }
        let reasons: Vec<&str> = degraded.iter().map(|condition| condition.as_str()).collect();
        let text = format_args!("the federation is degraded: {}", reasons.join("; "));
        Err(CliError::new(Exit::Degraded, text))
    }
}

fn shown<'a>(status: &'a ClusterStatus, degraded: &'a [Condition]) -> Shown<'a> {
    Shown {
        cluster: &status.cluster,
        epoch: status.epoch,
        node: status.node.to_string(),
        region: &status.region,
        state: name(status.state),
        term: status.term,
        leader: status.leader.map(|node| node.to_string()),
        level: status.level,
        last_log_index: status.last_log_index,
        committed_index: status.committed_index,
        applied_index: status.applied_index,
        snapshot_index: status.snapshot_index,
        purged_index: status.purged_index,
        replicated_time: status.replicated_time.seconds(),
        state_digest: status.state_digest.to_string(),
        law: status.law.to_string(),
        nodes: status.nodes.iter().map(shown_node).collect(),
        survives_any_region: status.survives_any_region,
        view: status.view.map(|view| ShownView {
            state: view_name(view.state),
            age_ms: view.age_ms,
            local_seconds_left: view.local_seconds_left,
        }),
        warnings: &status.warnings,
        degraded,
    }
}

fn shown_node(node: &NodeStatus) -> ShownNode<'_> {
    ShownNode {
        node: node.node.to_string(),
        region: &node.region,
        voter: node.voter,
        address: node.address.as_deref(),
        matched_index: node.matched_index,
        last_seen_ms: node.last_seen_ms,
        build: node.build.map(|build| build.to_string()),
        levels: node
            .levels
            .map(|levels| BTreeMap::from([("lowest", levels.lowest), ("highest", levels.highest)])),
    }
}

/// The name of a state, for people and programs.
pub(super) const fn name(state: NodeState) -> &'static str {
    match state {
        NodeState::Leader => "leader",
        NodeState::Follower => "follower",
        NodeState::Candidate => "candidate",
        NodeState::Learner => "learner",
        NodeState::Shutdown => "shutdown",
    }
}

/// The name of what a view is good for, for people and programs.
pub(super) const fn view_name(state: ViewState) -> &'static str {
    match state {
        ViewState::Fresh => "fresh",
        ViewState::Local => "local",
        ViewState::Stale => "stale",
    }
}
