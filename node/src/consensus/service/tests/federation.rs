//! Three nodes that run consensus, each behind a path of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::{Batch, BatchBuilder, Command, Header, Proposal, StateDigest, Tick, Verdict},
    membership::{Certified, NodeId},
    time::UnixTime,
};
use openraft::{
    Config, Raft, ReadPolicy, SnapshotPolicy,
    async_runtime::WatchReceiver as _,
    errors::{ClientWriteError, LinearizableReadError},
};
use tokio::{net::TcpListener, sync::watch};

use super::{
    proxy::Proxy,
    store::{Machine, MemoryLog},
};
use crate::{
    clock::SystemClock,
    consensus::{
        Answer, Confirmation, ENTRIES_MAX, Forwarded, Forwarder, LeaderAction, LeaderContact,
        Leads, Network, OlderThanLedger, Parts, PeerService, Probed, RaftId, RaftMember,
        TypeConfig, control::ControlError,
    },
    peer::{
        TlsConnector,
        limits::PeerLimits,
        testing::{Serving, TestNode, World, node_id, until},
    },
};

pub(super) type TestRaft = Raft<TypeConfig, Machine>;

pub(super) struct Member {
    pub(super) node: TestNode,
    pub(super) raft: TestRaft,
    pub(super) machine: Machine,
    pub(super) serving: Serving,
    pub(super) older: watch::Receiver<Option<OlderThanLedger>>,
    pub(super) forwarder: Forwarder<TlsConnector>,
    pub(super) proxy: Proxy,
}

pub(super) struct Federation {
    pub(super) world: World,
    pub(super) members: BTreeMap<u64, Member>,
}

/// Proposes what other nodes hand over, in one entry.
struct Proposer(TestRaft);

impl Leads for Proposer {
    async fn take(&self, _from: Certified, batch: Batch) -> Forwarded {
        match self.0.client_write(batch).await {
            Ok(written) => {
                let index = written.log_id.index;
                let answer = |outcome| Answer::Decided { index, outcome };
                Forwarded::Answered(written.data.0.into_iter().map(answer).collect())
            }
            Err(error) => {
                let leader = match error.api_error() {
                    Some(ClientWriteError::ForwardToLeader(forward)) => forward.leader_id,
                    _ => None,
                };
                Forwarded::NotLeader { leader: leader.map(|id| id.0) }
            }
        }
    }

    async fn probed(&self, _from: Certified, _state: Option<StateDigest>) -> Probed {
        match self.0.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok((id, _)) => Probed::Confirmed(Confirmation {
                read_index: id.log_id().index,
                verdict: Verdict::Unknown,
            }),
            Err(error) => match error.api_error() {
                Some(LinearizableReadError::QuorumNotEnough(_)) => Probed::NoQuorum,
                Some(LinearizableReadError::ForwardToLeader(forward)) => {
                    Probed::NotLeader { leader: forward.leader_id.map(|id| id.0) }
                }
                None => Probed::NotLeader { leader: None },
            },
        }
    }

    async fn act(&self, _from: Certified, _action: LeaderAction) -> Result<(), ControlError> {
        Err(ControlError::NotLeader { leader: None })
    }
}

pub(super) fn tick(node: u64, region: u16, serial: u64) -> Proposal {
    let header = Header {
        region: exequatur_federation::region::RegionNumber::new(region).unwrap(),
        node: node_id(node),
        serial,
        level: 1,
        proposed_at: UnixTime::from_seconds(1_800_000_000),
    };
    Proposal { header, command: Command::Tick(Tick {}), signature: None }
}

fn config(name: &str) -> Arc<Config> {
    let config = Config {
        cluster_name: name.to_owned(),
        heartbeat_interval: 250,
        election_timeout_min: 1_000,
        election_timeout_max: 2_000,
        install_snapshot_timeout: 120_000,
        max_payload_entries: ENTRIES_MAX as u64,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        purge_batch_size: 1,
        enable_pre_vote: Some(true),
        ..Config::default()
    };
    Arc::new(config.validate().unwrap())
}

impl Federation {
    /// Nodes 1, 2 and 3, each reached over its proxy; only `founders` form the first membership.
    pub(super) async fn start(founders: &[u64]) -> Self {
        let mut world = World::new();
        let mut listeners = BTreeMap::new();
        for number in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let proxy = Proxy::to(listener.local_addr().unwrap()).await;
            world.settle(number, proxy.address);
            listeners.insert(number, (listener, proxy));
        }
        let mut members = BTreeMap::new();
        for (number, (listener, proxy)) in listeners {
            let node = world.node(number).await;
            members.insert(number, start(node, listener, proxy).await);
        }
        let first = founders
            .iter()
            .map(|number| (raft_id(*number), RaftMember(world.members[&node_id(*number)])))
            .collect::<BTreeMap<_, _>>();
        members[&founders[0]].raft.initialize(first).await.unwrap();
        Self { world, members }
    }

    pub(super) fn raft(&self, number: u64) -> &TestRaft {
        &self.members[&number].raft
    }

    /// The number of the node that leads, once one does and has committed in its term.
    pub(super) async fn leader(&self) -> u64 {
        let mut leader = None;
        until("a leader", || {
            leader = self.members.iter().find(|(_, m)| m.raft.is_leader()).map(|(n, _)| *n);
            leader.is_some()
        })
        .await;
        leader.unwrap()
    }

    /// Writes until it succeeds, and gives the index.
    pub(super) async fn write(&self, serial: u64) -> u64 {
        for _ in 0..600 {
            let leader = self.leader().await;
            let batch = Batch::of(&tick(1, 1, serial)).unwrap();
            if let Ok(written) = self.raft(leader).client_write(batch).await {
                return written.log_id.index;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not written");
    }

    pub(super) async fn applied(&self, number: u64, index: u64) {
        let metrics = self.raft(number).metrics();
        until(&format!("node {number} has applied {index}"), || {
            metrics.borrow_watched().last_applied.is_some_and(|id| id.index >= index)
        })
        .await;
    }

    pub(super) fn term(&self, number: u64) -> u64 {
        self.raft(number).metrics().borrow_watched().current_term
    }
}

pub(super) fn raft_id(number: u64) -> RaftId {
    RaftId(node_id(number))
}

async fn start(node: TestNode, listener: TcpListener, proxy: Proxy) -> Member {
    let id: NodeId = node.id;
    let network = Network::new(id, node.dialer());
    let forwarder = network.forwarder();
    let machine = Machine::default();
    let log = MemoryLog::default();
    let durable = log.clone();
    let set = node.standpoint.flushed.set(Box::new(move || durable.last()));
    assert!(set.is_ok());
    let raft = Raft::new(RaftId(id), config("test"), network, log, machine.clone()).await.unwrap();
    let (older_sender, older) = watch::channel(None);
    let calls = PeerService::calls(Parts {
        raft: raft.clone(),
        standpoint: Arc::clone(&node.greeter.standpoint),
        leader: Arc::new(Proposer(raft.clone())),
        contact: Arc::new(LeaderContact::new(
            Duration::from_secs(4),
            Arc::new(SystemClock::start()),
        )),
        room: Arc::new(|| true),
        check_snapshot: Arc::new(|bytes, _| {
            if bytes.starts_with(b"bad") { Err("it begins with `bad`".to_owned()) } else { Ok(()) }
        }),
        older: older_sender,
    });
    let serving = node.serve_on(listener, PeerLimits::default(), calls);
    Member { node, raft, machine, serving, older, forwarder, proxy }
}

/// The proposals as they are handed over.
pub(super) fn batch(proposals: &[Proposal]) -> Batch {
    let mut builder = BatchBuilder::default();
    for proposal in proposals {
        assert!(builder.push(proposal));
    }
    builder.finish()
}
