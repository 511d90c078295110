//! When requests are due: pure and seeded.
//!
//! The number of requests due up to a moment is a curve: the rate, summed up. An arrival is where that curve crosses the next mark, and
//! marks are one apart for a constant schedule, or exponentially distributed apart for a Poisson process. So ramps come for free, and a
//! thread's share of the load is every n-th mark.

use std::time::Duration;

use crate::plan::{Arrivals, Stage};

/// A moment from the start of the run, and the stage that it falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: Duration,
    pub stage: usize,
}

/// One of several threads that share a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    pub index: usize,
    pub of: usize,
}

impl Share {
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// This thread's part of a whole number: the parts of all threads add up to it.
    pub fn part(self, whole: usize) -> usize {
        (whole + self.of - 1 - self.index) / self.of
    }
}

/// The due times of one thread, in order.
#[derive(Debug)]
pub struct Schedule {
    stages: Vec<Stage>,
    /// The stage in which the next mark is looked for, when it starts, and how much of the curve lies before it.
    stage: usize,
    starts_s: f64,
    before: f64,
    /// The height of the curve at which the next request is due.
    mark: f64,
    marks: Marks,
}

#[derive(Debug)]
enum Marks {
    Constant { apart: f64 },
    Poisson { apart: f64, random: fastrand::Rng },
}

impl Schedule {
    pub fn new(stages: &[Stage], arrivals: Arrivals, seed: u64, share: Share) -> Self {
        let apart = share.of as f64;
        let mut marks = match arrivals {
            Arrivals::Constant => Marks::Constant { apart },
            // Neighbouring seeds would give related streams.
            Arrivals::Poisson => {
                let mut seeds = fastrand::Rng::with_seed(seed);
                let own = (0..=share.index).fold(0, |_, _| seeds.u64(..));
                Marks::Poisson { apart, random: fastrand::Rng::with_seed(own) }
            }
        };
        let mark = match &mut marks {
            // Half a gap from the start, so that a stage gets the number that its rate promises.
            Marks::Constant { .. } => share.index as f64 + 0.5,
            poisson @ Marks::Poisson { .. } => poisson.gap(),
        };
        Self { stages: stages.to_vec(), stage: 0, starts_s: 0.0, before: 0.0, mark, marks }
    }
}

impl Marks {
    fn gap(&mut self) -> f64 {
        match self {
            Self::Constant { apart } => *apart,
            // 1 − [0, 1) is never zero, whose logarithm would be no gap.
            Self::Poisson { apart, random } => -(1.0 - random.f64()).ln() * *apart,
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        while let Some(stage) = self.stages.get(self.stage) {
            let lasts_s = stage.lasts.as_secs_f64();
            let within = self.mark - self.before;
            if within < stage.requests() {
                let at_s = self.starts_s + time_of(stage, within).clamp(0.0, lasts_s);
                self.mark += self.marks.gap();
                return Some(Due { at: Duration::from_secs_f64(at_s), stage: self.stage });
            }
            self.before += stage.requests();
            self.starts_s += lasts_s;
            self.stage += 1;
        }
        None
    }
}

/// Seconds into the stage at which `count` requests have been due: where `from·t + (to − from)·t²/(2·lasts)` is `count`.
fn time_of(stage: &Stage, count: f64) -> f64 {
    // A mark may lie on the very seam of two stages; the form below has no answer for it when the rate starts from zero.
    if count <= 0.0 {
        return 0.0;
    }
    let slope = (stage.to_rate - stage.from_rate) / stage.lasts.as_secs_f64();
    // This form of the root stays exact when the slope is zero, and when the rate starts from zero.
    2.0 * count / (stage.from_rate + (stage.from_rate.powi(2) + 2.0 * slope * count).max(0.0).sqrt())
}

#[cfg(test)]
mod tests;
