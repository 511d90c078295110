//! Who asks: Poisson arrivals at rates that change by phases or along ramps, mixed of kinds of requests.

use fastrand::Rng;

use super::SECOND;
use crate::priority::Priority;

/// A share of the requests: who they come from and which route of the application they take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub weight: f64,
    pub priority: Priority,
    pub tenant: u64,
    pub route: usize,
}

impl Default for Kind {
    fn default() -> Self {
        Self { weight: 1.0, priority: Priority::Normal, tenant: 0, route: 0 }
    }
}

/// Nine requests of the quick route to one of the slow.
pub(super) fn mixed_kinds() -> Vec<Kind> {
    vec![Kind { weight: 9.0, ..Kind::default() }, Kind { route: 1, ..Kind::default() }]
}

#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Seconds, rate at the beginning, rate at the end.
    phases: Vec<(f64, f64, f64)>,
    kinds: Vec<Kind>,
    /// Clients leave after this time.
    pub client_patience_ns: Option<u64>,
}

impl Load {
    /// Phases of constant rate: seconds and requests per second.
    pub(super) fn phases(phases: &[(f64, f64)]) -> Self {
        let phases = phases.iter().map(|&(seconds, rate)| (seconds, rate, rate)).collect();
        Self { phases, kinds: vec![Kind::default()], client_patience_ns: None }
    }

    pub(super) fn ramp(seconds: f64, from: f64, to: f64) -> Self {
        Self { phases: vec![(seconds, from, to)], kinds: vec![Kind::default()], client_patience_ns: None }
    }

    pub(super) fn of(mut self, kinds: &[Kind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    pub(super) fn with_patience(mut self, ns: u64) -> Self {
        self.client_patience_ns = Some(ns);
        self
    }

    pub(super) fn duration_ns(&self) -> u64 {
        (self.phases.iter().map(|phase| phase.0).sum::<f64>() * SECOND as f64) as u64
    }

    pub(super) fn next_arrival_ns(&self, now_ns: u64, rng: &mut Rng) -> Option<u64> {
        let rate = self.rate(now_ns)?;
        let gap_s = -(1.0 - rng.f64()).ln() / rate;
        let next_ns = now_ns + (gap_s * SECOND as f64) as u64 + 1;
        (next_ns < self.duration_ns()).then_some(next_ns)
    }

    pub(super) fn request(&self, _now_ns: u64, rng: &mut Rng) -> (Kind, usize) {
        let total: f64 = self.kinds.iter().map(|kind| kind.weight).sum();
        let mut point = rng.f64() * total;
        for kind in &self.kinds {
            point -= kind.weight;
            if point < 0.0 {
                return (*kind, kind.route);
            }
        }
        let last = self.kinds[self.kinds.len() - 1];
        (last, last.route)
    }

    fn rate(&self, now_ns: u64) -> Option<f64> {
        let mut left_s = now_ns as f64 / SECOND as f64;
        for &(seconds, from, to) in &self.phases {
            if left_s < seconds {
                return Some(from + (to - from) * left_s / seconds);
            }
            left_s -= seconds;
        }
        None
    }
}
