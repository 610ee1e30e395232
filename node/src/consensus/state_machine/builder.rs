//! Makes a snapshot of one state while later entries are applied.

use std::io;

use bytes::Bytes;
use exequatur_federation::ledger::{Ledger, SnapshotHead};
use openraft::{alias::SnapshotOf, storage::RaftSnapshotBuilder};

use super::{Demand, StateMachine};
use crate::consensus::{
    TypeConfig,
    fault::{FaultSignal, StorageFault},
    snapshots::Snapshots,
};

/// One state, to be made a snapshot of.
#[derive(Debug)]
pub struct SnapshotBuilder {
    ledger: Ledger,
    head: SnapshotHead,
    snapshots: Snapshots,
    demand: Demand,
    /// Bytes of log that the state contains.
    bytes: u64,
    fault: FaultSignal,
}

impl SnapshotBuilder {
    pub(super) fn new(machine: &StateMachine) -> Self {
        Self {
            ledger: machine.ledger.clone(),
            head: machine.head.clone(),
            snapshots: machine.parts.snapshots.clone(),
            demand: machine.demand.clone(),
            bytes: machine.demand.bytes(),
            fault: machine.parts.fault.clone(),
        }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, Bytes>, io::Error> {
        let (ledger, head) = (self.ledger.clone(), self.head.clone());
        let snapshots = &self.snapshots;
        let built = async {
            // Writing out a large ledger takes long enough to keep a runtime's thread from others.
            let bytes = snapshots.on_disk(move || Ok(Bytes::from(ledger.snapshot(&head)))).await?;
            snapshots.save(self.head.last, bytes.clone()).await?;
            Ok::<_, io::Error>(bytes)
        };
        let bytes = built.await.inspect_err(|error| {
            self.fault.raise(StorageFault::Snapshot { cause: error.to_string() });
        })?;
        self.demand.covered(self.bytes);
        Ok(SnapshotOf::<TypeConfig, Bytes> {
            meta: StateMachine::meta(&self.head)?,
            snapshot: bytes,
        })
    }
}
