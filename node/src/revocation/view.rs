//! The node's current revocation view: read without a lock, replaced as a whole.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use exequatur_federation::{
    revocation::{Revocation, RevocationView},
    time::UnixTime,
};

/// The view that this node decides by.
#[derive(Debug, Default)]
pub struct SharedView {
    current: ArcSwap<RevocationView>,
    writing: Mutex<()>,
}

impl SharedView {
    /// A view that starts from what the store holds.
    #[must_use]
    pub fn new(view: RevocationView) -> Self {
        Self { current: ArcSwap::from_pointee(view), writing: Mutex::new(()) }
    }

    /// The view as it stands now.
    #[must_use]
    pub fn current(&self) -> arc_swap::Guard<Arc<RevocationView>> {
        self.current.load()
    }

    /// Adds a revocation that is durable.
    pub fn mark(&self, revocation: Revocation) {
        self.replace(|view| view.add(revocation));
    }

    /// Drops what has expired.
    pub fn purge(&self, now: UnixTime) {
        self.replace(|view| view.purge(now));
    }

    fn replace(&self, change: impl FnOnce(&mut RevocationView)) {
        // The lock only orders writers: a panic of one leaves the last whole view in place.
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = RevocationView::clone(&self.current.load());
        change(&mut next);
        self.current.store(Arc::new(next));
    }
}
