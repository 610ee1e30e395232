//! The one writer: takes what waits, makes it durable, says so in order.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use exequatur_federation::ledger::{LogId, LogState};

use super::{Shared, durable, queue::Change};
use crate::consensus::{convert::from_log_id, fault::StorageFault};

/// What the writer knows of the disk.
#[derive(Debug)]
pub(super) struct WriterState {
    /// As it is durable.
    pub(super) state: LogState,
    /// What the anchor was told last; `None` before that.
    pub(super) anchored: Option<Option<LogId>>,
}

impl Shared {
    /// Queues a change and sees to it that the writer looks at it.
    pub(super) fn enqueue(self: &Arc<Self>, change: Change) -> io::Result<()> {
        self.check()?;
        let mut queue = self.queue();
        queue.push(change);
        self.schedule(queue);
        Ok(())
    }

    /// Sees to it that the writer looks at the queue.
    pub(super) fn schedule(self: &Arc<Self>, mut queue: std::sync::MutexGuard<'_, super::Queue>) {
        let idle = !std::mem::replace(&mut queue.scheduled, true);
        // An executor may run the job at once, and the job looks at the queue.
        drop(queue);
        if idle {
            let shared = Arc::clone(self);
            self.parts.executor.run(Box::new(move || shared.drain()));
        }
    }

    /// Writes until nothing waits.
    fn drain(&self) {
        loop {
            let (changes, committed) = {
                let mut queue = self.queue();
                let changes = queue.take();
                if changes.is_empty() {
                    queue.scheduled = false;
                    return;
                }
                (changes, queue.committed.as_ref().map(from_log_id))
            };
            let written = match self.check() {
                Err(error) => Err(error),
                Ok(()) => self.write(&changes, committed),
            };
            match written {
                Ok(last) => {
                    self.queue().written(last);
                    self.durable.send_replace(());
                    for change in changes {
                        let asked = matches!(change, Change::Anchor { .. });
                        change.complete(if asked { self.tell_anchor() } else { Ok(()) });
                    }
                }
                Err(error) => {
                    // Also wakes readers that wait for entries to become durable.
                    self.durable.send_replace(());
                    for change in changes {
                        change.complete(Err(io::Error::new(error.kind(), error.to_string())));
                    }
                }
            }
        }
    }

    /// Makes changes durable and tells the anchor of a vote; the index of the last entry.
    fn write(&self, changes: &[Change], committed: Option<LogId>) -> io::Result<Option<u64>> {
        let mut writer = self.writer();
        let next = durable::after(&writer.state, changes, committed);
        self.lower_anchor(&mut writer, changes)?;
        let idle = changes.iter().all(|change| matches!(change, Change::Anchor { .. }));
        if !idle && (next != writer.state || changes.iter().any(|change| change.bytes() > 0)) {
            self.commit(changes, &next)?;
            writer.state = next;
        }
        let voted = changes.iter().any(|change| matches!(change, Change::Vote { .. }));
        if voted && let Some(vote) = &writer.state.vote {
            self.anchored(self.parts.anchor.vote(vote))?;
        }
        Ok(writer.state.last.map(|id| id.index))
    }

    /// Tells the anchor how far the log is durable. That it cannot is no fault: the anchor only
    /// falls behind.
    fn tell_anchor(&self) -> io::Result<()> {
        let mut writer = self.writer();
        let last = writer.state.last;
        if writer.anchored != Some(last) {
            self.parts.anchor.flushed(last)?;
            writer.anchored = Some(last);
        }
        Ok(())
    }

    /// INVARIANT: the anchor is never ahead of the log. So it learns of a cut before the cut.
    fn lower_anchor(&self, writer: &mut WriterState, changes: &[Change]) -> io::Result<()> {
        let Some(after) = changes.iter().filter_map(Change::cut).min() else { return Ok(()) };
        // A cut behind the end cuts nothing.
        let after = after.min(writer.state.last);
        // Before the first word of this start the anchor may hold any entry of the log.
        if writer.anchored.is_none_or(|told| told > after) {
            self.anchored(self.parts.anchor.flushed(after))?;
            writer.anchored = Some(after);
        }
        Ok(())
    }

    /// Changes what the log says of itself.
    pub(super) fn amend(
        &self,
        writer: &mut WriterState,
        change: impl FnOnce(&mut LogState),
    ) -> io::Result<()> {
        self.check()?;
        let mut next = writer.state;
        change(&mut next);
        self.commit(&[], &next)?;
        writer.state = next;
        Ok(())
    }

    /// One durable transaction. A disk that failed is not asked again: after a failed sync nobody
    /// knows what is on it.
    fn commit(&self, changes: &[Change], next: &LogState) -> io::Result<()> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = guard.as_ref() else {
            return Err(super::closed());
        };
        let committed = catch_unwind(AssertUnwindSafe(|| {
            durable::commit(database, changes, next).map_err(|error| error.to_string())
        }))
        .unwrap_or_else(|_| Err("the database panicked: it is damaged".to_owned()));
        self.writes.fetch_add(1, Ordering::Relaxed);
        committed.map_err(|cause| {
            let fault = StorageFault::LogWrite { cause };
            self.parts.fault.raise(fault.clone());
            io::Error::other(fault)
        })
    }

    fn anchored(&self, result: io::Result<()>) -> io::Result<()> {
        result.inspect_err(|error| {
            self.parts.fault.raise(StorageFault::Anchor { cause: error.to_string() });
        })
    }
}
