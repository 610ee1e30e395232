//! Stores, entries and callbacks for tests.

use std::{io, sync::Arc};

use exequatur_federation::{
    ledger::{Batch, Command, Digest, Fixed, Header, Mode, Proposal, Revoke, Target},
    membership::NodeId,
    region::RegionNumber,
    time::UnixTime,
};
use openraft::{
    alias::{EntryOf, EntryPayloadOf, LeaderIdOf, LogIdOf, OneshotReceiverOf, VoteOf},
    storage::{IOFlushed, RaftLogStorage as _},
    type_config::TypeConfigExt as _,
    vote::{RaftLeaderId as _, RaftVote as _},
};

use super::super::{LogParts, LogStore, OpenLogError};
use crate::consensus::{
    RaftId, TypeConfig,
    disk::{
        DiskExecutor,
        simulated::{Inline, SimulatedDisk},
    },
    fault::FaultSignal,
};

pub(crate) const GENESIS: Digest = Fixed([9; 32]);

pub(crate) fn node() -> NodeId {
    NodeId::new(7).unwrap()
}

pub(crate) fn parts(disk: &SimulatedDisk) -> LogParts {
    parts_with(disk, Arc::new(Inline))
}

pub(crate) fn parts_with(disk: &SimulatedDisk, executor: Arc<dyn DiskExecutor>) -> LogParts {
    LogParts {
        disk: Arc::new(disk.clone()),
        executor,
        anchor: Arc::new(disk.clone()),
        fault: FaultSignal::default(),
    }
}

/// A new disk with a new log on it, whose writer runs at once.
pub(crate) fn fresh() -> (SimulatedDisk, LogStore) {
    let disk = SimulatedDisk::default();
    LogStore::create(&disk, node()).unwrap();
    let store = reopen(&disk).unwrap();
    disk.take_events();
    (disk, store)
}

pub(crate) fn reopen(disk: &SimulatedDisk) -> Result<LogStore, OpenLogError> {
    LogStore::open(parts(disk)).map(|opened| opened.store)
}

pub(crate) fn log_id(term: u64, index: u64) -> LogIdOf<TypeConfig> {
    LogIdOf::<TypeConfig>::new(LeaderIdOf::<TypeConfig>::new(term, RaftId(node())), index)
}

pub(crate) fn vote(term: u64) -> VoteOf<TypeConfig> {
    let leader = LeaderIdOf::<TypeConfig>::new(term, RaftId(node()));
    VoteOf::<TypeConfig>::from_leader_id(leader, false)
}

pub(crate) fn blank(term: u64, index: u64) -> EntryOf<TypeConfig> {
    EntryOf::<TypeConfig> {
        log_id: log_id(term, index),
        payload: EntryPayloadOf::<TypeConfig>::Blank,
    }
}

pub(crate) fn revocation(client: u32) -> Revoke {
    Revoke {
        owner: RegionNumber::new(1).unwrap(),
        target: Target::Client(client),
        mode: Mode::Cutoff,
        expires_at: UnixTime::from_seconds(2_000_000_000),
    }
}

/// An entry with one revocation.
pub(crate) fn revoke(term: u64, index: u64, client: u32) -> EntryOf<TypeConfig> {
    let header = Header {
        region: RegionNumber::new(1).unwrap(),
        node: node(),
        serial: index,
        level: 1,
        proposed_at: UnixTime::from_seconds(1_900_000_000),
    };
    let proposal = Proposal::unsigned(header, Command::Revoke(revocation(client))).unwrap();
    EntryOf::<TypeConfig> {
        log_id: log_id(term, index),
        payload: EntryPayloadOf::<TypeConfig>::Normal(Batch::of(&proposal).unwrap()),
    }
}

/// Appends, and gives what tells that the entries are durable.
pub(crate) async fn submit(
    store: &LogStore,
    entries: Vec<EntryOf<TypeConfig>>,
) -> io::Result<OneshotReceiverOf<TypeConfig, io::Result<()>>> {
    let (done, flushed) = TypeConfig::oneshot();
    let mut store = store.clone();
    store.append(entries, IOFlushed::signal(done)).await?;
    Ok(flushed)
}

/// Appends and waits until the entries are durable.
pub(crate) async fn append(store: &LogStore, entries: Vec<EntryOf<TypeConfig>>) -> io::Result<()> {
    submit(store, entries).await?.await.unwrap()
}
