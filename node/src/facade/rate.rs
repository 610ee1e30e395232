//! Rates: how often a client may ask.
//!
//! Clients are limited after authentication, by their registered id, so that the table has one
//! entry a client and no stranger can add to it or spend another's share. Addresses are not
//! limited: behind a load balancer all clients share one, and a secret of 256 bits is not guessed.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::{Clock, Monotonic};

/// How often one client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRate {
    /// Requests a second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// Too often; the client may try again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests, try again in {seconds} s")]
pub struct RetryAfter {
    /// Whole seconds, at least one: the value of `Retry-After`.
    pub seconds: u64,
}

/// Limits each registered client to its rate.
pub struct ClientRateLimiter {
    clients: HashMap<String, Bucket>,
    clock: Monotonic,
}

impl ClientRateLimiter {
    /// A full bucket for each client id.
    pub fn new(
        clients: impl IntoIterator<Item = (String, ClientRate)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let clock = Monotonic(clock);
        let bucket = |rate: ClientRate| {
            let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
            RateLimiter::direct_with_clock(quota, clock.clone())
        };
        let clients = clients.into_iter().map(|(id, rate)| (id, bucket(rate))).collect();
        Self { clients, clock }
    }

    /// Takes one request from the share of the authenticated client `client_id`.
    ///
    /// # Errors
    /// The share is used up, or the client is not registered, which an authenticated one is.
    pub fn check(&self, client_id: &str) -> Result<(), RetryAfter> {
        let bucket = self.clients.get(client_id).ok_or(RetryAfter::from(Duration::ZERO))?;
        bucket.check().map_err(|early| early.wait_time_from(self.clock.now()).into())
    }
}

impl From<Duration> for RetryAfter {
    fn from(wait: Duration) -> Self {
        let partial = u64::from(wait.subsec_nanos() > 0);
        Self { seconds: (wait.as_secs() + partial).max(1) }
    }
}

impl fmt::Debug for ClientRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRateLimiter")
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Duration>>;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use exequatur_federation::time::UnixTime;

    use super::*;

    /// A clock that stands until it is set.
    #[derive(Default)]
    struct Standing(Mutex<Duration>);

    impl Standing {
        fn advance(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for Standing {
        fn now(&self) -> UnixTime {
            UnixTime::default()
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    fn rate(per_second: u32, burst: u32) -> ClientRate {
        let number = |n| NonZeroU32::new(n).unwrap();
        ClientRate { per_second: number(per_second), burst: number(burst) }
    }

    #[test]
    fn a_client_may_burst_and_then_keep_its_rate() {
        let clock = Arc::new(Standing::default());
        let clients = [("orders".to_owned(), rate(2, 3))];
        let limiter = ClientRateLimiter::new(clients, clock.clone());
        for _ in 0..3 {
            assert_eq!(limiter.check("orders"), Ok(()));
        }
        assert_eq!(limiter.check("orders"), Err(RetryAfter { seconds: 1 }));
        clock.advance(Duration::from_millis(500));
        assert_eq!(limiter.check("orders"), Ok(()));
        assert!(limiter.check("orders").is_err());
    }

    #[test]
    fn one_client_does_not_spend_anothers_share() {
        let clients = [("a".to_owned(), rate(1, 1)), ("b".to_owned(), rate(1, 1))];
        let limiter = ClientRateLimiter::new(clients, Arc::new(Standing::default()));
        assert!(limiter.check("a").is_ok());
        assert!(limiter.check("a").is_err());
        assert!(limiter.check("b").is_ok());
    }

    #[test]
    fn an_unregistered_client_has_no_share() {
        let limiter = ClientRateLimiter::new([], Arc::new(Standing::default()));
        assert!(limiter.check("stranger").is_err());
    }
}
