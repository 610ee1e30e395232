//! The log of Raft on this node's disk: entries, vote, how far it is committed and purged, and whose
//! log it is.
//!
//! Changes wait in a bounded queue; one writer takes what waits, makes it durable in one
//! transaction, and only then says so, in order. Entries can be read as soon as they wait. Every
//! record stands in its envelope and is checked whenever it is read. A disk that fails once is not
//! tried again: from then on every call fails, and the node is told to stop. What entries mean is
//! not known here.

mod durable;
mod open;
mod queue;
mod reader;
mod space;
mod storage;
#[cfg(test)]
pub(super) mod tests;
mod writer;

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use exequatur_federation::ledger::{Digest, LogId, Vote};
use redb::Database;
use tokio::sync::{Semaphore, oneshot, watch};

pub use open::{OpenLogError, Opened};
pub use reader::LogReader;
pub use space::DiskSpace;

use self::{
    queue::{Change, Queue},
    writer::WriterState,
};
use super::{
    disk::{DiskExecutor, LogDisk},
    fault::{FaultSignal, StorageFault},
};

/// Most bytes of entries that wait to be written. Some two of the largest messages of a leader: one
/// is written while the next arrives.
pub(crate) const QUEUE_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// How often the anchor learns how far the log is durable. More often costs a sync each time, more
/// rarely lets an older backup pass as the present.
const ANCHOR_INTERVAL: Duration = Duration::from_secs(1);

/// Where the node remembers, outside of its directory, how far it was.
pub trait AnchorSink: Send + Sync + fmt::Debug {
    /// A vote is durable. Returns once it is remembered.
    ///
    /// # Errors
    /// It cannot be remembered.
    fn vote(&self, vote: &Vote) -> io::Result<()>;

    /// The log is durable up to here, or is about to be cut back to here. Returns once it is
    /// remembered.
    ///
    /// # Errors
    /// It cannot be remembered.
    fn flushed(&self, last: Option<LogId>) -> io::Result<()>;
}

/// What a log store works with.
#[derive(Clone, Debug)]
pub struct LogParts {
    /// Where bytes rest.
    pub disk: Arc<dyn LogDisk>,
    /// Who writes.
    pub executor: Arc<dyn DiskExecutor>,
    /// What is told how far the log is durable.
    pub anchor: Arc<dyn AnchorSink>,
    /// Who is told that the node must stop.
    pub fault: FaultSignal,
}

/// The log. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the store is closed.
    database: RwLock<Option<Database>>,
    /// Held by whoever writes.
    writer: Mutex<WriterState>,
    /// What waits, and how the log looks once it is written.
    queue: Mutex<Queue>,
    /// Wakes whoever waits for entries to become durable; how far that is, the queue knows.
    durable: watch::Sender<()>,
    /// Bytes of entries that may still be queued.
    room: Arc<Semaphore>,
    /// Durable writes since the start.
    writes: AtomicU64,
    parts: LogParts,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change of the queue is whole before anything in it could panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, WriterState> {
        // A writer that panicked has raised a fault, and everybody looks for that first.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses after a fault.
    fn check(&self) -> io::Result<()> {
        self.parts.fault.current().map_or(Ok(()), |fault| Err(io::Error::other(fault)))
    }

    /// Raises the fault of a read and gives the error that ends the call.
    fn unreadable(&self, cause: String) -> io::Error {
        let fault = StorageFault::LogRead { cause };
        self.parts.fault.raise(fault.clone());
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}

impl LogStore {
    /// How many durable writes there were since the start: entries that travel together share one.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.shared.writes.load(Ordering::Relaxed)
    }

    /// Pins the genesis: the only one that this directory will ever belong to.
    ///
    /// # Errors
    /// Another one is pinned, or the disk fails.
    pub fn pin_genesis(&self, genesis: Digest) -> io::Result<()> {
        let mut writer = self.shared.writer();
        match writer.state.genesis {
            Some(pinned) if pinned == genesis => Ok(()),
            Some(pinned) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("this node belongs to the federation of genesis {pinned}, not {genesis}"),
            )),
            None => self.shared.amend(&mut writer, |state| state.genesis = Some(genesis)),
        }
    }

    /// Counts a start, durably, and gives the count.
    ///
    /// # Errors
    /// The disk fails.
    pub fn begin_start(&self) -> io::Result<u64> {
        let mut writer = self.shared.writer();
        self.shared.amend(&mut writer, |state| state.starts = state.starts.saturating_add(1))?;
        Ok(writer.state.starts)
    }

    /// Tells the anchor how far the log is durable.
    ///
    /// # Errors
    /// The anchor cannot be written, or the store has failed.
    pub async fn anchor_flushed(&self) -> io::Result<()> {
        let (done, told) = oneshot::channel();
        self.shared.enqueue(Change::Anchor { done })?;
        told.await.map_err(|_| gone())?
    }

    /// Tells the anchor again and again, until the store has failed.
    pub async fn keep_anchor(self) {
        while self.shared.check().is_ok() {
            tokio::time::sleep(ANCHOR_INTERVAL).await;
            if let Err(error) = self.anchor_flushed().await {
                tracing::warn!(%error, "the anchor falls behind the log");
            }
        }
    }

    /// Writes what waits, with how far the log is committed, tells the anchor, and closes the file.
    /// Every later call fails.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn close(&self) -> io::Result<()> {
        let (done, told) = oneshot::channel();
        self.shared.enqueue(Change::Commit { done })?;
        told.await.map_err(|_| gone())??;
        self.anchor_flushed().await?;
        let (done, closed) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.shared.parts.executor.run(Box::new(move || {
            let database = shared.database.write().unwrap_or_else(PoisonError::into_inner).take();
            let ended =
                database.map_or(Ok(()), |database| database.close().map_err(io::Error::other));
            drop(done.send(ended));
        }));
        closed.await.map_err(|_| gone())?
    }

    /// Whether the disk has room.
    #[must_use]
    pub fn space(&self) -> DiskSpace {
        DiskSpace::new(Arc::clone(&self.shared.parts.disk))
    }

    /// A reader that needs no exclusive access.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }
}

/// Whoever should have answered has dropped the question: it panicked, or the runtime ends.
fn gone() -> io::Error {
    io::Error::other("the writer of the log is gone")
}

/// The store was closed.
fn closed() -> io::Error {
    io::Error::other("the log is closed")
}
