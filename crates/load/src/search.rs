//! Finds the highest rate that keeps a promise: doubles until it is missed, halves the gap, then asks again until the answer is stable.
//!
//! Pure decisions: told what became of one step, it says what to measure next. What a step is, and how the server recovers between two,
//! is the caller's business ([`sustained`] judges a step).

pub mod bottleneck;
pub mod hunt;
pub mod knee;
pub mod limit;
mod proposal;
pub mod stepper;
pub mod sustained;

use crate::statistics::Range;

/// No search takes more steps: a server that changes faster than that has no limit to be found.
const TRIALS_MAX: usize = 48;
/// A rate is decided once two of its trials agree.
const AGREEING: usize = 2;
/// The limit is reported once it held this often.
const CONFIRMED: usize = 3;

/// Where to look, in requests per second.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Where the climb begins.
    pub start: f64,
    /// Below it a limit is none.
    pub floor: f64,
    /// Above it nothing is measured.
    pub ceiling: f64,
    /// How near the highest rate that held and the lowest that did not must be, as a share of it.
    pub precision: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { start: 20.0, floor: 0.5, ceiling: 10_000.0, precision: 0.025 }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Offer this rate, then say what became of it.
    Measure {
        rate: f64,
        phase: Phase,
    },
    Found(Found),
}

/// Why a rate is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Climb,
    Narrow,
    Confirm,
}

/// What came of a search.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The highest rate that held, and the range outside of which trials never contradicted each other: at or below `low` none missed,
    /// at or above `high` none held.
    Limit { rate: f64, range: Range },
    /// Everything up to here held; the server can take more than may be measured.
    AtLeast { rate: f64 },
    /// Even the lowest rate missed.
    Nothing { rate: f64 },
    /// Trials contradicted each other until there were too many.
    Unstable { range: Range },
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    rate: f64,
    held: bool,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: Bounds,
    trials: Vec<Trial>,
    /// What is being measured.
    rate: f64,
    /// Rates that are decided to hold, ascending; the last one is the limit so far.
    held: Vec<f64>,
    /// The lowest rate that is decided to miss.
    missed: Option<f64>,
}

impl Search {
    pub fn new(bounds: Bounds) -> Self {
        let start = bounds.start.clamp(bounds.floor, bounds.ceiling);
        Self { bounds, trials: Vec::new(), rate: start, held: Vec::new(), missed: None }
    }

    /// Where to begin.
    pub fn first(&self) -> Step {
        Step::Measure { rate: self.rate, phase: Phase::Climb }
    }

    /// Takes what became of the step that was asked for, and says what is next.
    pub fn next(&mut self, held: bool) -> Step {
        self.trials.push(Trial { rate: self.rate, held });
        if self.trials.len() >= TRIALS_MAX {
            return Step::Found(Found::Unstable { range: self.range() });
        }
        let (held, missed) = self.votes(self.rate);
        // On the way up one success is enough: whatever was luck, the confirmation finds out.
        let is_climbing = self.missed.is_none() && self.rate < self.bounds.ceiling && missed == 0;
        if missed >= AGREEING && missed > held {
            self.lower();
        } else if is_climbing || held >= AGREEING {
            self.raise();
        }
        self.go()
    }

    /// The range outside of which trials never contradicted each other.
    fn range(&self) -> Range {
        let missed = self.trials.iter().filter(|trial| !trial.held).map(|trial| trial.rate);
        let held = self.trials.iter().filter(|trial| trial.held).map(|trial| trial.rate);
        let (lowest_missed, highest_held) = (missed.clone().fold(f64::INFINITY, f64::min), held.clone().fold(0.0, f64::max));
        let low = held.filter(|rate| *rate < lowest_missed).fold(0.0, f64::max);
        let high = missed.filter(|rate| *rate > highest_held).fold(f64::INFINITY, f64::min);
        Range { low, high: high.min(self.bounds.ceiling) }
    }

    fn votes(&self, rate: f64) -> (usize, usize) {
        let here = || self.trials.iter().filter(|trial| is_same(trial.rate, rate));
        let held = here().filter(|trial| trial.held).count();
        (held, here().count() - held)
    }

    fn raise(&mut self) {
        if !self.held.iter().any(|rate| is_same(*rate, self.rate)) {
            self.held.push(self.rate);
            self.held.sort_unstable_by(f64::total_cmp);
        }
    }

    /// A rate that misses takes every higher one with it.
    fn lower(&mut self) {
        let rate = self.rate;
        self.missed = Some(self.missed.map_or(rate, |missed| missed.min(rate)));
        self.held.retain(|held| *held < rate && !is_same(*held, rate));
    }

    /// The next step from what is decided.
    fn go(&mut self) -> Step {
        let Bounds { floor, ceiling, precision, .. } = self.bounds;
        let best = self.held.last().copied();
        let undecided = !best.is_some_and(|best| is_same(best, self.rate)) && !self.missed.is_some_and(|missed| missed <= self.rate);
        if undecided {
            return self.measure(self.rate);
        }
        match (best, self.missed) {
            (Some(best), None) if best >= ceiling && self.is_confirmed(best) => Step::Found(Found::AtLeast { rate: best }),
            (Some(best), None) if best >= ceiling => self.measure(best),
            (Some(best), None) => self.measure((best * 2.0).min(ceiling)),
            (None, Some(missed)) if missed <= floor => Step::Found(Found::Nothing { rate: missed }),
            (None, Some(missed)) => self.measure((missed / 2.0).max(floor)),
            (Some(best), Some(missed)) if missed / best > 1.0 + precision => self.measure((best * missed).sqrt()),
            (Some(best), Some(_)) if self.is_confirmed(best) => Step::Found(Found::Limit { rate: best, range: self.range() }),
            (Some(best), Some(_)) => self.measure(best),
            (None, None) => self.measure(self.rate),
        }
    }

    fn is_confirmed(&self, rate: f64) -> bool {
        let (held, missed) = self.votes(rate);
        held >= CONFIRMED && held > missed
    }

    fn measure(&mut self, rate: f64) -> Step {
        let phase = match (self.missed, self.held.last()) {
            (None, _) if rate < self.bounds.ceiling => Phase::Climb,
            (_, Some(best)) if is_same(*best, rate) => Phase::Confirm,
            _ => Phase::Narrow,
        };
        self.rate = rate;
        Step::Measure { rate, phase }
    }
}

/// Rates are products of roots: equal ones may differ in the last bit.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.max(other)
}

#[cfg(test)]
mod tests;
