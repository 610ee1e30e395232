//! The copy of all revocations that a node reads on every decision.
//!
//! Views are values: a revocation makes the next one, which shares every list that did not change.

use std::{collections::BTreeMap, sync::Arc};

use roaring::RoaringBitmap;

use super::{ListId, Revocation, StatusReference};
use crate::time::UnixTime;

/// Everything that is revoked, as far as this node knows.
#[derive(Clone, Debug, Default)]
pub struct RevocationView {
    lists: BTreeMap<ListId, Arc<List>>,
}

/// The revoked indexes of one list.
#[derive(Clone, Debug, Default)]
struct List {
    revoked: RoaringBitmap,
    latest_expiry: UnixTime,
}

impl RevocationView {
    /// Whether the token at this place is revoked.
    #[must_use]
    pub fn is_revoked(&self, status: StatusReference) -> bool {
        self.lists.get(&status.list).is_some_and(|list| list.revoked.contains(status.index))
    }

    /// The revoked indexes of one list; `None` if there is none.
    #[must_use]
    pub fn revoked_in(&self, list: ListId) -> Option<&RoaringBitmap> {
        self.lists.get(&list).map(|list| &list.revoked)
    }

    /// Adds a revocation. Adding it again changes nothing but a later expiry.
    pub fn add(&mut self, revocation: Revocation) {
        let list = Arc::make_mut(self.lists.entry(revocation.status.list).or_default());
        list.revoked.insert(revocation.status.index);
        list.latest_expiry = list.latest_expiry.max(revocation.expires);
    }

    /// Drops lists in which every revoked token has expired by `now`.
    pub fn purge(&mut self, now: UnixTime) {
        self.lists.retain(|_, list| list.latest_expiry >= now);
    }

    /// How many tokens are revoked.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.lists.values().map(|list| list.revoked.len()).sum()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(list: u64, index: u32, expires: u64) -> Revocation {
        let status = StatusReference { list: ListId::new(list), index };
        Revocation { status, expires: UnixTime::from_seconds(expires) }
    }

    #[test]
    fn a_later_view_keeps_what_an_earlier_one_held() {
        let mut view = RevocationView::default();
        view.add(revocation(1, 5, 100));
        let earlier = view.clone();
        view.add(revocation(1, 6, 50));
        assert!(view.is_revoked(revocation(1, 5, 0).status));
        assert!(view.is_revoked(revocation(1, 6, 0).status));
        assert!(!earlier.is_revoked(revocation(1, 6, 0).status));
        assert!(!view.is_revoked(revocation(2, 5, 0).status));
        assert_eq!(view.len(), 2);
    }

    #[test]
    fn nothing_is_purged_before_the_last_token_of_its_list_expired() {
        let mut view = RevocationView::default();
        view.add(revocation(1, 5, 100));
        view.add(revocation(1, 6, 50));
        view.add(revocation(1, 5, 10));
        view.purge(UnixTime::from_seconds(100));
        assert_eq!(view.len(), 2);
        view.purge(UnixTime::from_seconds(101));
        assert!(view.is_empty());
    }
}
