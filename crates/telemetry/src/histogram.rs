//! Latency buckets that any thread may add to without a lock.
//!
//! Log-linear, as in `HdrHistogram`: each power of two of microseconds is cut into 16 equal parts, so any value read back is at most
//! 1/16 (6.25 %) too high. 1 µs to 137 s in 3.4 KiB; one relaxed addition to record.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const PARTS_LOG2: u32 = 4;
const PARTS: usize = 1 << PARTS_LOG2;
/// Values at or above 2^27 µs (134 s) share the last bucket.
const OCTAVES: usize = 27 - PARTS_LOG2 as usize + 1;
const BUCKETS: usize = OCTAVES * PARTS;

/// Counts of durations, added to from any thread.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub fn record(&self, duration: Duration) {
        let us = duration.as_micros() as u64;
        self.buckets[bucket_of(us)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub fn counts(&self) -> HistogramCounts {
        let buckets = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        HistogramCounts { buckets, sum_us: self.sum_us.load(Relaxed) }
    }
}

/// The buckets of a [`Histogram`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistogramCounts {
    buckets: Vec<u64>,
    sum_us: u64,
}

impl HistogramCounts {
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// The smallest bucket bound that at least the share `quantile` (0 to 1) of the values lie at or below; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|in_bucket| {
            seen += in_bucket;
            seen >= rank
        })?;
        Some(Duration::from_micros(upper_bound_us(bucket)))
    }

    /// How many values lie at or below `bound`, rounded down to a bucket bound: for cumulative exposition.
    pub fn count_at_most(&self, bound: Duration) -> u64 {
        let bound_us = bound.as_micros() as u64;
        self.buckets.iter().enumerate().take_while(|(bucket, _)| upper_bound_us(*bucket) <= bound_us).map(|(_, in_bucket)| in_bucket).sum()
    }

    /// What was recorded after `earlier` was taken from the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: usize| earlier.buckets.get(bucket).copied().unwrap_or(0);
        let buckets = self.buckets.iter().enumerate().map(|(bucket, now)| now.saturating_sub(before(bucket))).collect();
        Self { buckets, sum_us: self.sum_us.saturating_sub(earlier.sum_us) }
    }

    /// Adds the counts of another histogram to these.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.sum_us += other.sum_us;
    }
}

fn bucket_of(us: u64) -> usize {
    if us < PARTS as u64 {
        return us as usize;
    }
    let octave = us.ilog2() - PARTS_LOG2;
    let part = (us >> octave) as usize - PARTS;
    ((octave as usize + 1) * PARTS + part).min(BUCKETS - 1)
}

/// The largest whole number of microseconds that falls into the bucket.
fn upper_bound_us(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let octave = bucket / PARTS - 1;
    ((((bucket % PARTS) + PARTS + 1) as u64) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_line_without_gap_or_overlap() {
        for bucket in 1..BUCKETS {
            assert_eq!(bucket_of(upper_bound_us(bucket)), bucket);
            assert_eq!(bucket_of(upper_bound_us(bucket - 1) + 1), bucket);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_high() {
        let histogram = Histogram::default();
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        let counts = histogram.counts();
        for (quantile, exact) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let read = counts.quantile(quantile).unwrap().as_secs_f64() * 1e3;
            assert!((exact..=exact * 1.0626).contains(&read), "{quantile}: {read}");
        }
        assert_eq!(HistogramCounts::default().quantile(0.5), None);
    }

    #[test]
    fn since_sees_only_what_is_new() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(1));
        let before = histogram.counts();
        histogram.record(Duration::from_secs(1));
        let new = histogram.counts().since(&before);
        assert_eq!(new.count(), 1);
        assert!(new.quantile(0.5).unwrap() >= Duration::from_secs(1));
    }
}
