//! Consensus among the regions: the ledger's commands in one order, durable, on every node.
//!
//! openraft is used here and nowhere else. What is agreed on, and by which rules, is
//! `exequatur_federation::ledger`; what travels and rests on disk has its formats there.

mod admission;
pub mod control;
mod convert;
mod disk;
mod fault;
mod ledger_shim;
mod log_store;
mod network;
mod proposer;
mod runtime;
mod service;
mod snapshots;
mod state_machine;
mod type_config;

pub use admission::ComeAgain;
pub use convert::{Decision, ENTRIES_MAX, Forwarded, PROPOSALS_MAX};
pub use disk::{DataDirectory, DiskExecutor, DiskThread, Job, LogDisk, SnapshotDisk, Space};
pub use fault::{FaultSignal, StorageFault};
pub use log_store::{
    AnchorSink, DirectoryFacts, DiskSpace, LogParts, LogReader, LogStore, OpenLogError, Opened,
};
pub use network::{Connection, ForwardError, Forwarder, Network};
pub use proposer::{Answer, PROPOSALS_PER_CALL_MAX, ProposeError};
pub use runtime::SeededRuntime;
pub use service::{
    Deadline, OlderThanLedger, Parts, PeerCalls, PeerService, SNAPSHOT_BYTES_MAX, SnapshotCheck,
    TakesProposals,
};
pub use snapshots::Snapshots;
pub use state_machine::{
    LedgerView, Overlay, SNAPSHOT_LOG_BYTES, SharedLedger, SnapshotBuilder, StartError,
    StateMachine, StateMachineParts,
};
pub use type_config::{Outcomes, RaftId, RaftMember, TypeConfig};
