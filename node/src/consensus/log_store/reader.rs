//! Reading the log, beside the writer.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
};

use exequatur_federation::ledger::LogId;
use futures_util::{Stream, StreamExt as _, TryFutureExt as _, stream};
use openraft::{
    OptionalSend, RaftLogReader,
    alias::{EntryOf, VoteOf},
};

use super::{
    Shared,
    durable::{self, ReadError},
};
use crate::consensus::{
    TypeConfig,
    convert::{from_log_id, to_entry},
};

/// Most entries that are read in one go: of the largest entries, one message full.
const ENTRIES_MAX: u64 = 128;

/// Reads the log.
#[derive(Clone, Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The last entry that is known to be committed, and the last one that is durable.
    #[must_use]
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        let committed = self.shared.queue().committed.as_ref().map(from_log_id);
        (committed, self.shared.writer().state.last)
    }

    /// The last entry that was dropped at the front.
    #[must_use]
    pub fn purged(&self) -> Option<LogId> {
        self.shared.queue().purged.as_ref().map(from_log_id)
    }

    /// Entries from one index up to before another, as many as there are.
    ///
    /// # Errors
    /// An entry is damaged or missing, or the store has failed.
    pub fn read(&self, from: u64, until: u64) -> io::Result<Vec<EntryOf<TypeConfig>>> {
        self.shared.check()?;
        // INVARIANT: memory and disk are looked at under one lock, so no change can come between.
        let (in_memory_from, kept, transaction, from, until) = {
            let queue = self.shared.queue();
            let from = from.max(queue.purged.map_or(0, |id| id.index + 1));
            let until = until.min(queue.last.map_or(0, |id| id.index + 1));
            let (in_memory_from, kept) = queue.entries(from, until);
            if from >= in_memory_from {
                return Ok(kept);
            }
            let guard = self.shared.database.read().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = guard.as_ref() else { return Err(super::closed()) };
            (in_memory_from, kept, durable::begin_read(database), from, until)
        };
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut entries = Vec::new();
            durable::read_entries(&transaction?, from..in_memory_from, |record| {
                let index = record.id.index;
                entries.push(to_entry(&record).map_err(|_| ReadError::Membership { index })?);
                Ok(())
            })?;
            entries.extend(kept);
            without_gap(&entries, until)?;
            Ok::<_, ReadError>(entries)
        }));
        match read {
            Ok(Ok(entries)) => Ok(entries),
            Ok(Err(error)) => Err(self.shared.unreadable(error.to_string())),
            Err(_) => Err(self.shared.unreadable("the database panicked".to_owned())),
        }
    }

    /// Returns once every entry below an index is durable here.
    async fn durable(&self, until: u64) -> io::Result<()> {
        let mut durable = self.shared.durable.subscribe();
        loop {
            self.shared.check()?;
            durable.borrow_and_update();
            {
                let queue = self.shared.queue();
                let end = queue.last.map_or(0, |id| id.index + 1).min(until);
                if queue.durable_next() >= end {
                    return Ok(());
                }
            }
            durable.changed().await.map_err(|_| super::gone())?;
        }
    }
}

/// Whether entries follow one another up to before an index.
fn without_gap(entries: &[EntryOf<TypeConfig>], until: u64) -> Result<(), ReadError> {
    let mut after = until;
    for entry in entries.iter().rev() {
        if entry.log_id.index + 1 != after {
            break;
        }
        after = entry.log_id.index;
    }
    // Nothing is missing if the first entry was reached.
    match entries.first() {
        Some(first) if first.log_id.index == after => Ok(()),
        _ => Err(ReadError::Missing { index: after.saturating_sub(1) }),
    }
}

/// The first index of a range, and the one after its last.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let until = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (from, until)
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<EntryOf<TypeConfig>>, io::Error> {
        let (from, until) = bounds(&range);
        self.read(from, until)
    }

    /// What the state machine applies. An entry that others made committed may not be durable here
    /// yet; what was applied and answered must not be forgotten by a crash, so it waits.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<EntryOf<TypeConfig>, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, until) = bounds(&range);
        let reader = self.clone();
        stream::unfold(Some(from), move |next| {
            let reader = reader.clone();
            async move {
                let from = next?;
                let end = from.saturating_add(ENTRIES_MAX).min(until);
                let read = reader.durable(end).and_then(async |()| reader.read(from, end)).await;
                let next = match &read {
                    Ok(entries) => entries.last().map(|entry| entry.log_id.index + 1),
                    Err(_) => None,
                };
                let items = read.map_or_else(
                    |error| vec![Err(error)],
                    |entries| entries.into_iter().map(Ok).collect(),
                );
                (!items.is_empty())
                    .then(|| (stream::iter(items), next.filter(|next| *next < until)))
            }
        })
        .flatten()
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<TypeConfig>>, io::Error> {
        self.shared.check()?;
        Ok(self.shared.queue().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryOf<TypeConfig>>, io::Error> {
        self.read(start, end.min(start.saturating_add(ENTRIES_MAX)))
    }
}
