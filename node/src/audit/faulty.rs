//! A real SQLite store that counts transactions and fails when it is told to.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use exequatur_federation::{audit::Frontier, region::RegionId, time::UnixTime};
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use crate::store::{
    Access, Append, Appended, Binding, Claim, Erasure, Location, LogId, OutboxKey, OutboxState,
    Outstanding, Purged, Revocation, StatusList, Store, StoreError, StoredRecord, StoredRow,
    create, open,
};

pub(crate) struct FaultyStore {
    real: Arc<dyn Store>,
    faults: Mutex<VecDeque<Fault>>,
    appends: AtomicUsize,
    _directory: TempDir,
}

/// What happens to one append.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It fails and saves nothing.
    Fails(StoreError),
    /// It saves, but the answer is lost.
    Forgets(StoreError),
    /// It never answers.
    Hangs,
}

impl FaultyStore {
    pub(crate) async fn new() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite { path: directory.path().join("region.db") };
        let region = RegionId::new("eu-central").unwrap();
        let binding = Binding { region, log: LogId(1) };
        create(&location, &binding).await.unwrap();
        let real = open(&location, &binding, Access::Write).await.unwrap();
        Arc::new(Self {
            real,
            faults: Mutex::default(),
            appends: AtomicUsize::new(0),
            _directory: directory,
        })
    }

    /// The next appends meet these, in order; later ones succeed.
    pub(crate) fn expect(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// How many transactions saved something or tried to.
    pub(crate) fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }
}

impl Store for FaultyStore {
    fn append<'a>(
        &'a self,
        base: &'a Frontier,
        batch: Vec<Append>,
    ) -> BoxFuture<'a, Result<Appended, StoreError>> {
        Box::pin(async move {
            self.appends.fetch_add(1, Ordering::SeqCst);
            let fault = self.faults.lock().unwrap().pop_front();
            match fault {
                None => self.real.append(base, batch).await,
                Some(Fault::Fails(error)) => Err(error),
                Some(Fault::Forgets(error)) => {
                    self.real.append(base, batch).await.unwrap();
                    Err(error)
                }
                Some(Fault::Hangs) => std::future::pending().await,
            }
        })
    }

    fn audit_tail(&self) -> BoxFuture<'_, Result<Frontier, StoreError>> {
        self.real.audit_tail()
    }

    fn audit_page(
        &self,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        self.real.audit_page(from, limit)
    }

    fn erase_personal(&self, which: Erasure) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.real.erase_personal(which)
    }

    fn revocations(
        &self,
        after: Option<(u64, u32)>,
        now: UnixTime,
    ) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        self.real.revocations(after, now)
    }

    fn is_shared(&self) -> bool {
        self.real.is_shared()
    }

    fn outbox(&self, which: Outstanding) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>> {
        self.real.outbox(which)
    }

    fn outbox_rows(
        &self,
        keys: Vec<OutboxKey>,
    ) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>> {
        self.real.outbox_rows(keys)
    }

    fn claim_outbox(&self, claim: Claim) -> BoxFuture<'_, Result<Vec<StoredRow>, StoreError>> {
        self.real.claim_outbox(claim)
    }

    fn settle_outbox(
        &self,
        settled: Vec<(OutboxKey, OutboxState)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.real.settle_outbox(settled)
    }

    fn purge(&self, now: UnixTime) -> BoxFuture<'_, Result<Purged, StoreError>> {
        self.real.purge(now)
    }

    fn draw_status_list(&self, list: StatusList) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.real.draw_status_list(list)
    }

    fn use_status_list(
        &self,
        list_id: u64,
        now: UnixTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.real.use_status_list(list_id, now)
    }

    fn status_lists(&self, since: UnixTime) -> BoxFuture<'_, Result<Vec<StatusList>, StoreError>> {
        self.real.status_lists(since)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.real.close()
    }
}
