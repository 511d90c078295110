//! What a group of requests came to, as it is judged, compared and drawn.

use std::time::Duration;

use crate::histogram::Histogram;
use crate::record::{Recording, StageRecord, Totals};
use crate::slo::Measured;
use crate::statistics::{Range, quantile_ranks};

/// Counts together with the time in which the requests were due.
#[derive(Clone, Debug)]
pub struct Figures {
    pub totals: Totals,
    pub lasted: Duration,
    /// Requests due per second: of a whole stage what it promises, else what became due until it ended.
    pub offered: f64,
}

impl Figures {
    /// Of a whole run.
    pub fn of(recording: &Recording) -> Self {
        let requests = recording.stages.iter().map(|stage| offered(stage) * stage.lasted.as_secs_f64()).sum::<f64>();
        let lasted = recording.lasted;
        Self { totals: recording.total.clone(), lasted, offered: per_second(requests, lasted) }
    }

    /// Of one of its stages.
    pub fn of_stage(stage: &StageRecord) -> Self {
        Self { totals: stage.totals.clone(), lasted: stage.lasted, offered: offered(stage) }
    }

    /// The same rate measured again.
    pub fn merge(&mut self, other: &Self) {
        let requests = self.offered * self.lasted.as_secs_f64() + other.offered * other.lasted.as_secs_f64();
        self.totals.merge(&other.totals);
        self.lasted += other.lasted;
        self.offered = per_second(requests, self.lasted);
    }

    /// Of good answers, in seconds.
    pub fn latency(&self, quantile: f64) -> Option<f64> {
        self.totals.good_latency.quantile(quantile).map(|latency| latency.as_secs_f64())
    }

    /// Between which bounds that lies with 95 % confidence, if requests were independent.
    pub fn latency_range(&self, quantile: f64) -> Option<Range> {
        let latency = &self.totals.good_latency;
        let ranks = quantile_ranks(quantile, latency.count());
        let of_rank = |rank: u64| latency.quantile(rank as f64 / latency.count() as f64).map(|latency| latency.as_secs_f64());
        Some(Range { low: of_rank(*ranks.start())?, high: of_rank(*ranks.end())? })
    }
}

/// Latency is read twice, of good answers and of everything that ended, and the worse reading counts: quick refusals must not make a slow
/// server look quick, nor time-outs, which have no answer, disappear.
impl Measured for Figures {
    fn quantile(&self, quantile: f64) -> Option<Duration> {
        self.worse(|latency| latency.quantile(quantile))
    }

    fn mean(&self) -> Option<Duration> {
        self.worse(Histogram::mean)
    }

    fn max(&self) -> Option<Duration> {
        self.worse(Histogram::max)
    }

    fn error_share(&self) -> f64 {
        self.totals.failed_share().unwrap_or(1.0)
    }

    fn rate(&self) -> f64 {
        per_second(self.totals.due as f64, self.lasted)
    }

    fn goodput(&self) -> f64 {
        per_second(self.totals.good as f64, self.lasted)
    }
}

impl Figures {
    fn worse(&self, read: impl Fn(&Histogram) -> Option<Duration>) -> Option<Duration> {
        read(&self.totals.good_latency).max(read(&self.totals.latency()))
    }
}

/// A schedule gives a whole stage its number of requests to within one, so this is what was due and does not depend on the rounding.
fn offered(record: &StageRecord) -> f64 {
    let whole = record.stage.as_ref().filter(|stage| stage.lasts == record.lasted);
    whole.map_or_else(|| per_second(record.totals.due as f64, record.lasted), |stage| per_second(stage.requests(), stage.lasts))
}

fn per_second(count: f64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Stage;
    use crate::record::ErrorKind;

    fn answers(ms: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for each in ms {
            histogram.record(Duration::from_millis(*each));
        }
        histogram
    }

    fn figures(good: &[u64], poor: &[u64]) -> Figures {
        let mut totals = Totals { due: 20, good: good.len() as u64, ..Totals::default() };
        totals.answered_by_class[2] = totals.good;
        totals.errors[ErrorKind::Timeout] = poor.len() as u64;
        (totals.good_latency, totals.poor_latency) = (answers(good), answers(poor));
        Figures { totals, lasted: Duration::from_secs(2), offered: 10.0 }
    }

    #[test]
    fn neither_quick_refusals_nor_time_outs_flatter() {
        let near = |figures: &Figures, ms: f64| (figures.quantile(0.5).unwrap().as_secs_f64() * 1e3 / ms - 1.0).abs() < 0.01;
        assert!(near(&figures(&[100, 100], &[1; 8]), 100.0), "eight of ten were refused within a millisecond");
        assert!(near(&figures(&[100, 100], &[5_000; 8]), 5_000.0), "eight of ten timed out");
    }

    #[test]
    fn goodput_is_good_answers_per_second_of_schedule() {
        let figures = figures(&[1; 15], &[1; 5]);
        assert!((figures.goodput() - 7.5).abs() < 1e-9 && (figures.rate() - 10.0).abs() < 1e-9);
        assert!((figures.error_share() - 0.25).abs() < 1e-9);
        let silent = Figures { totals: Totals::default(), ..figures };
        assert!((silent.error_share() - 1.0).abs() < 1e-9, "nothing ended");
    }

    #[test]
    fn a_ramp_that_was_stopped_offered_what_had_become_due() {
        let stage = Stage { from_rate: 0.0, to_rate: 100.0, lasts: Duration::from_secs(10) };
        let record = |due, seconds| StageRecord {
            stage: Some(stage),
            starts: Duration::ZERO,
            lasted: Duration::from_secs(seconds),
            totals: Totals { due, ..Totals::default() },
            lateness: Histogram::default(),
            generator_saturated: false,
        };
        let offered = |due, seconds| Figures::of_stage(&record(due, seconds)).offered;
        assert!((offered(500, 10) - 50.0).abs() < 1e-9 && (offered(80, 4) - 20.0).abs() < 1e-9, "{}", offered(80, 4));
    }

    #[test]
    fn a_range_encloses_its_quantile() {
        let figures = figures(&(1..=1_000).collect::<Vec<_>>(), &[]);
        let (range, median) = (figures.latency_range(0.5).unwrap(), figures.latency(0.5).unwrap());
        assert!(range.contains(median) && range.low > 0.46 && range.high < 0.54, "{range:?}");
        assert_eq!(Figures { totals: Totals::default(), ..figures }.latency_range(0.5), None);
    }
}
