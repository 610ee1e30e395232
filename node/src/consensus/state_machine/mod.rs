//! Applies committed entries to the ledger and publishes each new state.
//!
//! By which rules a proposal takes effect is the ledger's affair, and so are the bytes of a
//! snapshot. An entry that cannot be applied stops the node: skipping it would make this node's
//! ledger another than the others'. Only entries that are durable here come here (the reader of the
//! log sees to that).

mod builder;
mod demand;
mod recent;
mod shared;
mod start;
#[cfg(test)]
mod tests;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use exequatur_federation::{
    ledger::{Batch, Digest, Ledger, LogId, SnapshotHead},
    membership::{LEVELS, voters},
};
use futures_util::{Stream, TryStreamExt as _};
use openraft::{
    OptionalSend,
    alias::{EntryOf, EntryPayloadOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf},
    storage::{EntryResponder, RaftStateMachine},
};
use tokio::sync::watch;

pub use builder::SnapshotBuilder;
pub use demand::SNAPSHOT_LOG_BYTES;
pub use shared::{LedgerView, Overlay, SharedLedger};
pub use start::StartError;

use self::demand::Demand;
use super::{
    Outcomes, TypeConfig,
    convert::{from_log_id, from_membership, to_log_id, to_membership},
    fault::{FaultSignal, StorageFault},
    log_store::{DiskSpace, LogReader},
    snapshots::Snapshots,
};

/// What a state machine works with.
#[derive(Clone, Debug)]
pub struct StateMachineParts {
    /// The log of this node.
    pub log: LogReader,
    /// Room on its disk.
    pub space: DiskSpace,
    /// Its snapshots.
    pub snapshots: Snapshots,
    /// The genesis that the ledger begins with.
    pub genesis: Digest,
    /// Who is told that the node must stop.
    pub fault: FaultSignal,
}

/// The state machine of Raft.
#[derive(Debug)]
pub struct StateMachine {
    parts: StateMachineParts,
    ledger: Ledger,
    head: SnapshotHead,
    overlay: Overlay,
    demand: Demand,
    shared: SharedLedger,
}

impl StateMachine {
    /// The states as they are published.
    #[must_use]
    pub fn shared(&self) -> SharedLedger {
        self.shared.clone()
    }

    /// True while a snapshot is due; whoever sees it asks consensus for one.
    #[must_use]
    pub fn wants_snapshot(&self) -> watch::Receiver<bool> {
        self.demand.watch()
    }

    fn publish(&mut self) {
        if let Some(applied) = self.head.last {
            self.overlay = self.overlay.without(applied.index);
        }
        self.shared.publish(LedgerView {
            ledger: self.ledger.clone(),
            applied: self.head.last,
            membership: self.head.membership.clone(),
            membership_at: self.head.membership_at,
            overlay: self.overlay.clone(),
        });
    }

    /// The state is that of a snapshot.
    fn note_snapshot(&self) {
        if let Some(last) = self.head.last {
            self.shared.note(last.index, self.ledger.digest());
        }
    }

    /// Applies one entry.
    fn apply_entry(&mut self, entry: &EntryOf<TypeConfig>) -> Result<Outcomes, StorageFault> {
        let id = from_log_id(&entry.log_id);
        let fault = |cause: String| StorageFault::Apply { index: id.index, cause };
        if self.head.last.is_some_and(|last| last.index >= id.index) {
            return Err(fault("it was applied before".to_owned()));
        }
        let outcomes = match &entry.payload {
            EntryPayloadOf::<TypeConfig>::Blank => Outcomes::default(),
            EntryPayloadOf::<TypeConfig>::Normal(batch) => {
                self.apply_batch(id, batch).map_err(fault)?
            }
            EntryPayloadOf::<TypeConfig>::Membership(membership) => {
                self.head.membership =
                    from_membership(membership).map_err(|error| fault(error.to_string()))?;
                self.head.membership_at = Some(id);
                // It is in force whatever is said here: an operator may have accepted it.
                if let Err(fault) = voters::check_membership(&self.head.membership, false) {
                    tracing::error!(index = id.index, %fault, "the voters break a rule");
                }
                Outcomes::default()
            }
        };
        self.head.last = Some(id);
        self.shared.note(id.index, self.ledger.digest());
        Ok(outcomes)
    }

    fn apply_batch(&mut self, id: LogId, batch: &Batch) -> Result<Outcomes, String> {
        let ledger = &mut self.ledger;
        let outcomes = catch_unwind(AssertUnwindSafe(|| ledger.apply(id.index, batch)))
            .map_err(|_| "the ledger panicked".to_owned())?;
        if outcomes.len() as u64 != u64::from(batch.len()) {
            return Err(format!("{} outcomes for {} proposals", outcomes.len(), batch.len()));
        }
        let level = self.ledger.level();
        if self.ledger.id().is_some() && !LEVELS.contains(level) {
            // Whatever comes next has rules that this program does not know.
            return Err(format!("the ledger is at feature level {level}: upgrade this node"));
        }
        self.demand.add(batch.sealed().len() as u64);
        Ok(Outcomes(outcomes))
    }

    fn stored_membership(head: &SnapshotHead) -> io::Result<StoredMembershipOf<TypeConfig>> {
        let membership = to_membership(&head.membership)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let at = head.membership_at.as_ref().map(to_log_id);
        Ok(StoredMembershipOf::<TypeConfig>::new(at, membership))
    }

    fn meta(head: &SnapshotHead) -> io::Result<SnapshotMetaOf<TypeConfig>> {
        Ok(SnapshotMetaOf::<TypeConfig> {
            last_log_id: head.last.as_ref().map(to_log_id),
            last_membership: Self::stored_membership(head)?,
        })
    }

    fn failed(&self, fault: StorageFault) -> io::Error {
        self.parts.fault.raise(fault.clone());
        io::Error::other(fault)
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>), io::Error> {
        Ok((self.head.last.as_ref().map(to_log_id), Self::stored_membership(&self.head)?))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            // Nothing of a batch is published in which an entry failed: what the ledger looks like
            // then is not known.
            let outcomes = self.apply_entry(&entry).map_err(|fault| self.failed(fault))?;
            answers.extend(responder.map(|responder| (responder, outcomes)));
        }
        // Before the answers: whoever has one finds its effect.
        self.publish();
        for (responder, outcomes) in answers {
            responder.send(outcomes);
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<SnapshotBuilder> {
        if !force && !self.parts.space.has_room() {
            tracing::warn!("no snapshot is made: the disk has no room");
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder::new(self)
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: Bytes,
    ) -> Result<(), io::Error> {
        let refused = |cause: String| StorageFault::Snapshot { cause };
        let (head, ledger) = Ledger::restore(&snapshot, self.parts.genesis)
            .map_err(|error| self.failed(refused(error.to_string())))?;
        if Self::meta(&head)? != *meta {
            let cause = format!("it ends at {:?}, not at {:?}", head.last, meta.last_log_id);
            return Err(self.failed(refused(cause)));
        }
        self.parts
            .snapshots
            .save(head.last, snapshot)
            .await
            .map_err(|error| self.failed(refused(error.to_string())))?;
        self.demand.covered(self.demand.bytes());
        self.ledger = ledger;
        self.head = head;
        self.note_snapshot();
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, Bytes>>, io::Error> {
        let Some(valid) = self.parts.snapshots.newest().await? else { return Ok(None) };
        Ok(Some(SnapshotOf::<TypeConfig, Bytes> {
            meta: Self::meta(&valid.head)?,
            snapshot: valid.bytes,
        }))
    }
}
