//! What was counted between two looks.

/// The share of answers whose place went straight to a waiter from which on the limit is what holds the load back.
const LIMITED_SHARE: f64 = 0.8;

/// A period of measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Period {
    pub ended_ns: u64,
    pub elapsed_ns: u64,
    /// Answers; failures are not among them, since failing is no throughput.
    pub served: u64,
    /// Answers whose place somebody waited for.
    pub handed: u64,
    pub failed: u64,
    /// Requests whose clients left before the answer.
    pub abandoned: u64,
    pub latency_sum_ns: f64,
    /// Of squares, in square nanoseconds.
    pub latency_square_sum: f64,
    /// Places taken at the end.
    pub in_flight: usize,
}

impl Period {
    /// Somebody waited nearly all the time, so the concurrency was the limit.
    pub(in super::super) fn is_limited(&self) -> bool {
        self.handed as f64 >= LIMITED_SHARE * (self.served + self.failed + self.abandoned) as f64
    }

    /// Most clients leave before their answer: with so many requests at once the instances work for nobody.
    pub(super) fn is_in_vain(&self) -> bool {
        self.abandoned > self.served
    }

    /// The part of the requests whose clients left.
    pub(super) fn abandoned_share(&self) -> f64 {
        self.abandoned as f64 / ((self.served + self.abandoned) as f64).max(1.0)
    }

    /// Requests the instances worked off per second, also for clients that had left.
    pub(super) fn worked(&self) -> f64 {
        (self.served + self.abandoned) as f64 / (self.elapsed_ns as f64 / 1e9).max(1e-9)
    }

    /// Everything that came to an end, per second.
    pub(in super::super) fn drain(&self) -> f64 {
        (self.served + self.failed) as f64 / (self.elapsed_ns as f64 / 1e9).max(1e-9)
    }

    /// What the pool might complete per second in a calm period: as much as so many at once would, if none took longer for it. What it did
    /// complete is only what was asked for.
    pub(in super::super) fn potential(&self, limit: usize) -> f64 {
        let at_once = if self.served > 0 { limit as f64 / (self.latency_ns() / 1e9).max(1e-9) } else { 0.0 };
        self.drain().max(at_once)
    }

    pub(in super::super) fn latency_ns(&self) -> f64 {
        self.latency_sum_ns / (self.served as f64).max(1.0)
    }

    /// Requests at once, on average (Little's law).
    pub(in super::super) fn concurrency(&self) -> f64 {
        self.latency_sum_ns / (self.elapsed_ns as f64).max(1.0)
    }

    /// Standard deviation of the latency over its mean.
    pub(super) fn variation(&self) -> f64 {
        let count = (self.served as f64).max(1.0);
        let mean = self.latency_ns();
        let variance = self.latency_square_sum / count - mean * mean;
        (variance.max(0.0).sqrt() / mean.max(1.0)).clamp(0.7, 5.0)
    }

    /// The relative standard error of the mean latency.
    pub(super) fn error(&self) -> f64 {
        self.variation() / (self.served as f64).max(1.0).sqrt()
    }
}
