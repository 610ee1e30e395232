//! What a node knows of the federation, for operators.

use std::collections::BTreeSet;

use exequatur_federation::{
    ledger::{Drift, Ledger},
    membership::{NodeId, voters},
    region::RegionNumber,
};
use openraft::{
    ServerState,
    async_runtime::{Instant, WatchReceiver},
    metrics::RaftMetrics,
};

use super::{
    Consensus, RaftId, RaftMember, TypeConfig,
    control::{ClusterStatus, NodeState, NodeStatus},
};

impl Consensus {
    /// What this node knows now; asks nobody.
    #[must_use]
    pub fn status(&self) -> ClusterStatus {
        let metrics = self.raft.metrics().borrow_watched().clone();
        // Digest and index are of one moment, since nodes are compared by them. What is applied is
        // in the log and committed, though the library may not have said so yet.
        let view = self.view();
        let ledger = &view.ledger;
        let applied = view.applied.map(|id| id.index);
        let committed = metrics.local_committed.map(|id| id.index).max(applied);
        let voters: BTreeSet<NodeId> =
            metrics.membership_config.voter_ids().map(|RaftId(node)| node).collect();
        let nodes = metrics.membership_config.nodes();
        let regions = nodes.filter(|(id, _)| voters.contains(&id.0)).map(|(_, m)| m.0.region);
        let faults = voters::faults(regions);
        // The set that is being left counts as well, and so does what was applied by exception.
        let applied_survives = view.membership.configurations.items().is_empty()
            || voters::check_membership(&view.membership, false).is_ok();
        let id = ledger.id();
        let mut warnings: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if metrics.membership_config.get_joint_config().len() > 1 {
            warnings.push("a change of the voters is under way".to_owned());
        }
        let leader = self.present_leader();
        if let (Some(RaftId(elected)), None) = (metrics.current_leader, leader) {
            warnings.push(format!("node {elected} was elected to lead, and is not heard"));
        }
        if self.is_draining() {
            warnings.push("this node is drained: restart it to take part again".to_owned());
        }
        warnings.extend(ledger.drift().into_iter().map(|drift| self.said_of(drift)));
        ClusterStatus {
            cluster: id.map(|id| id.cluster.to_string()).unwrap_or_default(),
            epoch: id.map_or(0, |id| id.epoch),
            node: self.own.node,
            region: self.region_name(self.own.region),
            state: state(metrics.state),
            term: metrics.current_term,
            leader,
            level: ledger.level(),
            last_log_index: metrics.last_log_index.max(committed),
            committed_index: committed,
            applied_index: applied,
            snapshot_index: metrics.snapshot.map(|id| id.index),
            purged_index: metrics.purged.map(|id| id.index),
            replicated_time: ledger.time(),
            state_digest: ledger.digest(),
            law: ledger.law().digest,
            nodes: self.nodes(&metrics, ledger, &voters),
            view: None,
            survives_any_region: faults.is_empty() && applied_survives,
            warnings,
        }
    }

    fn nodes(
        &self,
        metrics: &RaftMetrics<TypeConfig>,
        ledger: &Ledger,
        voters: &BTreeSet<NodeId>,
    ) -> Vec<NodeStatus> {
        let member = |(id, member): (&RaftId, &RaftMember)| {
            let node = id.0;
            let row = ledger.member(node);
            let matched = metrics.replication.as_ref().and_then(|all| all.get(id));
            let seen = metrics.heartbeat.as_ref().and_then(|all| all.get(id)).copied().flatten();
            NodeStatus {
                node,
                region: self.region_name(member.0.region),
                voter: voters.contains(&node),
                address: self.map.addresses.get(&node).cloned(),
                matched_index: matched.and_then(Option::as_ref).map(|id| id.index),
                last_seen_ms: seen.map(|at| {
                    u64::try_from(at.into_inner().elapsed().as_millis()).unwrap_or(u64::MAX)
                }),
                build: row.map(|row| row.build),
                levels: row.map(|row| row.levels),
            }
        };
        metrics.membership_config.nodes().map(member).collect()
    }

    fn said_of(&self, drift: Drift) -> String {
        match drift {
            Drift::NotAnnounced(region) => {
                format!("{} has not announced its configuration", self.region_name(region))
            }
            Drift::Staged { region, version } => {
                format!(
                    "{} has staged law {version}, which is not in force",
                    self.region_name(region)
                )
            }
            Drift::NotStaged { region, version } => {
                format!("{} has not staged law {version}", self.region_name(region))
            }
            Drift::KeysWait { region, keys } => {
                let region = self.region_name(region);
                format!("{keys} keys of {region} wait until every node has acknowledged them")
            }
        }
    }

    fn region_name(&self, region: RegionNumber) -> String {
        self.map.regions.get(&region).cloned().unwrap_or_else(|| region.to_string())
    }
}

fn state(state: ServerState) -> NodeState {
    match state {
        ServerState::Leader => NodeState::Leader,
        ServerState::Follower => NodeState::Follower,
        ServerState::Candidate => NodeState::Candidate,
        ServerState::Learner => NodeState::Learner,
        ServerState::Shutdown => NodeState::Shutdown,
    }
}
