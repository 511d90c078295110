//! Whether two runs differ by more than chance, stage by stage.
//!
//! Seconds are drawn anew from each run, four hundred times: how far a figure moves from draw to draw is what chance can do *within* a run.
//! What differs from run to run, such as another neighbour on the machine, no single pair of runs can show.

mod table;

use std::ops::Range as Span;

use serde::Serialize;

use crate::histogram::Histogram;
use crate::record::{Recording, Totals};
use crate::report::{Report, label};
use crate::statistics::{Range, draws, middle};

pub use table::text;

const DRAWS: usize = 400;
/// Several figures are compared at once: with 95 % one in twenty would seem to differ by chance alone.
const LEVEL: f64 = 0.99;
/// Fewer seconds say nothing about their own spread.
const SECONDS_MIN: usize = 5;
/// A smaller change matters to nobody, however sure it is.
const CHANGE_MIN: f64 = 0.05;
/// The same for shares of errors, which have no useful ratio.
const SHARE_MIN: f64 = 0.005;

/// Two runs side by side.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub before: String,
    pub after: String,
    pub rows: Vec<Row>,
    /// Loads that only one of the two has.
    pub unmatched: Vec<String>,
}

/// One figure at one load.
#[derive(Debug, Serialize)]
pub struct Row {
    pub load: String,
    pub figure: Figure,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Relative, but for errors, where it is the difference of the shares.
    pub change: Option<f64>,
    /// Where the change lies with 99 % confidence.
    pub range: Option<Range>,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    Goodput,
    Errors,
    P50,
    P90,
    P99,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No difference that chance does not explain, or none that matters.
    Same,
    Better,
    Worse,
    /// Too few seconds or answers to tell.
    Unknown,
}

/// Loads that are named as not compared, at most.
const NAMED_MAX: usize = 6;

impl Comparison {
    pub fn is_worse(&self) -> bool {
        self.rows.iter().any(|row| row.outcome == Outcome::Worse)
    }

    /// Why there is no verdict on any figure, if there is none: "not worse" would then mean "not looked at".
    pub fn nothing_compared(&self) -> Option<String> {
        if self.rows.is_empty() {
            let more = self.unmatched.len().saturating_sub(NAMED_MAX);
            let named = self.unmatched[..self.unmatched.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Some(format!("the two have no load in common ({named}{more})"));
        }
        let is_unknown = self.rows.iter().all(|row| row.outcome == Outcome::Unknown);
        is_unknown.then(|| "too short to tell: each stage needs at least five seconds in both runs".to_owned())
    }
}

/// Compares what both reports measured at the same loads.
pub fn compare(before: &Report, after: &Report) -> Comparison {
    let (mut rows, mut unmatched) = (Vec::new(), Vec::new());
    let (mut first, mut second) = (loads(before), loads(after));
    for (load, seconds) in &mut first {
        match second.iter().position(|(other, _)| other == load) {
            Some(at) => rows.extend(compared(load, seconds, &second.swap_remove(at).1)),
            None => unmatched.push(format!("{load} only before")),
        }
    }
    unmatched.extend(second.into_iter().map(|(load, _)| format!("{load} only after")));
    Comparison { before: before.target().to_owned(), after: after.target().to_owned(), rows, unmatched }
}

/// The seconds of every load, those of repeated stages together.
fn loads(report: &Report) -> Vec<(String, Vec<&Totals>)> {
    let mut loads: Vec<(String, Vec<&Totals>)> = Vec::new();
    let several = report.lines.len() > 1;
    for line in &report.lines {
        for (label, seconds) in line.recordings.iter().flat_map(stages) {
            let load = if several { format!("{}, {label}", line.name) } else { label };
            match loads.iter_mut().find(|(known, _)| *known == load) {
                Some((_, known)) => known.extend(seconds),
                None => loads.push((load, seconds.iter().collect())),
            }
        }
    }
    loads
}

fn stages(recording: &Recording) -> impl Iterator<Item = (String, &[Totals])> {
    recording.stages.iter().map(|stage| {
        let (from, to) = (stage.starts.as_secs_f64(), (stage.starts + stage.lasted).as_secs_f64());
        // Seconds that lie wholly inside; a stage shorter than that has none.
        let span: Span<usize> = (from - 1e-9).ceil() as usize..(to + 1e-9).floor() as usize;
        (label(stage), recording.seconds.get(span.start..span.end.min(recording.seconds.len())).unwrap_or_default())
    })
}

fn compared(load: &str, before: &[&Totals], after: &[&Totals]) -> Vec<Row> {
    let all = |seconds: &[&Totals]| read(&merged(seconds.iter().copied()), seconds.len());
    let (one, other) = (all(before), all(after));
    let is_long = before.len().min(after.len()) >= SECONDS_MIN;
    let drawn = |seconds: &[&Totals], seed| -> Vec<_> {
        let draws = draws(seconds.len(), if is_long { DRAWS } else { 0 }, seed);
        draws.map(|indices| read(&merged(indices.iter().map(|index| seconds[*index])), seconds.len())).collect()
    };
    let pairs: Vec<_> = drawn(before, 1).into_iter().zip(drawn(after, 2)).collect();
    let row = |(figure, (before, after)): (Figure, (Option<f64>, Option<f64>))| {
        let at = FIGURES.iter().position(|known| *known == figure).expect("it is one of them");
        let change = change(figure, before, after);
        let changes: Vec<f64> = pairs.iter().filter_map(|(before, after)| self::change(figure, before[at], after[at])).collect();
        // Draws without an answer leave too few to know the edges.
        let range = if changes.len() * 10 >= DRAWS * 9 { middle(changes, LEVEL) } else { None };
        Row { load: load.to_owned(), figure, before, after, change, range, outcome: outcome(figure, change, range) }
    };
    FIGURES.into_iter().zip(one.into_iter().zip(other)).map(row).collect()
}

const FIGURES: [Figure; 5] = [Figure::Goodput, Figure::Errors, Figure::P50, Figure::P90, Figure::P99];

fn read(totals: &Slice, seconds: usize) -> [Option<f64>; 5] {
    let quantile = |quantile| totals.latency.quantile(quantile).map(|latency| latency.as_secs_f64());
    let goodput = (seconds > 0).then(|| totals.good as f64 / seconds as f64);
    let errors = (totals.ended > 0).then(|| (totals.ended - totals.good.min(totals.ended)) as f64 / totals.ended as f64);
    [goodput, errors, quantile(0.5), quantile(0.9), quantile(0.99)]
}

/// The part of totals that is compared.
#[derive(Default)]
struct Slice {
    good: u64,
    ended: u64,
    latency: Histogram,
}

fn merged<'a>(seconds: impl Iterator<Item = &'a Totals>) -> Slice {
    seconds.fold(Slice::default(), |mut sum, second| {
        sum.good += second.good;
        sum.ended += second.ended();
        sum.latency.merge(&second.good_latency);
        sum
    })
}

fn change(figure: Figure, before: Option<f64>, after: Option<f64>) -> Option<f64> {
    let (before, after) = (before?, after?);
    match figure {
        Figure::Errors => Some(after - before),
        _ => (before > 0.0).then(|| after / before - 1.0),
    }
}

fn outcome(figure: Figure, change: Option<f64>, range: Option<Range>) -> Outcome {
    let (Some(change), Some(range)) = (change, range) else { return Outcome::Unknown };
    let matters = change.abs() >= if figure == Figure::Errors { SHARE_MIN } else { CHANGE_MIN };
    if !matters || range.contains(0.0) {
        return Outcome::Same;
    }
    let is_better = if figure == Figure::Goodput { change > 0.0 } else { change < 0.0 };
    if is_better { Outcome::Better } else { Outcome::Worse }
}

#[cfg(test)]
mod tests;
