//! Durations in buckets, at most 0.8 % apart: fine enough to hold measurements to 2 %, small enough to keep one for every second.
//!
//! The buckets of `plimsoll_telemetry` (6 % apart) are for a dashboard. These are cut eight times finer, are filled by one thread without
//! atomics, and take memory only between the smallest and the largest value that came.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Each power of two of microseconds is cut into this many equal parts.
const PARTS_LOG2: u32 = 7;
const PARTS: usize = 1 << PARTS_LOG2;
/// Values at or above 2^32 µs (71 minutes) share the last bucket.
const OCTAVES: usize = 32 - PARTS_LOG2 as usize + 1;
const BUCKETS: usize = OCTAVES * PARTS;

/// Counts of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The bucket that `counts` begins with.
    first: usize,
    counts: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

impl Histogram {
    pub fn record(&mut self, duration: Duration) {
        let us = duration.as_micros() as u64;
        *self.bucket_mut(bucket_of(us)) += 1;
        self.count += 1;
        self.sum_us += us;
        self.max_us = self.max_us.max(us);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn mean(&self) -> Option<Duration> {
        self.sum_us.checked_div(self.count).map(Duration::from_micros)
    }

    /// The largest duration recorded, exact to the microsecond.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.max_us))
    }

    /// The duration that at least the share `quantile` (0 to 1) of the values lie at or below, within half a bucket; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let at = self.counts.iter().position(|in_bucket| {
            seen += in_bucket;
            seen >= rank
        })?;
        Some(Duration::from_micros(middle_us(self.first + at).min(self.max_us)))
    }

    /// How many values lie at or below `bound`, as far as the buckets tell.
    pub fn count_at_most(&self, bound: Duration) -> u64 {
        let bound_us = bound.as_micros() as u64;
        self.buckets().take_while(|(value, _)| value.as_micros() as u64 <= bound_us).map(|(_, count)| count).sum()
    }

    /// The buckets that hold anything, smallest first: a duration in the middle of the bucket, and how many fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(at, count)| (Duration::from_micros(middle_us(self.first + at)), *count))
    }

    /// Adds the counts of another histogram to these.
    pub fn merge(&mut self, other: &Self) {
        for (at, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            *self.bucket_mut(other.first + at) += count;
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }

    fn bucket_mut(&mut self, bucket: usize) -> &mut u64 {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            // Some room below, so that values that come in falling order do not move everything each time.
            let first = bucket.saturating_sub(PARTS / 4);
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - first));
            self.first = first;
        }
        let at = bucket - self.first;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        &mut self.counts[at]
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

/// The whole number of microseconds in the middle of the bucket.
fn middle_us(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let octave = bucket / PARTS - 1;
    let from = ((bucket % PARTS + PARTS) as u64) << octave;
    from + ((1_u64 << octave) - 1) / 2
}

/// How a histogram is written down: `[bucket, count]` of the buckets that hold anything.
#[derive(Serialize, Deserialize)]
struct Sparse {
    sum_us: u64,
    max_us: u64,
    buckets: Vec<(usize, u64)>,
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets = filled.map(|(at, count)| (self.first + at, *count)).collect();
        Sparse { sum_us: self.sum_us, max_us: self.max_us, buckets }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Sparse { sum_us, max_us, buckets } = Sparse::deserialize(deserializer)?;
        let mut histogram = Self { sum_us, max_us, ..Self::default() };
        for (bucket, count) in buckets {
            if bucket >= BUCKETS {
                return Err(serde::de::Error::custom(format_args!("there is no bucket {bucket}")));
            }
            *histogram.bucket_mut(bucket) += count;
            histogram.count += count;
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_half_a_percent() {
        let mut histogram = Histogram::default();
        // Falling order is the hard one for a window that grows.
        for us in (1..=1_000_000).rev().step_by(10) {
            histogram.record(Duration::from_micros(us));
        }
        for quantile in [0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let read = histogram.quantile(quantile).unwrap().as_secs_f64();
            assert!((read / quantile - 1.0).abs() < 0.005, "{quantile}: {read}");
        }
        assert_eq!(histogram.max(), Some(Duration::from_secs(1)));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn every_value_falls_into_a_bucket_whose_middle_is_near() {
        for us in (0..100_000).chain((17..32).map(|power| (1 << power) - 1)) {
            let middle = middle_us(bucket_of(us));
            assert!(middle.abs_diff(us) as f64 <= us as f64 / 200.0, "{us} is read as {middle}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn merging_and_writing_down_lose_nothing() {
        let (mut all, mut low, mut high) = (Histogram::default(), Histogram::default(), Histogram::default());
        for us in [0, 1, 127, 128, 5_000, 5_001, 70_000_000] {
            all.record(Duration::from_micros(us));
            if us < 128 { low.record(Duration::from_micros(us)) } else { high.record(Duration::from_micros(us)) }
        }
        high.merge(&low);
        assert_eq!(high.buckets().collect::<Vec<_>>(), all.buckets().collect::<Vec<_>>());
        let read: Histogram = serde_json::from_str(&serde_json::to_string(&high).unwrap()).unwrap();
        assert_eq!((read.count(), read.mean(), read.max()), (7, all.mean(), all.max()));
        assert_eq!(read.buckets().collect::<Vec<_>>(), all.buckets().collect::<Vec<_>>());
    }

    #[test]
    fn a_bucket_that_does_not_exist_is_refused() {
        serde_json::from_str::<Histogram>(r#"{"sum_us":1,"max_us":1,"buckets":[[99999999,1]]}"#).unwrap_err();
    }

    #[test]
    fn counts_up_to_a_bound() {
        let mut histogram = Histogram::default();
        for ms in 1..=10 {
            histogram.record(Duration::from_millis(ms));
        }
        assert_eq!(histogram.count_at_most(Duration::from_micros(5_100)), 5);
    }
}
