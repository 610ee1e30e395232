//! The node's current revocation view: read without a lock, put together from what the federation
//! agreed on and what holds here on top of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use exequatur_federation::{
    ledger::{Ledger, Lix, LogId, Revoke},
    region::RegionNumber,
    revocation::{Marks, Revocation, RevocationView},
    time::UnixTime,
};
use tokio::sync::watch;

use crate::{consensus::SharedLedger, store::OutboxKey};

/// The view that this node decides by.
#[derive(Debug, Default)]
pub struct SharedView {
    /// The node's region, and what the regions agreed on; `None` in a region alone.
    agreed: Option<(RegionNumber, SharedLedger)>,
    local: ArcSwap<Marks>,
    /// The rows of the outbox whose marks stand in `local`.
    held: Mutex<BTreeMap<OutboxKey, Held>>,
    /// Counts the changes of `local`.
    changed: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    revoke: Revoke,
    refused: bool,
}

impl SharedView {
    /// The view of a region alone, which starts from what the store holds.
    #[must_use]
    pub fn alone(local: Marks) -> Self {
        Self { local: ArcSwap::from_pointee(local), ..Self::default() }
    }

    /// The view of a node of region `own`, likewise.
    #[must_use]
    pub fn united(own: RegionNumber, ledger: SharedLedger, local: Marks) -> Self {
        Self { agreed: Some((own, ledger)), ..Self::alone(local) }
    }

    /// The view as it stands now.
    #[must_use]
    pub fn current(&self) -> RevocationView {
        // INVARIANT: what holds here is read before what was agreed on, since it is dropped after
        // it was applied. The other way round a revocation could be in neither.
        let local = self.local.load_full();
        match &self.agreed {
            None => RevocationView::alone(local),
            Some((own, ledger)) => {
                let view = ledger.load();
                RevocationView::united(*own, &view.ledger, view.overlay.marks(), local)
            }
        }
    }

    /// What the regions agreed on; `None` in a region alone.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        self.agreed.as_ref().map(|(_, ledger)| ledger.load().ledger.clone())
    }

    /// Tells of each change of what holds here, once it can be read.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Tells of each change of what was agreed on, once it can be read; `None` in a region alone.
    #[must_use]
    pub fn agreements(&self) -> Option<watch::Receiver<Option<LogId>>> {
        self.agreed.as_ref().map(|(_, ledger)| ledger.applied())
    }

    /// Marks tokens of a region alone, whose revocation is durable.
    pub fn mark(&self, tokens: impl IntoIterator<Item = Revocation>) {
        self.change(|marks, _| tokens.into_iter().for_each(|token| marks.add_token(token)));
    }

    /// Marks rows of the outbox; those that are marked already stay as they are.
    pub fn hold(&self, rows: impl IntoIterator<Item = (OutboxKey, Revoke)>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh: Vec<(OutboxKey, Revoke)> =
            rows.into_iter().filter(|(key, _)| !held.contains_key(key)).collect();
        if fresh.is_empty() {
            return;
        }
        let mut next = Marks::clone(&self.local.load());
        for (key, revoke) in fresh {
            next.add(&revoke);
            held.insert(key, Held { revoke, refused: false });
        }
        self.put(next);
    }

    /// Drops the marks of rows that the ledger has applied here.
    pub fn release(&self, rows: impl IntoIterator<Item = OutboxKey>) {
        self.change(|marks, held| {
            for key in rows {
                if let Some(Held { revoke, refused: false }) = held.remove(&key) {
                    marks.settle(&revoke);
                }
            }
        });
    }

    /// Keeps the mark of a row that the federation refused, for what was issued before `at`.
    pub fn refuse(&self, key: OutboxKey, at: Lix) {
        self.change(|marks, held| {
            if let Some(row) = held.get_mut(&key)
                && !row.refused
            {
                row.refused = true;
                marks.refuse(&row.revoke, at);
            }
        });
    }

    /// The rows whose marks wait for the federation.
    #[must_use]
    pub fn waiting(&self) -> Vec<OutboxKey> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter(|(_, row)| !row.refused).map(|(key, _)| *key).collect()
    }

    /// Drops what has expired by `now`.
    pub fn purge(&self, now: UnixTime) {
        self.change(|marks, held| {
            held.retain(|_, row| row.revoke.expires_at >= now);
            marks.purge(now);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Marks, &mut BTreeMap<OutboxKey, Held>)) {
        // The lock only orders writers: a panic of one leaves the last whole value in place.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Marks::clone(&self.local.load());
        change(&mut next, &mut held);
        self.put(next);
    }

    fn put(&self, next: Marks) {
        self.local.store(Arc::new(next));
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}
