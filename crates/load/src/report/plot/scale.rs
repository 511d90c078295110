//! From values to places on the paper, and the round numbers that are written beside them.

/// Fewer do not tell what lies between them.
const TICKS_MIN: usize = 3;

/// How values spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Linear,
    /// Each factor of ten takes the same room. Values must be positive.
    Log,
}

/// An axis: the values `from` to `to` lie at `begin` to `end`, which may run backwards as heights do.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub kind: Kind,
    pub from: f64,
    pub to: f64,
    pub begin: f64,
    pub end: f64,
}

impl Scale {
    /// From 0 to a little above the largest value.
    pub fn linear(values: impl Iterator<Item = f64>) -> Self {
        let largest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let to = if largest > 0.0 { largest * 1.06 } else { 1.0 };
        Self { kind: Kind::Linear, from: 0.0, to, begin: 0.0, end: 1.0 }
    }

    /// From a little below the smallest to a little above the largest.
    pub fn log(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let (smallest, largest) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (from, to) = if largest > 0.0 { (smallest / 1.15, largest * 1.15) } else { (0.5, 2.0) };
        Self { kind: Kind::Log, from, to, begin: 0.0, end: 1.0 }
    }

    #[must_use]
    pub fn over(self, begin: f64, end: f64) -> Self {
        Self { begin, end, ..self }
    }

    /// Where a value lies; those outside lie at the edge.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.from) / (self.to - self.from),
            Kind::Log => (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln(),
        };
        self.begin + share.clamp(0.0, 1.0) * (self.end - self.begin)
    }

    /// About `count` round values.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => self.linear_ticks(count),
            Kind::Log => self.log_ticks(count),
        }
    }

    fn linear_ticks(&self, count: usize) -> Vec<f64> {
        let rough = (self.to - self.from) / count.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last.min(first + 50)).map(|index| index as f64 * step).collect()
    }

    /// As many round parts of each power of ten as there is room for; of a range too narrow for those, evenly spaced numbers.
    fn log_ticks(&self, count: usize) -> Vec<f64> {
        let decades = (self.from.log10().floor() as i32)..=(self.to.log10().ceil() as i32);
        let inside = |tick: &f64| (self.from * 0.999..=self.to * 1.001).contains(tick);
        let all = |factors: &'static [f64]| {
            let of_decade = |decade: i32| factors.iter().map(move |factor| factor * 10_f64.powi(decade));
            decades.clone().flat_map(of_decade).filter(inside).collect::<Vec<_>>()
        };
        let finest =
            [&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0][..], &[1.0, 2.0, 5.0], &[1.0]].map(all).into_iter().find(|ticks| ticks.len() <= count + 2);
        let ticks = finest.unwrap_or_else(|| all(&[1.0]));
        if ticks.len() < TICKS_MIN { self.linear_ticks(count) } else { ticks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(left: &[f64], right: &[f64]) {
        let is_close =
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-9 * right.abs().max(1.0));
        assert!(is_close, "{left:?} is not {right:?}");
    }

    #[test]
    fn ticks_are_round() {
        let linear = |to| Scale { kind: Kind::Linear, from: 0.0, to, begin: 0.0, end: 1.0 };
        close(&linear(1_060.0).ticks(5), &[0.0, 250.0, 500.0, 750.0, 1_000.0]);
        close(&linear(0.9).ticks(4), &[0.0, 0.25, 0.5, 0.75]);
        let log = |from, to| Scale { kind: Kind::Log, from, to, begin: 0.0, end: 1.0 };
        close(&log(90.0, 2_100.0).ticks(6), &[100.0, 200.0, 500.0, 1_000.0, 2_000.0]);
        close(&log(24.0, 43.0).ticks(5), &[25.0, 30.0, 35.0, 40.0]);
        close(&log(0.001, 20.0).ticks(6), &[0.001, 0.01, 0.1, 1.0, 10.0]);
    }

    #[test]
    fn places_are_in_proportion_and_never_off_the_paper() {
        let scale = Scale { kind: Kind::Log, from: 1.0, to: 100.0, begin: 200.0, end: 0.0 };
        close(&[scale.at(1.0), scale.at(10.0), scale.at(100.0), scale.at(1e9), scale.at(0.0)], &[200.0, 100.0, 0.0, 0.0, 200.0]);
        let empty = Scale::log(std::iter::empty());
        assert!(empty.at(1.0).is_finite() && !empty.ticks(5).is_empty());
        assert!(Scale::linear([f64::NAN, 0.0].into_iter()).at(0.5).is_finite());
    }
}
