//! The handle on the audit log: waits until a record is durable, or says why it is not.

use std::{ops::Deref, time::Duration};

use exequatur_federation::{
    audit::{AuditRecord, Frontier},
    authenticate, revocation,
    time::UnixTime,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{OutboxRow, Replay, Revocation};
use crate::store::StoreError;

/// Longest record with its personal part: claims and rules of a token under 2 KiB fit many times,
/// and a full batch stays under 16 MiB.
pub const RECORD_BYTES_MAX: usize = 64 * 1_024;

/// How long a caller waits, and how long the writer lets a transaction take: a client's own
/// deadline is rarely shorter, and a local save takes a hundredth of it.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(2);

/// One record and what must be saved with it or not at all.
#[derive(Clone, Debug)]
pub struct AuditItem {
    /// The public part, as JSON bytes.
    pub record: Vec<u8>,
    /// The part that speaks of a person, as JSON bytes; it can be erased later.
    pub personal: Option<Vec<u8>>,
    /// The time that the record itself names; erasure goes by it.
    pub recorded_at: UnixTime,
    /// What this request uses up.
    pub replays: Vec<Replay>,
    /// What this request revokes in a region alone.
    pub revocations: Vec<Revocation>,
    /// What this request revokes in a federation.
    pub outbox: Vec<OutboxRow>,
}

impl AuditItem {
    /// The item of a record that uses up nothing and revokes nothing.
    ///
    /// # Errors
    /// The record cannot be written as JSON.
    pub fn of(record: &AuditRecord) -> Result<Self, serde_json::Error> {
        Ok(Self {
            record: record.to_json()?,
            personal: record.personal_to_json()?,
            recorded_at: record.at(),
            replays: Vec::new(),
            revocations: Vec::new(),
            outbox: Vec::new(),
        })
    }

    /// The same item, which also uses up what may be used once.
    #[must_use]
    pub fn once(mut self, used: authenticate::Replay) -> Self {
        self.replays.push(Replay { key: used.key, expires_at: used.expires });
        self
    }

    /// The same item, which also leaves revocations for the federation.
    #[must_use]
    pub fn leaving(mut self, rows: Vec<OutboxRow>) -> Self {
        self.outbox.extend(rows);
        self
    }

    /// The same item, which also revokes a token.
    #[must_use]
    pub fn revoking(mut self, revoked: revocation::Revocation) -> Self {
        self.revocations.push(Revocation {
            list_id: revoked.status.list.bits(),
            index: revoked.status.index,
            expires_at: revoked.expires,
        });
        self
    }
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its number in this node's log, from zero.
    pub seq: u64,
}

/// The tree as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of records.
    pub size: u64,
    /// Merkle tree hash (RFC 6962 section 2.1).
    pub root: [u8; 32],
}

/// Why a record is not known to be durable. Nothing may be issued on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// What may be used once was used before; this request saved nothing.
    #[error("it was used before")]
    Replayed,
    /// Too many records wait already; nothing was saved.
    #[error("the audit log is overloaded: try again")]
    Overloaded,
    /// The record is too long; nothing was saved.
    #[error("the audit record has {got} bytes, more than {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Length of the record with its personal part.
        got: usize,
    },
    /// The database has no space left; nothing was saved.
    #[error("the region's database is full: add space, and issuing resumes by itself")]
    Full,
    /// Another process writes this log; this one never will again.
    #[error("another process took over this audit log: restart the node")]
    Fenced,
    /// The database did not answer, or not in time.
    #[error("the audit log cannot be written now")]
    Unavailable,
}

/// What keeps the log from being written, for readiness and operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A transaction took too long.
    #[error("the region's database does not answer within {} s", WAIT_MAX.as_secs())]
    Deadline,
    /// No salts can be drawn.
    #[error(transparent)]
    Entropy(#[from] crate::entropy::EntropyError),
    /// The writer does not run.
    #[error("the audit writer has stopped: restart the node")]
    Stopped,
}

/// A value whose audit record is durable. Nothing outside this file can make one:
///
/// ```compile_fail
/// let forged = exequatur_node::audit::Recorded { value: "token", seq: 0 };
/// ```
#[derive(Debug)]
pub struct Recorded<T> {
    value: T,
    seq: u64,
}

/// A handle on the log of this node; cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditLog {
    queue: mpsc::Sender<Job>,
    state: watch::Receiver<State>,
}

/// What the writer tells the handles.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) head: Head,
    pub(super) trouble: Option<Trouble>,
}

/// An item and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) item: AuditItem,
    pub(super) answer: oneshot::Sender<Result<Saved, RecordError>>,
}

impl AuditLog {
    pub(super) const fn new(queue: mpsc::Sender<Job>, state: watch::Receiver<State>) -> Self {
        Self { queue, state }
    }

    /// Saves a record and waits until it is durable.
    ///
    /// A caller that stops waiting does not stop the save: the record may then exist although
    /// nothing was issued on it.
    ///
    /// # Errors
    /// See [`RecordError`]. While the database fails, the answer comes at once.
    pub async fn record(&self, item: AuditItem) -> Result<Saved, RecordError> {
        let got = item.record.len() + item.personal.as_ref().map_or(0, Vec::len);
        if got > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge { got });
        }
        if let Some(trouble) = &self.state.borrow().trouble {
            return Err(trouble.into());
        }
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { item, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RecordError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => RecordError::Unavailable,
        })?;
        match timeout(WAIT_MAX, answered).await {
            Ok(Ok(outcome)) => outcome,
            // The writer ended, or the time is over.
            Ok(Err(_)) | Err(_) => Err(RecordError::Unavailable),
        }
    }

    /// Saves the record of a decision, and hands the decision back as what may be signed.
    ///
    /// # Errors
    /// As [`record`](Self::record); the decision is dropped.
    pub async fn record_authorization<T>(
        &self,
        value: T,
        item: AuditItem,
    ) -> Result<Recorded<T>, RecordError> {
        let Saved { seq } = self.record(item).await?;
        Ok(Recorded { value, seq })
    }

    /// The tree as it is now.
    #[must_use]
    pub fn head(&self) -> Head {
        self.state.borrow().head
    }

    /// Why nothing can be recorded now; `None` when all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        if self.queue.is_closed() {
            return Some(self.state.borrow().trouble.clone().unwrap_or(Trouble::Stopped));
        }
        self.state.borrow().trouble.clone()
    }

    /// Waits until the head or the trouble changes; `false` when the writer has ended.
    pub async fn changed(&mut self) -> bool {
        self.state.changed().await.is_ok()
    }
}

impl<T> Recorded<T> {
    /// Number of the record.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Recorded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl From<&Frontier> for Head {
    fn from(frontier: &Frontier) -> Self {
        Self { size: frontier.size(), root: frontier.root() }
    }
}

impl From<&Trouble> for RecordError {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Store(StoreError::Full) => Self::Full,
            Trouble::Store(StoreError::Fenced) => Self::Fenced,
            Trouble::Store(
                StoreError::Unavailable { .. }
                | StoreError::Behind
                | StoreError::NotDurable { .. }
                | StoreError::Damaged { .. }
                | StoreError::Refused { .. },
            )
            | Trouble::Deadline
            | Trouble::Entropy(_)
            | Trouble::Stopped => Self::Unavailable,
        }
    }
}
