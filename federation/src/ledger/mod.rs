//! What all regions agree on: the replicated ledger, as values and pure functions.
//!
//! A region makes a [`Proposal`] of a [`Command`]; consensus puts proposals into one order, several
//! in a [`Batch`]; every node applies them to the same state. Nothing here knows how consensus
//! works, what time it is, or where bytes are kept. The README of this crate explains commands,
//! trust, time, durability and identity.

mod admission;
mod agreement;
mod batch;
mod command;
mod drift;
mod duties;
mod entry;
pub mod envelope;
mod fixed;
mod key;
#[expect(clippy::module_inception, reason = "the ledger is what this module is about")]
mod ledger;
mod outcome;
mod proposal;
mod replicable;
mod rules;
mod snapshot;
mod state;

pub use admission::{Bearer, CLOCK_SECONDS_APART_MAX, admit};
pub use agreement::{Agreement, StateDigest, Verdict};
pub use batch::{BATCH_BYTES_MAX, Batch, BatchBuilder};
pub use command::{
    AcknowledgeKey, ActivateConfig, ActivateKey, AnchorCheckpoint, AnnounceConfig,
    COSIGNATURES_MAX, Command, ConfigScope, Cosign, Cosignature, FOUNDERS_MAX, Genesis, Join,
    LawVersion, Leave, LogName, Mode, PROOF_HASHES_MAX, PublishKey, REGIONS_MAX, RaiseLevel,
    RegionEntry, RegionState, RetireKey, Revoke, RevokeKey, RevokeRegion, STAND_INS_MAX,
    SetRegionState, StatusTarget, Target, Tick, TreeHead,
};
pub use drift::Drift;
pub use duties::{Own, OwnKey};
pub use entry::{
    CONFIGURATIONS_MAX, EntryPayload, LogEntry, LogId, LogState, Member, Membership, NODES_MAX,
    Vote,
};
pub use envelope::{EnvelopeError, Kind};
pub use fixed::{Digest, Fixed, List, TooMany};
pub use key::{
    IdentityKey, IdentityKeyError, KeyPurpose, KeyThumbprint, LedgerKey, Signature, with_low_s,
};
pub use ledger::Ledger;
pub use outcome::{Objection, Outcome, Rejection};
pub use proposal::{Header, LedgerId, PROPOSAL_BYTES_MAX, Proposal};
pub use replicable::Replicable;
pub use rules::{
    ACTIVATION_WAIT, CLIENTS_PER_REGION_MAX, FOREIGN_REVOCATIONS_PER_HOUR_MAX,
    INDEXES_PER_REGION_MAX, KEY_LIFETIME_MAX, KEYS_PER_REGION_MAX, LOGS_PER_REGION_MAX,
    PENDING_PER_REGION_MAX, PENDING_WAIT, PURGE_MARGIN, REGIONS_GONE_MAX, REVOCATION_LIFETIME_MAX,
    RULES_PER_REGION_MAX, TOMBSTONES_PER_REGION_MAX, checkpoint_body, cosignature_message,
};
pub use snapshot::{SnapshotError, SnapshotHead, TABLE_BYTES_MAX};
pub use state::{
    ConfigRow, Cosigner, CutRow, FederationRow, HEADS_KEPT_MAX, Head, Indexes, KeyRow, KeyState,
    ListRow, Lix, LogRow, MemberRow, Owner, PendingAction, PendingRow, Quota, ROWS_PER_SHARD_MAX,
    RegionRow, Revoked, SHARDS, Sharded, Spread, Staged, Window,
};
