//! Chance: the same loads with many seeds, so that a limit that gets lost or stuck once in fifty times is seen.
//!
//! What a run is worth is its goodput against the best that limits set by hand get out of the same application.

use super::app::{App, Service};
use super::baselines::{Baseline, fixed};
use super::load::{Kind, Load, mixed_kinds};
use super::record::{Run, sorted_quantile};
use super::{SECOND, simulate, simulate_with};
use crate::admission::config::Config;

/// An application, what it can do, and how many at once that takes.
struct Case {
    name: &'static str,
    app: App,
    kinds: Vec<Kind>,
    peak: f64,
    knee: f64,
}

const TIMES: [f64; 4] = [0.8, 1.5, 3.0, 10.0];

/// Those where no seed may come out badly.
fn ordinary() -> [Case; 5] {
    let case = |name, app, peak, knee| Case { name, app, kinds: vec![Kind::default()], peak, knee };
    let exponential = App::servers(5, Service::Exponential(0.02));
    [
        case("20 ms fixed", App::servers(5, Service::Fixed(0.02)), 250.0, 5.0),
        case("20 ms lognormal", App::servers(10, Service::Lognormal(0.02, 1.0)), 500.0, 10.0),
        Case { kinds: mixed_kinds(), ..case("90 % 2 ms, 10 % 200 ms", App::mixed(), 367.0, 8.0) },
        case("40 queries, pool of 5", App::feed(), 62.5, 7.0),
        case("5 times slower for 10 s", exponential.warming_up(10 * SECOND, 5.0), 250.0, 5.0),
    ]
}

/// Those whose clients leave however few requests there are at once.
fn impatient() -> [Case; 3] {
    let share = |route, weight| Kind { weight, route, ..Kind::default() };
    let quick = (0, Service::Exponential(0.02));
    let apart = App::new(&[5, usize::MAX], vec![vec![quick], vec![(1, Service::Fixed(3.0))]]);
    let among = App::new(&[8], vec![vec![quick], vec![(0, Service::Fixed(1.5))]]);
    [
        Case { name: "5 % wait 3 s elsewhere", app: apart, kinds: vec![share(0, 0.95), share(1, 0.05)], peak: 263.0, knee: 45.0 },
        Case { name: "one of four degraded", app: App::one_degraded_of_four(), kinds: vec![Kind::default()], peak: 305.0, knee: 24.0 },
        Case { name: "3 % work 1.5 s", app: among, kinds: vec![share(0, 0.97), share(1, 0.03)], peak: 124.0, knee: 8.0 },
    ]
}

/// Those that are out of their depth from the first request.
fn hopeless() -> [Case; 2] {
    let case = |name, app, peak, knee| Case { name, app, kinds: vec![Kind::default()], peak, knee };
    let exponential = App::servers(5, Service::Exponential(0.02));
    [
        case("10 times slower for 30 s", exponential.warming_up(30 * SECOND, 10.0), 250.0, 5.0),
        case("500 ms lognormal", App::servers(10, Service::Lognormal(0.5, 0.5)), 20.0, 10.0),
    ]
}

impl Case {
    /// Ten seconds at half the peak, then fifty at so many times it.
    fn load(&self, times: f64) -> Load {
        Load::phases(&[(10.0, 0.5 * self.peak), (50.0, times * self.peak)]).of(&self.kinds).with_patience(SECOND)
    }

    fn ours(&self, times: f64, seed: u64) -> Run {
        simulate(Config::default(), self.app.clone(), self.load(times), seed)
    }

    /// The median goodput over some seeds, with the best of three limits set by hand.
    fn best(&self, times: f64, seeds: u64) -> f64 {
        let by_hand = |knees: f64, seed| {
            simulate_with(Config::default(), Baseline::new(knees * self.knee, fixed()), self.app.clone(), self.load(times), seed)
        };
        let median = |knees| {
            let mut goodputs: Vec<f64> = (1..=seeds).map(|seed| settled(&by_hand(knees, seed))).collect();
            sorted_quantile(&mut goodputs, 0.5)
        };
        [1.5, 2.0, 3.0].into_iter().map(median).fold(0.0, f64::max)
    }
}

/// The goodput after twenty seconds under the load.
fn settled(run: &Run) -> f64 {
    run.goodput(30.0, 59.0)
}

fn refused_percent(run: &Run) -> f64 {
    let arrived = run.arrived(12.0, 59.0);
    100.0 * arrived.refused() as f64 / arrived.count() as f64
}

#[test]
fn no_seed_loses_the_limit() {
    for case in ordinary() {
        for seed in 21..=24 {
            let refused = refused_percent(&case.ours(0.8, seed));
            // The mixed routes queue for longer than the bound by themselves at times.
            assert!(refused <= if case.kinds.len() > 1 { 2.5 } else { 0.0 }, "{}, seed {seed}: {refused} % refused", case.name);
        }
        for times in [1.5, 3.0] {
            let best = case.best(times, 3);
            for seed in 21..=24 {
                let goodput = settled(&case.ours(times, seed));
                assert!(goodput >= 0.85 * best, "{} at {times}, seed {seed}: {goodput:.1}/s of {best:.1}/s", case.name);
            }
        }
    }
}

#[test]
fn clients_that_leave_anyhow_take_no_room_from_the_others() {
    let [apart, degraded, _] = impatient();
    for seed in 1..=6 {
        for case in [&apart, &degraded] {
            let refused = refused_percent(&case.ours(0.8, seed));
            assert!(refused < 0.1, "{}, seed {seed}: {refused} % refused", case.name);
        }
        let goodput = settled(&apart.ours(3.0, seed));
        assert!(goodput >= 0.8 * 250.0, "{}, seed {seed}: {goodput:.1}/s of 250/s", apart.name);
    }
}

#[test]
#[ignore = "prints a table"]
fn admission_table_of_seeds() {
    const SEEDS: u64 = 50;
    println!("\napplication              | load | best/s | goodput: min, 5 %, median | worst seed, its limit | refused %: median, max");
    for case in ordinary().into_iter().chain(impatient()).chain(hopeless()) {
        for times in TIMES {
            let best = case.best(times, SEEDS / 4);
            let runs: Vec<Run> = (1..=SEEDS).map(|seed| case.ours(times, seed)).collect();
            let worst = (0..runs.len()).min_by(|a, b| settled(&runs[*a]).total_cmp(&settled(&runs[*b]))).unwrap();
            let mut goodputs: Vec<f64> = runs.iter().map(|run| settled(run) / best).collect();
            let [least, low, median] = [0.0, 0.05, 0.5].map(|quantile| sorted_quantile(&mut goodputs, quantile));
            let mut refused: Vec<f64> = runs.iter().map(refused_percent).collect();
            let [usual, most] = [0.5, 1.0].map(|quantile| sorted_quantile(&mut refused, quantile));
            let limit = runs[worst].limit(30.0, 59.0).0;
            println!(
                "{:24} | {times:4} | {best:6.1} | {least:5.2} {low:5.2} {median:5.2} | {:3} {limit:6.1} | {usual:6.2} {most:6.2}",
                case.name,
                worst + 1
            );
        }
    }
}
