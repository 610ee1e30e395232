//! What waits to be written, and how the log looks once it is.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
};

use exequatur_federation::ledger::{LogId, LogState, Vote};
use openraft::{
    alias::{EntryOf, LogIdOf, VoteOf},
    storage::IOFlushed,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::consensus::{
    TypeConfig,
    convert::{to_log_id, to_vote},
};

/// Most bytes of durable entries that are kept in memory for followers that are nearly up to date
/// and for applying.
const TAIL_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most bytes of entries in one transaction: what fits a disk's write cache, so that one slow
/// follower's catching up does not make a vote wait for long.
const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One change of the log.
pub(super) enum Change {
    /// Entries, sealed, in their order.
    Append {
        frames: Vec<(u64, Vec<u8>)>,
        last: LogId,
        done: IOFlushed<TypeConfig>,
        /// Given back once the entries are durable.
        room: OwnedSemaphorePermit,
    },
    /// Drops what follows; `None` drops everything.
    Truncate { after: Option<LogId> },
    /// Drops the front.
    Purge { upto: LogId },
    /// A vote.
    Vote { vote: Vote, done: oneshot::Sender<io::Result<()>> },
    /// How far the log is committed, if nothing else is to be written.
    Commit { done: oneshot::Sender<io::Result<()>> },
    /// Tells the anchor.
    Anchor { done: oneshot::Sender<io::Result<()>> },
}

impl Change {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { frames, .. } => frames.iter().map(|(_, frame)| frame.len()).sum(),
            Self::Truncate { .. }
            | Self::Purge { .. }
            | Self::Vote { .. }
            | Self::Commit { .. }
            | Self::Anchor { .. } => 0,
        }
    }

    /// Behind which entry it cuts the log, if it does.
    pub(super) fn cut(&self) -> Option<Option<LogId>> {
        if let Self::Truncate { after } = self { Some(*after) } else { None }
    }

    /// Ends the wait of whoever asked for it.
    pub(super) fn complete(self, result: io::Result<()>) {
        match self {
            Self::Append { done, room, .. } => {
                done.io_completed(result);
                drop(room);
            }
            Self::Vote { done, .. } | Self::Commit { done } | Self::Anchor { done } => {
                // Whoever asked may have stopped waiting.
                drop(done.send(result));
            }
            Self::Truncate { .. } | Self::Purge { .. } => {}
        }
    }
}

/// An entry in memory.
#[derive(Debug)]
struct Kept {
    entry: EntryOf<TypeConfig>,
    bytes: usize,
}

/// The queue, and the log as it is once the queue is written.
pub(super) struct Queue {
    changes: VecDeque<Change>,
    /// Whether the executor has a job that will look at the queue.
    pub(super) scheduled: bool,
    /// The last entries, those that wait among them; without a gap.
    tail: BTreeMap<u64, Kept>,
    tail_bytes: usize,
    /// Every entry below is durable.
    durable_next: u64,
    pub(super) vote: Option<VoteOf<TypeConfig>>,
    pub(super) committed: Option<LogIdOf<TypeConfig>>,
    pub(super) purged: Option<LogIdOf<TypeConfig>>,
    pub(super) last: Option<LogIdOf<TypeConfig>>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("changes", &self.changes.len())
            .field("tail", &self.tail.len())
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// A log that was read from the disk; nothing waits.
    pub(super) fn new(state: &LogState) -> Self {
        Self {
            changes: VecDeque::new(),
            scheduled: false,
            tail: BTreeMap::new(),
            tail_bytes: 0,
            durable_next: state.last.map_or(0, |id| id.index + 1),
            vote: state.vote.as_ref().map(to_vote),
            committed: state.committed.as_ref().map(to_log_id),
            purged: state.purged.as_ref().map(to_log_id),
            last: state.last.as_ref().map(to_log_id),
        }
    }

    /// Index after the last one up to which every entry is durable.
    pub(super) const fn durable_next(&self) -> u64 {
        self.durable_next
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    pub(super) fn keep(&mut self, entry: EntryOf<TypeConfig>, bytes: usize) {
        let index = entry.log_id.index;
        self.last = Some(entry.log_id);
        self.tail_bytes += bytes;
        if let Some(before) = self.tail.insert(index, Kept { entry, bytes }) {
            self.tail_bytes -= before.bytes;
        }
    }

    /// The log ends here, unless it ends earlier.
    pub(super) fn truncate(&mut self, after: Option<LogIdOf<TypeConfig>>) {
        let from = after.map_or(0, |id| id.index + 1);
        if self.last.is_none_or(|last| last.index < from) {
            return;
        }
        for kept in self.tail.split_off(&from).into_values() {
            self.tail_bytes -= kept.bytes;
        }
        self.last = after.max(self.purged);
        self.durable_next = self.durable_next.min(from);
    }

    /// The log begins after this.
    pub(super) fn purge(&mut self, upto: LogIdOf<TypeConfig>) {
        let kept = self.tail.split_off(&(upto.index + 1));
        for dropped in std::mem::replace(&mut self.tail, kept).into_values() {
            self.tail_bytes -= dropped.bytes;
        }
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(self.purged);
        self.durable_next = self.durable_next.max(upto.index + 1);
    }

    /// What the next transaction writes.
    pub(super) fn take(&mut self) -> Vec<Change> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(change) = self.changes.front() {
            bytes += change.bytes();
            if bytes > TRANSACTION_BYTES_MAX && !taken.is_empty() {
                break;
            }
            taken.extend(self.changes.pop_front());
        }
        taken
    }

    /// What was taken is durable, and the log with it ends at `last`.
    pub(super) fn written(&mut self, last: Option<u64>) {
        let waiting = self.changes.iter().filter_map(|change| match change {
            Change::Append { frames, .. } => frames.first().map(|(index, _)| *index),
            Change::Truncate { after } => Some(after.map_or(0, |id| id.index + 1)),
            Change::Purge { .. }
            | Change::Vote { .. }
            | Change::Commit { .. }
            | Change::Anchor { .. } => None,
        });
        let end = last.map_or(0, |index| index + 1);
        self.durable_next = waiting.min().map_or(end, |first| first.min(end));
        while self.tail_bytes > TAIL_BYTES_MAX {
            let Some(first) = self.tail.first_entry().filter(|e| *e.key() < self.durable_next)
            else {
                break;
            };
            self.tail_bytes -= first.remove().bytes;
        }
    }

    /// Entries of the range that are in memory, and up to which index the disk has to be asked.
    pub(super) fn entries(&self, from: u64, until: u64) -> (u64, Vec<EntryOf<TypeConfig>>) {
        let until = until.min(self.last.map_or(0, |id| id.index + 1));
        let from = from.max(self.purged.map_or(0, |id| id.index + 1));
        if from >= until {
            return (from, Vec::new());
        }
        let kept: Vec<_> = self.tail.range(from..until).map(|(_, k)| k.entry.clone()).collect();
        let first = kept.first().map_or(until, |entry| entry.log_id.index);
        (first, kept)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::{
        super::tests::fixture::{log_id, node, revoke},
        *,
    };
    use crate::consensus::convert::{from_entry, from_log_id};

    fn append(queue: &mut Queue, term: u64, index: u64) {
        let entry = revoke(term, index, 5);
        let frame = from_entry(&entry).unwrap().seal();
        queue.keep(entry, frame.len());
        queue.push(Change::Append {
            frames: vec![(index, frame)],
            last: from_log_id(&log_id(term, index)),
            done: IOFlushed::noop(),
            room: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        });
    }

    #[test]
    fn what_was_written_does_not_make_durable_what_came_in_its_place_meanwhile() {
        let state = LogState {
            node: node(),
            starts: 0,
            genesis: None,
            vote: None,
            committed: None,
            purged: None,
            last: None,
        };
        let mut queue = Queue::new(&state);
        append(&mut queue, 1, 0);
        append(&mut queue, 1, 1);
        assert_eq!(queue.take().len(), 2);
        // While those are written, another leader cuts the second and puts its own there.
        queue.truncate(Some(log_id(1, 0)));
        queue.push(Change::Truncate { after: Some(from_log_id(&log_id(1, 0))) });
        append(&mut queue, 2, 1);
        queue.written(Some(1));
        assert_eq!(queue.durable_next(), 1);
        queue.take();
        queue.written(Some(1));
        assert_eq!(queue.durable_next(), 2);
    }
}
