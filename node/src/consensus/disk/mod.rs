//! The seam between consensus and the disk: who runs what blocks, where the log's bytes rest, where
//! snapshots rest, how much room is left.
//!
//! In production a thread of the operating system runs the jobs and files hold the bytes. A
//! simulated world runs the same code on its own scheduler and its own disk, which may lose what
//! was not synced, tear writes, flip bits, fill up and fail. What the bytes mean is not known here.

mod directory;
#[cfg(test)]
pub(super) mod simulated;
mod thread;

use std::{fmt, io};

use redb::StorageBackend;

pub use directory::DataDirectory;
pub use thread::DiskThread;

/// Work that blocks.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after the other, in the order in which they were given.
pub trait DiskExecutor: Send + Sync + fmt::Debug {
    /// Takes a job. It may run before this returns, or later; never beside another job.
    fn run(&self, job: Job);
}

/// Where the log's bytes rest.
pub trait LogDisk: Send + Sync + fmt::Debug {
    /// A new, empty log.
    ///
    /// # Errors
    /// There is one already ([`io::ErrorKind::AlreadyExists`]), or the disk fails.
    fn create_log(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// The log that is there.
    ///
    /// # Errors
    /// There is none ([`io::ErrorKind::NotFound`]), or the disk fails.
    fn open_log(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// How much room there is.
    ///
    /// # Errors
    /// The disk does not tell.
    fn space(&self) -> io::Result<Space>;

    /// For messages: what an operator knows the place as.
    fn place(&self) -> String;
}

/// Room on the disk of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written there.
    pub free: u64,
    /// Bytes that the log has taken.
    pub log: u64,
}

/// Where snapshots rest, each under a name.
pub trait SnapshotDisk: Send + Sync + fmt::Debug {
    /// The names, in ascending order.
    ///
    /// # Errors
    /// The disk fails.
    fn names(&self) -> io::Result<Vec<String>>;

    /// What is kept under a name.
    ///
    /// # Errors
    /// There is nothing, or the disk fails.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Keeps bytes under a name, in place of what was there, and returns once they are durable. A
    /// crash in between leaves any part of them.
    ///
    /// # Errors
    /// The disk is full or fails.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives what is kept under a name another one, in place of what was there, and returns once
    /// that is durable. A crash in between leaves the one name or the other.
    ///
    /// # Errors
    /// There is nothing, or the disk fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Drops what is kept under a name; a crash may bring it back.
    ///
    /// # Errors
    /// There is nothing, or the disk fails.
    fn remove(&self, name: &str) -> io::Result<()>;
}
