//! openraft's own suite, on files and on the simulated disk.

use std::sync::Arc;

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use tempfile::TempDir;

use super::fixture::{GENESIS, node, parts};
use crate::consensus::{
    FaultSignal, LogParts, LogStore, Snapshots, StateMachine, StateMachineParts, TypeConfig,
    disk::{
        DataDirectory, DiskExecutor, DiskThread, SnapshotDisk,
        simulated::{Inline, SimulatedDisk},
    },
};

fn build(
    parts: LogParts,
    snapshots: Arc<dyn SnapshotDisk>,
    executor: Arc<dyn DiskExecutor>,
) -> (LogStore, StateMachine) {
    let fault = parts.fault.clone();
    LogStore::create(&*parts.disk, node()).unwrap();
    let store = LogStore::open(parts).unwrap().store;
    let machine = StateMachine::open(StateMachineParts {
        log: store.reader(),
        space: store.space(),
        snapshots: Snapshots::new(snapshots, executor, GENESIS),
        genesis: GENESIS,
        fault,
    })
    .unwrap();
    (store, machine)
}

struct OnSimulatedDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine> for OnSimulatedDisk {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<TypeConfig>> {
        let disk = SimulatedDisk::default();
        let (store, machine) = build(parts(&disk), Arc::new(disk.clone()), Arc::new(Inline));
        Ok(((), store, machine))
    }
}

struct OnFiles;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnFiles {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let directory = TempDir::new().unwrap();
        let disk = Arc::new(DataDirectory::new(directory.path()));
        let executor: Arc<dyn DiskExecutor> = Arc::new(DiskThread::start("log").unwrap());
        let parts = LogParts {
            disk: disk.clone(),
            executor: Arc::clone(&executor),
            anchor: Arc::new(SimulatedDisk::default()),
            fault: FaultSignal::default(),
        };
        let (store, machine) = build(parts, disk, executor);
        Ok((directory, store, machine))
    }
}

#[tokio::test]
async fn the_log_on_a_simulated_disk_is_what_openraft_expects() {
    Suite::test_all(OnSimulatedDisk).await.unwrap();
}

#[tokio::test]
async fn the_log_on_files_is_what_openraft_expects() {
    Suite::test_all(OnFiles).await.unwrap();
}
