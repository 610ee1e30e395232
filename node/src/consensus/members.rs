//! Changes of who votes: one at a time, learners first, and never a set of voters that the loss of
//! one region would stop, unless the operator says so.
//!
//! Who belongs to the federation stands in the ledger (`Join`, `Leave`); who votes is decided by an
//! operator and carried out here, on the leader. What the ledger says of members the leader brings
//! about by itself: a new member becomes a learner, one that left is removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use exequatur_federation::{
    ledger::{Ledger, Member},
    membership::{
        NodeId, thumbprint,
        voters::{self, VoterFault},
    },
    region::RegionNumber,
};
use openraft::{
    ChangeMembers,
    async_runtime::WatchReceiver,
    errors::{ClientWriteError, RaftError},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    Raft, RaftId, RaftMember, TypeConfig, control::ControlError, state_machine::SharedLedger,
};

/// How many entries a learner may lack when it becomes a voter: it will have them within one
/// message.
const LAG_MAX: u64 = 128;
/// How long a learner is waited for.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const CATCH_UP_LOOK: Duration = Duration::from_millis(100);

/// A change of voters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterChange {
    /// Learners that become voters.
    pub promote: BTreeSet<NodeId>,
    /// Voters that become learners.
    pub demote: BTreeSet<NodeId>,
    /// Whether the loss of one region may stop the federation afterwards.
    pub accept_reduced_survival: bool,
}

/// Carries out changes of members on the leader.
pub(crate) struct Members {
    raft: Raft,
    ledger: SharedLedger,
    one_at_a_time: Mutex<()>,
}

impl Members {
    pub(crate) fn new(raft: Raft, ledger: SharedLedger) -> Self {
        Self { raft, ledger, one_at_a_time: Mutex::new(()) }
    }

    /// Changes the voters; `Ok` once the new set is committed.
    pub(crate) async fn change(&self, change: &VoterChange) -> Result<(), ControlError> {
        let _turn = self.one_at_a_time.try_lock().map_err(|_| ControlError::InProgress)?;
        let present = self.voters()?;
        let known = self.nodes();
        for node in change.promote.iter().chain(&change.demote) {
            if !known.contains_key(node) {
                return Err(ControlError::Unknown(*node));
            }
        }
        let mut wanted = present.clone();
        wanted.extend(&change.promote);
        wanted.retain(|node| !change.demote.contains(node));
        if wanted == present {
            return Ok(());
        }
        if let Some(node) = change.demote.iter().find(|node| !present.contains(node)) {
            return Err(ControlError::VoterRules(format!(
                "node {node} does not vote, so that no other can take its place: `exequatur \
                 cluster status` shows who votes"
            )));
        }
        // The other half of the joint set is the present one. It was judged when it was made, and if
        // it was an exception, refusing to leave it would keep it.
        self.check(&wanted, change.accept_reduced_survival)?;
        for node in &change.promote {
            self.caught_up(*node).await?;
        }
        self.replace_voters(wanted).await
    }

    /// Whether a set of voters would survive the loss of any one region.
    pub(crate) fn check(
        &self,
        voters: &BTreeSet<NodeId>,
        accept_reduced_survival: bool,
    ) -> Result<(), ControlError> {
        let known = self.nodes();
        let regions: Vec<RegionNumber> =
            voters.iter().filter_map(|node| known.get(node).map(|m| m.region)).collect();
        voters::check(regions, accept_reduced_survival).map_err(|fault| {
            ControlError::VoterRules(match fault {
                VoterFault::Empty => fault.to_string(),
                VoterFault::Even { .. }
                | VoterFault::FewRegions { .. }
                | VoterFault::Concentrated { .. } => format!(
                    "{fault}; put one voter in the place of another with `exequatur cluster promote \
                     NEW --replacing OLD`, or go on with --accept-reduced-survival"
                ),
            })
        })
    }

    /// Brings the membership in line with what the ledger says of members.
    pub(crate) async fn reconcile(&self) -> Result<(), ControlError> {
        let Ok(_turn) = self.one_at_a_time.try_lock() else { return Ok(()) };
        let published = self.ledger.load();
        let known = self.nodes();
        for (node, member) in members(&published.ledger) {
            if !known.contains_key(&node) {
                tracing::info!(%node, region = %member.region, "a new member becomes a learner");
                let joined = self.raft.add_learner(RaftId(node), RaftMember(member), false).await;
                joined.map_err(|error| self.told(&error))?;
            }
        }
        let gone: BTreeSet<NodeId> =
            known.keys().copied().filter(|node| published.ledger.is_tombstone(*node)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let voters = self.voters()?;
        if !voters.is_disjoint(&gone) {
            tracing::info!(?gone, "voters that have left are removed");
            self.replace_voters(voters.difference(&gone).copied().collect()).await?;
        }
        let gone = gone.into_iter().map(RaftId).collect();
        let removed = self.raft.change_membership(ChangeMembers::RemoveNodes(gone), true).await;
        removed.map(|_| ()).map_err(|error| self.told(&error))
    }

    /// The voters, if they are not being changed.
    pub(crate) fn voters(&self) -> Result<BTreeSet<NodeId>, ControlError> {
        let metrics = self.raft.server_metrics().borrow_watched().clone();
        match metrics.membership_config.get_joint_config().as_slice() {
            [voters] => Ok(voters.iter().map(|RaftId(node)| *node).collect()),
            _ => Err(ControlError::InProgress),
        }
    }

    fn nodes(&self) -> BTreeMap<NodeId, Member> {
        let metrics = self.raft.server_metrics().borrow_watched().clone();
        metrics.membership_config.nodes().map(|(id, member)| (id.0, member.0)).collect()
    }

    async fn replace_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), ControlError> {
        let voters: BTreeSet<RaftId> = voters.into_iter().map(RaftId).collect();
        let changed = self.raft.change_membership(voters.clone(), true).await;
        changed.map_err(|error| self.told(&error))?;
        // The change is two steps; what is committed afterwards is read, not assumed.
        let metrics = self.raft.server_metrics().borrow_watched().clone();
        if metrics.membership_config.get_joint_config().as_slice() == [voters] {
            return Ok(());
        }
        Err(ControlError::InProgress)
    }

    async fn caught_up(&self, node: NodeId) -> Result<(), ControlError> {
        let deadline = Instant::now() + CATCH_UP_MAX;
        loop {
            let metrics = self.raft.data_metrics().borrow_watched().clone();
            let last = metrics.last_log.map_or(0, |id| id.index + 1);
            let matched = metrics
                .replication
                .as_ref()
                .and_then(|all| all.get(&RaftId(node)))
                .and_then(Option::as_ref)
                .map_or(0, |id| id.index + 1);
            let behind = last.saturating_sub(matched);
            if matched > 0 && behind <= LAG_MAX {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(ControlError::LaggingLearner { behind });
            }
            sleep(CATCH_UP_LOOK).await;
        }
    }

    fn told(&self, error: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ControlError {
        match error {
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
                ControlError::Local(error.to_string())
            }
            RaftError::APIError(_) => {
                let leader = self.raft.server_metrics().borrow_watched().current_leader;
                ControlError::NotLeader { leader: leader.map(|RaftId(node)| node) }
            }
            RaftError::Fatal(fatal) => ControlError::Local(fatal.to_string()),
        }
    }
}

/// Members by the ledger.
pub(crate) fn members(ledger: &Ledger) -> impl Iterator<Item = (NodeId, Member)> {
    ledger.members().filter_map(|(node, row)| {
        let key = thumbprint(&row.key)?;
        Some((node, Member { region: row.region, key }))
    })
}
