//! When the leader was last heard. Raft remembers whom a quorum elected for as long as nobody else
//! is elected; whether that leader is still there is another question, and operators ask that one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use exequatur_federation::membership::NodeId;

use crate::clock::Clock;

/// The last sign of life of a leader elsewhere.
pub struct LeaderContact {
    last: Mutex<Option<(NodeId, Duration)>>,
    clock: Arc<dyn Clock>,
}

impl LeaderContact {
    /// No leader was heard yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { last: Mutex::new(None), clock }
    }

    /// An append of this leader has come in order.
    pub(super) fn heard(&self, leader: NodeId) {
        let now = self.clock.monotonic();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((leader, now));
    }

    /// How long ago this leader was heard; `None` if it never was, or another was heard later.
    pub(super) fn since(&self, leader: NodeId) -> Option<Duration> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, at) = last.filter(|(node, _)| *node == leader)?;
        Some(self.clock.monotonic().saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::time::UnixTime;

    use super::*;

    #[derive(Default)]
    struct Standing(Mutex<Duration>);

    impl Clock for Standing {
        fn now(&self) -> UnixTime {
            UnixTime::from_seconds(0)
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn only_the_leader_that_was_heard_last_counts_and_its_silence_grows() {
        let clock = Arc::new(Standing::default());
        let contact = LeaderContact::new(Arc::<Standing>::clone(&clock));
        let [first, second] = [1, 2].map(|bits| NodeId::new(bits).unwrap());
        assert_eq!(contact.since(first), None);
        contact.heard(first);
        *clock.0.lock().unwrap() = Duration::from_secs(3);
        assert_eq!(contact.since(first), Some(Duration::from_secs(3)));
        contact.heard(second);
        assert_eq!((contact.since(first), contact.since(second)), (None, Some(Duration::ZERO)));
    }
}
