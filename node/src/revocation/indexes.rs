//! Places in status lists for new tokens: a random index in a list that this start of the node
//! drew for itself. Two tokens never share a place, and no counter can roll back.

use std::sync::{Arc, Mutex, PoisonError};

use exequatur_federation::revocation::{LIST_SIZE, ListId, StatusReference};

use crate::entropy::{Entropy, EntropyError, draw};

/// A list is given up when this many of its indexes are used: beyond, drawing a free one at random
/// takes more than two attempts on average.
const USED_MAX: u32 = LIST_SIZE / 2;

/// Hands out places in one list after the other.
pub struct StatusIndexes {
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

struct State {
    current: UsedList,
    next: Option<ListId>,
}

struct UsedList {
    id: ListId,
    used: Vec<u64>,
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
    pub fn new(first: ListId, entropy: Arc<dyn Entropy>) -> Self {
        let state = State { current: UsedList::new(first), next: None };
        Self { entropy, state: Mutex::new(state) }
    }

    /// A place that no other token has.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn draw(&self) -> Result<StatusReference, IndexError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.current.count >= USED_MAX {
            let next = state.next.take().ok_or(IndexError::Exhausted)?;
            state.current = UsedList::new(next);
        }
        loop {
            let index = u32::from_be_bytes(draw(self.entropy.as_ref())?) % LIST_SIZE;
            if state.current.take(index) {
                return Ok(StatusReference { list: state.current.id, index });
            }
        }
    }

    /// Whether the next list should be drawn now, so that it is durable when it is needed.
    #[must_use]
    pub fn wants_next(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next.is_none() && state.current.count >= USED_MAX / 2
    }

    /// Takes the id of the next list, durable in the region's store.
    pub fn provide(&self, next: ListId) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next = Some(next);
    }
}

impl UsedList {
    fn new(id: ListId) -> Self {
        Self { id, used: vec![0; (LIST_SIZE / u64::BITS) as usize], count: 0 }
    }

    /// Marks an index as used; `false` if it was.
    fn take(&mut self, index: u32) -> bool {
        let Some(word) = self.used.get_mut((index / u64::BITS) as usize) else { return false };
        let bit = 1_u64 << (index % u64::BITS);
        let free = *word & bit == 0;
        *word |= bit;
        self.count += u32::from(free);
        free
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entropy::SystemEntropy;

    fn indexes() -> StatusIndexes {
        StatusIndexes::new(ListId::new(1), Arc::new(SystemEntropy::default()))
    }

    #[test]
    fn no_place_is_given_twice_and_the_next_list_follows() {
        let indexes = indexes();
        let mut seen = BTreeSet::new();
        for _ in 0..USED_MAX {
            let place = indexes.draw().unwrap();
            assert!(seen.insert(place.index));
        }
        assert!(indexes.wants_next());
        assert_eq!(indexes.draw(), Err(IndexError::Exhausted));
        indexes.provide(ListId::new(2));
        assert!(!indexes.wants_next());
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
        let indexes = StatusIndexes::new(ListId::new(1), Arc::new(Dry));
        assert_eq!(indexes.draw(), Err(IndexError::Entropy(EntropyError)));
    }
}
