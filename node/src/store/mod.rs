//! The region's database: audit records, replay entries, revocations, the outbox to the federation
//! and status list ids, behind one trait on SQLite and PostgreSQL. All `sqlx` of the project is below
//! this module.
//!
//! What one request must save is saved in one transaction by [`Store::append`], or not at all.
//! What a record says, when it is written and who waits for it is not known here (see
//! [`audit`](crate::audit)). Replay entries are those of RFC 7523 section 3 (`jti`).

mod batch;
mod column;
#[cfg(test)]
mod conformance;
mod error;
mod open;
mod outbox;
mod postgres;
mod sqlite;

use exequatur_federation::{
    audit::{Frontier, SealedRecord},
    time::UnixTime,
};
use futures_util::future::BoxFuture;

pub use error::{OpenError, StoreError};
pub use open::{Access, Binding, Location, LogId, create, open};
pub use outbox::{
    Claim, Lease, OUTBOX_PAGE, OutboxKey, OutboxRow, OutboxState, Outstanding, StoredRow,
};

/// Records a page may hold: at 2 KiB a record, a page stays near 1 MiB.
pub const PAGE_RECORDS_MAX: u32 = 512;

/// Revocations in one answer of [`Store::revocations`]: some 100 KiB.
pub const REVOCATION_PAGE: u32 = 4_096;

/// Status lists in one answer, the newest first. Those with living tokens are a handful; a node
/// that crashes every five seconds draws as many in the time that its tokens live.
pub const STATUS_LISTS_MAX: u32 = 1_024;

/// What an empty append writes: some tens of records, so that a database is not called well again
/// while only a scrap of space is left.
const PROOF_BYTES: usize = 64 * 1_024;

/// Rows that one statement of maintenance touches, so that issuing never waits long behind it.
const MAINTENANCE_ROWS: u32 = 1_000;

/// The region's database.
pub trait Store: Send + Sync + 'static {
    /// Saves a batch in one transaction. Each item is saved whole or, when one of its replay
    /// entries exists already, not at all; the saved records get consecutive numbers after `base`.
    /// Of two items in one batch with a common replay entry the first is saved. An empty batch
    /// saves nothing, but proves that saving works and that there is space for some records.
    ///
    /// # Errors
    /// Nothing was saved if the error is `Full`, `Fenced` or `Behind`. After any other it is
    /// unknown: read [`audit_tail`](Self::audit_tail) before the next batch.
    fn append<'a>(
        &'a self,
        base: &'a Frontier,
        batch: Vec<Append>,
    ) -> BoxFuture<'a, Result<Appended, StoreError>>;

    /// The right edge of this node's log.
    fn audit_tail(&self) -> BoxFuture<'_, Result<Frontier, StoreError>>;

    /// Records of this node's log from number `from` on, at most `limit` and
    /// [`PAGE_RECORDS_MAX`], in order.
    fn audit_page(
        &self,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<StoredRecord>, StoreError>>;

    /// Erases personal parts of records and their salts; returns of how many. The tree stays
    /// verifiable.
    fn erase_personal(&self, which: Erasure) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Revocations that matter at `now`, in order of list and index, after the given one; at most
    /// [`REVOCATION_PAGE`]. An empty answer is the end.
    fn revocations(
        &self,
        after: Option<(u64, u32)>,
        now: UnixTime,
    ) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>>;

    /// Whether other nodes of the region use the database as well.
    fn is_shared(&self) -> bool;

    /// Rows of the outbox in the order of their keys, at most [`OUTBOX_PAGE`]. An empty answer is
    /// the end.
    fn outbox(&self, which: Outstanding) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>>;

    /// These rows of the outbox, as far as there are such.
    fn outbox_rows(
        &self,
        keys: Vec<OutboxKey>,
    ) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>>;

    /// Leases pending rows that nobody sends, the oldest leases first, and gives them.
    fn claim_outbox(&self, claim: Claim) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>>;

    /// Notes what became of pending rows; of one that is pending no more nothing changes.
    fn settle_outbox(
        &self,
        settled: Vec<(OutboxKey, OutboxState)>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Deletes what expired before `now`, a few rows at a time.
    fn purge(&self, now: UnixTime) -> BoxFuture<'_, Result<Purged, StoreError>>;

    /// Takes a random status list id for ever; `false` when it was taken already (draw another).
    fn draw_status_list(&self, list: StatusList) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Notes that a status list gives places to tokens at `now`; a later note stands.
    fn use_status_list(&self, list_id: u64, now: UnixTime)
    -> BoxFuture<'_, Result<(), StoreError>>;

    /// The region's status lists that were used at `since` or later, whichever node draws from
    /// them: the newest first, at most [`STATUS_LISTS_MAX`].
    fn status_lists(&self, since: UnixTime) -> BoxFuture<'_, Result<Vec<StatusList>, StoreError>>;

    /// Waits for running statements and closes all connections.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What one request saves.
#[derive(Clone, Debug)]
pub struct Append {
    /// The sealed record.
    pub record: SealedRecord,
    /// When it was recorded; erasure goes by it.
    pub recorded_at: UnixTime,
    /// What may be used once only.
    pub replays: Vec<Replay>,
    /// What is revoked by this request in a region alone.
    pub revocations: Vec<Revocation>,
    /// What is revoked by this request in a federation.
    pub outbox: Vec<OutboxRow>,
}

/// Something that may be used once, until it expires by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// A digest of what may be used once, made with its purpose and issuer.
    pub key: [u8; 32],
    /// The entry is kept up to this second, included.
    pub expires_at: UnixTime,
}

/// A revoked status reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The status list.
    pub list_id: u64,
    /// The index in it.
    pub index: u32,
    /// The revocation is kept up to this second, included; of two the later one holds.
    pub expires_at: UnixTime,
}

/// The answer to a saved batch.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The tree after the batch.
    pub frontier: Frontier,
    /// One outcome for each item, in order.
    pub outcomes: Vec<AppendOutcome>,
}

/// What became of one item of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It is durable, with this number.
    Saved {
        /// Number of the record in the log, from zero.
        seq: u64,
    },
    /// It was used before; nothing of it was saved.
    Replayed,
}

/// A record as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Number in the log, from zero.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// The record; not verified.
    pub sealed: SealedRecord,
}

/// Whose personal parts are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// Records with these numbers.
    Records(std::ops::Range<u64>),
    /// Records of before this second.
    RecordedBefore(UnixTime),
}

/// What a purge deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Replay entries.
    pub replays: u64,
    /// Revocations.
    pub revocations: u64,
    /// Rows of the outbox.
    pub outbox: u64,
}

/// A status list of this region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StatusList {
    /// Its random id.
    pub list_id: u64,
    /// When it was drawn.
    pub drawn_at: UnixTime,
    /// When it last gave a place to a token, within a minute or so.
    pub used_at: UnixTime,
    /// What its decoys are drawn from; a list from before there were any has none.
    pub decoy_seed: Option<[u8; 32]>,
}

impl std::fmt::Debug for StatusList {
    /// Without the seed, which would tell the decoys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { list_id, drawn_at, used_at, .. } = self;
        write!(f, "StatusList {{ {list_id:016x}, drawn {drawn_at}, used {used_at} }}")
    }
}
