//! Since when this node's view of revocations is known to be complete: told by the probe, read by
//! every request. What follows from it is `federation::freshness`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use exequatur_federation::freshness::{AsOf, Moment, ViewFacts};

use crate::clock::Clock;

/// The age of the view.
///
/// Whoever decides by both reads the age first and the view after it, so that the view holds at
/// least what the age promises.
pub struct ViewAge {
    as_of: ArcSwap<AsOf>,
    clock: Arc<dyn Clock>,
}

impl ViewAge {
    /// Of a region without others.
    #[must_use]
    pub fn alone(clock: Arc<dyn Clock>) -> Self {
        Self { as_of: ArcSwap::from_pointee(AsOf::Alone), clock }
    }

    /// Of a member of a federation, before its first probe.
    #[must_use]
    pub fn of_member(clock: Arc<dyn Clock>) -> Self {
        Self { as_of: ArcSwap::from_pointee(AsOf::Never), clock }
    }

    /// The view as it is now.
    #[must_use]
    pub fn facts(&self) -> ViewFacts {
        ViewFacts { now: self.clock.moment(), as_of: **self.as_of.load() }
    }

    /// What the clocks say now, for a probe that is about to be sent.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.moment()
    }

    /// The published view holds everything that was acknowledged before this moment. Of probes that
    /// come back in another order the one that was sent last counts.
    pub fn confirmed(&self, sent: Moment) {
        self.as_of.rcu(|as_of| match **as_of {
            AsOf::Probe(known) if known.boottime > sent.boottime => AsOf::Probe(known),
            AsOf::Alone => AsOf::Alone,
            AsOf::Never | AsOf::Probe(_) => AsOf::Probe(sent),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use exequatur_federation::{
        freshness::{Bounds, Freshness, OnStale, Traffic, judge},
        time::Ttl,
    };

    use super::*;
    use crate::clock::testing::HandClock;

    const BOUNDS: Bounds =
        Bounds { max_staleness: Ttl::from_seconds(10), on_stale: OnStale::Refuse };

    fn member() -> (Arc<HandClock>, ViewAge) {
        let clock = Arc::new(HandClock::default());
        (Arc::clone(&clock), ViewAge::of_member(clock))
    }

    fn is_fresh(age: &ViewAge) -> bool {
        judge(&BOUNDS, Traffic::Resident, &age.facts()) == Freshness::Fresh
    }

    #[test]
    fn a_node_is_stale_until_its_first_probe_and_after_each_that_is_too_old() {
        let (clock, age) = member();
        assert!(!is_fresh(&age));
        age.confirmed(clock.moment());
        assert!(is_fresh(&age));
        clock.pass(Duration::from_secs(10));
        assert!(!is_fresh(&age));
        age.confirmed(clock.moment());
        assert!(is_fresh(&age));
    }

    #[test]
    fn a_late_answer_makes_the_view_no_older_and_no_younger_than_its_question() {
        let (clock, age) = member();
        let first = clock.moment();
        clock.pass(Duration::from_secs(4));
        let second = clock.moment();
        age.confirmed(second);
        age.confirmed(first);
        assert_eq!(age.facts().age(), Some(Duration::ZERO));
        clock.pass(Duration::from_secs(9));
        assert!(is_fresh(&age));
        clock.pass(Duration::from_secs(1));
        assert!(!is_fresh(&age));
    }

    #[test]
    fn sleep_ages_the_view_though_the_monotonic_clock_stood_still() {
        let (clock, age) = member();
        age.confirmed(clock.moment());
        let before = clock.monotonic();
        clock.sleep(Duration::from_secs(3_600));
        assert_eq!(clock.monotonic(), before);
        assert!(!is_fresh(&age));
    }

    #[test]
    fn a_wall_clock_that_was_set_makes_the_view_stale_until_a_probe_is_sent_after_it() {
        for set in [HandClock::set_forward, HandClock::set_back] {
            let (clock, age) = member();
            age.confirmed(clock.moment());
            let under_way = clock.moment();
            set(&clock, Duration::from_secs(300));
            assert!(!is_fresh(&age));
            age.confirmed(under_way);
            assert!(!is_fresh(&age), "it was sent before the clock was set");
            clock.pass(Duration::from_millis(1));
            age.confirmed(clock.moment());
            assert!(is_fresh(&age));
        }
    }

    #[test]
    fn a_region_alone_stays_alone() {
        let clock = Arc::new(HandClock::default());
        let age = ViewAge::alone(Arc::<HandClock>::clone(&clock));
        clock.sleep(Duration::from_secs(1_000_000));
        assert!(is_fresh(&age));
        age.confirmed(clock.moment());
        assert_eq!(age.facts().as_of, AsOf::Alone);
    }
}
