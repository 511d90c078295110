//! Runs in rounds: every candidate once per round, so that whatever else the machine does falls on all of them alike.

use anyhow::Result;

use super::processor::Spent;

/// One run of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample<C> {
    pub candidate: C,
    pub round: u32,
    pub requests: u64,
    pub seconds: f64,
    pub spent: Spent,
}

impl<C> Sample<C> {
    pub(super) fn user_us(&self) -> f64 {
        self.spent.user_us as f64 / self.requests as f64
    }

    pub(super) fn system_us(&self) -> f64 {
        self.spent.system_us as f64 / self.requests as f64
    }

    /// CPU microseconds per request.
    pub(super) fn total_us(&self) -> f64 {
        self.user_us() + self.system_us()
    }

    pub(super) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Measures every candidate in each of `count` rounds; it is told which one, and the round.
pub(super) fn run<C>(candidates: usize, count: u32, mut measure: impl FnMut(usize, u32) -> Result<Sample<C>>) -> Result<Vec<Sample<C>>> {
    let mut samples = Vec::new();
    for round in 1..=count {
        // Another one begins each time, so that none always follows the same neighbour.
        for turn in 0..candidates {
            samples.push(measure((round as usize + turn) % candidates, round)?);
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_measures_all_and_begins_with_another() {
        let measure = |candidate, round| Ok(Sample { candidate, round, requests: 1, seconds: 1.0, spent: Spent::default() });
        let samples = run(3, 2, measure).unwrap();
        let order: Vec<_> = samples.iter().map(|sample| (sample.round, sample.candidate)).collect();
        assert_eq!(order, [(1, 1), (1, 2), (1, 0), (2, 2), (2, 0), (2, 1)]);
    }
}
