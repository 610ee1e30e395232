//! What is revoked of a region's own lists, for whoever publishes them.

use std::{collections::BTreeSet, sync::Arc};

use roaring::RoaringBitmap;

use super::{ListId, Marks, marks::MarkedList};
use crate::ledger::{CutRow, ListRow, Lix, Owner};

/// What is revoked of one list.
#[derive(Clone, Debug)]
pub struct ListView<'a> {
    list: ListId,
    row: Option<&'a Arc<ListRow>>,
    marked: [Option<&'a Arc<MarkedList>>; 2],
    all_lists: Option<CutRow>,
}

/// What a list was like: two that are equal have the same revoked tokens. It keeps what it stands
/// for in memory, so that nothing else is ever taken for it.
#[derive(Clone, Debug)]
pub struct ListStamp {
    row: Option<Arc<ListRow>>,
    marked: [Option<Arc<MarkedList>>; 2],
    all_lists: Option<CutRow>,
}

impl<'a> ListView<'a> {
    pub(super) fn new(list: ListId, owner: Option<&'a Owner>, marks: [&'a Marks; 2]) -> Self {
        Self {
            list,
            row: owner.and_then(|owner| owner.lists.get(&list)),
            marked: marks.map(|marks| marks.list(list)),
            all_lists: owner.and_then(|owner| owner.all_lists),
        }
    }

    /// Which list.
    #[must_use]
    pub const fn list(&self) -> ListId {
        self.list
    }

    /// The indexes of single tokens that are revoked, ascending, each once.
    pub fn indexes(&self) -> impl Iterator<Item = u32> + use<> {
        self.bitmap().into_iter()
    }

    pub(super) fn bitmap(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        if let Some(row) = self.row {
            all |= row.indexes.bitmap();
        }
        for marked in self.marked.into_iter().flatten() {
            all |= &marked.indexes;
        }
        all
    }

    /// Every token of the list with a smaller `lix` is revoked as well.
    #[must_use]
    pub fn cutoff(&self) -> Option<Lix> {
        let own = self.row.and_then(|row| row.cutoff);
        own.max(self.all_lists.map(|cut| cut.cutoff))
    }

    /// What to remember, so that the same list can be recognised.
    #[must_use]
    pub fn stamp(&self) -> ListStamp {
        ListStamp {
            row: self.row.cloned(),
            marked: self.marked.map(Option::<&_>::cloned),
            all_lists: self.all_lists,
        }
    }
}

impl ListStamp {
    /// Of a list of which nothing is revoked.
    pub const NOTHING: Self = Self { row: None, marked: [None, None], all_lists: None };
}

impl PartialEq for ListStamp {
    fn eq(&self, other: &Self) -> bool {
        let same = |ours: &Option<Arc<MarkedList>>, theirs: &Option<Arc<MarkedList>>| {
            same_value(ours.as_ref(), theirs.as_ref())
        };
        same_value(self.row.as_ref(), other.row.as_ref())
            && self.marked.iter().zip(&other.marked).all(|(ours, theirs)| same(ours, theirs))
            && self.all_lists == other.all_lists
    }
}

impl Eq for ListStamp {}

/// Whether it is the same value at the same place, or none on both sides.
fn same_value<T>(ours: Option<&Arc<T>>, theirs: Option<&Arc<T>>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Every list of which anything is revoked.
pub(super) fn all_lists(owner: Option<&Owner>, marks: [&Marks; 2]) -> BTreeSet<ListId> {
    let agreed = owner.into_iter().flat_map(|owner| owner.lists.iter().map(|(list, _)| *list));
    agreed.chain(marks.into_iter().flat_map(Marks::lists)).collect()
}
