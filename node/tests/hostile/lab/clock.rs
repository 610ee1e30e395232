//! The clock of a lab: it stands still until a test moves it, so that limits of time are met
//! exactly.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use exequatur_federation::time::UnixTime;
use exequatur_node::clock::{Clock, SystemClock};

/// Where a lab begins whose node runs in the test's process.
const START: u64 = 1_800_000_000;

/// A start, and seconds since it.
pub(crate) struct LabClock {
    start: u64,
    passed: AtomicU64,
}

impl LabClock {
    /// A clock for a node that reads it.
    pub(crate) fn standing() -> Self {
        Self { start: START, passed: AtomicU64::new(0) }
    }

    /// A clock that begins at the machine's time, for a node in a process of its own.
    pub(crate) fn of_the_machine() -> Self {
        Self { start: SystemClock::start().now().seconds(), passed: AtomicU64::new(0) }
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.start + self.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for LabClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.seconds())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.passed.load(Ordering::SeqCst))
    }
}
