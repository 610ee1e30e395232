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
    LogStore, RaftId, RaftMember, Snapshots,
    disk::{
        SnapshotDisk as _,
        simulated::{Inline, SimulatedDisk},
    },
    log_store::tests::fixture::{
        GENESIS, append, blank, fresh, log_id, node, parts, revocation, revoke,
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

fn try_start(disk: &SimulatedDisk) -> Result<Node, StartError> {
    let log = parts(disk);
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
    try_start(disk).unwrap()
}

fn restart(disk: &SimulatedDisk) -> Node {
    disk.lose_unsynced();
    start(disk)
}

async fn apply(machine: &mut StateMachine, entries: Vec<EntryOf<TypeConfig>>) -> io::Result<()> {
    let items = entries.into_iter().map(|entry| Ok((entry, None)));
    machine.apply(futures_util::stream::iter(items)).await
}

/// Appends an entry, with all before it known to be committed, and applies it.
async fn commit(found: &mut Node, entry: EntryOf<TypeConfig>) {
    append(&found.store, vec![entry.clone()]).await.unwrap();
    found.store.save_committed(Some(entry.log_id)).await.unwrap();
    apply(&mut found.machine, vec![entry]).await.unwrap();
}

async fn snapshot(found: &mut Node) -> SnapshotOf<TypeConfig, Bytes> {
    let mut builder = found.machine.try_create_snapshot_builder(false).await.unwrap();
    builder.build_snapshot().await.unwrap()
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
    let entry = revoke(1, u64::from(client), client);
    let EntryPayloadOf::<TypeConfig>::Normal(batch) = entry.payload else { unreachable!() };
    batch
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

#[tokio::test]
async fn restart_in_minority_keeps_every_revocation() {
    let (disk, _) = fresh();
    let mut found = start(&disk);
    for index in 0..6 {
        commit(&mut found, revoke(1, index, u32::try_from(index).unwrap())).await;
    }
    append(&found.store, vec![blank(1, 6), revoke(1, 7, 7)]).await.unwrap();
    // Every entry was applied and answered here, or may have been; nobody else can be asked.
    let found = restart(&disk);
    let view = found.machine.shared().load();
    let applied = view.applied.unwrap().index;
    assert!(applied >= 4, "what is known to be committed is applied: {applied}");
    let overlay: Vec<_> = view.overlay.revocations().copied().collect();
    for (index, client) in (0..6).map(|i| (i, i)).chain([(7, 7)]) {
        let kept =
            index <= applied || overlay.contains(&revocation(u32::try_from(client).unwrap()));
        assert!(kept, "client {client}");
    }
    assert!(!overlay.is_empty());
}

#[tokio::test]
async fn a_revocation_of_the_overlay_counts_until_its_place_in_the_log_is_applied() {
    let (disk, _) = fresh();
    let found = start(&disk);
    append(&found.store, vec![blank(1, 0), revoke(1, 1, 5), revoke(1, 2, 6)]).await.unwrap();
    let mut found = restart(&disk);
    let shared = found.machine.shared();
    assert_eq!(shared.load().applied, None);
    let overlay = || shared.load().overlay.revocations().copied().collect::<Vec<_>>();
    assert_eq!(overlay(), [revocation(5), revocation(6)]);
    apply(&mut found.machine, vec![blank(1, 0)]).await.unwrap();
    assert_eq!(overlay(), [revocation(5), revocation(6)]);
    // Another leader's entry took the place of the first.
    apply(&mut found.machine, vec![blank(2, 1)]).await.unwrap();
    assert_eq!(overlay(), [revocation(6)]);
    apply(&mut found.machine, vec![revoke(1, 2, 6)]).await.unwrap();
    assert_eq!(overlay(), []);
}

#[tokio::test]
async fn a_start_publishes_nothing_before_everything_is_loaded() {
    let (disk, _) = fresh();
    let mut found = start(&disk);
    for index in 0..300 {
        commit(&mut found, revoke(1, index, 5)).await;
    }
    snapshot(&mut found).await;
    commit(&mut found, revoke(1, 300, 5)).await;
    commit(&mut found, revoke(1, 301, 5)).await;
    let before = found.machine.shared().load();
    found.store.close().await.unwrap();
    let after = restart(&disk).machine.shared();
    assert_eq!(*after.applied().borrow(), before.applied);
    assert_eq!(after.load().ledger, before.ledger);
}

#[tokio::test]
async fn an_entry_that_cannot_be_applied_stops_the_node_and_publishes_nothing() {
    let (disk, _) = fresh();
    let mut found = start(&disk);
    let fault = found.machine.parts.fault.clone();
    apply(&mut found.machine, vec![blank(1, 0), revoke(1, 1, 5)]).await.unwrap();
    let again = vec![revoke(1, 2, 5), revoke(1, 2, 6)];
    let error = apply(&mut found.machine, again).await.unwrap_err();
    assert!(error.to_string().contains("entry 2 is committed but cannot be applied"), "{error}");
    assert!(matches!(fault.current(), Some(StorageFault::Apply { index: 2, .. })));
    assert_eq!(found.machine.shared().load().applied.map(|id| id.index), Some(1));
}

/// Two snapshots, at entries 4 and 9, and the log up to entry 11.
async fn two_snapshots() -> (SimulatedDisk, LedgerView) {
    let (disk, _) = fresh();
    let mut found = start(&disk);
    for index in 0..12 {
        commit(&mut found, revoke(1, index, u32::try_from(index).unwrap())).await;
        if index == 2 || index == 4 || index == 9 {
            snapshot(&mut found).await;
        }
    }
    assert_eq!(found.snapshots.purgeable().borrow().map(|id| id.index), Some(4));
    found.store.close().await.unwrap();
    disk.lose_unsynced();
    assert_eq!(disk.names().unwrap(), [NAME_OF_4, NAME_OF_9]);
    let view = found.machine.shared().load();
    (disk, LedgerView::clone(&view))
}

const NAME_OF_4: &str = "0000000000000005.snapshot";
const NAME_OF_9: &str = "000000000000000a.snapshot";

async fn purge(disk: &SimulatedDisk, index: u64) {
    let mut store = LogStore::open(parts(disk)).unwrap().store;
    store.purge(log_id(1, index)).await.unwrap();
    disk.lose_unsynced();
}

#[tokio::test]
async fn of_a_damaged_snapshot_the_previous_one_and_the_log_make_the_same_state() {
    let (disk, before) = two_snapshots().await;
    purge(&disk, 4).await;
    let whole = disk.read(NAME_OF_9).unwrap();
    let check = |damaged: Vec<u8>, what: String| {
        disk.change_snapshot(NAME_OF_9, |bytes| *bytes = damaged);
        let view = restart(&disk).machine.shared().load();
        assert_eq!((&view.ledger, view.applied), (&before.ledger, before.applied), "{what}");
    };
    for cut in 0..whole.len() {
        check(whole[..cut].to_vec(), format!("cut at {cut}"));
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        check(flipped, format!("byte {at}"));
    }
}

#[tokio::test]
async fn without_a_usable_snapshot_a_node_starts_from_the_whole_log_or_not_at_all() {
    let (disk, before) = two_snapshots().await;
    disk.change_snapshot(NAME_OF_9, Vec::clear);
    disk.change_snapshot(NAME_OF_4, |bytes| bytes.truncate(20));
    let view = restart(&disk).machine.shared().load();
    assert_eq!(view.ledger, before.ledger, "the log is whole");
    disk.lose_unsynced();
    purge(&disk, 4).await;
    let error = try_start(&disk).err().unwrap();
    assert!(matches!(error, StartError::NoSnapshot { purged: Some(4), .. }));
    assert!(error.to_string().contains("exequatur cluster join"), "{error}");
}

#[tokio::test]
async fn a_damaged_snapshot_beyond_the_end_of_the_log_is_not_made_up_for() {
    let (disk, _) = two_snapshots().await;
    // As after the installation of a snapshot: the log behind it is not there yet.
    let mut store = LogStore::open(parts(&disk)).unwrap().store;
    store.truncate_after(Some(log_id(1, 6))).await.unwrap();
    disk.lose_unsynced();
    assert_eq!(start(&disk).machine.shared().load().applied.map(|id| id.index), Some(9));
    disk.lose_unsynced();
    disk.change_snapshot(NAME_OF_9, Vec::clear);
    let error = try_start(&disk).err().unwrap();
    assert!(error.to_string().contains("the log ends before it"), "{error}");
}

#[tokio::test]
async fn a_snapshot_that_was_being_written_at_a_crash_is_none() {
    let (disk, before) = two_snapshots().await;
    let whole = disk.read(NAME_OF_9).unwrap();
    disk.write("unfinished", &whole[..whole.len() / 2]).unwrap();
    disk.write("000000000000000B.snapshot", b"not a name of ours").unwrap();
    let mut found = start(&disk);
    assert_eq!(found.machine.shared().load().ledger, before.ledger);
    commit(&mut found, blank(1, 12)).await;
    snapshot(&mut found).await;
    assert!(!disk.names().unwrap().contains(&"unfinished".to_owned()));
}

#[tokio::test]
async fn snapshots_of_equal_entries_are_equal_bytes_and_can_be_installed_elsewhere() {
    let (one, two, three) = (fresh().0, fresh().0, fresh().0);
    let (mut first, mut second, mut third) = (start(&one), start(&two), start(&three));
    for index in 0..10 {
        commit(&mut first, revoke(1, index, 5)).await;
    }
    let entries = (0..10).map(|index| revoke(1, index, 5)).collect();
    apply(&mut second.machine, entries).await.unwrap();
    let made = snapshot(&mut first).await;
    assert_eq!(made.snapshot, snapshot(&mut second).await.snapshot);
    third.machine.install_snapshot(&made.meta, made.snapshot.clone()).await.unwrap();
    let installed = third.machine.shared().load();
    assert_eq!(installed.ledger, first.machine.shared().load().ledger);
    assert_eq!(installed.applied.map(|id| id.index), Some(9));
    drop((installed, third));
    let view = restart(&three).machine.shared().load();
    assert_eq!(view.applied.map(|id| id.index), Some(9), "it is durable");
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_or_not_what_it_is_said_to_be_is_not_installed() {
    let (disk, other) = (fresh().0, fresh().0);
    let mut first = start(&disk);
    commit(&mut first, revoke(1, 0, 5)).await;
    let early = snapshot(&mut first).await;
    commit(&mut first, revoke(1, 1, 5)).await;
    let made = snapshot(&mut first).await;
    let cut = made.snapshot.slice(..made.snapshot.len() - 1);
    for (meta, bytes) in [(&made.meta, cut), (&early.meta, made.snapshot.clone())] {
        let mut second = restart(&other);
        second.machine.install_snapshot(meta, bytes).await.unwrap_err();
        assert!(matches!(
            second.machine.parts.fault.current(),
            Some(StorageFault::Snapshot { .. })
        ));
        assert_eq!(second.machine.shared().load().applied, None);
        assert_eq!(other.names().unwrap(), [""; 0]);
    }
}

#[tokio::test]
async fn a_snapshot_is_of_the_state_it_was_begun_at_and_none_is_begun_without_room() {
    let (disk, _) = fresh();
    let mut found = start(&disk);
    commit(&mut found, revoke(1, 0, 5)).await;
    let mut builder = found.machine.try_create_snapshot_builder(false).await.unwrap();
    commit(&mut found, revoke(1, 1, 5)).await;
    let made = builder.build_snapshot().await.unwrap();
    assert_eq!(made.meta.last_log_id, Some(log_id(1, 0)));
    let current = found.machine.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!((current.meta, current.snapshot), (made.meta, made.snapshot));
    disk.set_capacity(Some(0));
    assert!(found.machine.try_create_snapshot_builder(false).await.is_none());
}

#[test]
fn a_snapshot_is_wanted_after_so_many_bytes_of_log_and_no_more_once_it_is_made() {
    let demand = Demand::default();
    let wanted = demand.watch();
    demand.add(SNAPSHOT_LOG_BYTES - 1);
    assert!(!*wanted.borrow());
    demand.add(1);
    assert!(*wanted.borrow());
    let in_snapshot = demand.bytes();
    demand.add(5);
    demand.covered(in_snapshot);
    assert!(!*wanted.borrow());
    assert_eq!(demand.bytes(), 5);
}
