use std::time::Duration;

use super::{Comparison, Figure, Outcome, compare, text};
use crate::report::{Line, Report, samples};

/// Seconds whose latencies are drawn around a median, as seconds of one run are.
fn report(rate: f64, seconds: usize, median_ms: f64, good: f64, seed: u64) -> Report {
    restless(rate, seconds, median_ms, good, (seed, 0.1))
}

/// The same with seconds that differ from each other by up to `unrest`.
fn restless(rate: f64, seconds: usize, median_ms: f64, good: f64, (seed, unrest): (u64, f64)) -> Report {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut recording = samples::recording(&[(rate, good, median_ms)]);
    recording.stages[0].lasted = Duration::from_secs(seconds as u64);
    let second = |_| samples::totals(rate, 1.0, good, median_ms * (1.0 - unrest + 2.0 * unrest * random.f64()));
    recording.seconds = (0..seconds).map(second).collect();
    Report::new("x", None, vec![Line::new("direct", vec![recording])])
}

fn outcome(comparison: &Comparison, figure: Figure) -> Outcome {
    comparison.rows.iter().find(|row| row.figure == figure).unwrap().outcome
}

#[test]
fn a_server_that_got_slower_is_worse_and_nothing_else_is() {
    let comparison = compare(&report(200.0, 30, 10.0, 1.0, 1), &report(200.0, 30, 13.0, 1.0, 2));
    assert_eq!([Figure::P50, Figure::P99].map(|figure| outcome(&comparison, figure)), [Outcome::Worse; 2]);
    assert_eq!([Figure::Goodput, Figure::Errors].map(|figure| outcome(&comparison, figure)), [Outcome::Same; 2]);
    assert!(comparison.is_worse());
    let back = compare(&report(200.0, 30, 13.0, 1.0, 2), &report(200.0, 30, 10.0, 1.0, 1));
    assert!(outcome(&back, Figure::P50) == Outcome::Better && !back.is_worse());
    insta::assert_snapshot!(text(&comparison));
}

#[test]
fn lost_answers_are_worse() {
    let comparison = compare(&report(200.0, 30, 10.0, 1.0, 1), &report(200.0, 30, 10.0, 0.9, 2));
    assert_eq!([Figure::Goodput, Figure::Errors].map(|figure| outcome(&comparison, figure)), [Outcome::Worse; 2]);
}

#[test]
fn chance_is_seldom_taken_for_a_difference() {
    // Medians of two such runs differ by 8 % on average.
    let run = |seed| restless(100.0, 20, 10.0, 1.0, (seed, 0.5));
    let (mut apart, mut found) = (0, 0);
    for seed in 0..40 {
        let comparison = compare(&run(seed), &run(seed + 1_000));
        apart += usize::from(comparison.rows.iter().any(|row| row.change.is_some_and(|change| change.abs() > 0.05)));
        found += usize::from(comparison.rows.iter().any(|row| row.outcome != Outcome::Same));
    }
    assert!(apart >= 20, "only {apart} of 40 pairs look different");
    assert!(found <= 4, "{found} of 40 pairs are called different");
}

#[test]
fn short_runs_and_other_loads_are_not_judged() {
    let comparison = compare(&report(200.0, 3, 10.0, 1.0, 1), &report(200.0, 3, 30.0, 1.0, 2));
    assert!(comparison.rows.iter().all(|row| row.outcome == Outcome::Unknown));
    assert!(text(&comparison).ends_with("too short to tell: each stage needs at least five seconds in both runs\n"));
    let apart = compare(&report(200.0, 9, 10.0, 1.0, 1), &report(300.0, 9, 10.0, 1.0, 2));
    assert_eq!((apart.rows.len(), apart.unmatched.len()), (0, 2));
    let reason = "the two have no load in common (200/s only before, 300/s only after)";
    assert_eq!(apart.nothing_compared().as_deref(), Some(reason));
    assert_eq!(compare(&report(200.0, 9, 10.0, 1.0, 1), &report(200.0, 9, 10.0, 1.0, 2)).nothing_compared(), None);
    assert!(text(&apart).contains("not compared: 200/s only before"));
}
