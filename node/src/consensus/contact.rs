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
    silence_max: Duration,
    clock: Arc<dyn Clock>,
}

impl LeaderContact {
    /// No leader was heard yet. One that is silent for longer than `silence_max` is gone.
    #[must_use]
    pub fn new(silence_max: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { last: Mutex::new(None), silence_max, clock }
    }

    /// An append of this leader has come in order.
    pub(super) fn heard(&self, leader: NodeId) {
        let now = self.clock.monotonic();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((leader, now));
    }

    /// The leader that was heard last, unless it is gone.
    pub(super) fn present(&self) -> Option<NodeId> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (node, at) = last?;
        (self.clock.monotonic().saturating_sub(at) <= self.silence_max).then_some(node)
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
    fn the_leader_that_was_heard_last_is_present_until_it_is_silent_for_too_long() {
        let clock = Arc::new(Standing::default());
        let silence_max = Duration::from_secs(3);
        let contact = LeaderContact::new(silence_max, Arc::<Standing>::clone(&clock));
        let [first, second] = [1, 2].map(|bits| NodeId::new(bits).unwrap());
        assert_eq!(contact.present(), None);
        contact.heard(first);
        *clock.0.lock().unwrap() = silence_max;
        assert_eq!(contact.present(), Some(first));
        contact.heard(second);
        assert_eq!(contact.present(), Some(second));
        *clock.0.lock().unwrap() = silence_max * 2 + Duration::from_nanos(1);
        assert_eq!(contact.present(), None);
    }
}
