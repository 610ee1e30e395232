//! Places in status lists for new tokens: a random index in a list that this start of the node
//! drew for itself, never one that is kept for a decoy. Two tokens never share a place, and no
//! counter can roll back.

use std::sync::{Arc, Mutex, PoisonError};

use exequatur_federation::{
    revocation::{LIST_SIZE, ListId, StatusReference, status_list::DecoySeed},
    time::{Ttl, UnixTime},
};

use crate::entropy::{Entropy, EntropyError, draw};

/// A list is given up when this many of its indexes are used: beyond, drawing a free one at random
/// takes more than two attempts on average.
const USED_MAX: u32 = LIST_SIZE / 2;

/// A list is given up at this age: its decoys last for a day, and a list that nobody uses any more
/// is soon published no more, while one that is used for ever only grows.
const AGE_MAX: Ttl = Ttl::from_seconds(86_400);

/// Hands out places in one list after the other.
pub struct StatusIndexes {
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

/// A list that this node drew, durable in the region's store.
#[derive(Clone, Debug)]
pub struct DrawnList {
    /// Its id.
    pub id: ListId,
    /// When it was drawn.
    pub drawn_at: UnixTime,
    /// Which indexes no token may get.
    pub decoys: DecoySeed,
}

struct State {
    current: UsedList,
    next: Option<DrawnList>,
}

struct UsedList {
    id: ListId,
    drawn_at: UnixTime,
    /// Bits of the indexes that a token or a decoy has.
    taken: Vec<u64>,
    /// How many tokens have one.
    count: u32,
}

/// Why there is no place for a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// There is no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The list is used up and no other was drawn yet.
    #[error("the status list is used up and the next one is not durable yet")]
    Exhausted,
}

impl StatusIndexes {
    /// Starts with a list whose id is durable in the region's store.
    #[must_use]
    pub fn new(first: &DrawnList, entropy: Arc<dyn Entropy>) -> Self {
        let state = State { current: UsedList::new(first), next: None };
        Self { entropy, state: Mutex::new(state) }
    }

    /// A place that no other token has.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn draw(&self) -> Result<StatusReference, IndexError> {
        let mut state = self.state();
        if state.current.count >= USED_MAX {
            let next = state.next.take().ok_or(IndexError::Exhausted)?;
            state.current = UsedList::new(&next);
        }
        loop {
            let index = u32::from_be_bytes(draw(self.entropy.as_ref())?) % LIST_SIZE;
            if state.current.take(index) {
                state.current.count += 1;
                return Ok(StatusReference { list: state.current.id, index });
            }
        }
    }

    /// Goes over to the next list if the current one is old, and says whether another should be
    /// drawn now, so that it is durable when it is needed.
    #[must_use]
    pub fn wants_next(&self, now: UnixTime) -> bool {
        let mut state = self.state();
        let old = now.since(state.current.drawn_at) >= u64::from(AGE_MAX.seconds());
        if old && let Some(next) = state.next.take() {
            state.current = UsedList::new(&next);
            return false;
        }
        state.next.is_none() && (old || state.current.count >= USED_MAX / 2)
    }

    /// Takes the next list.
    pub fn provide(&self, next: DrawnList) {
        self.state().next = Some(next);
    }

    /// The lists from which places are drawn, now or next.
    #[must_use]
    pub fn in_use(&self) -> Vec<ListId> {
        let state = self.state();
        [Some(state.current.id), state.next.as_ref().map(|next| next.id)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while it was held leaves at worst an index unused.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UsedList {
    fn new(drawn: &DrawnList) -> Self {
        let taken = vec![0; (LIST_SIZE / u64::BITS) as usize];
        let mut list = Self { id: drawn.id, drawn_at: drawn.drawn_at, taken, count: 0 };
        for index in drawn.decoys.indexes() {
            list.take(index);
        }
        list
    }

    /// Marks an index as taken; `false` if it was.
    fn take(&mut self, index: u32) -> bool {
        let Some(word) = self.taken.get_mut((index / u64::BITS) as usize) else { return false };
        let bit = 1_u64 << (index % u64::BITS);
        let free = *word & bit == 0;
        *word |= bit;
        free
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entropy::SystemEntropy;

    const DAY: u64 = 86_400;

    fn drawn(id: u64, at: u64) -> DrawnList {
        let seed = [u8::try_from(id).unwrap(); 32];
        let (id, decoys) = (ListId::new(id), DecoySeed::new(&seed));
        DrawnList { id, drawn_at: UnixTime::from_seconds(at), decoys }
    }

    fn indexes() -> StatusIndexes {
        StatusIndexes::new(&drawn(1, 0), Arc::new(SystemEntropy::default()))
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn no_place_is_given_twice_nor_to_a_decoy_and_the_next_list_follows() {
        let indexes = indexes();
        let mut seen: BTreeSet<u32> = drawn(1, 0).decoys.indexes().into_iter().collect();
        for _ in 0..USED_MAX {
            let place = indexes.draw().unwrap();
            assert!(seen.insert(place.index));
        }
        assert!(indexes.wants_next(at(0)));
        assert_eq!(indexes.draw(), Err(IndexError::Exhausted));
        indexes.provide(drawn(2, 0));
        assert_eq!(indexes.in_use(), [ListId::new(1), ListId::new(2)]);
        assert!(!indexes.wants_next(at(0)));
        assert_eq!(indexes.draw().unwrap().list, ListId::new(2));
        assert_eq!(indexes.in_use(), [ListId::new(2)]);
    }

    #[test]
    fn a_list_is_given_up_after_a_day_once_the_next_is_there() {
        let indexes = indexes();
        assert!(!indexes.wants_next(at(DAY - 1)));
        assert!(indexes.wants_next(at(DAY)));
        assert_eq!(indexes.draw().unwrap().list, ListId::new(1));
        indexes.provide(drawn(2, DAY));
        assert!(!indexes.wants_next(at(DAY)));
        assert_eq!(indexes.draw().unwrap().list, ListId::new(2));
    }

    #[test]
    fn without_randomness_there_is_no_place() {
        struct Dry;
        impl Entropy for Dry {
            fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
                Err(EntropyError)
            }
        }
        let indexes = StatusIndexes::new(&drawn(1, 0), Arc::new(Dry));
        assert_eq!(indexes.draw(), Err(IndexError::Entropy(EntropyError)));
    }
}
