//! Probes the leader, again and again, so that the age of the view is known.
//!
//! A probe is sent every eighth of the shortest `max_staleness`, whether or not the one before has
//! come back, and given up after eight of these: by then it would confirm a stale view. When the
//! published state has what the leader said, the view is as of the moment at which the probe was
//! *sent*; the moment at which the answer came says nothing, since it may have travelled for long.
//! The clock is read before anything else, so that a node that is stopped in between is believed to
//! have asked too early and never too late.

use std::{sync::Arc, time::Duration};

use exequatur_federation::ledger::{LogId, Verdict};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::ViewAge;
use crate::{
    consensus::{ReadIndexError, ReadsIndex},
    telemetry::metrics::{Metrics, ProbeMeters},
};

/// Probes in the shortest `max_staleness`, and so under way at most.
const PROBES: u32 = 8;

/// Sends probes.
pub struct Prober {
    /// Who is asked.
    pub leader: Arc<dyn ReadsIndex>,
    /// How far the view is that requests are decided by.
    pub published: watch::Receiver<Option<LogId>>,
    /// What is told.
    pub age: Arc<ViewAge>,
    /// The shortest `max_staleness` of the region and its resources.
    pub max_staleness: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Told when this node must stop.
    pub diverged: watch::Sender<Option<Diverged>>,
}

/// The ledger of this node is not what most voters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger of this node differs from that of most voters after entry {index} (I-C3): something \
     on its disk, in its memory or in its program is wrong; find out what, then move its directory \
     and anchor away, and let it join as a new node"
)]
pub struct Diverged {
    /// The entry.
    pub index: u64,
}

/// One probe.
#[derive(Clone)]
struct Probe {
    leader: Arc<dyn ReadsIndex>,
    published: watch::Receiver<Option<LogId>>,
    age: Arc<ViewAge>,
    limit: Duration,
    metrics: Arc<Metrics>,
    diverged: watch::Sender<Option<Diverged>>,
}

impl Prober {
    /// Probes until the node stops.
    pub async fn run(self) {
        let every = self.max_staleness / PROBES;
        let probe = Probe {
            leader: self.leader,
            published: self.published,
            age: self.age,
            limit: every.saturating_mul(PROBES),
            metrics: self.metrics,
            diverged: self.diverged,
        };
        let mut due = interval(every);
        // A machine that was busy or asleep needs one probe now, and not those that it missed.
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = under_way.join_next() => {}
                _ = due.tick(), if under_way.len() < PROBES as usize => {
                    under_way.spawn(probe.clone().send());
                }
            }
        }
    }
}

impl Probe {
    async fn send(mut self) {
        let sent = self.age.now();
        let meters = self.metrics.probes.clone();
        let limit = self.limit;
        let said = timeout(limit, self.leader.read_index(limit)).await;
        let confirmation = match said {
            Ok(Ok(confirmation)) => confirmation,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the view is not confirmed");
                return failed(&meters, &error);
            }
            Err(_) => {
                meters.no_answer.inc();
                return;
            }
        };
        match confirmation.verdict {
            Verdict::Unknown | Verdict::Same => {}
            Verdict::Differs => return self.differs(),
            Verdict::Minority { index } => {
                self.differs();
                self.diverged.send_replace(Some(Diverged { index }));
                return;
            }
        }
        let index = confirmation.read_index;
        let there = |applied: &Option<LogId>| applied.is_some_and(|id| id.index >= index);
        match timeout(limit, self.published.wait_for(there)).await {
            Ok(Ok(_)) => {
                self.age.confirmed(sent);
                meters.confirmed.inc();
                let took = self.age.now().boottime.saturating_sub(sent.boottime);
                meters.seconds.observe(took.as_secs_f64());
            }
            Ok(Err(_)) | Err(_) => {
                meters.behind.inc();
            }
        }
    }

    /// A view that another node would not have confirms nothing.
    fn differs(&self) {
        self.metrics.probes.differs.inc();
        self.metrics.invariant_violated("I-C3");
    }
}

fn failed(meters: &ProbeMeters, error: &ReadIndexError) {
    let counter = match error {
        ReadIndexError::NoLeader => &meters.no_leader,
        ReadIndexError::NoAnswer { .. } => &meters.no_answer,
        ReadIndexError::NoQuorum { .. } => &meters.no_quorum,
    };
    counter.inc();
}

#[cfg(test)]
#[path = "probe_test.rs"]
mod tests;
