//! One quantile of the recent past: a small histogram of logarithmic buckets that forgets by halving, all in atomics.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Values below 2^16 ns (65 µs) share the first bucket.
const FIRST_LOG2: u32 = 16;
/// Buckets per doubling: neighbours are 9 % apart.
const STEPS_LOG2: u32 = 3;
/// Up to 2^37 ns (137 s); what is longer goes into the last one.
const BUCKETS: usize = ((37 - FIRST_LOG2) << STEPS_LOG2) as usize;

/// The quantile is worked out again after so many samples.
const REFRESH_EVERY: u32 = 64;
/// Fewer samples say nothing about a tail.
const SAMPLES_MIN: u32 = 100;
/// With more the past weighs too much.
const SAMPLES_MAX: u32 = 8_192;
/// Nor does it count for much after this time.
const HALVED_EVERY_NS: u64 = 10_000_000_000;

#[derive(Debug)]
pub(super) struct Quantile {
    share: f32,
    buckets: [AtomicU32; BUCKETS],
    since_refresh: AtomicU32,
    halved_at_ns: AtomicU64,
    /// Zero: not known yet.
    value_ns: AtomicU64,
}

impl Quantile {
    pub(super) fn new(share: f32) -> Self {
        let buckets = std::array::from_fn(|_| AtomicU32::default());
        Self { share, buckets, since_refresh: AtomicU32::default(), halved_at_ns: AtomicU64::default(), value_ns: AtomicU64::default() }
    }

    pub(super) fn get(&self) -> Option<Duration> {
        let value_ns = self.value_ns.load(Relaxed);
        (value_ns > 0).then(|| Duration::from_nanos(value_ns))
    }

    pub(super) fn record(&self, value: Duration, now_ns: u64) {
        let value_ns = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(value_ns)].fetch_add(1, Relaxed);
        // Whoever makes the count full does the work; others that come meanwhile begin the next one.
        if self.since_refresh.fetch_add(1, Relaxed) + 1 == REFRESH_EVERY {
            self.since_refresh.store(0, Relaxed);
            self.refresh(now_ns);
        }
    }

    fn refresh(&self, now_ns: u64) {
        let counts: [u32; BUCKETS] = std::array::from_fn(|bucket| self.buckets[bucket].load(Relaxed));
        let total: u32 = counts.iter().fold(0, |total, count| total.saturating_add(*count));
        if total >= SAMPLES_MIN {
            let rank = (total as f32 * self.share).ceil() as u32;
            let mut below = 0;
            let reaches = |count: &u32| {
                below += count;
                below >= rank
            };
            let bucket = counts.iter().position(reaches).unwrap_or(BUCKETS - 1);
            self.value_ns.store(upper_ns(bucket), Relaxed);
        }
        let is_old = now_ns.saturating_sub(self.halved_at_ns.load(Relaxed)) >= HALVED_EVERY_NS;
        if total >= SAMPLES_MAX || is_old {
            self.halved_at_ns.store(now_ns, Relaxed);
            for (bucket, count) in self.buckets.iter().zip(counts) {
                bucket.fetch_sub(count.div_ceil(2), Relaxed);
            }
        }
    }
}

fn bucket_of(value_ns: u64) -> usize {
    let value_ns = value_ns.max(1 << FIRST_LOG2);
    let log2 = value_ns.ilog2();
    let step = (value_ns >> (log2 - STEPS_LOG2)) & ((1 << STEPS_LOG2) - 1);
    let bucket = ((log2 - FIRST_LOG2) << STEPS_LOG2) as usize + step as usize;
    bucket.min(BUCKETS - 1)
}

/// Where a bucket ends.
fn upper_ns(bucket: usize) -> u64 {
    let (log2, step) = (FIRST_LOG2 + (bucket >> STEPS_LOG2) as u32, bucket as u64 & ((1 << STEPS_LOG2) - 1));
    (1 << log2) + ((step + 1) << (log2 - STEPS_LOG2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_follows_what_is_recent() {
        let quantile = Quantile::new(0.98);
        for number in 0..99 {
            quantile.record(10 * MS, number);
        }
        assert_eq!(quantile.get(), None, "99 samples have no last two percent");
        for number in 0..10_000 {
            quantile.record(if number % 100 == 0 { 1_000 * MS } else { 10 * MS }, 0);
        }
        assert!((10 * MS..12 * MS).contains(&quantile.get().unwrap()), "one percent does not move it");
        for _ in 0..20_000 {
            quantile.record(40 * MS, 0);
        }
        assert!((40 * MS..46 * MS).contains(&quantile.get().unwrap()), "and slower times do");
        for number in 0..70_000 {
            quantile.record(5 * MS, number);
        }
        assert!((5 * MS..6 * MS).contains(&quantile.get().unwrap()), "and so do faster ones");
    }

    #[test]
    fn at_little_traffic_time_forgets_too() {
        let quantile = Quantile::new(0.95);
        for number in 0..1_000 {
            quantile.record(500 * MS, number);
        }
        for second in 0..640 {
            quantile.record(5 * MS, second * 1_000_000_000);
        }
        assert!(quantile.get().unwrap() < 6 * MS);
    }

    proptest! {
        #[test]
        fn a_value_lies_below_the_end_of_its_bucket_and_not_far_below(value_ns in 1_u64 << FIRST_LOG2..1 << 37) {
            let upper = upper_ns(bucket_of(value_ns));
            prop_assert!(upper > value_ns && upper as f64 <= value_ns as f64 * 1.126);
        }

        #[test]
        fn no_value_is_out_of_range(value_ns in any::<u64>()) {
            prop_assert!(bucket_of(value_ns) < BUCKETS);
        }
    }
}
