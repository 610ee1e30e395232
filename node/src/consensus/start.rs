//! Assembles consensus on a node from its parts.

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use exequatur_federation::{
    ledger::{Batch, Bearer, Digest, Ledger, LedgerId, StateDigest},
    membership::{Certified, NodeId, RaftTiming},
};
use openraft::{Config, ConfigError, SnapshotPolicy, errors::Fatal};
use tokio::sync::watch;

use super::{
    Consensus, ENTRIES_MAX, FederationMap, Forwarded, Forwarder, LeaderAction, LeaderContact,
    Leads, Network, OlderThanLedger, Parts, PeerCalls, PeerService, Probed, Raft, RaftId,
    RaftMember, SnapshotCheck, Snapshots, TypeConfig,
    control::{Acting, ControlError},
    convert::from_log_id,
    handle::{Elsewhere, Probing},
    leader::{Leader, Router},
    log_store::LogStore,
    members::Members,
    proposer::Proposer,
    read_index::LeaderReads,
    signing::{ProposalMaker, Proposing},
    state_machine::StateMachine,
    upkeep::Upkeep,
};
use crate::{
    clock::Clock,
    hsm::Signer,
    peer::{Standpoint, transport::PeerConnector},
};

/// How long one piece of a snapshot may take: a slow link carries one in seconds, and giving up
/// begins the transfer again. The library's own value is 200 ms.
const SNAPSHOT_PIECE_MAX: Duration = Duration::from_secs(120);
/// A follower that lacks more entries than this gets a snapshot although the log has them.
const LAG_FOR_SNAPSHOT: u64 = 1_000_000;
/// Entries that one write to the log holds at most: a second's worth at full load.
const ENTRIES_PER_WRITE_MAX: u64 = 4_096;

/// What consensus is made of.
pub struct ConsensusParts<C> {
    /// This node.
    pub own: Bearer,
    /// The ledger that it belongs to.
    pub ledger: LedgerId,
    /// The pinned first entry, if the node has it whole: a founder has.
    pub genesis: Option<Batch>,
    /// The founders, if this node is the one that begins, and has not begun yet.
    pub founders: Option<Vec<(RaftId, RaftMember)>>,
    /// How often the node has started, this start included.
    pub starts: u64,
    /// The region's identity key.
    pub signer: Arc<dyn Signer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Times of consensus.
    pub timing: RaftTiming,
    /// Names and addresses.
    pub map: FederationMap,
    /// The log.
    pub log: LogStore,
    /// The snapshots.
    pub snapshots: Snapshots,
    /// The state.
    pub machine: StateMachine,
    /// The other nodes.
    pub network: Network<C>,
    /// What the node knows of others.
    pub standpoint: Arc<dyn Standpoint>,
}

/// Consensus that runs, and what the node must drive and look at.
pub struct Running {
    /// The handle.
    pub consensus: Arc<Consensus>,
    /// Answers calls of other nodes.
    pub calls: PeerCalls<StateMachine, LeaderDuties>,
    /// Told when this node is older than the ledger.
    pub older: watch::Receiver<Option<OlderThanLedger>>,
    /// Tasks that end only with the node, by name.
    pub tasks: Vec<(&'static str, Task)>,
}

/// A task to be driven.
pub type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why consensus does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartRaftError {
    /// Its settings contradict each other.
    #[error("the times of consensus contradict each other")]
    Config(#[from] ConfigError),
    /// It stopped at once.
    #[error("consensus does not start")]
    Fatal(#[from] Fatal<TypeConfig>),
    /// The founders could not be written down.
    #[error("the federation cannot begin: {0}")]
    Initialise(String),
}

/// Does what only a leader can, for other nodes.
pub struct LeaderDuties(Arc<Consensus>);

impl Leads for LeaderDuties {
    async fn take(&self, from: Certified, batch: Batch) -> Forwarded {
        self.0.leader.take_from(from, &batch).await
    }

    async fn probed(&self, from: Certified, state: Option<StateDigest>) -> Probed {
        self.0.reads.probed((from.node, self.0.own.node), state.as_ref()).await
    }

    async fn act(&self, from: Certified, action: LeaderAction) -> Result<(), ControlError> {
        tracing::info!(node = %from.node, region = %from.region, ?action, "asked as the leader");
        if !self.0.leads() {
            return Err(ControlError::NotLeader { leader: self.0.leader.current() });
        }
        match action {
            LeaderAction::ChangeVoters(change) => self.0.members.change(&change).await,
            LeaderAction::HandOver(to) => self.0.hand_over_from_here(to).await,
        }
    }
}

impl<C: PeerConnector> Elsewhere for (Forwarder<C>, Duration) {
    fn act(&self, leader: NodeId, action: LeaderAction) -> Acting<'_, ()> {
        Box::pin(async move { self.0.control(leader, &action, self.1).await })
    }

    fn probe(&self, leader: NodeId, state: Option<StateDigest>, limit: Duration) -> Probing<'_> {
        Box::pin(async move { self.0.probe(leader, state.as_ref(), limit).await })
    }
}

/// Starts consensus. Nothing of it runs on after the runtime that it was started on.
///
/// # Errors
/// See [`StartRaftError`].
pub async fn start<C: PeerConnector>(parts: ConsensusParts<C>) -> Result<Running, StartRaftError> {
    let config = Arc::new(config(parts.ledger, &parts.timing).validate()?);
    let shared = parts.machine.shared();
    let wants_snapshot = parts.machine.wants_snapshot();
    let elsewhere = parts.network.forwarder();
    let own = RaftId(parts.own.node);
    let (log, network) = (parts.log.clone(), parts.network);
    let raft = Raft::new(own, config, network, log, parts.machine).await?;
    if let Some(founders) = parts.founders {
        begin(&raft, founders).await?;
    }
    let leader = Arc::new(Leader::new(
        raft.clone(),
        shared.clone(),
        parts.log.space(),
        Arc::clone(&parts.clock),
    ));
    let patience = parts.timing.failover_max;
    let router = Router::new(Arc::clone(&leader), elsewhere.clone(), parts.own, patience);
    let (proposer, proposing) = Proposer::new(Arc::new(router), patience.saturating_mul(2));
    let made = Proposing {
        own: parts.own,
        ledger: parts.ledger,
        starts: parts.starts,
        signer: Arc::clone(&parts.signer),
    };
    let consensus = Arc::new(Consensus {
        members: Members::new(raft.clone(), shared.clone()),
        maker: ProposalMaker::new(made, Arc::clone(&parts.clock)),
        elsewhere: Arc::new((elsewhere, patience.saturating_mul(4))),
        reads: LeaderReads::new(raft.clone(), shared.clone()),
        raft,
        shared,
        leader,
        proposer,
        signer: parts.signer,
        contact: Arc::new(LeaderContact::new(parts.timing.silence_max(), Arc::clone(&parts.clock))),
        clock: parts.clock,
        own: parts.own,
        map: parts.map,
        timing: parts.timing,
        log: parts.log,
        snapshots: parts.snapshots,
        wants_snapshot,
        draining: AtomicBool::new(false),
    });
    let (genesis, space) = (consensus.genesis(), consensus.log.space());
    let upkeep = Upkeep { consensus: Arc::clone(&consensus), genesis: parts.genesis };
    let (older_told, older) = watch::channel(None);
    let calls = PeerService::calls(Parts {
        raft: consensus.raft.clone(),
        standpoint: parts.standpoint,
        leader: Arc::new(LeaderDuties(Arc::clone(&consensus))),
        contact: Arc::clone(&consensus.contact),
        room: Arc::new(move || space.has_room()),
        check_snapshot: snapshot_check(genesis),
        older: older_told,
    });
    Ok(Running {
        consensus,
        calls,
        older,
        tasks: vec![("proposer", Box::pin(proposing)), ("upkeep", Box::pin(upkeep.run()))],
    })
}

/// Writes down the founders, unless that has been done. Exactly one node is told to; if it stops
/// in between it does so at its next start.
async fn begin(raft: &Raft, founders: Vec<(RaftId, RaftMember)>) -> Result<(), StartRaftError> {
    if raft.is_initialized().await? {
        return Ok(());
    }
    let founders: std::collections::BTreeMap<_, _> = founders.into_iter().collect();
    raft.initialize(founders).await.map_err(|error| StartRaftError::Initialise(error.to_string()))
}

/// A snapshot is looked at before consensus installs it, since consensus would stop the node over
/// one that cannot be read.
fn snapshot_check(genesis: Digest) -> Arc<SnapshotCheck> {
    Arc::new(move |bytes, meta| {
        let (head, _) = Ledger::restore(bytes, genesis).map_err(|error| error.to_string())?;
        let last = meta.last_log_id.as_ref().map(from_log_id);
        if head.last == last {
            return Ok(());
        }
        Err(format!("it was offered up to entry {last:?} and covers {:?}", head.last))
    })
}

/// The library's settings, each for a reason that a test shows by its effect.
fn config(ledger: LedgerId, timing: &RaftTiming) -> Config {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: ledger.cluster.to_string(),
        heartbeat_interval: ms(timing.heartbeat),
        election_timeout_min: ms(timing.election_min),
        election_timeout_max: ms(timing.election_max),
        install_snapshot_timeout: ms(SNAPSHOT_PIECE_MAX),
        max_payload_entries: ENTRIES_MAX as u64,
        max_append_entries: Some(ENTRIES_PER_WRITE_MAX),
        // Snapshots are due by bytes of log, which the state machine counts, and the log is kept
        // back to the snapshot before the newest: both are asked for, never automatic.
        snapshot_policy: SnapshotPolicy::Never,
        // Half of it, since the library adds to it.
        max_in_snapshot_log_to_keep: u64::MAX / 2,
        replication_lag_threshold: LAG_FOR_SNAPSHOT,
        // A node that was cut off must not depose a leader that the others hear.
        enable_pre_vote: Some(true),
        // A restarted leader campaigns like everybody else: what it remembers may be old.
        enable_leader_restore: Some(false),
        // Followers write an entry while the leader does, not after it.
        broadcast_submitted_on_append: Some(true),
        // A follower that lost entries is a new node, never one that starts again from nothing.
        allow_log_reversion: Some(false),
        ..Config::default()
    }
}
