//! The node's current revocation view: read without a lock, replaced as a whole; and who is told
//! of what changes in it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use exequatur_federation::{
    revocation::{Revocation, RevocationView, StatusReference},
    time::UnixTime,
};

/// The view that this node decides by.
#[derive(Default)]
pub struct SharedView {
    current: ArcSwap<RevocationView>,
    writing: Mutex<()>,
    observer: Option<Arc<dyn RevocationObserver>>,
}

/// Who is told what changes in the view about tokens of *this* region. It is told once the view
/// holds the change, in the order of the changes, and must not wait.
pub trait RevocationObserver: Send + Sync {
    /// One token of this region was revoked.
    fn revoked(&self, status: StatusReference);

    /// More was revoked than can be told token by token.
    fn replaced(&self);
}

impl SharedView {
    /// A view that starts from what the store holds.
    #[must_use]
    pub fn new(view: RevocationView) -> Self {
        Self { current: ArcSwap::from_pointee(view), writing: Mutex::new(()), observer: None }
    }

    /// The same view, whose changes are told to `observer`.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn RevocationObserver>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The view as it stands now.
    #[must_use]
    pub fn current(&self) -> arc_swap::Guard<Arc<RevocationView>> {
        self.current.load()
    }

    /// Adds a revocation that is durable.
    pub fn mark(&self, revocation: Revocation) {
        self.replace(|view| {
            let known = view.is_revoked(revocation.status);
            view.add(revocation);
            (!known).then_some(revocation.status)
        });
    }

    /// Drops what has expired.
    pub fn purge(&self, now: UnixTime) {
        self.replace(|view| {
            view.purge(now);
            None
        });
    }

    /// `change` says which token it revoked.
    fn replace(&self, change: impl FnOnce(&mut RevocationView) -> Option<StatusReference>) {
        // The lock only orders writers: a panic of one leaves the last whole view in place.
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = RevocationView::clone(&self.current.load());
        let revoked = change(&mut next);
        self.current.store(Arc::new(next));
        if let (Some(observer), Some(status)) = (&self.observer, revoked) {
            observer.revoked(status);
        }
    }
}

impl fmt::Debug for SharedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedView").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::revocation::ListId;

    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<StatusReference>>);

    impl RevocationObserver for Told {
        fn revoked(&self, status: StatusReference) {
            self.0.lock().unwrap().push(status);
        }

        fn replaced(&self) {}
    }

    #[test]
    fn each_revocation_is_told_once() {
        let told = Arc::new(Told::default());
        let observer: Arc<dyn RevocationObserver> = Arc::<Told>::clone(&told);
        let view = SharedView::default().observed_by(observer);
        let status = |index| StatusReference { list: ListId::new(1), index };
        for (index, expires) in [(5, 100), (6, 50), (5, 200)] {
            let expires = UnixTime::from_seconds(expires);
            view.mark(Revocation { status: status(index), expires });
        }
        view.purge(UnixTime::from_seconds(300));
        assert_eq!(*told.0.lock().unwrap(), [status(5), status(6)]);
    }
}
