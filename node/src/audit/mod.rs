//! The region's audit log: a record is durable before anything is signed.
//!
//! [`open_log`] gives a handle for whoever must record and a writer for the supervisor to run. The
//! writer saves what has queued up in one transaction. Only a durable save makes a
//! [`Recorded`], and only that can be signed. What a record says is decided elsewhere
//! ([`exequatur_federation::audit`] seals it); SQL is behind [`Store`](crate::store::Store).

#[cfg(test)]
pub(crate) mod faulty;
mod log;
mod refusals;
mod verify;
mod writer;
#[cfg(test)]
mod writer_test;

pub use crate::store::{OutboxRow, Replay, Revocation};
pub use log::{AuditItem, AuditLog, Head, RECORD_BYTES_MAX, RecordError, Recorded, Saved, Trouble};
pub use refusals::{COUNT_INTERVAL, CountedRefusals, REASONS_MAX, RefusalCount};
pub use verify::{VerifiedLog, VerifyError, verify};
pub use writer::{AuditWriter, BATCH_MAX, OnRevoked, QUEUE_MAX, Revoked, WriterStopped, open_log};
