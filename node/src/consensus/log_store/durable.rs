//! The two tables of the file: entries by index, and the one record that says whose log it is, how
//! far it goes and for whom the node voted. That record is written with every transaction, so the
//! two can never tell different stories.

use std::ops::RangeBounds;

use exequatur_federation::ledger::{EnvelopeError, LogEntry, LogId, LogState};
use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _, TableDefinition};

use super::queue::Change;

/// Index to the frame of an entry.
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
/// One row.
const STATE: TableDefinition<'_, (), &[u8]> = TableDefinition::new("state");

/// Why what is stored cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The database says so.
    #[error("{0}")]
    Database(String),
    /// The record of the log's state is not there.
    #[error("the record of the log's state is missing")]
    NoState,
    /// The table of entries is not there.
    #[error("the table of entries is missing")]
    NoEntries,
    /// The record of the log's state is damaged.
    #[error("the record of the log's state is damaged: {0}")]
    State(EnvelopeError),
    /// An entry is damaged.
    #[error("entry {index} is damaged: {cause}")]
    Entry { index: u64, cause: EnvelopeError },
    /// An entry stands in another's place.
    #[error("entry {got} stands in the place of entry {index}")]
    Displaced { index: u64, got: u64 },
    /// The membership of an entry makes no sense.
    #[error("the membership in entry {index} makes no sense")]
    Membership { index: u64 },
    /// An entry is not there.
    #[error("entry {index} is missing")]
    Missing { index: u64 },
    /// The last entry is another than the state says.
    #[error("the last entry is {got:?}, not {expected:?}")]
    Last { expected: Option<LogId>, got: Option<LogId> },
}

impl ReadError {
    fn database(error: impl Into<redb::Error>) -> Self {
        Self::Database(error.into().to_string())
    }
}

/// What the log says of itself after the changes.
pub(super) fn after(state: &LogState, changes: &[Change], committed: Option<LogId>) -> LogState {
    let mut next = *state;
    for change in changes {
        match change {
            Change::Append { last, .. } => next.last = Some(*last),
            Change::Truncate { after } => {
                let kept = after.map(|id| id.index);
                if next.last.map(|last| last.index) > kept {
                    next.last = (*after).max(next.purged);
                }
            }
            Change::Purge { upto } => {
                next.purged = next.purged.max(Some(*upto));
                next.last = next.last.max(next.purged);
            }
            Change::Vote { vote, .. } => next.vote = Some(*vote),
            Change::Commit { .. } | Change::Anchor { .. } => {}
        }
    }
    // An entry that still waits is not yet said to be committed.
    if committed.map(|id| id.index) <= next.last.map(|id| id.index) {
        next.committed = committed;
    }
    next
}

/// Writes changes and the state after them in one transaction.
pub(super) fn commit(
    database: &Database,
    changes: &[Change],
    next: &LogState,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // The default, said aloud: everything above relies on it.
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        for change in changes {
            match change {
                Change::Append { frames, .. } => {
                    for (index, frame) in frames {
                        entries.insert(index, frame.as_slice())?;
                    }
                }
                Change::Truncate { after } => {
                    let from = after.map_or(0, |id| id.index + 1);
                    entries.retain_in(from.., |_, _| false)?;
                }
                Change::Purge { upto } => entries.retain_in(..=upto.index, |_, _| false)?,
                Change::Vote { .. } | Change::Commit { .. } | Change::Anchor { .. } => {}
            }
        }
        transaction.open_table(STATE)?.insert((), next.seal().as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

/// What the log says of itself.
pub(super) fn read_state(database: &Database) -> Result<LogState, ReadError> {
    let transaction = begin_read(database)?;
    let table = match transaction.open_table(STATE) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Err(ReadError::NoState),
        table => table.map_err(ReadError::database)?,
    };
    let row = table.get(()).map_err(ReadError::database)?.ok_or(ReadError::NoState)?;
    LogState::open(row.value()).map_err(ReadError::State)
}

/// The log as it is durable now, for reading, whatever is written meanwhile.
pub(super) fn begin_read(database: &Database) -> Result<ReadTransaction, ReadError> {
    database.begin_read().map_err(ReadError::database)
}

/// Hands on entries of a range, each checked, in ascending order.
pub(super) fn read_entries(
    transaction: &ReadTransaction,
    range: impl RangeBounds<u64>,
    mut entry: impl FnMut(LogEntry) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let table = match transaction.open_table(ENTRIES) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Err(ReadError::NoEntries),
        table => table.map_err(ReadError::database)?,
    };
    for row in table.range(range).map_err(ReadError::database)? {
        let (key, frame) = row.map_err(ReadError::database)?;
        let index = key.value();
        let read =
            LogEntry::open(frame.value()).map_err(|cause| ReadError::Entry { index, cause })?;
        if read.id.index != index {
            return Err(ReadError::Displaced { index, got: read.id.index });
        }
        entry(read)?;
    }
    Ok(())
}

/// Reads every entry and checks that none is missing between the purged one and the last.
pub(super) fn verify(database: &Database, state: &LogState) -> Result<(), ReadError> {
    let mut next = state.purged.map_or(0, |id| id.index + 1);
    let mut last = state.purged;
    read_entries(&begin_read(database)?, .., |entry| {
        if entry.id.index != next {
            return Err(ReadError::Missing { index: next });
        }
        next += 1;
        last = Some(entry.id);
        Ok(())
    })?;
    if last != state.last {
        return Err(ReadError::Last { expected: state.last, got: last });
    }
    Ok(())
}
