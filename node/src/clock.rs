//! The clock seam: the only place that asks the machine what time it is.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use exequatur_federation::{freshness::Moment, time::UnixTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Where a node reads time. The simulator has its own, with offset and drift.
pub trait Clock: Send + Sync {
    /// The wall clock, in whole seconds.
    fn now(&self) -> UnixTime;

    /// A clock that never steps, for measuring how long something took. It may stand still while
    /// the machine sleeps.
    fn monotonic(&self) -> Duration;

    /// The wall clock beside one that never steps and goes on while the machine sleeps, for telling
    /// how old something is and whether the wall clock was set.
    ///
    /// By default both are made of the other two readings, which is right for a clock of a test in
    /// which nothing sleeps.
    fn moment(&self) -> Moment {
        Moment { boottime: self.monotonic(), wall: Duration::from_secs(self.now().seconds()) }
    }
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

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn moment(&self) -> Moment {
        // CLOCK_MONOTONIC stands still while the machine is suspended; this one does not.
        let boottime = since_zero(clock_gettime(ClockId::Boottime));
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { boottime, wall }
    }
}

/// A reading as a length of time; the kernel gives none before zero.
fn since_zero(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
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

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that a test moves: what passes while awake, while asleep, and how the wall clock is
    //! set, each by itself.

    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Where the wall clock begins.
    const START: Duration = Duration::from_secs(1_800_000_000);

    /// Stands still until it is moved.
    #[derive(Default)]
    pub(crate) struct HandClock(Mutex<Hands>);

    #[derive(Clone, Copy, Default)]
    struct Hands {
        awake: Duration,
        asleep: Duration,
        ahead: Duration,
        behind: Duration,
    }

    impl HandClock {
        /// Time passes.
        pub(crate) fn pass(&self, time: Duration) {
            self.change(|hands| hands.awake += time);
        }

        /// Time passes while the machine sleeps.
        pub(crate) fn sleep(&self, time: Duration) {
            self.change(|hands| hands.asleep += time);
        }

        /// The wall clock is set forward.
        pub(crate) fn set_forward(&self, time: Duration) {
            self.change(|hands| hands.ahead += time);
        }

        /// The wall clock is set back.
        pub(crate) fn set_back(&self, time: Duration) {
            self.change(|hands| hands.behind += time);
        }

        fn change(&self, change: impl FnOnce(&mut Hands)) {
            change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        }

        fn hands(&self) -> Hands {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Clock for HandClock {
        fn now(&self) -> UnixTime {
            UnixTime::from_seconds(self.moment().wall.as_secs())
        }

        fn monotonic(&self) -> Duration {
            self.hands().awake
        }

        fn moment(&self) -> Moment {
            let Hands { awake, asleep, ahead, behind } = self.hands();
            let boottime = awake + asleep;
            let wall = (START + boottime + ahead).saturating_sub(behind);
            Moment { boottime, wall }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_readings_are_those_of_the_kernel() {
        let clock = SystemClock::start();
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let (first, second) = (clock.moment(), clock.moment());
        assert!(first.boottime.as_secs_f64() >= uptime.floor(), "{first:?}, up for {uptime}");
        assert!(second.boottime >= first.boottime, "it never steps back");
        assert!(clock.now().seconds() >= first.wall.as_secs());
    }
}
