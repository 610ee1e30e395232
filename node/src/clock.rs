//! The clock seam: the only place that asks the machine what time it is.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use exequatur_federation::time::UnixTime;

/// Where a node reads time. The simulator has its own, with offset and drift.
pub trait Clock: Send + Sync {
    /// The wall clock, in whole seconds.
    fn now(&self) -> UnixTime;

    /// A clock that never steps, for measuring how long something took.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading starts at zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_seconds(since.as_secs())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The monotonic clock as token buckets read it.
#[derive(Clone)]
pub struct Monotonic(pub Arc<dyn Clock>);

impl governor::clock::Clock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}
