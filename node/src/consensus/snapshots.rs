//! Snapshots at rest: the newest one and the one before, each whole or not there.
//!
//! A snapshot is written under another name, synced, renamed, and its folder synced. It carries its
//! own checksums, and one that does not fit them is as good as none. What is in a snapshot is the
//! ledger's affair.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use exequatur_federation::ledger::{Digest, Ledger, LogId, SnapshotHead};
use tokio::sync::{oneshot, watch};

use super::disk::{DiskExecutor, SnapshotDisk};

/// How a snapshot's name ends.
const SUFFIX: &str = ".snapshot";
/// The name of one that is being written.
const UNFINISHED: &str = "unfinished";
/// Snapshots that are kept: should the newest be damaged, the one before and the log since then
/// make the same state.
const KEPT: usize = 2;

/// A snapshot that was read and checked.
#[derive(Debug)]
pub(crate) struct Valid {
    /// Where it stands.
    pub(crate) head: SnapshotHead,
    /// What it says.
    pub(crate) ledger: Ledger,
    /// The bytes.
    pub(crate) bytes: Bytes,
}

/// What is there when a node starts.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest one that is whole.
    pub(crate) valid: Option<Valid>,
    /// How many entries the newest damaged one covered, if it is newer than the valid one, and what
    /// is wrong with it.
    pub(crate) damaged: Option<(u64, String)>,
}

/// The snapshots of this node. Clones are handles of the same ones.
#[derive(Clone, Debug)]
pub struct Snapshots {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn SnapshotDisk>,
    executor: Arc<dyn DiskExecutor>,
    genesis: Digest,
    /// Those that are whole, as (entries covered, last entry), in ascending order.
    kept: Mutex<Vec<(u64, Option<LogId>)>>,
    /// The last entry that the log is not needed for any more.
    purgeable: watch::Sender<Option<LogId>>,
}

impl Snapshots {
    /// The snapshots of a disk; `executor` does what blocks, apart from the log's writer.
    #[must_use]
    pub fn new(
        disk: Arc<dyn SnapshotDisk>,
        executor: Arc<dyn DiskExecutor>,
        genesis: Digest,
    ) -> Self {
        let kept = Mutex::new(Vec::new());
        let purgeable = watch::Sender::new(None);
        Self { shared: Arc::new(Shared { disk, executor, genesis, kept, purgeable }) }
    }

    /// The last entry that the snapshot before the newest covers: what the log may be purged up to.
    #[must_use]
    pub fn purgeable(&self) -> watch::Receiver<Option<LogId>> {
        self.shared.purgeable.subscribe()
    }

    /// Reads and checks what is there.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn find(&self) -> io::Result<Found> {
        let mut found = Found::default();
        let mut kept = Vec::new();
        for (covered, name) in self.shared.names()?.into_iter().rev() {
            match self.shared.read(covered, &name) {
                Ok(valid) => {
                    kept.push((covered, valid.head.last));
                    found.valid.get_or_insert(valid);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(snapshot = %name, %error, "a snapshot is damaged");
                    if found.valid.is_none() && found.damaged.is_none() {
                        found.damaged = Some((covered, error.to_string()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        kept.reverse();
        *self.shared.kept() = kept;
        self.shared.publish();
        Ok(found)
    }

    /// Keeps a snapshot, durably, and drops all but the newest two.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub(crate) async fn save(&self, last: Option<LogId>, bytes: Bytes) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.on_disk(move || shared.save(last, &bytes)).await
    }

    /// The newest snapshot.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) async fn newest(&self) -> io::Result<Option<Valid>> {
        let shared = Arc::clone(&self.shared);
        self.on_disk(move || {
            let kept = shared.kept().clone();
            for (covered, _) in kept.into_iter().rev() {
                match shared.read(covered, &name_of(covered)) {
                    Ok(valid) => return Ok(Some(valid)),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        tracing::warn!(%error, "a snapshot is damaged");
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(None)
        })
        .await
    }

    /// Runs what blocks where it may.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = oneshot::channel();
        self.shared.executor.run(Box::new(move || drop(done.send(work()))));
        result.await.map_err(|_| io::Error::other("the disk job of a snapshot was dropped"))?
    }
}

fn name_of(covered: u64) -> String {
    format!("{covered:016x}{SUFFIX}")
}

const fn covered_by(last: Option<&LogId>) -> u64 {
    match last {
        Some(id) => id.index.saturating_add(1),
        None => 0,
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Vec<(u64, Option<LogId>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self) {
        let before = match self.kept().as_slice() {
            [.., (_, before), _] => *before,
            _ => None,
        };
        self.purgeable.send_replace(before);
    }

    /// Drops what is under no name of a snapshot that is kept.
    fn prune(&self, kept: &[(u64, Option<LogId>)]) -> io::Result<()> {
        for name in self.disk.names()? {
            let is_kept = kept.iter().any(|(covered, _)| name_of(*covered) == name);
            // What is left over is found and dropped the next time.
            if !is_kept && let Err(error) = self.disk.remove(&name) {
                tracing::warn!(snapshot = %name, %error, "an old snapshot was not removed");
            }
        }
        Ok(())
    }

    /// Names of snapshots and how many entries each covers, in ascending order.
    fn names(&self) -> io::Result<Vec<(u64, String)>> {
        let names = self.disk.names()?.into_iter();
        let mut names: Vec<_> = names
            .filter_map(|name| {
                let covered = u64::from_str_radix(name.strip_suffix(SUFFIX)?, 16).ok()?;
                (name_of(covered) == name).then_some((covered, name))
            })
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, covered: u64, name: &str) -> io::Result<Valid> {
        let bytes = Bytes::from(self.disk.read(name)?);
        let damaged = |cause: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("snapshot `{name}`: {cause}"))
        };
        let (head, ledger) =
            Ledger::restore(&bytes, self.genesis).map_err(|error| damaged(error.to_string()))?;
        if covered_by(head.last.as_ref()) != covered {
            return Err(damaged(format!("it ends at {:?}, not where its name says", head.last)));
        }
        Ok(Valid { head, ledger, bytes })
    }

    fn save(&self, last: Option<LogId>, bytes: &[u8]) -> io::Result<()> {
        let covered = covered_by(last.as_ref());
        self.disk.write(UNFINISHED, bytes)?;
        self.disk.rename(UNFINISHED, &name_of(covered))?;
        let kept = {
            let mut kept = self.kept();
            kept.retain(|(other, _)| *other < covered);
            kept.push((covered, last));
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
            kept.clone()
        };
        self.publish();
        self.prune(&kept)
    }
}
