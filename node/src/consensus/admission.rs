//! What a leader has room for: proposals a second, and bytes under way, of each region.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use exequatur_federation::{ledger::BATCH_BYTES_MAX, region::RegionNumber};
use governor::{
    Quota, RateLimiter,
    clock::Clock as _,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{Clock, Monotonic};

/// Proposals of a region a second, in the long run: several times what one ledger takes from all.
const PROPOSALS_PER_SECOND: NonZeroU32 = NonZeroU32::new(200_000).unwrap();
/// Bytes of a region's proposals that are in the log and not yet applied: 64 full entries, so that
/// one region's burst stands before another's proposal by half a message at most.
const BYTES_UNDER_WAY_MAX: usize = 64 * BATCH_BYTES_MAX;
/// When to come again if the bytes are used up: an entry takes a few milliseconds.
const BYTES_RETRY: Duration = Duration::from_millis(20);

type Bucket = RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Duration>>;

/// Shares of the leader's capacity. There is one share a region of the ledger, so nobody can add to
/// the table.
pub(crate) struct Admission {
    regions: Mutex<BTreeMap<RegionNumber, Arc<Share>>>,
    clock: Monotonic,
}

struct Share {
    rate: Bucket,
    bytes: Arc<Semaphore>,
}

/// Too much at once; there may be room after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the region proposes more than its share: come again in {} ms", .0.as_millis())]
pub struct ComeAgain(pub Duration);

impl Admission {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { regions: Mutex::default(), clock: Monotonic(clock) }
    }

    /// Takes room for `proposals` of a member region that are `bytes` long. The room for the bytes
    /// is given back when the permit is dropped.
    pub(crate) fn enter(
        &self,
        region: RegionNumber,
        (proposals, bytes): (u32, usize),
    ) -> Result<OwnedSemaphorePermit, ComeAgain> {
        let share = self.share(region);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&share.bytes)
            .try_acquire_many_owned(permits)
            .map_err(|_| ComeAgain(BYTES_RETRY))?;
        if let Some(count) = NonZeroU32::new(proposals) {
            match share.rate.check_n(count) {
                Ok(Ok(())) => {}
                Ok(Err(early)) => {
                    return Err(ComeAgain(early.wait_time_from(self.clock.now())));
                }
                // More at once than a second's worth: no waiting makes room for them.
                Err(_) => return Err(ComeAgain(Duration::from_secs(1))),
            }
        }
        Ok(room)
    }

    fn share(&self, region: RegionNumber) -> Arc<Share> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let share = regions.entry(region).or_insert_with(|| {
            let quota = Quota::per_second(PROPOSALS_PER_SECOND);
            Arc::new(Share {
                rate: RateLimiter::direct_with_clock(quota, self.clock.clone()),
                bytes: Arc::new(Semaphore::new(BYTES_UNDER_WAY_MAX)),
            })
        });
        Arc::clone(share)
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::time::UnixTime;

    use super::*;

    /// A clock that stands until it is set.
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

    fn region(number: u16) -> RegionNumber {
        RegionNumber::new(number).unwrap()
    }

    #[test]
    fn a_regions_bytes_under_way_are_bounded_and_given_back() {
        let admission = Admission::new(Arc::new(Standing::default()));
        let full: Vec<_> =
            (0..64).map(|_| admission.enter(region(1), (1, BATCH_BYTES_MAX)).unwrap()).collect();
        assert_eq!(admission.enter(region(1), (1, 1)).unwrap_err(), ComeAgain(BYTES_RETRY));
        drop(admission.enter(region(2), (1, BATCH_BYTES_MAX)).unwrap());
        drop(full);
        drop(admission.enter(region(1), (1, 1)).unwrap());
    }

    #[test]
    fn a_regions_rate_is_bounded_and_says_when_to_come_again() {
        let clock = Arc::new(Standing::default());
        let admission = Admission::new(Arc::<Standing>::clone(&clock));
        drop(admission.enter(region(1), (PROPOSALS_PER_SECOND.get(), 0)).unwrap());
        let ComeAgain(wait) = admission.enter(region(1), (1, 0)).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(1), "{wait:?}");
        drop(admission.enter(region(2), (1, 0)).unwrap());
        *clock.0.lock().unwrap() = wait;
        drop(admission.enter(region(1), (1, 0)).unwrap());
    }
}
