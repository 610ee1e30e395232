//! A circuit breaker: after repeated failure, callers are answered at once and the device is asked
//! only now and then, so that a dead device costs a request nothing and is not beaten.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Failures in a row after which the breaker opens: more than one, since a session that was closed
/// under a worker is mended by the worker itself and says nothing about the next call.
const FAILURES_MAX: u32 = 5;
/// How long the breaker holds calls back before it lets one through: short beside the five seconds
/// in which issuance must be back when the device is.
const PAUSE: Duration = Duration::from_secs(1);

/// The state of one key's breaker. Times are readings of one monotonic clock.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    next_attempt: Duration,
}

impl Breaker {
    /// Whether a call may go through now. While the breaker is open, one call in each pause may:
    /// it is the probe, and nobody waits for its outcome, so a probe that is never heard of again
    /// cannot keep the breaker open.
    pub(super) fn admits(&self, now: Duration) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < FAILURES_MAX {
            return true;
        }
        if now < state.next_attempt {
            return false;
        }
        state.next_attempt = now.saturating_add(PAUSE);
        true
    }

    /// Whether calls are let through freely.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failures < FAILURES_MAX
    }

    /// A call succeeded: the breaker closes.
    pub(super) fn succeeded(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failures = 0;
    }

    /// A call failed.
    pub(super) fn failed(&self, now: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.next_attempt = now.saturating_add(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.admits(NOW));
            breaker.failed(NOW);
        }
        breaker
    }

    #[test]
    fn opens_only_when_failures_come_in_a_row() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..FAILURES_MAX {
                breaker.failed(NOW);
            }
            assert!(breaker.admits(NOW) && breaker.is_closed());
            breaker.succeeded();
        }
        assert!(!opened().is_closed());
    }

    #[test]
    fn an_open_breaker_lets_one_call_through_in_each_pause() {
        let breaker = opened();
        assert!(!breaker.admits(NOW));
        for probe in 1..10 {
            let later = NOW + PAUSE * probe;
            assert!(breaker.admits(later));
            assert!(!breaker.admits(later));
        }
    }

    #[test]
    fn one_success_closes_it_and_one_failed_probe_does_not() {
        let breaker = opened();
        let later = NOW + PAUSE;
        assert!(breaker.admits(later));
        breaker.failed(later);
        assert!(!breaker.admits(later) && !breaker.is_closed());
        assert!(breaker.admits(later + PAUSE));
        breaker.succeeded();
        assert!(breaker.admits(later + PAUSE) && breaker.is_closed());
    }
}
