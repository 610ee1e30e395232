//! Consensus among the regions: the ledger's commands in one order, durable, on every node.
//!
//! openraft is used here and nowhere else. What is agreed on, and by which rules, is
//! `exequatur_federation::ledger`; what travels and rests on disk has its formats there.

mod admission;
mod contact;
pub mod control;
mod convert;
mod disk;
mod entries;
mod fault;
mod handle;
mod leader;
mod log_store;
mod members;
mod network;
mod proposer;
mod read_index;
mod runtime;
mod service;
mod signing;
mod snapshots;
mod start;
mod state_machine;
mod status;
mod type_config;
mod upkeep;

pub use admission::ComeAgain;
pub use contact::LeaderContact;
pub use convert::{Confirmation, ENTRIES_MAX, Forwarded, LeaderAction, Probed};
pub use disk::{DataDirectory, DiskExecutor, DiskThread, Job, LogDisk, SnapshotDisk, Space};
pub use fault::{FaultSignal, StorageFault};
pub use handle::{Consensus, FederationMap};
pub use log_store::{AnchorSink, DiskSpace, LogParts, LogReader, LogStore, OpenLogError, Opened};
pub use members::VoterChange;
pub use network::{Connection, ForwardError, Forwarder, Network};
pub use proposer::{Answer, PROPOSALS_PER_CALL_MAX, ProposeError};
pub use read_index::{ReadIndexError, ReadingIndex, ReadsIndex};
pub use runtime::SeededRuntime;
pub use service::{
    Deadline, Leads, OlderThanLedger, Parts, PeerCalls, PeerService, RoomCheck, SNAPSHOT_BYTES_MAX,
    SnapshotCheck,
};
pub use snapshots::Snapshots;
pub use start::{ConsensusParts, LeaderDuties, Running, StartRaftError, Task, start};
pub use state_machine::{
    LedgerView, Overlay, SNAPSHOT_LOG_BYTES, SharedLedger, SnapshotBuilder, StartError,
    StateMachine, StateMachineParts,
};
pub use type_config::{Outcomes, RaftId, RaftMember, TypeConfig};

/// openraft with this node's state machine.
type Raft = openraft::Raft<TypeConfig, StateMachine>;
