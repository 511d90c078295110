//! What was counted between two looks.

use super::super::lingering::HALVES;

/// The share of answers whose place went straight to a waiter from which on the limit is what holds the load back.
const LIMITED_SHARE: f64 = 0.8;
/// The part of its places that a pool uses, on average, from which on it is busy. Below, the load came only at the end of the period or was
/// a short burst, and an average over both would take the quiet time for all that the pool can do.
const BUSY_PART: f64 = 0.1;
/// Work that was abandoned is believed to last so many times as long as its client waited.
const LINGERS: f64 = HALVES as f64 / 2.0;
/// A request that is abandoned after so many times what an answer takes was no ordinary one. Less may be the work of a queue.
const APART: f64 = 5.0;
/// What fewer than this say may be chance.
pub(in super::super) const FEW: u64 = 20;

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
    /// Time spent on requests until their clients left.
    pub abandoned_sum_ns: f64,
    /// Of squares, in square nanoseconds.
    pub latency_square_sum: f64,
    /// Places taken at the end.
    pub in_flight: usize,
}

/// Whether so much work in so much time leaves most of the places unused.
pub(in super::super) fn is_quiet(at_work_ns: f64, elapsed_ns: u64, places: usize) -> bool {
    at_work_ns < BUSY_PART * elapsed_ns as f64 * places as f64
}

impl Period {
    /// Somebody waited nearly all the time, so the concurrency was the limit.
    pub(in super::super) fn is_limited(&self) -> bool {
        let ended = self.served + self.failed + self.abandoned;
        let is_quiet = is_quiet(self.latency_sum_ns + self.abandoned_sum_ns, self.elapsed_ns, self.in_flight);
        ended > 0 && self.handed as f64 >= LIMITED_SHARE * ended as f64 && !is_quiet
    }

    /// Whether it says anything about what the pool can do.
    pub(in super::super) fn is_telling(&self) -> bool {
        self.is_limited() || self.served + self.failed >= FEW
    }

    /// Most clients leave before their answer: with so many requests at once the instances work for nobody. A few requests that hang at
    /// night prove nothing of that kind.
    pub(super) fn is_in_vain(&self) -> bool {
        self.abandoned > self.served && (self.abandoned >= FEW || self.is_limited())
    }

    /// The part of the requests whose clients left.
    pub(super) fn abandoned_share(&self) -> f64 {
        self.abandoned as f64 / ((self.served + self.abandoned) as f64).max(1.0)
    }

    /// The part of the requests that are abandoned though they would not be if the instances had room, when `usual` is the part that is
    /// abandoned anyhow. What may be chance is left out.
    pub(super) fn abandoned_beyond(&self, usual: f64) -> f64 {
        let chance = (usual * (1.0 - usual) / ((self.served + self.abandoned) as f64).max(1.0)).sqrt();
        ((self.abandoned_share() - usual - chance) / (1.0 - usual).max(0.01)).max(0.0)
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

    /// Clients left after many times what an answer takes: they asked for something else, and no queue kept it from them.
    pub(super) fn is_abandoned_apart(&self) -> bool {
        self.abandoned_sum_ns > APART * self.latency_ns() * self.abandoned as f64
    }

    /// How long places are held for those, spread over all requests.
    pub(super) fn lost_ns(&self) -> f64 {
        let held_ns = if self.is_abandoned_apart() { LINGERS * self.abandoned_sum_ns } else { 0.0 };
        held_ns / ((self.served + self.abandoned) as f64).max(1.0)
    }

    /// Requests at once that were answered, on average (Little's law).
    pub(super) fn answering(&self) -> f64 {
        self.latency_sum_ns / (self.elapsed_ns as f64).max(1.0)
    }

    /// Places taken, on average.
    pub(in super::super) fn concurrency(&self) -> f64 {
        self.answering() + self.lost_ns() / 1e9 * self.worked()
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
