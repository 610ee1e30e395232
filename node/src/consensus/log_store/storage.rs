//! What openraft asks of a log.

use std::{io, sync::Arc};

use exequatur_federation::ledger::LogId;
use openraft::{
    OptionalSend,
    alias::{EntryOf, LogIdOf, VoteOf},
    storage::{IOFlushed, LogState, RaftLogStorage},
};
use tokio::sync::oneshot;

use super::{LogReader, LogStore, QUEUE_BYTES_MAX, gone, queue::Change};
use crate::consensus::{
    TypeConfig,
    convert::{from_entry, from_log_id, from_vote},
};

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        self.shared.check()?;
        let queue = self.shared.queue();
        Ok(LogState { last_purged_log_id: queue.purged, last_log_id: queue.last })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> Result<(), io::Error> {
        let (done, saved) = oneshot::channel();
        self.shared.enqueue(Change::Vote { vote: from_vote(vote), done })?;
        saved.await.map_err(|_| gone())??;
        self.shared.queue().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(
        &mut self,
        committed: Option<LogIdOf<TypeConfig>>,
    ) -> Result<(), io::Error> {
        self.shared.check()?;
        self.shared.queue().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogIdOf<TypeConfig>>, io::Error> {
        self.shared.check()?;
        Ok(self.shared.queue().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.shared.check()?;
        let mut kept = Vec::new();
        let mut frames = Vec::new();
        let mut last: Option<LogId> = None;
        let mut bytes: u32 = 0;
        for entry in entries {
            let record = from_entry(&entry)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let frame = record.seal();
            bytes = bytes.saturating_add(u32::try_from(frame.len()).unwrap_or(u32::MAX));
            last = Some(record.id);
            kept.push((entry, frame.len()));
            frames.push((record.id.index, frame));
        }
        let Some(last) = last else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let room = Arc::clone(&self.shared.room)
            .acquire_many_owned(bytes.min(QUEUE_BYTES_MAX))
            .await
            .map_err(|_| gone())?;
        let mut queue = self.shared.queue();
        for (entry, bytes) in kept {
            queue.keep(entry, bytes);
        }
        queue.push(Change::Append { frames, last, done: callback, room });
        self.shared.schedule(queue);
        Ok(())
    }

    async fn truncate_after(
        &mut self,
        last_log_id: Option<LogIdOf<TypeConfig>>,
    ) -> Result<(), io::Error> {
        self.shared.check()?;
        let mut queue = self.shared.queue();
        queue.truncate(last_log_id);
        queue.push(Change::Truncate { after: last_log_id.as_ref().map(from_log_id) });
        // Not waited for: what is appended next is written after it, and until then an entry that
        // was to go does no harm in a log that never says it is committed.
        self.shared.schedule(queue);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogIdOf<TypeConfig>) -> Result<(), io::Error> {
        self.shared.check()?;
        let mut queue = self.shared.queue();
        queue.purge(log_id);
        queue.push(Change::Purge { upto: from_log_id(&log_id) });
        // Not waited for: a log that still has what was purged only takes more room.
        self.shared.schedule(queue);
        Ok(())
    }
}
