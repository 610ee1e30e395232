//! The ledger as the rest of the node reads it: the newest state that was applied, whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use exequatur_federation::{
    ledger::{Digest, Ledger, LogId, Membership, Revoke},
    revocation::Marks,
};
use tokio::sync::watch;

use super::recent::Recent;

/// One state of the ledger, with what belongs to it.
#[derive(Clone, Debug)]
pub struct LedgerView {
    /// The state.
    pub ledger: Ledger,
    /// The last entry that it contains.
    pub applied: Option<LogId>,
    /// The last membership that was applied.
    pub membership: Membership,
    /// The entry of that membership.
    pub membership_at: Option<LogId>,
    /// Revocations that may be in force although they are not applied here.
    pub overlay: Overlay,
}

impl LedgerView {
    /// The state before the first entry.
    pub(super) fn empty(genesis: Digest) -> Self {
        Self {
            ledger: Ledger::new(genesis),
            applied: None,
            membership: Membership::default(),
            membership_at: None,
            overlay: Overlay::default(),
        }
    }
}

/// Revocations that this node had on its disk when it started, without knowing whether they are
/// committed. They may have been, and been applied and answered here before; a node that cannot
/// reach the others must not forget them. Each counts until its place in the log is applied.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    revocations: Arc<[(u64, Revoke)]>,
    marks: Arc<Marks>,
}

impl Overlay {
    pub(super) fn new(revocations: Vec<(u64, Revoke)>) -> Self {
        let marks = revocations.iter().map(|(_, revoke)| *revoke).collect();
        Self { revocations: revocations.into(), marks: Arc::new(marks) }
    }

    /// The revocations.
    pub fn revocations(&self) -> impl Iterator<Item = &Revoke> {
        self.revocations.iter().map(|(_, revoke)| revoke)
    }

    /// The revocations, to ask whether one of them covers a token.
    #[must_use]
    pub fn marks(&self) -> Arc<Marks> {
        Arc::clone(&self.marks)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.revocations.is_empty()
    }

    /// What is left once an entry is applied.
    pub(super) fn without(&self, applied: u64) -> Self {
        if self.revocations.iter().all(|(index, _)| *index > applied) {
            return self.clone();
        }
        Self::new(self.revocations.iter().filter(|(index, _)| *index > applied).copied().collect())
    }
}

/// The newest state, for as many readers as there are. Clones read the same.
#[derive(Clone, Debug)]
pub struct SharedLedger {
    view: Arc<ArcSwap<LedgerView>>,
    recent: Arc<Recent>,
    applied: Arc<watch::Sender<Option<LogId>>>,
}

impl SharedLedger {
    pub(super) fn new(view: LedgerView) -> Self {
        let applied = Arc::new(watch::Sender::new(view.applied));
        Self { view: Arc::new(ArcSwap::from_pointee(view)), recent: Arc::default(), applied }
    }

    /// A ledger in which nothing was applied.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self::new(LedgerView::empty(exequatur_federation::ledger::Fixed([0; 32])))
    }

    /// Publishes the same state with one revocation that may be in force.
    #[cfg(test)]
    pub(crate) fn hold(&self, revoke: Revoke) {
        let overlay = Overlay::new(vec![(1, revoke)]);
        self.publish(LedgerView { overlay, ..LedgerView::clone(&self.load()) });
    }

    pub(super) fn publish(&self, view: LedgerView) {
        let applied = view.applied;
        self.view.store(Arc::new(view));
        self.applied.send_replace(applied);
    }

    /// An entry was applied, though its state may not be published yet.
    pub(super) fn note(&self, index: u64, digest: Digest) {
        self.recent.note(index, digest);
    }

    /// The ledger's digest after an entry, if it is one of the last.
    #[must_use]
    pub fn digest_at(&self, index: u64) -> Option<Digest> {
        self.recent.at(index)
    }

    /// The newest state.
    #[must_use]
    pub fn load(&self) -> Arc<LedgerView> {
        self.view.load_full()
    }

    /// Tells of every new state, after it can be loaded.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<Option<LogId>> {
        self.applied.subscribe()
    }
}
