//! What a published list marks as invalid.

use roaring::RoaringBitmap;

use crate::revocation::{LIST_SIZE, ListId, ListView, RevocationView};

/// Marked indexes of one list, all below [`LIST_SIZE`]. A mark is never taken back: which marks go
/// when their tokens have expired would tell them from decoys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks(RoaringBitmap);

impl Marks {
    /// Marks an index; `false` if it is marked already, or is none of a list.
    pub fn add(&mut self, index: u32) -> bool {
        index < LIST_SIZE && self.0.insert(index)
    }

    /// Marks what a view holds as revoked in a list; `false` if all of it was marked already.
    pub fn add_revoked(&mut self, view: &RevocationView, list: ListId) -> bool {
        let revoked = view.own_list(list);
        let before = self.0.len();
        self.0 |= tokens(&revoked);
        // Which of its tokens are older than the cut-off is not known: none is valid.
        if revoked.cutoff().is_some() {
            self.0.insert_range(..LIST_SIZE);
        }
        self.0.len() > before
    }

    /// Marks the single tokens that are revoked in a list, and says which were not marked before,
    /// ascending.
    pub fn add_tokens(&mut self, list: &ListView<'_>) -> Vec<u32> {
        let fresh = tokens(list) - &self.0;
        self.0 |= &fresh;
        fresh.into_iter().collect()
    }

    /// Whether an index is marked.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.0.contains(index)
    }

    /// How many are marked.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none is marked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The marked indexes in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter()
    }
}

fn tokens(list: &ListView<'_>) -> RoaringBitmap {
    let mut tokens = list.bitmap();
    tokens.remove_range(LIST_SIZE..);
    tokens
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        revocation::{Marks as Held, Revocation, StatusReference},
        time::UnixTime,
    };

    #[test]
    fn marks_stay_when_the_view_forgets_what_expired() {
        let (list, other) = (ListId::new(1), ListId::new(2));
        let mut held = Held::default();
        let expires = UnixTime::from_seconds(100);
        for (list, index) in [(list, 5), (list, LIST_SIZE), (other, 6)] {
            held.add_token(Revocation { status: StatusReference { list, index }, expires });
        }
        let view = |held: &Held| RevocationView::alone(Arc::new(held.clone()));
        let mut marks = Marks::default();
        assert!(marks.add_revoked(&view(&held), list));
        assert!(!marks.add_revoked(&view(&held), list));
        held.purge(UnixTime::from_seconds(101));
        assert!(!marks.add_revoked(&view(&held), list));
        assert_eq!(marks.iter().collect::<Vec<_>>(), [5]);
        assert!(marks.add(7) && !marks.add(7) && !marks.add(LIST_SIZE));
    }
}
