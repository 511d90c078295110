//! When requests are due: pure and seeded.
//!
//! The number of requests due up to a moment is a curve: the rate, summed up. An arrival is where that curve crosses the next mark, and
//! marks are one apart for a constant schedule, or as irregular as those of a Poisson process. So ramps come for free, and a thread's share
//! of the load is every n-th mark.
//!
//! Either way a rate brings the number of requests that it promises: chance decides when people come, but one run of 100/s for 10 s must not
//! be 937 requests and the next one 1,050, or neither could be compared with the other, nor with a bound on goodput.

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
    Poisson(Poisson),
}

/// A Poisson process of which it is known how many arrivals it has: each is anywhere with the same chance.
#[derive(Debug)]
struct Poisson {
    random: fastrand::Rng,
    stretches: std::vec::IntoIter<Stretch>,
    /// What is left of the stretch in which the last mark lies.
    current: Stretch,
}

/// A part of the curve that keeps the number of requests it promises.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    begins: f64,
    ends: f64,
    /// Requests of this thread.
    requests: usize,
}

impl Schedule {
    pub fn new(stages: &[Stage], arrivals: Arrivals, seed: u64, share: Share) -> Self {
        let mut marks = match arrivals {
            Arrivals::Constant => Marks::Constant { apart: share.of as f64 },
            // Neighbouring seeds would give related streams.
            Arrivals::Poisson => {
                let mut seeds = fastrand::Rng::with_seed(seed);
                let own = (0..=share.index).fold(0, |_, _| seeds.u64(..));
                let random = fastrand::Rng::with_seed(own);
                Marks::Poisson(Poisson { random, stretches: stretches(stages, share).into_iter(), current: Stretch::default() })
            }
        };
        let mark = match &mut marks {
            // Half a gap from the start, so that a stage gets the number that its rate promises.
            Marks::Constant { .. } => share.index as f64 + 0.5,
            Marks::Poisson(poisson) => poisson.next(),
        };
        Self { stages: stages.to_vec(), stage: 0, starts_s: 0.0, before: 0.0, mark, marks }
    }
}

impl Marks {
    fn after(&mut self, mark: f64) -> f64 {
        match self {
            Self::Constant { apart } => mark + *apart,
            Self::Poisson(poisson) => poisson.next(),
        }
    }
}

impl Poisson {
    /// The lowest of all marks that are left, beyond the end when there are none.
    fn next(&mut self) -> f64 {
        while self.current.requests == 0 {
            let Some(stretch) = self.stretches.next() else { return f64::INFINITY };
            self.current = stretch;
        }
        let Stretch { begins, ends, requests } = &mut self.current;
        // 1 − [0, 1) is never zero, whose logarithm would be no number.
        let passed_over = -((1.0 - self.random.f64()).ln() / *requests as f64).exp_m1();
        *begins += (*ends - *begins) * passed_over;
        *requests -= 1;
        *begins
    }
}

/// The stages by what they promise: neighbours of one rate are one stretch, since nobody asked for a number in each of them.
fn stretches(stages: &[Stage], share: Share) -> Vec<Stretch> {
    let is_one_rate = |one: &Stage, other: &Stage| {
        [one.to_rate, other.from_rate, other.to_rate].iter().all(|rate| rate.total_cmp(&one.from_rate).is_eq())
    };
    let (mut stretches, mut height) = (Vec::new(), 0.0_f64);
    for group in stages.chunk_by(is_one_rate) {
        let begins = height;
        // In the order in which the schedule adds them up, so that both end at the same height.
        for stage in group {
            height += stage.requests();
        }
        let due = |height: f64| share.part(height.round() as usize);
        stretches.push(Stretch { begins, ends: height, requests: due(height) - due(begins) });
    }
    stretches
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        while let Some(stage) = self.stages.get(self.stage) {
            let lasts_s = stage.lasts.as_secs_f64();
            let within = self.mark - self.before;
            if within < stage.requests() {
                let at_s = self.starts_s + time_of(stage, within).clamp(0.0, lasts_s);
                self.mark = self.marks.after(self.mark);
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
