//! Limiters from the literature, to compare with: additive increase and multiplicative decrease, Vegas, Gradient2, a fixed limit, and none.

use super::super::limiter::{Bounds, Limit, Period, Plan};

/// One limiter's rule: the next limit from the present one and a period.
pub(super) struct Baseline<F> {
    limit: f64,
    rule: F,
}

impl<F: FnMut(f64, &Period) -> f64> Baseline<F> {
    pub(super) fn new(initial: f64, rule: F) -> Self {
        Self { limit: initial, rule }
    }
}

impl<F: FnMut(f64, &Period) -> f64> Limit for Baseline<F> {
    fn close(&mut self, period: &Period) -> Plan {
        self.limit = (self.rule)(self.limit, period).clamp(1.0, 16_384.0);
        Plan { limit: self.limit.round() as usize, settle_ns: 0, served_min: 60 }
    }

    fn set_bounds(&mut self, _: Bounds) -> usize {
        self.limit.round() as usize
    }
}

pub(super) fn fixed() -> impl FnMut(f64, &Period) -> f64 {
    |limit, _| limit
}

/// One more while the limit is in use, a tenth less when an answer takes longer than a given time on average: the time has to be known.
pub(super) fn aimd(too_long_s: f64) -> impl FnMut(f64, &Period) -> f64 {
    move |limit, period| {
        if period.latency_ns() / 1e9 > too_long_s {
            limit * 0.9
        } else if period.in_flight as f64 * 2.0 >= limit {
            limit + 1.0
        } else {
            limit
        }
    }
}

/// Estimates the queue inside the application from the lowest mean latency ever seen, and keeps it between 3 and 6 logarithms.
pub(super) fn vegas() -> impl FnMut(f64, &Period) -> f64 {
    let mut lowest_ns = f64::MAX;
    move |limit, period| {
        lowest_ns = lowest_ns.min(period.latency_ns());
        if (period.in_flight as f64) * 2.0 < limit {
            return limit;
        }
        let step = limit.log10().max(1.0);
        let queue = (limit * (1.0 - lowest_ns / period.latency_ns())).ceil();
        if queue <= step {
            limit + 6.0 * step
        } else if queue < 3.0 * step {
            limit + step
        } else if queue > 6.0 * step {
            limit - step
        } else {
            limit
        }
    }
}

/// The limit follows the ratio of long-term to present latency, plus a constant queue of four, smoothed.
pub(super) fn gradient2() -> impl FnMut(f64, &Period) -> f64 {
    let mut long_ns: Option<f64> = None;
    move |limit, period| {
        let short = period.latency_ns();
        let mut long = long_ns.map_or(short, |long| long + (short - long) * 2.0 / 601.0);
        if long / short > 2.0 {
            long *= 0.95;
        }
        long_ns = Some(long);
        if (period.in_flight as f64) < limit / 2.0 {
            return limit;
        }
        let gradient = (1.5 * long / short).clamp(0.5, 1.0);
        limit * 0.8 + (limit * gradient + 4.0) * 0.2
    }
}
