//! The state machine inside a real Raft of one node, and its start from what a crash left.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use bytes::Bytes;
use exequatur_federation::ledger::{Fixed, Member};
use exequatur_federation::region::RegionNumber;
use openraft::{
    Config, Raft, SnapshotPolicy,
    alias::{EntryPayloadOf, SnapshotOf, VoteOf},
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::{RPCOption, RaftNetworkFactory, v2::RaftNetworkV2},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
    },
    storage::{RaftLogStorage as _, RaftSnapshotBuilder as _, RaftStateMachine as _},
};

use super::*;
use crate::consensus::{
    LogParts, LogStore, RaftId, RaftMember, Snapshots,
    disk::simulated::{Held, Inline, SimulatedDisk},
    log_store::tests::fixture::{
        GENESIS, append, blank, fresh, log_id, node, parts, parts_with, revocation, revoke, submit,
        vote,
    },
};

/// A network of one node reaches nobody.
#[derive(Clone)]
struct Nobody;

fn unreachable() -> Unreachable<TypeConfig> {
    Unreachable::new(&io::Error::other("a federation of one node"))
}

impl RaftNetworkFactory<TypeConfig> for Nobody {
    type Network = Self;

    async fn new_client(&mut self, _target: RaftId, _node: &RaftMember) -> Self {
        Self
    }
}

impl RaftNetworkV2<TypeConfig> for Nobody {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(unreachable()))
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<TypeConfig>,
        _snapshot: SnapshotOf<TypeConfig, Bytes>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(unreachable()))
    }
}

/// What a start finds on a disk.
struct Node {
    store: LogStore,
    machine: StateMachine,
    snapshots: Snapshots,
}

fn try_start(disk: &SimulatedDisk, log: LogParts) -> Result<Node, StartError> {
    let fault = log.fault.clone();
    let store = LogStore::open(log).unwrap().store;
    let snapshots = Snapshots::new(Arc::new(disk.clone()), Arc::new(Inline), GENESIS);
    let machine = StateMachine::open(StateMachineParts {
        log: store.reader(),
        space: store.space(),
        snapshots: snapshots.clone(),
        genesis: GENESIS,
        fault,
    })?;
    Ok(Node { store, machine, snapshots })
}

fn start(disk: &SimulatedDisk) -> Node {
    try_start(disk, parts(disk)).unwrap()
}

fn config() -> Arc<Config> {
    let config = Config {
        heartbeat_interval: 20,
        election_timeout_min: 60,
        election_timeout_max: 120,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX / 2,
        ..Config::default()
    };
    Arc::new(config.validate().unwrap())
}

async fn raft(node_on_disk: Node) -> Raft<TypeConfig, StateMachine> {
    let Node { store, machine, .. } = node_on_disk;
    Raft::new(RaftId(node()), config(), Nobody, store, machine).await.unwrap()
}

fn batch(client: u32) -> Batch {
    match revoke(1, u64::from(client), client).payload {
        EntryPayloadOf::<TypeConfig>::Normal(batch) => batch,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_raft_of_one_node_writes_makes_snapshots_purges_and_comes_back_as_it_was() {
    let (disk, _) = fresh();
    let found = start(&disk);
    let (shared, snapshots) = (found.machine.shared(), found.snapshots.clone());
    let running = raft(found).await;
    let member = RaftMember(Member { region: RegionNumber::new(1).unwrap(), key: Fixed([7; 32]) });
    running.initialize(BTreeMap::from([(RaftId(node()), member)])).await.unwrap();
    running
        .wait(Some(Duration::from_secs(10)))
        .state(openraft::ServerState::Leader, "")
        .await
        .unwrap();
    for client in 0..20 {
        let written = running.client_write(batch(client)).await.unwrap();
        assert_eq!(written.data.0.len(), 1);
        assert_eq!(shared.load().applied.map(|id| id.index), Some(written.log_id.index));
        if client % 5 == 4 {
            let last = written.log_id;
            running.trigger().snapshot().await.unwrap();
            running.wait(Some(Duration::from_secs(10))).snapshot(last, "").await.unwrap();
        }
    }
    let upto = snapshots.purgeable().borrow().unwrap();
    running.trigger().purge_log(upto.index).await.unwrap();
    let purged = running.wait(Some(Duration::from_secs(10)));
    purged.purged(Some(to_log_id(&upto)), "").await.unwrap();
    let before = shared.load();
    running.shutdown().await.unwrap();
    drop(running);

    disk.lose_unsynced();
    let found = start(&disk);
    let shared = found.machine.shared();
    // What was answered may be applied, or wait in the overlay; nothing of it is forgotten.
    let after = shared.load();
    assert!(after.applied <= before.applied);
    let running = raft(found).await;
    running
        .wait(Some(Duration::from_secs(10)))
        .state(openraft::ServerState::Leader, "")
        .await
        .unwrap();
    running
        .wait(Some(Duration::from_secs(10)))
        .applied_index_at_least(before.applied.map(|id| id.index), "")
        .await
        .unwrap();
    assert_eq!(shared.load().ledger.digest(), before.ledger.digest());
    assert!(shared.load().overlay.is_empty());
    running.shutdown().await.unwrap();
}
