//! The times that consensus goes by. All of them follow from one number, the longest round trip
//! between two regions.

use std::time::Duration;

/// Shortest heartbeat: below it, a busy scheduler looks like a lost leader.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// What a failover takes apart from heartbeats and round trips: opening connections, a slow disk.
const FAILOVER_ALLOWANCE: Duration = Duration::from_secs(1);

/// Times of consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftTiming {
    /// Longest round trip between two regions.
    pub max_rtt: Duration,
    /// How often a leader shows that it is there: 1.5 round trips, but not under 100 ms.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower stands for election: 3 heartbeats.
    pub election_min: Duration,
    /// Longest such silence: 4 heartbeats.
    pub election_max: Duration,
    /// Longest time without a leader after a leader was lost: 8 heartbeats, 4 round trips and a
    /// second.
    pub failover_max: Duration,
}

impl RaftTiming {
    /// The times for a longest round trip.
    #[must_use]
    pub fn new(max_rtt: Duration) -> Self {
        let heartbeat = HEARTBEAT_MIN.max(max_rtt.saturating_mul(3) / 2);
        let round_trips = max_rtt.saturating_mul(4);
        Self {
            max_rtt,
            heartbeat,
            election_min: heartbeat.saturating_mul(3),
            election_max: heartbeat.saturating_mul(4),
            failover_max: heartbeat
                .saturating_mul(8)
                .saturating_add(round_trips)
                .saturating_add(FAILOVER_ALLOWANCE),
        }
    }

    /// Silence after which a leader is taken to be gone: two elections, so that an election that is
    /// under way is no alarm.
    #[must_use]
    pub const fn silence_max(&self) -> Duration {
        self.election_max.saturating_mul(2)
    }

    /// The age that a view may reach although nothing but a failover has happened: the failover,
    /// the probe that is due meanwhile (every eighth of `max_staleness`), and its round trip.
    #[must_use]
    pub fn reached_staleness(&self, max_staleness: Duration) -> Duration {
        self.failover_max.saturating_add(max_staleness / 8).saturating_add(self.max_rtt)
    }

    /// The shortest `max_staleness`, in whole seconds, that outlasts a failover.
    #[must_use]
    pub fn staleness_min(&self) -> Duration {
        let eighths = self.failover_max.saturating_add(self.max_rtt).saturating_mul(8).as_millis();
        // s - s/8 >= F + RTT, so s >= 8/7 of it.
        let seconds = eighths.div_ceil(7).div_ceil(1_000);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn the_times_of_a_wide_federation_follow_the_round_trip() {
        let timing = RaftTiming::new(ms(250));
        assert_eq!(timing.heartbeat, ms(375));
        assert_eq!((timing.election_min, timing.election_max), (ms(1_125), ms(1_500)));
        assert_eq!(timing.failover_max, ms(3_000 + 1_000 + 1_000));
        assert_eq!(timing.reached_staleness(ms(10_000)), ms(5_000 + 1_250 + 250));
        assert_eq!(timing.staleness_min(), ms(6_000));
    }

    #[test]
    fn near_regions_do_not_beat_faster_than_a_scheduler_allows() {
        let timing = RaftTiming::new(ms(1));
        assert_eq!(timing.heartbeat, ms(100));
        assert_eq!(timing.failover_max, ms(800 + 4 + 1_000));
    }

    #[test]
    fn the_shortest_staleness_is_the_shortest_whole_number_that_holds() {
        for rtt in 1..5_000 {
            let timing = RaftTiming::new(ms(rtt));
            let least = timing.staleness_min();
            assert!(timing.reached_staleness(least) <= least, "{rtt}");
            let shorter = least - ms(1_000);
            assert!(timing.reached_staleness(shorter) > shorter, "{rtt}");
        }
    }
}
