//! What consensus does without being asked: the first entry, members by the ledger, the time of a
//! quiet region, snapshots, and leadership where it is preferred and where a vote goes with it.

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::{Batch, Command, Tick},
    membership::NodeId,
    time::Ttl,
};
use openraft::async_runtime::WatchReceiver;

use super::{Consensus, RaftId, control::ControlError};

/// How often is looked for something to do: well within an election, well below a percent of a
/// core.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// A region that has proposed nothing for this long tells the time.
const QUIET_MAX: Ttl = Ttl::from_seconds(30);
/// How often a leader outside of the preferred regions looks for a successor in one.
const PREFERENCE_INTERVAL: Duration = Duration::from_secs(60);

/// The task's state.
pub(crate) struct Upkeep {
    pub(crate) consensus: Arc<Consensus>,
    /// The pinned first entry, if the node has it whole: a founder has.
    pub(crate) genesis: Option<Batch>,
}

impl Upkeep {
    /// Works until the node stops.
    pub(crate) async fn run(self) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        let mut preference = tokio::time::interval(PREFERENCE_INTERVAL);
        preference.reset();
        loop {
            tokio::select! {
                _ = look.tick() => self.look().await,
                _ = preference.tick() => self.prefer().await,
            }
        }
    }

    async fn look(&self) {
        let consensus = &self.consensus;
        if consensus.leads() {
            if consensus.ledger().id().is_none() {
                self.found().await;
            } else if let Err(error) = consensus.members.reconcile().await {
                tracing::warn!(%error, "the members are not yet as the ledger says");
            }
        }
        self.hand_over_without_a_vote().await;
        self.tick().await;
        consensus.compact().await;
    }

    /// A leader that was demoted or replaced goes on to lead, as the library has it. Its own log counts
    /// for no majority any more, and what is said to have been replaced may be about to be stopped.
    async fn hand_over_without_a_vote(&self) {
        let consensus = &self.consensus;
        // While the voters are being changed they are not known, and it leads until that is done.
        let unseated =
            consensus.members.voters().is_ok_and(|voters| !voters.contains(&consensus.own.node));
        if !consensus.leads() || !unseated || !self.all_voters_have_all() {
            return;
        }
        // They have the change in their logs; the next heartbeat lets them apply it, and only then do
        // they take the new voter for one that may lead.
        tokio::time::sleep(LOOK_INTERVAL).await;
        match consensus.hand_over_from_here(None).await {
            Ok(()) => tracing::info!("this node votes no more, and leads no more"),
            Err(error) => tracing::warn!(%error, "this node votes no more, and still leads"),
        }
    }

    /// Whether every voter holds the whole log.
    fn all_voters_have_all(&self) -> bool {
        let consensus = &self.consensus;
        let metrics = consensus.raft.data_metrics().borrow_watched().clone();
        let last = metrics.last_log.map(|id| id.index);
        consensus.members.voters().is_ok_and(|voters| {
            voters.iter().all(|node| {
                let all = metrics.replication.as_ref();
                let matched = all.and_then(|all| all.get(&RaftId(*node)));
                matched.and_then(Option::as_ref).map(|id| id.index) == last
            })
        })
    }

    /// Every founder pinned the same first entry, so whichever leads first writes it.
    async fn found(&self) {
        let Some(genesis) = self.genesis.clone() else { return };
        if let Err(error) = self.consensus.raft.client_write(genesis).await {
            tracing::warn!(%error, "the first entry of the ledger is not written yet");
        }
    }

    /// Tells the time if the region has been quiet. Where a region has several nodes each may: the
    /// ledger keeps the latest.
    async fn tick(&self) {
        let consensus = &self.consensus;
        let Some(told) = consensus.told_at() else { return };
        if consensus.clock.now().since(told) < u64::from(QUIET_MAX.seconds()) {
            return;
        }
        match consensus.propose(Command::Tick(Tick {})).await {
            Ok(answer) => tracing::debug!(?answer, "the region has told the time"),
            Err(error) => tracing::debug!(%error, "the region could not tell the time"),
        }
    }

    async fn prefer(&self) {
        let consensus = &self.consensus;
        let (own, preferred) = (consensus.own.node, &consensus.map.preferred);
        if !consensus.leads() || preferred.is_empty() || preferred.contains(&own) {
            return;
        }
        let metrics = consensus.raft.data_metrics().borrow_watched().clone();
        let last = metrics.last_log.map(|id| id.index);
        let current = |node: &&NodeId| {
            let matched = metrics
                .replication
                .as_ref()
                .and_then(|all| all.get(&RaftId(**node)))
                .and_then(Option::as_ref);
            matched.map(|id| id.index) == last
        };
        if let Some(successor) = preferred.iter().find(current) {
            match consensus.hand_over(Some(*successor)).await {
                Ok(()) => tracing::info!(%successor, "leadership moved to where it is preferred"),
                Err(ControlError::NotLeader { .. }) => {}
                Err(error) => tracing::info!(%error, "leadership stays where it is"),
            }
        }
    }
}
