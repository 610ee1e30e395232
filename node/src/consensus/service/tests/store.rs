//! A log and a state machine in memory, for tests of what travels.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use exequatur_federation::ledger::Outcome;
use futures_util::{Stream, TryStreamExt as _};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf},
    entry::RaftEntry as _,
    storage::{
        EntryResponder, IOFlushed, LogState, RaftLogReader, RaftLogStorage, RaftStateMachine,
    },
};

use crate::consensus::{Outcomes, TypeConfig};

#[derive(Default)]
struct Log {
    vote: Option<VoteOf<TypeConfig>>,
    purged: Option<LogIdOf<TypeConfig>>,
    entries: BTreeMap<u64, EntryOf<TypeConfig>>,
}

#[derive(Clone, Default)]
pub(super) struct MemoryLog(Arc<Mutex<Log>>);

impl MemoryLog {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }

    /// Index of the last entry; 0 if there is none.
    pub(super) fn last(&self) -> u64 {
        let log = self.log();
        let last = log.entries.keys().next_back().copied();
        last.or(log.purged.map(|id| id.index)).unwrap_or(0)
    }
}

impl RaftLogReader<TypeConfig> for MemoryLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<EntryOf<TypeConfig>>, io::Error> {
        Ok(self.log().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<TypeConfig>>, io::Error> {
        Ok(self.log().vote)
    }
}

impl RaftLogStorage<TypeConfig> for MemoryLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let log = self.log();
        let last = log.entries.values().next_back().map(|entry| entry.log_id());
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last.or(log.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> Result<(), io::Error> {
        self.log().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        for entry in entries {
            self.log().entries.insert(entry.index(), entry);
        }
        done.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<TypeConfig>>) -> Result<(), io::Error> {
        self.log().entries.split_off(&last.map_or(0, |id| id.index + 1));
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<TypeConfig>) -> Result<(), io::Error> {
        let mut log = self.log();
        log.entries = log.entries.split_off(&(upto.index + 1));
        log.purged = Some(upto);
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct State {
    last: Option<LogIdOf<TypeConfig>>,
    membership: StoredMembershipOf<TypeConfig>,
    snapshot: Option<SnapshotOf<TypeConfig, Bytes>>,
    /// Bytes that the next snapshot has.
    pub(super) snapshot_bytes: Bytes,
    /// Snapshots that were installed.
    pub(super) installed: Vec<Bytes>,
}

#[derive(Clone, Default)]
pub(super) struct Machine(pub(super) Arc<Mutex<State>>);

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, Bytes>, io::Error> {
        let mut state = self.0.lock().unwrap();
        let meta = SnapshotMetaOf::<TypeConfig> {
            last_log_id: state.last,
            last_membership: state.membership.clone(),
        };
        let snapshot = state.snapshot_bytes.clone();
        let snapshot = SnapshotOf::<TypeConfig, Bytes> { meta, snapshot };
        state.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>), io::Error> {
        let state = self.0.lock().unwrap();
        Ok((state.last, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut state = self.0.lock().unwrap();
            state.last = Some(entry.log_id());
            let outcomes = match entry.payload {
                EntryPayload::Blank => Vec::new(),
                EntryPayload::Normal(batch) => {
                    batch.proposals().map(|_| Outcome::Applied).collect()
                }
                EntryPayload::Membership(membership) => {
                    state.membership =
                        StoredMembershipOf::<TypeConfig>::new(state.last, membership);
                    Vec::new()
                }
            };
            if let Some(responder) = responder {
                responder.send(Outcomes(outcomes));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: Bytes,
    ) -> Result<(), io::Error> {
        let mut state = self.0.lock().unwrap();
        state.last = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.installed.push(snapshot.clone());
        state.snapshot = Some(SnapshotOf::<TypeConfig, Bytes> { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, Bytes>>, io::Error> {
        Ok(self.0.lock().unwrap().snapshot.clone())
    }
}
