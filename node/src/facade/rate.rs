//! Rates: how often a client may ask, and how often an address may fail to be one.
//!
//! Clients are limited after authentication, by their registered id, so that the table has one
//! entry a client and no stranger can add to it or spend another's share. Before authentication
//! only failures count, by address, in a table of fixed size.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use lru::LruCache;

use crate::clock::Clock;

/// Addresses remembered for failures: an entry is under 64 bytes, the table under 1 MiB. Who
/// fails from more addresses than that is not stopped by counting addresses.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// Failures that an address has at once: a deployment with a wrong secret and ten retries.
const FAILURES_BURST: u32 = 20;

/// Time after which one failure is forgotten.
const FAILURE_FORGOTTEN: Duration = Duration::from_secs(3);

/// Leading bits of an IPv6 address that count as one address: what one line is given.
const IPV6_LINE_BITS: u32 = 64;

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

/// Refuses addresses from which client authentication failed too often.
pub struct FailureLimiter {
    clock: Arc<dyn Clock>,
    /// When the last counted failure of an address will be forgotten.
    forgotten_at: Mutex<LruCache<IpAddr, Duration>>,
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

impl FailureLimiter {
    /// No failures yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, forgotten_at: Mutex::new(LruCache::new(ADDRESSES_MAX)) }
    }

    /// Whether `address` may try to authenticate.
    ///
    /// # Errors
    /// It failed too often of late.
    pub fn check(&self, address: IpAddr) -> Result<(), RetryAfter> {
        let now = self.clock.monotonic();
        let forgotten_at = self.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner);
        // Looking does not make an entry younger: only failing does.
        let remembered =
            forgotten_at.peek(&line(address)).map_or(Duration::ZERO, |at| at.saturating_sub(now));
        let tolerated = FAILURE_FORGOTTEN.saturating_mul(FAILURES_BURST - 1);
        match remembered.checked_sub(tolerated) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait.into()),
        }
    }

    /// Counts a failed authentication from `address`.
    pub fn failed(&self, address: IpAddr) {
        let now = self.clock.monotonic();
        let mut forgotten_at = self.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner);
        let at = forgotten_at.get_or_insert_mut(line(address), || now);
        *at = (*at).max(now) + FAILURE_FORGOTTEN;
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

impl fmt::Debug for FailureLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLimiter").finish_non_exhaustive()
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Duration>>;

/// The node's clock as governor reads it.
#[derive(Clone)]
struct Monotonic(Arc<dyn Clock>);

impl GovernorClock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

/// The address, or for IPv6 the network of the line: its holder has all addresses in it.
fn line(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (u128::BITS - IPV6_LINE_BITS);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn an_address_is_refused_after_a_burst_of_failures_and_forgiven_in_time() {
        let clock = Arc::new(Standing::default());
        let limiter = FailureLimiter::new(clock.clone());
        let address = "192.0.2.7".parse().unwrap();
        for _ in 0..FAILURES_BURST {
            assert_eq!(limiter.check(address), Ok(()));
            limiter.failed(address);
        }
        assert_eq!(limiter.check(address), Err(RetryAfter { seconds: 3 }));
        assert_eq!(limiter.check("192.0.2.8".parse().unwrap()), Ok(()));
        clock.advance(FAILURE_FORGOTTEN);
        assert_eq!(limiter.check(address), Ok(()));
    }

    #[test]
    fn success_costs_nothing() {
        let limiter = FailureLimiter::new(Arc::new(Standing::default()));
        for _ in 0..10 * FAILURES_BURST {
            assert_eq!(limiter.check("192.0.2.7".parse().unwrap()), Ok(()));
        }
    }

    #[test]
    fn addresses_of_one_ipv6_line_count_together() {
        let limiter = FailureLimiter::new(Arc::new(Standing::default()));
        for host in 0..u16::try_from(FAILURES_BURST).unwrap() {
            limiter.failed(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into());
        }
        assert!(limiter.check("2001:db8:0:1::ffff".parse().unwrap()).is_err());
        assert!(limiter.check("2001:db8:0:2::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn the_table_of_failures_does_not_grow_past_its_limit() {
        let limiter = FailureLimiter::new(Arc::new(Standing::default()));
        for number in 0..u32::try_from(ADDRESSES_MAX.get() + 10).unwrap() {
            limiter.failed(std::net::Ipv4Addr::from_bits(number).into());
        }
        assert_eq!(limiter.forgotten_at.lock().unwrap().len(), ADDRESSES_MAX.get());
    }

    #[test]
    fn waits_are_whole_seconds_rounded_up() {
        for (wait, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(RetryAfter::from(Duration::from_millis(wait)), RetryAfter { seconds });
        }
    }
}
