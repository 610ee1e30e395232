//! The clock of a lab: it stands still until a test moves it, so that limits of time are met
//! exactly.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use exequatur_federation::time::UnixTime;
use exequatur_node::clock::Clock;

/// Where every lab begins.
pub(crate) const START: u64 = 1_800_000_000;

/// Seconds since [`START`].
#[derive(Default)]
pub(crate) struct LabClock(AtomicU64);

impl LabClock {
    pub(crate) fn seconds(&self) -> u64 {
        START + self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for LabClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.seconds())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}
