//! What came of the requests of a run, and the questions asked of it.

use super::super::queue::{Cause, Denial};
use super::SECOND;
use crate::priority::Priority;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Under,
    Served,
    Refused(Denial),
    Left,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub arrived_ns: u64,
    pub priority: Priority,
    pub tenant: u64,
    pub fate: Fate,
    pub ended_ns: u64,
    pub waited_ns: u64,
}

impl Record {
    pub(super) fn latency_s(&self) -> f64 {
        (self.ended_ns - self.arrived_ns) as f64 / SECOND as f64
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub records: Vec<Record>,
    /// Time, limit, places taken.
    pub limits: Vec<(u64, usize, usize)>,
}

impl Run {
    /// Requests that arrived between these seconds.
    pub(super) fn arrived(&self, from_s: f64, to_s: f64) -> Selection<'_> {
        let range = (from_s * SECOND as f64) as u64..(to_s * SECOND as f64) as u64;
        Selection(self.records.iter().filter(|record| range.contains(&record.arrived_ns)).collect())
    }

    pub(super) fn all(&self) -> Selection<'_> {
        Selection(self.records.iter().collect())
    }

    /// Answers per second between these seconds that came within a second of the request's arrival.
    pub(super) fn goodput(&self, from_s: f64, to_s: f64) -> f64 {
        let range = (from_s * SECOND as f64) as u64..(to_s * SECOND as f64) as u64;
        let good = |record: &&Record| record.fate == Fate::Served && range.contains(&record.ended_ns) && record.latency_s() <= 1.0;
        self.records.iter().filter(good).count() as f64 / (to_s - from_s)
    }

    /// The limit's mean, lowest and highest between these seconds.
    pub(super) fn limit(&self, from_s: f64, to_s: f64) -> (f64, usize, usize) {
        let range = (from_s * SECOND as f64) as u64..(to_s * SECOND as f64) as u64;
        let limits: Vec<usize> = self.limits.iter().filter(|look| range.contains(&look.0)).map(|look| look.1).collect();
        let mean = limits.iter().sum::<usize>() as f64 / limits.len() as f64;
        (mean, *limits.iter().min().unwrap(), *limits.iter().max().unwrap())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Selection<'a>(pub Vec<&'a Record>);

impl Selection<'_> {
    pub(super) fn of(mut self, is_in: impl Fn(&Record) -> bool) -> Self {
        self.0.retain(|record| is_in(record));
        self
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn refused(&self) -> usize {
        self.0.iter().filter(|record| matches!(record.fate, Fate::Refused(_))).count()
    }

    pub(super) fn refused_for(&self, cause: Cause) -> usize {
        self.0.iter().filter(|record| matches!(record.fate, Fate::Refused(denial) if denial.cause == cause)).count()
    }

    /// The share that was answered within a second.
    pub(super) fn success(&self) -> f64 {
        let good = self.0.iter().filter(|record| record.fate == Fate::Served && record.latency_s() <= 1.0).count();
        good as f64 / self.count().max(1) as f64
    }

    /// A quantile of the latency of what was served, in milliseconds.
    pub(super) fn latency_ms(&self, quantile: f64) -> f64 {
        let mut latencies: Vec<f64> =
            self.0.iter().filter(|record| record.fate == Fate::Served).map(|record| record.latency_s() * 1e3).collect();
        sorted_quantile(&mut latencies, quantile)
    }

    /// A quantile of how long those that were refused waited for it, in milliseconds.
    pub(super) fn refusal_ms(&self, quantile: f64) -> f64 {
        let mut waits: Vec<f64> =
            self.0.iter().filter(|record| matches!(record.fate, Fate::Refused(_))).map(|record| record.latency_s() * 1e3).collect();
        sorted_quantile(&mut waits, quantile)
    }
}

/// Not a number where there are none.
pub(super) fn sorted_quantile(values: &mut [f64], quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len() as f64 * quantile) as usize).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
