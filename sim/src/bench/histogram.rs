//! Latencies in buckets of fixed relative width: recording is one addition, and two histograms add
//! up. A quantile is at most 1 % off.

/// Microseconds below twice this number have a bucket each; every doubling above is cut into this
/// many buckets, so that a bucket is at most 1/128 of its value wide.
const BUCKETS_PER_DOUBLING: u32 = 128;
/// `log2` of the number above.
const FINE_BITS: u32 = BUCKETS_PER_DOUBLING.ilog2();
/// Longest latency that has a bucket of its own, about 134 s: no request is waited for that long.
const MICROSECONDS_MAX: u32 = (1 << 27) - 1;
const BUCKETS: usize = index(MICROSECONDS_MAX) + 1;

/// How often each latency was seen.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// A histogram of nothing.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: std::time::Duration) {
        let microseconds = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        if let Some(count) = self.counts.get_mut(index(microseconds.min(MICROSECONDS_MAX))) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Adds what another histogram counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// How many latencies were counted.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// The latency in microseconds that `percent` of the requests did not exceed; zero if nothing
    /// was counted.
    pub(crate) fn percentile(&self, percent: u64) -> u32 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle(bucket);
            }
        }
        0
    }
}

/// The bucket of a latency: exact up to twice the number of buckets per doubling, then by the
/// position of the highest bit and the bits after it.
const fn index(microseconds: u32) -> usize {
    if microseconds < 2 * BUCKETS_PER_DOUBLING {
        return microseconds as usize;
    }
    let shift = microseconds.ilog2() - FINE_BITS;
    (BUCKETS_PER_DOUBLING * shift + (microseconds >> shift)) as usize
}

/// The latency in the middle of a bucket.
fn middle(bucket: usize) -> u32 {
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    if bucket < 2 * BUCKETS_PER_DOUBLING {
        return bucket;
    }
    let shift = bucket / BUCKETS_PER_DOUBLING - 1;
    let lowest = (bucket - BUCKETS_PER_DOUBLING * shift) << shift;
    lowest + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(latencies: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new();
        latencies.into_iter().for_each(|us| histogram.record(Duration::from_micros(us)));
        histogram
    }

    #[test]
    fn every_latency_has_a_bucket_whose_middle_is_within_one_percent() {
        let mut last = 0;
        for us in (0..MICROSECONDS_MAX).step_by(997).chain([255, 256, 257, MICROSECONDS_MAX]) {
            let bucket = index(us);
            assert!(bucket < BUCKETS, "{us}");
            assert!(middle(bucket).abs_diff(us) <= us / 100 + 1, "{us} is in {}", middle(bucket));
            last = last.max(bucket);
        }
        assert_eq!(last, BUCKETS - 1);
    }

    #[test]
    fn buckets_never_go_back() {
        assert!((1..100_000).all(|us| (0..=1).contains(&(index(us) - index(us - 1)))));
    }

    #[test]
    fn percentiles_are_those_of_the_latencies() {
        let histogram = of(1..=100);
        assert_eq!(histogram.percentile(50), 50);
        assert_eq!(histogram.percentile(99), 99);
        assert_eq!(histogram.percentile(100), 100);
        assert_eq!(of([7]).percentile(50), 7);
    }

    #[test]
    fn nothing_counted_has_no_latency() {
        assert_eq!(Histogram::new().percentile(99), 0);
        assert_eq!(Histogram::new().total(), 0);
    }

    #[test]
    fn two_histograms_add_up() {
        let mut both = of([10; 99]);
        both.merge(&of([5_000]));
        assert_eq!(both.total(), 100);
        assert_eq!(both.percentile(99), 10);
        assert!(both.percentile(100).abs_diff(5_000) <= 50);
    }

    #[test]
    fn a_latency_beyond_the_last_bucket_is_counted_there() {
        let histogram = of([u64::MAX / 2]);
        assert_eq!(histogram.total(), 1);
        assert!(histogram.percentile(50) > 130_000_000);
    }
}
