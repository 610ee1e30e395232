//! Refusals before a client is known are counted, not recorded one by one: a stranger must not be
//! able to buy disk writes. Each interval gives one row for each reason.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use exequatur_federation::time::UnixTime;

/// How often the supervisor takes the counts and records them.
pub const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// Distinct reasons that are kept apart: more than the error catalogue has for requests of
/// strangers. Further ones are counted together.
pub const REASONS_MAX: usize = 128;

/// The reason of what is beyond [`REASONS_MAX`].
const OTHER: &str = "other";

/// Refusals since the counts were taken last.
#[derive(Debug, Default)]
pub struct CountedRefusals {
    counts: Mutex<BTreeMap<&'static str, RefusalCount>>,
}

/// How often something was refused for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// The stable error id.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
    /// The first time.
    pub from: UnixTime,
    /// The last time.
    pub to: UnixTime,
}

impl CountedRefusals {
    /// Counts one refusal.
    pub fn count(&self, reason: &'static str, now: UnixTime) {
        self.add(RefusalCount { reason, count: 1, from: now, to: now });
    }

    /// The reasons that something was refused for, in order.
    #[must_use]
    pub fn reasons(&self) -> Vec<&'static str> {
        self.lock().keys().copied().collect()
    }

    /// Takes the count of one reason; it begins anew. One at a time, so that whoever is stopped
    /// while the one is recorded has lost nothing of the others.
    #[must_use]
    pub fn take(&self, reason: &'static str) -> Option<RefusalCount> {
        self.lock().remove(reason)
    }

    /// Gives back what was taken and could not be recorded.
    pub fn put_back(&self, taken: RefusalCount) {
        self.add(taken);
    }

    fn add(&self, row: RefusalCount) {
        let mut counts = self.lock();
        let known = counts.contains_key(row.reason) || counts.len() < REASONS_MAX;
        let reason = if known { row.reason } else { OTHER };
        counts
            .entry(reason)
            .and_modify(|kept| {
                kept.count = kept.count.saturating_add(row.count);
                kept.from = kept.from.min(row.from);
                kept.to = kept.to.max(row.to);
            })
            .or_insert(RefusalCount { reason, ..row });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, RefusalCount>> {
        // A count is whole at every step, so a panic elsewhere does not spoil it.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn all(counted: &CountedRefusals) -> Vec<RefusalCount> {
        counted.reasons().into_iter().filter_map(|reason| counted.take(reason)).collect()
    }

    #[test]
    fn counts_by_reason_with_first_and_last_time() {
        let counted = CountedRefusals::default();
        counted.count("malformed", at(5));
        counted.count("unknown_client", at(6));
        counted.count("malformed", at(9));
        let malformed = RefusalCount { reason: "malformed", count: 2, from: at(5), to: at(9) };
        let unknown = RefusalCount { reason: "unknown_client", count: 1, from: at(6), to: at(6) };
        assert_eq!(all(&counted), [malformed, unknown]);
        assert!(all(&counted).is_empty());
    }

    #[test]
    fn what_could_not_be_recorded_is_counted_on() {
        let counted = CountedRefusals::default();
        counted.count("malformed", at(5));
        let taken = counted.take("malformed").unwrap();
        counted.count("malformed", at(12));
        counted.put_back(taken);
        let both = RefusalCount { reason: "malformed", count: 2, from: at(5), to: at(12) };
        assert_eq!(all(&counted), [both]);
    }

    #[test]
    fn taking_one_reason_leaves_the_others() {
        let counted = CountedRefusals::default();
        counted.count("malformed", at(5));
        counted.count("unknown_client", at(6));
        assert_eq!(counted.take("malformed").map(|row| row.count), Some(1));
        assert_eq!(counted.take("malformed"), None);
        assert_eq!(counted.reasons(), ["unknown_client"]);
    }

    #[test]
    fn reasons_beyond_the_limit_share_one_row() {
        let counted = CountedRefusals::default();
        for n in 0..REASONS_MAX + 10 {
            let reason: &'static str = Box::leak(format!("reason {n:03}").into_boxed_str());
            counted.count(reason, at(1));
        }
        let rows = all(&counted);
        assert_eq!(rows.len(), REASONS_MAX + 1);
        assert_eq!(rows.iter().find(|row| row.reason == OTHER).unwrap().count, 10);
    }
}
