//! Entries of the log, for operators: what every region holds.

use exequatur_federation::ledger::{Command, EntryPayload, LogEntry};

use super::{Consensus, control::ControlError, convert::from_entry, log_store::LogReader};

/// Entries that are read at once: under 2.2 MiB.
const READ_AT_ONCE: u64 = 128;

impl Consensus {
    /// The committed entry at an index, or the last one that holds a command other than the time.
    ///
    /// # Errors
    /// [`ControlError::NoEntry`], or the log cannot be read.
    pub async fn entry(&self, index: Option<u64>) -> Result<LogEntry, ControlError> {
        let log = self.log.reader();
        // Reading waits for the disk.
        let read = tokio::task::spawn_blocking(move || match index {
            Some(index) => at(&log, index),
            None => last_command(&log),
        });
        read.await.map_err(|error| ControlError::Local(error.to_string()))?
    }
}

/// The first and last committed entry that the log holds.
fn held(log: &LogReader) -> Option<(u64, u64)> {
    let last = log.ends().0?.index;
    let first = log.purged().map_or(0, |id| id.index + 1);
    (first <= last).then_some((first, last))
}

fn at(log: &LogReader, index: u64) -> Result<LogEntry, ControlError> {
    let held = held(log);
    if !held.is_some_and(|(first, last)| (first..=last).contains(&index)) {
        return Err(ControlError::NoEntry(held));
    }
    let found = read(log, index, index + 1)?.pop();
    found.ok_or(ControlError::NoEntry(held))
}

fn last_command(log: &LogReader) -> Result<LogEntry, ControlError> {
    let Some((first, last)) = held(log) else { return Err(ControlError::NoEntry(None)) };
    let mut until = last + 1;
    while until > first {
        let from = first.max(until.saturating_sub(READ_AT_ONCE));
        let entries = read(log, from, until)?;
        if let Some(entry) = entries.into_iter().rev().find(says_something) {
            return Ok(entry);
        }
        until = from;
    }
    Err(ControlError::NoEntry(None))
}

fn says_something(entry: &LogEntry) -> bool {
    match &entry.payload {
        EntryPayload::Batch(batch) => {
            batch.proposals().any(|proposal| !matches!(proposal.command, Command::Tick(_)))
        }
        EntryPayload::Blank | EntryPayload::Membership(_) => false,
    }
}

fn read(log: &LogReader, from: u64, until: u64) -> Result<Vec<LogEntry>, ControlError> {
    let failed = |error: String| ControlError::Local(error);
    let entries = log.read(from, until).map_err(|error| failed(error.to_string()))?;
    let records = entries.iter().map(from_entry).collect::<Result<_, _>>();
    records.map_err(|error| failed(error.to_string()))
}
