//! Opening the file: it is checked whole, before anything of it is believed.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
};

use exequatur_federation::{ledger::LogState, membership::NodeId};
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};
use tokio::sync::{Semaphore, watch};

use super::{
    LogParts, LogStore, QUEUE_BYTES_MAX, Shared,
    durable::{self, ReadError},
    queue::Queue,
    writer::WriterState,
};
use crate::{consensus::disk::LogDisk, identity::DirectoryFacts};

/// Memory for pages of the file. The last entries are kept apart, so that pages are read only for
/// followers that are far behind; what matters is that the inner pages of the tree stay.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// An opened log.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub store: LogStore,
    /// What it says of the node.
    pub facts: DirectoryFacts,
}

/// Why a log cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// There is none.
    #[error(
        "`{place}` has no log: it was wiped, or was never made; a node that lost its directory \
         joins again as a new node (`exequatur init`, then `exequatur cluster join`)"
    )]
    Missing {
        /// Where.
        place: String,
    },
    /// There is one already.
    #[error("`{place}` has a log already; take an empty directory for a new node")]
    Exists {
        /// Where.
        place: String,
    },
    /// Another process has it open.
    #[error("the log in `{place}` is open in another process; stop that one first")]
    InUse {
        /// Where.
        place: String,
    },
    /// What is there is not what was written.
    #[error(
        "the log in `{place}` is damaged: {cause}; it is not repaired, because what it promised to \
         others may be lost: remove the node (`exequatur cluster remove`) and join again as a new \
         one (`exequatur init`, then `exequatur cluster join`)"
    )]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// The disk fails.
    #[error("the log in `{place}` cannot be reached")]
    Disk {
        /// Where.
        place: String,
        /// What the disk said.
        source: io::Error,
    },
}

impl LogStore {
    /// Makes the log of a new node.
    ///
    /// # Errors
    /// There is one already, or the disk fails.
    pub fn create(disk: &dyn LogDisk, node: NodeId) -> Result<(), OpenLogError> {
        let place = disk.place();
        let backend = disk.create_log().map_err(|source| {
            let place = place.clone();
            if source.kind() == io::ErrorKind::AlreadyExists {
                return OpenLogError::Exists { place };
            }
            OpenLogError::Disk { place, source }
        })?;
        let failed = |error: redb::Error| OpenLogError::Disk {
            place: place.clone(),
            source: io::Error::other(error),
        };
        let database =
            Builder::new().create_with_backend(Backend(backend)).map_err(|e| failed(e.into()))?;
        let state = LogState {
            node,
            starts: 0,
            genesis: None,
            vote: None,
            committed: None,
            purged: None,
            last: None,
        };
        durable::commit(&database, &[], &state).map_err(failed)?;
        database.close().map_err(|e| failed(e.into()))
    }

    /// Opens the log of this node and checks all of it.
    ///
    /// # Errors
    /// There is none, another process has it, it is damaged, or the disk fails.
    pub fn open(parts: LogParts) -> Result<Opened, OpenLogError> {
        let place = parts.disk.place();
        let damaged = |cause: String| OpenLogError::Damaged { place: place.clone(), cause };
        let backend = parts.disk.open_log().map_err(|source| {
            let place = place.clone();
            if source.kind() == io::ErrorKind::NotFound {
                return OpenLogError::Missing { place };
            }
            OpenLogError::Disk { place, source }
        })?;
        let length =
            backend.len().map_err(|source| OpenLogError::Disk { place: place.clone(), source })?;
        if length == 0 {
            // The database would take an empty file for a new one.
            return Err(damaged("the file is empty".to_owned()));
        }
        // A file that was changed behind its back may make the database panic.
        let (database, state) = catch_unwind(AssertUnwindSafe(|| read(backend)))
            .unwrap_or_else(|_| Err(Unopened::Damaged("the database panicked".to_owned())))
            .map_err(|unopened| match unopened {
                Unopened::InUse => OpenLogError::InUse { place: place.clone() },
                Unopened::Disk(source) => OpenLogError::Disk { place: place.clone(), source },
                Unopened::Damaged(cause) => damaged(cause),
            })?;
        let shared = Shared {
            database: RwLock::new(Some(database)),
            writer: Mutex::new(WriterState { state, anchored: None }),
            durable: watch::Sender::new(()),
            queue: Mutex::new(Queue::new(&state)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            writes: AtomicU64::new(0),
            parts,
        };
        let facts = DirectoryFacts {
            node: state.node,
            starts: state.starts,
            genesis: state.genesis,
            vote: state.vote,
            last: state.last,
        };
        Ok(Opened { store: Self { shared: Arc::new(shared) }, facts })
    }
}

enum Unopened {
    InUse,
    Disk(io::Error),
    Damaged(String),
}

impl From<ReadError> for Unopened {
    fn from(error: ReadError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// What the database's refusal means.
fn unopened(error: DatabaseError) -> Unopened {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return Unopened::InUse;
    }
    // That bytes are missing is damage, whoever says it; anything else that the disk says is its
    // own trouble.
    let damage = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
    if let DatabaseError::Storage(redb::StorageError::Io(error)) = error {
        if damage.contains(&error.kind()) {
            return Unopened::Damaged(error.to_string());
        }
        return Unopened::Disk(error);
    }
    Unopened::Damaged(error.to_string())
}

fn read(backend: Box<dyn StorageBackend>) -> Result<(Database, LogState), Unopened> {
    let database = Builder::new()
        .set_cache_size(CACHE_BYTES)
        // Checks every page: the file is small, and a bit that flipped is to be found now.
        .set_check_integrity_on_open(true)
        .create_with_backend(Backend(backend))
        .map_err(unopened)?;
    let state = durable::read_state(&database)?;
    durable::verify(&database, &state)?;
    Ok((database, state))
}

/// The bytes of the log, whoever keeps them.
#[derive(Debug)]
struct Backend(Box<dyn StorageBackend>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn unlock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn lock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn query_lock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
