//! A node's handle on consensus: to propose, to read what was agreed on, to look after members.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use exequatur_federation::{
    ledger::{
        Bearer, Command, Digest, Join, Leave, Ledger, List, LogId, Objection, Outcome, Proposal,
        Rejection, Revoke, RevokeRegion, StateDigest,
    },
    membership::{Invitation, Invite, LEVELS, NodeId, NodeTicket, RaftTiming},
    region::RegionNumber,
    time::{Ttl, UnixTime},
};
use openraft::async_runtime::{Instant as _, WatchReceiver};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    LeaderAction, LeaderContact, LogStore, Probed, Raft, RaftId, ReadIndexError, Snapshots,
    VoterChange,
    control::{Acting, ControlError},
    leader::Leader,
    members::{Members, members},
    proposer::{Answer, ProposeError, Proposer},
    read_index::LeaderReads,
    signing::ProposalMaker,
    state_machine::{LedgerView, SharedLedger},
};
use crate::{clock::Clock, hsm::Signer, identity::make_invite};

/// How long an invite may be used: an operator carries it to a machine by hand.
const INVITE_TTL: Ttl = Ttl::from_seconds(86_400);
/// How often is looked whether leadership has moved.
const LEADER_LOOK: Duration = Duration::from_millis(20);

/// Consensus on this node.
pub struct Consensus {
    pub(super) raft: Raft,
    pub(super) shared: SharedLedger,
    pub(super) leader: Arc<Leader>,
    pub(super) members: Members,
    pub(super) proposer: Proposer,
    pub(super) maker: ProposalMaker,
    pub(super) elsewhere: Arc<dyn Elsewhere>,
    pub(super) reads: LeaderReads,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) contact: Arc<LeaderContact>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) own: Bearer,
    pub(super) map: FederationMap,
    pub(super) timing: RaftTiming,
    pub(super) log: LogStore,
    pub(super) snapshots: Snapshots,
    pub(super) wants_snapshot: watch::Receiver<bool>,
    pub(super) draining: AtomicBool,
}

/// Asks a leader elsewhere for what only a leader can do, over whatever transport there is.
pub(super) trait Elsewhere: Send + Sync {
    /// See [`LeaderAction`].
    fn act(&self, leader: NodeId, action: LeaderAction) -> Acting<'_, ()>;

    /// Asks how far the ledger goes.
    fn probe(&self, leader: NodeId, state: Option<StateDigest>, limit: Duration) -> Probing<'_>;
}

/// What a node said to a probe, still to come.
pub(super) type Probing<'a> =
    Pin<Box<dyn Future<Output = Result<Probed, ReadIndexError>> + Send + 'a>>;

/// What `federation.toml` says of regions and nodes that the ledger does not: names and addresses.
#[derive(Clone, Debug, Default)]
pub struct FederationMap {
    /// Names of regions.
    pub regions: BTreeMap<RegionNumber, String>,
    /// Addresses of nodes.
    pub addresses: BTreeMap<NodeId, String>,
    /// Voters of the regions that prefer to lead.
    pub preferred: Vec<NodeId>,
}

impl Consensus {
    /// What is agreed on, as far as this node has applied it.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.load().ledger.clone()
    }

    /// As [`Self::ledger`], with how far it is and what is not yet committed.
    #[must_use]
    pub fn view(&self) -> Arc<LedgerView> {
        self.shared.load()
    }

    /// Tells how far the published state is, each time after it can be read.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Option<LogId>> {
        self.shared.applied()
    }

    /// Every state as it is published, for whoever reads on each request.
    #[must_use]
    pub fn shared(&self) -> SharedLedger {
        self.shared.clone()
    }

    /// This node and its region.
    #[must_use]
    pub const fn own(&self) -> Bearer {
        self.own
    }

    /// Durable writes of the log since the start.
    #[must_use]
    pub fn log_writes(&self) -> u64 {
        self.log.writes()
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leader.current() == Some(self.own.node)
    }

    /// The leader, if it is there: heard by this node within two election times, or this node itself
    /// if a quorum has answered it within them.
    #[must_use]
    pub fn present_leader(&self) -> Option<NodeId> {
        let leader = self.leader.current()?;
        if leader != self.own.node {
            return self.contact.present().filter(|heard| *heard == leader);
        }
        let answered = self.raft.data_metrics().borrow_watched().last_quorum_acked?;
        (answered.into_inner().elapsed() <= self.timing.silence_max()).then_some(leader)
    }

    /// The latest time that this region has told the ledger; `None` before the genesis.
    pub(super) fn told_at(&self) -> Option<UnixTime> {
        self.ledger().region(self.own.region).map(|row| row.latest)
    }

    /// Proposes a command in the name of this region and waits until it is applied where it was
    /// decided.
    ///
    /// # Errors
    /// See [`ProposeError`]; a refusal is an answer.
    pub async fn propose(&self, command: Command) -> Result<Answer, ProposeError> {
        self.refuse_while_draining()?;
        let proposal = self.maker.make(command, self.level()).await?;
        let answers = self.proposer.propose(vec![proposal]).await?;
        answers.first().copied().ok_or(ProposeError::NoQuorum)
    }

    /// Proposes many revocations; one answer for each, in their order. Those that are proposed at
    /// the same time share entries.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn revoke_many(
        &self,
        revocations: impl IntoIterator<Item = Revoke>,
    ) -> Result<Vec<Answer>, ProposeError> {
        self.refuse_while_draining()?;
        let commands = revocations.into_iter().map(Command::Revoke);
        self.proposer.propose(self.maker.unsigned(commands, self.level())).await
    }

    /// Proposals of revocations, as this node would make them now.
    #[must_use]
    pub fn draft(&self, revocations: impl IntoIterator<Item = Revoke>) -> Vec<Proposal> {
        self.maker.unsigned(revocations.into_iter().map(Command::Revoke), self.level())
    }

    /// The feature level to propose at. A node that has not applied the genesis yet goes by the level
    /// that this release founds at.
    fn level(&self) -> u16 {
        let ledger = self.ledger();
        ledger.id().map_or(LEVELS.lowest, |_| ledger.level())
    }

    fn refuse_while_draining(&self) -> Result<(), ProposeError> {
        if self.draining.load(Ordering::Relaxed) { Err(ProposeError::Stopped) } else { Ok(()) }
    }

    /// Lets the node of a ticket join as a learner, and invites it.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn invite(&self, ticket: NodeTicket) -> Result<Invite, ControlError> {
        let ledger = self.ledger();
        let id = ledger.id().ok_or(ControlError::Refused(Objection::Genesis))?;
        let (node, genesis) = (ticket.description.node, ledger.genesis());
        match self.decide(Command::Join(Join { ticket })).await {
            // A member that has lost its invite gets another one.
            Ok(()) | Err(ControlError::Refused(Objection::Conflict)) => {}
            Err(error) => return Err(error),
        }
        let invitation = Invitation {
            cluster: id.cluster,
            epoch: id.epoch,
            genesis,
            node,
            region: self.own.region,
            expires_at: self.clock.now().plus(INVITE_TTL),
            // Without the invited node itself, which is the only one that it need not be told of.
            members: List::new(members(&ledger).filter(|(id, _)| *id != node).collect())
                .map_err(|error| ControlError::Local(error.to_string()))?,
        };
        make_invite(self.signer.as_ref(), invitation)
            .await
            .map_err(|error| ControlError::Local(error.to_string()))
    }

    /// Changes who votes, on the leader, wherever it is.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn change_voters(&self, change: VoterChange) -> Result<(), ControlError> {
        match self.leader.current() {
            Some(node) if node == self.own.node => self.members.change(&change).await,
            Some(node) => self.elsewhere.act(node, LeaderAction::ChangeVoters(change)).await,
            None => Err(ControlError::NotLeader { leader: None }),
        }
    }

    /// Removes a node for ever. A node of another region goes once two other regions have asked.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn remove(
        &self,
        node: NodeId,
        accept_reduced_survival: bool,
    ) -> Result<(), ControlError> {
        if self.ledger().member(node).is_none() {
            return Err(ControlError::Unknown(node));
        }
        let voters = self.members.voters()?;
        let left: BTreeSet<NodeId> =
            voters.iter().copied().filter(|voter| *voter != node).collect();
        if left != voters {
            self.members.check(&left, accept_reduced_survival)?;
        }
        self.decide(Command::Leave(Leave { node })).await
    }

    /// Ends everything that a region has issued; another region's once two others have asked.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn revoke_region(&self, region: RegionNumber) -> Result<(), ControlError> {
        self.decide(Command::RevokeRegion(RevokeRegion { region })).await
    }

    /// Hands leadership to a voter, or to the one that is furthest.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn hand_over(&self, to: Option<NodeId>) -> Result<(), ControlError> {
        match self.leader.current() {
            Some(node) if node == self.own.node => self.hand_over_from_here(to).await,
            Some(node) => self.elsewhere.act(node, LeaderAction::HandOver(to)).await,
            None => Err(ControlError::NotLeader { leader: None }),
        }
    }

    /// Takes this node out of the way: no new proposals of its own, and another leader.
    ///
    /// # Errors
    /// Nobody else can lead.
    pub async fn drain(&self) -> Result<(), ControlError> {
        self.draining.store(true, Ordering::Relaxed);
        if self.leads() { self.hand_over_from_here(None).await } else { Ok(()) }
    }

    /// Whether the node was drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) async fn hand_over_from_here(&self, to: Option<NodeId>) -> Result<(), ControlError> {
        let voters = self.members.voters()?;
        let successor = match to {
            Some(node) if node == self.own.node => return Ok(()),
            Some(node) if voters.contains(&node) => node,
            Some(node) => return Err(ControlError::Unknown(node)),
            None => self.successor(&voters).ok_or(ControlError::NoQuorum)?,
        };
        let fatal = |error: openraft::errors::Fatal<super::TypeConfig>| {
            ControlError::Local(error.to_string())
        };
        self.raft.trigger().transfer_leader(RaftId(successor)).await.map_err(fatal)?;
        let deadline = Instant::now() + self.timing.failover_max;
        while Instant::now() < deadline {
            match self.leader.current() {
                Some(node) if node != self.own.node => return Ok(()),
                _ => sleep(LEADER_LOOK).await,
            }
        }
        Err(ControlError::NoQuorum)
    }

    /// The other voter that has most of the log; among equals one that is preferred.
    fn successor(&self, voters: &BTreeSet<NodeId>) -> Option<NodeId> {
        let metrics = self.raft.data_metrics().borrow_watched().clone();
        let matched = |node: &NodeId| {
            let id = metrics.replication.as_ref()?.get(&RaftId(*node))?.as_ref()?;
            Some(id.index)
        };
        let others = voters.iter().copied().filter(|node| *node != self.own.node);
        others.max_by_key(|node| (matched(node), self.map.preferred.contains(node)))
    }

    /// Makes a snapshot if one is due, and drops the log that the one before the newest covers.
    pub(super) async fn compact(&self) {
        if *self.wants_snapshot.borrow() {
            // Whatever is wrong with consensus shows in its state; this is asked for again.
            let _stopped = self.raft.trigger().snapshot().await.is_err();
        }
        let purged = self.raft.data_metrics().borrow_watched().purged;
        let purgeable = *self.snapshots.purgeable().borrow();
        if let Some(upto) = purgeable
            && purged.is_none_or(|purged| purged.index < upto.index)
        {
            let _stopped = self.raft.trigger().purge_log(upto.index).await.is_err();
        }
    }

    /// Writes a snapshot now, whether or not one is due.
    ///
    /// # Errors
    /// Consensus has stopped.
    pub async fn snapshot(&self) -> Result<(), ControlError> {
        let asked = self.raft.trigger().snapshot().await;
        asked.map_err(|error| ControlError::Local(error.to_string()))
    }

    /// Tells the anchor how far the log is.
    ///
    /// # Errors
    /// It cannot be told.
    pub async fn anchor(&self) -> std::io::Result<()> {
        self.log.anchor_flushed().await
    }

    /// Stops consensus and closes the log. What was acknowledged is durable before it was.
    pub async fn stop(&self) {
        self.draining.store(true, Ordering::Relaxed);
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "consensus did not stop in order");
        }
        if let Err(error) = self.log.close().await {
            tracing::warn!(%error, "the log was not closed in order");
        }
    }

    /// Why consensus has stopped, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        metrics.running_state.err().map(|fatal| fatal.to_string())
    }

    /// Proposes a command of an operator; anything but its effect is an error.
    async fn decide(&self, command: Command) -> Result<(), ControlError> {
        match self.propose(command).await {
            Ok(Answer::Decided { outcome: Outcome::Applied | Outcome::Duplicate, .. }) => Ok(()),
            Ok(Answer::Decided { outcome: Outcome::Pending, .. }) => Err(ControlError::Pending),
            Ok(
                Answer::Decided { outcome: Outcome::Refused(objection), .. }
                | Answer::Rejected(Rejection::Objection(objection)),
            ) => Err(ControlError::Refused(objection)),
            Ok(Answer::Rejected(rejection)) => Err(ControlError::Local(rejection.to_string())),
            Err(ProposeError::NoQuorum) => Err(ControlError::NoQuorum),
            Err(ProposeError::Overloaded(_)) => Err(ControlError::Overloaded),
            Err(error) => Err(ControlError::Local(error.to_string())),
        }
    }

    /// SHA-256 of the genesis that this node has pinned.
    #[must_use]
    pub fn genesis(&self) -> Digest {
        self.ledger().genesis()
    }
}
