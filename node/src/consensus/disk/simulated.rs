//! A disk of tests: it may lose what was not synced, tear it, flip bits, fill up and fail.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use exequatur_federation::ledger::{LogId, Vote};
use rand::{Rng, RngExt as _};
use redb::StorageBackend;

use super::{DiskExecutor, Job, LogDisk, SnapshotDisk, Space};
use crate::consensus::log_store::AnchorSink;

/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// What happened, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Write,
    SetLen,
    Sync,
    AnchorVote(Vote),
    AnchorFlushed(Option<LogId>),
}

#[derive(Debug, Default)]
struct Inner {
    log: Option<Vec<u8>>,
    /// The log as a crash leaves it at worst.
    durable: Vec<u8>,
    /// Writes since the last sync.
    pending: Vec<Pending>,
    snapshots: BTreeMap<String, Vec<u8>>,
    capacity: Option<u64>,
    /// Syncs that still succeed, if not all do.
    syncs_left: Option<u32>,
    /// Changes until power is cut, if it is.
    changes_left: Option<u32>,
    anchor_fails: bool,
    events: Vec<Event>,
    /// Counted up with each crash: what was opened before is dead.
    generation: u32,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// The disk. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<Inner>>);

impl SimulatedDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Power is cut after so many changes and syncs; from then on everything fails until
    /// [`crash`](Self::crash).
    pub(crate) fn cut_power_after(&self, changes: u32) {
        self.inner().changes_left = Some(changes);
    }

    /// Power is lost: of what was not synced, any sectors in any order have arrived.
    pub(crate) fn crash(&self, rng: &mut impl Rng) {
        let mut inner = self.inner();
        inner.generation += 1;
        inner.changes_left = None;
        let mut image = std::mem::take(&mut inner.durable);
        for pending in std::mem::take(&mut inner.pending) {
            match pending {
                Pending::SetLen(len) => {
                    if rng.random() {
                        image.resize(len, 0);
                    }
                }
                Pending::Write(offset, bytes) => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = offset + number * SECTOR;
                        if rng.random() && at + sector.len() <= image.len() {
                            image[at..at + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        inner.durable.clone_from(&image);
        inner.log = inner.log.is_some().then_some(image);
        inner.syncs_left = None;
    }

    /// Power is lost, and nothing that was not synced has arrived.
    pub(crate) fn lose_unsynced(&self) {
        let mut inner = self.inner();
        inner.generation += 1;
        inner.pending.clear();
        let image = inner.durable.clone();
        inner.log = inner.log.is_some().then_some(image);
        inner.syncs_left = None;
    }

    pub(crate) fn fail_syncs_after(&self, syncs: u32) {
        self.inner().syncs_left = Some(syncs);
    }

    pub(crate) fn fail_anchor(&self) {
        self.inner().anchor_fails = true;
    }

    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.inner().capacity = bytes;
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.inner().events)
    }

    /// The log's bytes, as they are at rest.
    pub(crate) fn log_bytes(&self) -> Vec<u8> {
        self.inner().durable.clone()
    }

    pub(crate) fn set_log_bytes(&self, bytes: Vec<u8>) {
        let mut inner = self.inner();
        inner.generation += 1;
        inner.pending.clear();
        inner.durable.clone_from(&bytes);
        inner.log = Some(bytes);
    }

    /// What is kept under a name of a snapshot may be changed.
    pub(crate) fn change_snapshot(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.inner().snapshots.get_mut(name).unwrap());
    }
}

impl Inner {
    fn used(&self) -> u64 {
        let log = self.log.as_ref().map_or(0, Vec::len);
        (log + self.snapshots.values().map(Vec::len).sum::<usize>()) as u64
    }

    fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(self.used()))
    }
}

impl LogDisk for SimulatedDisk {
    fn create_log(&self) -> io::Result<Box<dyn StorageBackend>> {
        if self.inner().log.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.inner().log = Some(Vec::new());
        self.open_log()
    }

    fn open_log(&self) -> io::Result<Box<dyn StorageBackend>> {
        let inner = self.inner();
        if inner.log.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(SimulatedFile { disk: self.clone(), generation: inner.generation }))
    }

    fn space(&self) -> io::Result<Space> {
        let inner = self.inner();
        Ok(Space { free: inner.free(), log: inner.log.as_ref().map_or(0, |log| log.len() as u64) })
    }

    fn place(&self) -> String {
        "simulated".to_owned()
    }
}

impl SnapshotDisk for SimulatedDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.inner().snapshots.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner().snapshots.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        if bytes.len() as u64 > inner.free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inner.snapshots.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        let bytes = inner.snapshots.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.snapshots.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner().snapshots.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl AnchorSink for SimulatedDisk {
    fn vote(&self, vote: &Vote) -> io::Result<()> {
        let mut inner = self.inner();
        inner.events.push(Event::AnchorVote(*vote));
        if inner.anchor_fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn flushed(&self, last: Option<LogId>) -> io::Result<()> {
        let mut inner = self.inner();
        inner.events.push(Event::AnchorFlushed(last));
        if inner.anchor_fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// The log's file, as one process has it open.
#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    generation: u32,
}

impl SimulatedFile {
    fn inner(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.disk.inner();
        if inner.generation == self.generation {
            Ok(inner)
        } else {
            Err(io::Error::other("the process that had this file open is dead"))
        }
    }

    /// One more change, unless power is cut.
    fn change(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.inner()?;
        match &mut inner.changes_left {
            None => {}
            Some(0) => return Err(io::Error::other("there is no power")),
            Some(left) => *left -= 1,
        }
        Ok(inner)
    }
}

impl StorageBackend for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner()?.log.as_ref().map_or(0, |log| log.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner()?;
        let from = usize::try_from(offset).unwrap();
        let log = inner.log.as_ref().unwrap();
        let bytes = from.checked_add(out.len()).and_then(|until| log.get(from..until));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.change()?;
        let now = inner.log.as_ref().unwrap().len() as u64;
        if len > now && len - now > inner.free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).unwrap();
        inner.events.push(Event::SetLen);
        inner.log.as_mut().unwrap().resize(len, 0);
        inner.pending.push(Pending::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.change()?;
        if let Some(left) = inner.syncs_left {
            let Some(left) = left.checked_sub(1) else {
                // As Linux does: what could not be written counts as clean from now on, so that a
                // second sync would succeed and have kept nothing.
                inner.pending.clear();
                inner.syncs_left = None;
                return Err(io::Error::from_raw_os_error(5));
            };
            inner.syncs_left = Some(left);
        }
        inner.events.push(Event::Sync);
        for pending in std::mem::take(&mut inner.pending) {
            match pending {
                Pending::SetLen(len) => inner.durable.resize(len, 0),
                Pending::Write(offset, bytes) => {
                    inner.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.change()?;
        let offset = usize::try_from(offset).unwrap();
        inner.events.push(Event::Write);
        inner.log.as_mut().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        inner.pending.push(Pending::Write(offset, data.to_vec()));
        Ok(())
    }
}

/// Runs each job at once.
#[derive(Debug, Default)]
pub(crate) struct Inline;

impl DiskExecutor for Inline {
    fn run(&self, job: Job) {
        job();
    }
}

/// Keeps jobs until it is told to run them. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<VecDeque<Job>>>);

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    pub(crate) fn run_all(&self) {
        loop {
            let job = self.0.lock().unwrap().pop_front();
            let Some(job) = job else { return };
            job();
        }
    }
}

impl DiskExecutor for Held {
    fn run(&self, job: Job) {
        self.0.lock().unwrap().push_back(job);
    }
}
