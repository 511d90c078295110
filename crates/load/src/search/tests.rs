//! Searches against simulated servers whose capacity is known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::sustained::{Slot, is_growing_out_of};
use super::{Bounds, Found, Search, Step};
use crate::slo::{Measured, Slo};
use crate::statistics::median;

/// How long a simulated step lasts, in seconds.
const STEP: f64 = 5.0;

/// A first-come, first-served queue in front of `places` workers.
struct Server {
    places: usize,
    /// Seconds that one request takes.
    service: fn(&mut fastrand::Rng) -> f64,
    /// By how much one step may be slower or faster than another.
    unrest: f64,
    is_poisson: bool,
    random: fastrand::Rng,
}

struct Answers {
    rate: f64,
    latencies: Vec<f64>,
}

impl Measured for Answers {
    fn quantile(&self, quantile: f64) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let index = (quantile * sorted.len() as f64).ceil() as usize;
        sorted.get(index.saturating_sub(1)).map(|seconds| Duration::from_secs_f64(*seconds))
    }
    fn mean(&self) -> Option<Duration> {
        None
    }
    fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }
    fn error_share(&self) -> f64 {
        0.0
    }
    fn rate(&self) -> f64 {
        self.rate
    }
    fn goodput(&self) -> f64 {
        self.rate
    }
}

impl Server {
    /// Offers one step to a server that has recovered, and judges it as a real one is judged.
    fn holds(&mut self, rate: f64, slo: &Slo) -> bool {
        let pace = 1.0 + self.unrest * (self.random.f64() * 2.0 - 1.0);
        let mut free: BinaryHeap<Reverse<u64>> = (0..self.places).map(|_| Reverse(0)).collect();
        let (mut due, mut latencies, mut slots) = (0.0, Vec::new(), vec![Vec::new(); (STEP * 10.0) as usize]);
        while due < STEP {
            let Reverse(free_at) = free.pop().unwrap();
            let begin = due.max(free_at as f64 * 1e-9);
            let end = begin + (self.service)(&mut self.random) * pace;
            free.push(Reverse((end * 1e9) as u64));
            latencies.push(end - due);
            slots[(due * 10.0) as usize].push(end - due);
            due += if self.is_poisson { -(1.0 - self.random.f64()).ln() / rate } else { 1.0 / rate };
        }
        let middle = |(index, slot): (usize, &Vec<f64>)| Some(Slot { at: (index as f64 + 0.5) / 10.0, latency: median(slot)? });
        let slots: Vec<Slot> = slots.iter().enumerate().filter_map(middle).collect();
        slo.judge(&Answers { rate, latencies }).is_met() && !is_growing_out_of(slo, &slots)
    }

    fn search(&mut self, bounds: Bounds) -> (Found, usize) {
        let slo = Slo::default();
        let mut search = Search::new(bounds);
        let (mut step, mut steps) = (search.first(), 0);
        loop {
            match step {
                Step::Measure { rate, .. } => step = search.next(self.holds(rate, &slo)),
                Step::Found(found) => return (found, steps),
            }
            steps += 1;
        }
    }
}

#[track_caller]
fn check(name: &str, capacity: f64, server: impl Fn(u64) -> Server) {
    for seed in 0..20 {
        let (found, steps) = server(seed).search(Bounds::default());
        let Found::Limit { rate, range } = found else { panic!("{name}, seed {seed}: {found:?}") };
        assert!((rate / capacity - 1.0).abs() <= 0.05, "{name}, seed {seed}: {rate:.1} instead of {capacity:.1}, {range:?}");
        assert!(range.contains(rate), "{name}, seed {seed}: {rate} outside {range:?}");
        assert!(range.high / range.low < 1.35, "{name}, seed {seed}: {range:?} says nothing");
        assert!(steps <= 40, "{name}, seed {seed}: {steps} steps");
    }
}

#[test]
fn fixed_service_times_are_found_within_five_percent() {
    let fixed =
        |is_poisson| move |seed| Server { places: 8, service: |_| 0.010, unrest: 0.0, is_poisson, random: fastrand::Rng::with_seed(seed) };
    check("constant", 800.0, fixed(false));
    check("poisson", 800.0, fixed(true));
}

#[test]
fn a_noisy_server_is_found_within_five_percent() {
    check("noisy", 20.0 / 0.02, |seed| Server {
        places: 20,
        service: |random| 0.01 + 0.02 * random.f64(),
        unrest: 0.02,
        is_poisson: true,
        random: fastrand::Rng::with_seed(seed),
    });
}

#[test]
fn a_server_with_two_kinds_of_answers_is_found_within_five_percent() {
    check("bimodal", 16.0 / (0.95 * 0.01 + 0.05 * 0.1), |seed| Server {
        places: 16,
        service: |random| if random.f64() < 0.05 { 0.1 } else { 0.01 },
        unrest: 0.0,
        is_poisson: true,
        random: fastrand::Rng::with_seed(seed),
    });
}

#[test]
fn what_is_above_or_below_the_bounds_is_said() {
    let search =
        |service, bounds| Server { places: 4, service, unrest: 0.0, is_poisson: false, random: fastrand::Rng::with_seed(1) }.search(bounds);
    let (found, steps) = search(|_| 0.001, Bounds { ceiling: 1_000.0, ..Bounds::default() });
    assert_eq!(found, Found::AtLeast { rate: 1_000.0 });
    assert!(steps < 12, "{steps} steps");
    assert_eq!(search(|_| 9.0, Bounds::default()).0, Found::Nothing { rate: 0.5 });
}

#[test]
fn one_unlucky_step_costs_neither_the_climb_nor_the_limit() {
    let mut search = Search::new(Bounds { start: 100.0, ..Bounds::default() });
    let (mut step, mut unlucky) = (search.first(), 3);
    loop {
        match step {
            Step::Measure { rate, .. } => {
                unlucky -= 1;
                step = search.next(rate <= 1_000.0 && unlucky != 0);
            }
            Step::Found(found) => {
                let Found::Limit { rate, range } = found else { panic!("{found:?}") };
                assert!((975.0..=1_000.0).contains(&rate), "{rate}");
                assert!(range.low < 400.0 && range.high < 1_030.0, "the contradiction shows: {range:?}");
                return;
            }
        }
    }
}

#[test]
fn a_search_of_contradictions_ends() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..200 {
        let mut search = Search::new(Bounds::default());
        let (mut step, mut steps) = (search.first(), 0);
        while let Step::Measure { rate, .. } = step {
            assert!((0.5..=10_000.0).contains(&rate), "{rate}");
            step = search.next(random.bool());
            steps += 1;
            assert!(steps <= 48, "no end");
        }
    }
}
