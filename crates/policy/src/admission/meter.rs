//! What answers tell, added up in atomics: a period for the limiter, and a running mean of what an answer takes.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::limiter::{FEW, Period, is_quiet};

/// A period is not shorter than this, however many answers come.
const PERIOD_MIN_NS: u64 = 50_000_000;
/// A period with some answers ends after this time, though it wants more; with few it goes on for up to five times as long.
const PERIOD_MAX_NS: u64 = 2_000_000_000;
/// Latencies are squared in these units, so that a minute squared and thousands of them fit.
const SQUARE_UNIT_SHIFT: u32 = 13;

#[derive(Debug)]
pub(super) struct Meter {
    /// Answers before this moment belong to the limit before.
    began_ns: AtomicU64,
    served_min: AtomicU64,
    /// Served in the lower half, handed on in the upper: one addition for both.
    counts: AtomicU64,
    failed: AtomicU64,
    abandoned: AtomicU64,
    latency_sum_ns: AtomicU64,
    abandoned_sum_ns: AtomicU64,
    latency_square_sum: AtomicU64,
    mean_ns: AtomicU64,
}

impl Meter {
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            began_ns: AtomicU64::new(now_ns),
            served_min: AtomicU64::new(60),
            counts: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            latency_sum_ns: AtomicU64::new(0),
            abandoned_sum_ns: AtomicU64::new(0),
            latency_square_sum: AtomicU64::new(0),
            mean_ns: AtomicU64::new(0),
        }
    }

    /// Counts an answer. True when the period has seen enough.
    pub(super) fn served(&self, now_ns: u64, latency_ns: u64, is_handed: bool) -> bool {
        self.learn_mean(latency_ns);
        let began_ns = self.began_ns.load(Relaxed);
        if now_ns < began_ns {
            return false;
        }
        self.counts.fetch_add(1 + (u64::from(is_handed) << 32), Relaxed);
        self.latency_sum_ns.fetch_add(latency_ns, Relaxed);
        let scaled = latency_ns >> SQUARE_UNIT_SHIFT;
        self.latency_square_sum.fetch_add(scaled.saturating_mul(scaled), Relaxed);
        self.is_over(now_ns - began_ns)
    }

    /// Counts a failure, which ends no period.
    pub(super) fn failed(&self, now_ns: u64, is_handed: bool) {
        if now_ns >= self.began_ns.load(Relaxed) {
            self.failed.fetch_add(1, Relaxed);
            self.counts.fetch_add(u64::from(is_handed) << 32, Relaxed);
        }
    }

    /// A client left after this time: an answer takes at least as long. True when the period has seen enough.
    pub(super) fn abandoned(&self, now_ns: u64, age_ns: u64, is_handed: bool) -> bool {
        if age_ns > self.mean_ns() {
            self.learn_mean(age_ns);
        }
        let began_ns = self.began_ns.load(Relaxed);
        if now_ns < began_ns {
            return false;
        }
        self.abandoned.fetch_add(1, Relaxed);
        self.abandoned_sum_ns.fetch_add(age_ns, Relaxed);
        self.counts.fetch_add(u64::from(is_handed) << 32, Relaxed);
        self.is_over(now_ns - began_ns)
    }

    /// The running mean of what answers take.
    pub(super) fn mean_ns(&self) -> u64 {
        self.mean_ns.load(Relaxed)
    }

    /// Whether most of so many places were unused until now: what begins now is another time, and belongs to another period.
    pub(super) fn was_quiet(&self, now_ns: u64, places: usize) -> bool {
        let elapsed_ns = now_ns.saturating_sub(self.began_ns.load(Relaxed));
        let at_work_ns = self.latency_sum_ns.load(Relaxed) + self.abandoned_sum_ns.load(Relaxed);
        // Within the time of an answer or two nothing needs to have been completed, however busy it is.
        elapsed_ns >= PERIOD_MIN_NS.max(2 * self.mean_ns()) && is_quiet(at_work_ns as f64, elapsed_ns, places)
    }

    /// Ends the period and begins the next. Called by one at a time; what others count in between falls to either period. None if somebody
    /// else has just ended it.
    pub(super) fn close(&self, now_ns: u64, in_flight: usize) -> Option<Period> {
        let elapsed_ns = now_ns.checked_sub(self.began_ns.load(Relaxed)).filter(|elapsed_ns| *elapsed_ns >= PERIOD_MIN_NS)?;
        let period = self.take(now_ns, elapsed_ns, in_flight);
        self.began_ns.store(now_ns, Relaxed);
        Some(period)
    }

    /// Leaves out what ends before then, and asks for so many answers.
    pub(super) fn begin(&self, began_ns: u64, served_min: u64) {
        self.began_ns.store(began_ns, Relaxed);
        self.served_min.store(served_min, Relaxed);
    }

    fn take(&self, ended_ns: u64, elapsed_ns: u64, in_flight: usize) -> Period {
        let counts = self.counts.swap(0, Relaxed);
        let unit = f64::from(1_u32 << SQUARE_UNIT_SHIFT);
        Period {
            ended_ns,
            elapsed_ns,
            served: counts & u64::from(u32::MAX),
            handed: counts >> 32,
            failed: self.failed.swap(0, Relaxed),
            abandoned: self.abandoned.swap(0, Relaxed),
            latency_sum_ns: self.latency_sum_ns.swap(0, Relaxed) as f64,
            abandoned_sum_ns: self.abandoned_sum_ns.swap(0, Relaxed) as f64,
            latency_square_sum: self.latency_square_sum.swap(0, Relaxed) as f64 * unit * unit,
            in_flight,
        }
    }

    fn is_over(&self, elapsed_ns: u64) -> bool {
        if elapsed_ns < PERIOD_MIN_NS {
            return false;
        }
        let served = (self.counts.load(Relaxed) & u64::from(u32::MAX)) + self.abandoned.load(Relaxed);
        let patience_ns = if served < FEW { 5 * PERIOD_MAX_NS } else { PERIOD_MAX_NS };
        served >= self.served_min.load(Relaxed) || elapsed_ns >= patience_ns
    }

    /// Threads may overwrite each other's update: one answer more or less does not matter.
    fn learn_mean(&self, latency_ns: u64) {
        let mean_ns = self.mean_ns.load(Relaxed);
        let mean_ns = if mean_ns == 0 { latency_ns } else { mean_ns - mean_ns / 32 + latency_ns / 32 };
        self.mean_ns.store(mean_ns, Relaxed);
    }
}
