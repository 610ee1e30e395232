//! When the keys of one issuer may be fetched: refresh, back-off after failures, and the pause
//! between fetches that requests cause. Every moment is a reading of the monotonic clock, given
//! by the caller; nothing here fetches.

use std::{sync::Arc, time::Duration};

use super::{Freshness, RefreshError, RemoteUrl};

/// Least time between two fetches that requests cause while keys are held: tokens with made-up
/// key ids must not become a flood at the issuer.
const UNKNOWN_KID_PAUSE: Duration = Duration::from_secs(30);
/// Pause after a first failure; it doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest pause after failures: an issuer that is back is noticed within it.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How long an address found by discovery is used before it is asked for again. A failed fetch
/// ends it at once.
const LOCATION_AGE_MAX: Duration = Duration::from_secs(3_600);

/// When to fetch, and what came of it.
#[derive(Default)]
pub(super) struct Schedule {
    due_at: Duration,
    backoff_until: Duration,
    unknown_kid_from: Duration,
    failures_in_a_row: u32,
    location: Option<(RemoteUrl, Duration)>,
    tally: Tally,
}

/// What came of the fetches since the start.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub(super) fetches: u64,
    pub(super) failures: u64,
    pub(super) sets_refused: u64,
    /// Why the last fetch failed; `None` if it succeeded.
    pub(super) last_error: Option<Arc<RefreshError>>,
}

impl Schedule {
    /// A fetch begins for the background loop.
    pub(super) const fn begin(&mut self) {
        self.tally.fetches += 1;
    }

    /// A fetch begins because a request needs it.
    pub(super) const fn begin_for_request(&mut self, now: Duration) {
        self.unknown_kid_from = now.saturating_add(UNKNOWN_KID_PAUSE);
        self.begin();
    }

    /// A fetch brought keys.
    pub(super) fn succeeded(
        &mut self,
        now: Duration,
        freshness: Freshness,
        discovered: Option<RemoteUrl>,
    ) {
        if let Some(url) = discovered {
            self.location = Some((url, now));
        }
        self.failures_in_a_row = 0;
        self.backoff_until = now;
        self.due_at = now.saturating_add(freshness.refresh_after);
        self.tally.last_error = None;
    }

    /// A fetch brought nothing that can be used.
    pub(super) fn failed(&mut self, now: Duration, error: Arc<RefreshError>) {
        let doubled = 1_u32.checked_shl(self.failures_in_a_row).unwrap_or(u32::MAX);
        let pause = BACKOFF_FIRST.saturating_mul(doubled).min(BACKOFF_MAX);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.backoff_until = now.saturating_add(pause);
        self.due_at = self.backoff_until;
        // The keys may have moved: the issuer is asked again where they are.
        self.location = None;
        self.tally.failures += 1;
        if matches!(*error, RefreshError::Set { .. }) {
            self.tally.sets_refused += 1;
        }
        self.tally.last_error = Some(error);
    }

    /// The moment of the next background fetch.
    pub(super) const fn due_at(&self) -> Duration {
        self.due_at
    }

    /// How long a request has to wait before it may cause a fetch; zero if it may now.
    pub(super) fn pause(&self, now: Duration, holds_keys: bool) -> Duration {
        let unknown_kid = if holds_keys { self.unknown_kid_from } else { Duration::ZERO };
        self.backoff_until.max(unknown_kid).saturating_sub(now)
    }

    /// The address that discovery found, while it is young.
    pub(super) fn location(&self, now: Duration) -> Option<&RemoteUrl> {
        let (url, found_at) = self.location.as_ref()?;
        (now.saturating_sub(*found_at) < LOCATION_AGE_MAX).then_some(url)
    }

    /// What came of the fetches so far.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_minute_and_end_with_a_success() {
        let mut schedule = Schedule::default();
        let mut pauses = Vec::new();
        for _ in 0..40 {
            schedule.failed(at(0), Arc::new(RefreshError::Pending));
            pauses.push(schedule.pause(at(0), false).as_secs());
        }
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(pauses[8..].iter().all(|p| *p == 60), "{pauses:?}");
        assert_eq!(schedule.due_at(), at(60));
        schedule.succeeded(at(60), Freshness::STANDARD, None);
        assert_eq!(schedule.pause(at(60), false), at(0));
        assert_eq!(schedule.due_at(), at(660));
        schedule.failed(at(660), Arc::new(RefreshError::Pending));
        assert_eq!(schedule.pause(at(660), false), at(1));
    }

    #[test]
    fn a_request_waits_thirty_seconds_after_another_only_while_keys_are_held() {
        let mut schedule = Schedule::default();
        schedule.begin_for_request(at(100));
        schedule.succeeded(at(101), Freshness::STANDARD, None);
        assert_eq!(schedule.pause(at(101), true), at(29));
        assert_eq!(schedule.pause(at(130), true), at(0));
        assert_eq!(schedule.pause(at(101), false), at(0));
        schedule.begin();
        assert_eq!(schedule.pause(at(130), true), at(0), "the background loop takes no turn away");
    }

    #[test]
    fn an_address_is_asked_for_again_after_an_hour_or_a_failure() {
        let url = RemoteUrl::configured("https://login.example.com/jwks").unwrap();
        let mut schedule = Schedule::default();
        schedule.succeeded(at(0), Freshness::STANDARD, Some(url.clone()));
        schedule.succeeded(at(600), Freshness::STANDARD, None);
        assert_eq!(schedule.location(at(3_599)), Some(&url));
        assert_eq!(schedule.location(at(3_600)), None);
        schedule.succeeded(at(3_600), Freshness::STANDARD, Some(url.clone()));
        assert_eq!(schedule.location(at(7_000)), Some(&url));
        schedule.failed(at(7_000), Arc::new(RefreshError::Pending));
        assert_eq!(schedule.location(at(7_000)), None);
    }
}
