//! Whether a server could go on like this.
//!
//! Slightly above its capacity a server answers everything for a while, each answer a little later than the one before. A step of a few
//! seconds ends before the promise is broken, so a step is also judged by where it was heading: a queue that grows without end is a miss.

use std::time::Duration;

use crate::slo::{Figure, Slo};
use crate::statistics::{mann_whitney, median, slope};

/// A step holds if it would still keep its promise after as long again.
const HORIZON: Duration = Duration::from_secs(30);
/// Growth that chance explains this often is none.
const CHANCE_MAX: f64 = 0.01;
/// Fewer slots show no direction.
const SLOTS_MIN: usize = 8;

/// The latency of one slot of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Its middle, in seconds from the start.
    pub at: f64,
    /// The median latency of the requests that were due in it, in seconds.
    pub latency: f64,
}

/// How latency moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Seconds of latency gained per second.
    pub slope: f64,
    /// Where latency will be the horizon after the end, in seconds.
    pub ahead: f64,
}

/// The trend of a step, if it has one that is more than chance.
pub fn trend(slots: &[Slot]) -> Option<Trend> {
    if slots.len() < SLOTS_MIN {
        return None;
    }
    let (times, latencies): (Vec<f64>, Vec<f64>) = slots.iter().map(|slot| (slot.at, slot.latency)).unzip();
    let (first, second) = latencies.split_at(latencies.len() / 2);
    let slope = slope(&times, &latencies).filter(|slope| *slope > 0.0)?;
    let end = median(&latencies[latencies.len() * 3 / 4..])?;
    let is_chance = mann_whitney(first, second) > CHANCE_MAX;
    (!is_chance).then(|| Trend { slope, ahead: end + slope * HORIZON.as_secs_f64() })
}

/// Whether latency grows so that the tightest bound on latency will be broken.
pub fn is_growing_out_of(slo: &Slo, slots: &[Slot]) -> bool {
    let latency = |figure| matches!(figure, Figure::Quantile(_) | Figure::Mean | Figure::Max);
    let bounds = slo.objectives.iter().filter(|objective| latency(objective.figure)).map(|objective| objective.bound);
    // Without a promise on latency, a queue that gains ten seconds is still no steady state.
    let tightest = bounds.fold(10.0, f64::min);
    trend(slots).is_some_and(|trend| trend.ahead > tightest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(latency: impl Fn(f64) -> f64) -> Vec<Slot> {
        (0..50).map(|index| f64::from(index) * 0.1).map(|at| Slot { at, latency: latency(at) }).collect()
    }

    #[test]
    fn a_queue_that_grows_two_percent_a_second_is_seen_within_five() {
        let slo = Slo::default();
        assert!(is_growing_out_of(&slo, &slots(|at| 0.02 + 0.02 * at)));
        assert!(!is_growing_out_of(&slo, &slots(|at| 0.02 + 0.005 * at)));
    }

    #[test]
    fn noise_has_no_direction() {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<f64> = (0..50).map(|_| 0.1 * random.f64()).collect();
        assert!(!is_growing_out_of(&Slo::default(), &slots(|at| 0.01 + noise[(at * 10.0).round() as usize])));
        assert_eq!(trend(&slots(|_| 0.01)), None);
        assert_eq!(trend(&slots(|at| at)[..5]), None, "five slots say nothing");
    }

    #[test]
    fn the_tightest_bound_counts() {
        let grows = slots(|at| 0.02 + 0.005 * at);
        assert!(is_growing_out_of(&"p50<100ms,p99<1s".parse().unwrap(), &grows));
        assert!(!is_growing_out_of(&"errors<1%".parse().unwrap(), &grows));
    }
}
