//! From what rests on disk to the first state that is published.

use std::io;

use exequatur_federation::ledger::{Command, Ledger, LogId, Revoke, SnapshotHead};
use openraft::alias::{EntryOf, EntryPayloadOf};

use super::{Demand, LedgerView, Overlay, SharedLedger, StateMachine, StateMachineParts};
use crate::consensus::{
    TypeConfig,
    fault::StorageFault,
    snapshots::{Found, Valid},
};

/// Entries that are read at a time.
const CHUNK: u64 = 128;

/// Why a node cannot begin with what is on its disk.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Neither snapshots nor log make the state that this node had.
    #[error(
        "no usable snapshot: {cause}; the log begins after entry {purged:?} and cannot make up for \
         it. What this node promised to others may be lost: remove it (`exequatur cluster remove`) \
         and join again as a new node (`exequatur init`, then `exequatur cluster join`)"
    )]
    NoSnapshot {
        /// What is wrong with the snapshot that is missing.
        cause: String,
        /// The last entry that was dropped at the front of the log.
        purged: Option<u64>,
    },
    /// The disk fails, or an entry is damaged.
    #[error("the log and snapshots cannot be read")]
    Read(#[source] io::Error),
    /// A committed entry cannot be applied.
    #[error(transparent)]
    Apply(StorageFault),
}

impl StateMachine {
    /// Loads the newest usable snapshot, applies the log up to where it is known to be committed,
    /// and collects the revocations after that. Nothing is published before.
    ///
    /// # Errors
    /// What is on the disk does not make the state that this node had.
    pub fn open(parts: StateMachineParts) -> Result<Self, StartError> {
        let found = parts.snapshots.find().map_err(StartError::Read)?;
        let (committed, last) = parts.log.ends();
        let purged = parts.log.purged();
        let valid = usable(found, purged, last)?;
        let (head, ledger) = valid.map_or_else(
            || (SnapshotHead::default(), Ledger::new(parts.genesis)),
            |valid| (valid.head, valid.ledger),
        );
        let shared = SharedLedger::new(LedgerView::empty(parts.genesis));
        let demand = Demand::default();
        let overlay = Overlay::default();
        let mut machine = Self { parts, ledger, head, overlay, demand, shared };
        machine.note_snapshot();
        machine.replay(committed)?;
        machine.overlay = machine.beyond_committed()?;
        machine.publish();
        Ok(machine)
    }

    fn next(&self) -> u64 {
        self.head.last.map_or(0, |id| id.index + 1)
    }

    fn read(&self, from: u64, until: u64) -> Result<Vec<EntryOf<TypeConfig>>, StartError> {
        self.parts.log.read(from, until.min(from.saturating_add(CHUNK))).map_err(StartError::Read)
    }

    fn replay(&mut self, committed: Option<LogId>) -> Result<(), StartError> {
        let until = committed.map_or(0, |id| id.index + 1);
        loop {
            let entries = self.read(self.next(), until)?;
            if entries.is_empty() {
                return Ok(());
            }
            for entry in &entries {
                self.apply_entry(entry).map_err(StartError::Apply)?;
            }
        }
    }

    /// Revocations in entries that are durable here and not known to be committed.
    fn beyond_committed(&self) -> Result<Overlay, StartError> {
        let mut revocations: Vec<(u64, Revoke)> = Vec::new();
        let mut from = self.next();
        loop {
            let entries = self.read(from, u64::MAX)?;
            let Some(last) = entries.last() else { return Ok(Overlay::new(revocations)) };
            from = last.log_id.index + 1;
            for entry in &entries {
                let EntryPayloadOf::<TypeConfig>::Normal(batch) = &entry.payload else { continue };
                for proposal in batch.proposals() {
                    if let Command::Revoke(revoke) = proposal.command {
                        revocations.push((entry.log_id.index, revoke));
                    }
                }
            }
        }
    }
}

/// The snapshot to begin with, if the log carries on from it to at least where the node was.
fn usable(
    found: Found,
    purged: Option<LogId>,
    last: Option<LogId>,
) -> Result<Option<Valid>, StartError> {
    let purged = purged.map(|id| id.index);
    let log_end = last.map_or(0, |id| id.index + 1);
    let covered =
        found.valid.as_ref().and_then(|valid| valid.head.last).map_or(0, |id| id.index + 1);
    let refused = |cause: String| Err(StartError::NoSnapshot { cause, purged });
    if let Some((newest, cause)) = &found.damaged
        && log_end < *newest
    {
        return refused(format!("{cause}, and the log ends before it"));
    }
    if purged.is_some_and(|purged| purged >= covered) {
        let cause = found
            .damaged
            .map_or_else(|| format!("the newest covers {covered} entries"), |(_, cause)| cause);
        return refused(cause);
    }
    Ok(found.valid)
}
