//! Digests of the ledger after each of the last entries: what other nodes' digests are compared
//! with, whichever of the two is ahead.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use exequatur_federation::ledger::Digest;

/// Entries whose digests are kept: several seconds of the heaviest load, in 160 KiB.
const ENTRIES_MAX: usize = 4_096;

/// The last digests.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<(u64, Digest)>>);

impl Recent {
    /// The next entry was applied. One that does not follow the last, as after a snapshot, begins
    /// anew.
    pub(super) fn note(&self, index: u64, digest: Digest) {
        let mut digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.back().is_some_and(|(last, _)| last.checked_add(1) != Some(index)) {
            digests.clear();
        }
        if digests.len() == ENTRIES_MAX {
            digests.pop_front();
        }
        digests.push_back((index, digest));
    }

    /// The digest after an entry, if it is known.
    pub(super) fn at(&self, index: u64) -> Option<Digest> {
        let digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, _) = digests.front()?;
        let position = usize::try_from(index.checked_sub(*first)?).ok()?;
        digests.get(position).map(|(_, digest)| *digest)
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::ledger::Fixed;

    use super::*;

    fn digest(index: u64) -> Digest {
        Fixed([u8::try_from(index % 251).unwrap(); 32])
    }

    #[test]
    fn the_last_digests_are_found_by_their_entries() {
        let recent = Recent::default();
        assert_eq!(recent.at(0), None);
        let kept = ENTRIES_MAX as u64;
        for index in 5..5 + kept + 3 {
            recent.note(index, digest(index));
        }
        assert_eq!((recent.at(7), recent.at(8 + kept)), (None, None));
        for index in [8, 9, 7 + kept] {
            assert_eq!(recent.at(index), Some(digest(index)));
        }
    }

    #[test]
    fn a_snapshot_begins_anew_whatever_it_covers() {
        for next in [3, 5, 7, 9] {
            let recent = Recent::default();
            recent.note(4, digest(4));
            recent.note(5, digest(5));
            recent.note(next, digest(next + 100));
            assert_eq!(recent.at(next), Some(digest(next + 100)));
            assert_eq!((recent.at(4), recent.at(5).is_some()), (None, next == 5));
        }
    }
}
