//! Entries of the log.

use exequatur_federation::ledger::{EntryPayload, LogEntry, TooMany};
use openraft::alias::{EntryOf, EntryPayloadOf};

use super::{BadMembership, from_log_id, from_membership, to_log_id, to_membership};
use crate::consensus::TypeConfig;

/// The record of an entry.
///
/// # Errors
/// Its membership has more nodes than a record has room for.
pub(crate) fn from_entry(entry: &EntryOf<TypeConfig>) -> Result<LogEntry, TooMany> {
    let payload = match &entry.payload {
        EntryPayloadOf::<TypeConfig>::Blank => EntryPayload::Blank,
        EntryPayloadOf::<TypeConfig>::Normal(batch) => EntryPayload::Batch(batch.clone()),
        EntryPayloadOf::<TypeConfig>::Membership(membership) => {
            EntryPayload::Membership(from_membership(membership)?)
        }
    };
    Ok(LogEntry { id: from_log_id(&entry.log_id), payload })
}

/// The entry of a record.
///
/// # Errors
/// Its membership makes no sense.
pub(crate) fn to_entry(record: &LogEntry) -> Result<EntryOf<TypeConfig>, BadMembership> {
    let payload = match &record.payload {
        EntryPayload::Blank => EntryPayloadOf::<TypeConfig>::Blank,
        EntryPayload::Batch(batch) => EntryPayloadOf::<TypeConfig>::Normal(batch.clone()),
        EntryPayload::Membership(membership) => {
            EntryPayloadOf::<TypeConfig>::Membership(to_membership(membership)?)
        }
    };
    Ok(EntryOf::<TypeConfig> { log_id: to_log_id(&record.id), payload })
}
