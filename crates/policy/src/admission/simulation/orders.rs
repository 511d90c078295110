//! The order of the queue: ours against the other ways to choose who of those that wait is next, and who is refused.
//!
//! While calm, whoever waits will be served, so the order moves waiting from one to another and the oldest first is the fairest. In overload
//! the newest first would serve those who have waited least; it makes nearly everybody who is refused wait for it.

use std::time::Duration;

use super::super::queue::Order;
use super::app::{App, Service};
use super::load::Load;
use super::record::{Fate, Run, Selection};
use super::{Gate, SECOND, simulate_gate};
use crate::admission::config::Config;

/// A way to keep a queue: who is next, and for how long one may wait while calm and while overloaded.
struct Way {
    name: &'static str,
    order: Order,
    wait_max: Duration,
    wait_overloaded: Duration,
}

const LONG: Duration = Duration::from_millis(750);
const SHORT: Duration = Duration::from_millis(50);

const OURS: Way = Way { name: "ours", order: Order::OldestFirst, wait_max: LONG, wait_overloaded: SHORT };
const OLDEST_LONG: Way = Way { name: "oldest first, long", wait_overloaded: LONG, ..OURS };
const OLDEST_SHORT: Way = Way { name: "oldest first, short", wait_max: SHORT, ..OURS };
const NEWEST_LONG: Way = Way { name: "newest first, long", order: Order::NewestFirst, ..OLDEST_LONG };
const ADAPTIVE_LONG: Way = Way { name: "by load, long", order: Order::NewestFirstWhileOverloaded, ..OLDEST_LONG };
const ADAPTIVE: Way = Way { name: "by load", order: Order::NewestFirstWhileOverloaded, ..OURS };

const PATIENCE_NS: u64 = SECOND;

impl Way {
    fn run(&self, app: &App, load: Load, seed: u64) -> Run {
        let config = Config { queue_wait_max: self.wait_max, queue_wait_overloaded: self.wait_overloaded, ..Config::default() };
        let gate = Gate::new(config, 0);
        gate.set_order(self.order);
        simulate_gate(gate, app.clone(), load.with_patience(PATIENCE_NS), seed)
    }

    /// Ten seconds at half the peak and thirty at so many times it; from the fifth on.
    fn overloaded(&self, app: &App, peak: f64, times: f64, seed: u64) -> Run {
        self.run(app, Load::phases(&[(10.0, 0.5 * peak), (30.0, times * peak)]), seed)
    }

    /// At four fifths of the peak, with half a second in which nothing moves.
    fn calm(&self, app: &App, peak: f64, seed: u64) -> Run {
        let stalled = app.clone().stalling(20 * SECOND, 20 * SECOND + SECOND / 2);
        self.run(&stalled, Load::phases(&[(10.0, 0.5 * peak), (30.0, 0.8 * peak)]), seed)
    }
}

fn apps() -> [(&'static str, App, f64); 3] {
    [
        ("FastAPI-like", App::fastapi(), 250.0),
        ("5 servers, 20 ms fixed", App::servers(5, Service::Fixed(0.02)), 250.0),
        ("10 servers, 200 ms lognormal", App::servers(10, Service::Lognormal(0.2, 0.5)), 50.0),
    ]
}

/// Those who were refused, but not at once.
fn refused_late(selection: &Selection<'_>) -> usize {
    selection.0.iter().filter(|record| matches!(record.fate, Fate::Refused(_)) && record.latency_s() > 0.001).count()
}

#[test]
fn calm_waiters_in_order_are_served_where_other_ways_give_some_of_them_up() {
    for (name, app, peak) in &apps()[..2] {
        let refused = |way: &Way| (1..=5).map(|seed| way.calm(app, *peak, seed).all().refused()).sum::<usize>();
        let ours = refused(&OURS);
        for other in [NEWEST_LONG, OLDEST_SHORT] {
            assert!(4 * ours < refused(&other), "{name}: {ours} refused, {} {}", other.name, refused(&other));
        }
    }
}

#[test]
fn overloaded_a_short_queue_in_order_serves_as_many_as_any_and_refuses_at_once() {
    for (name, app, peak) in &apps()[..2] {
        for times in [1.5, 3.0, 10.0] {
            for seed in 1..=2 {
                let case = format!("{name} at {times}, seed {seed}");
                let (ours, adaptive) = (OURS.overloaded(app, *peak, times, seed), ADAPTIVE.overloaded(app, *peak, times, seed));
                let most = adaptive.goodput(15.0, 39.0);
                assert!(ours.goodput(15.0, 39.0) >= 0.99 * most, "{case}: {} of {most}", ours.goodput(15.0, 39.0));
                let (ours, adaptive) = (ours.arrived(15.0, 39.0), adaptive.arrived(15.0, 39.0));
                assert_eq!(refused_late(&ours), 0, "{case}");
                // What newest first would gain is what is left in the queue, and what it would cost.
                let p99 = (ours.latency_ms(0.99), adaptive.latency_ms(0.99));
                assert!(p99.0 <= p99.1 + 60.0, "{case}: {p99:?}");
                assert!(refused_late(&adaptive) as f64 > 0.95 * adaptive.refused() as f64, "{case}: newest first refuses at once, too");
            }
        }
    }
}

#[test]
#[ignore = "prints a table"]
fn admission_table_of_orders() {
    const SEEDS: u64 = 10;
    for (name, app, peak) in apps() {
        println!("\n{name} (peak {peak}/s)");
        println!(
            "load | order               | goodput | p50 ms | p99 ms | p99.9 ms | refused % | after a wait % | refusal p50 ms | p99 ms"
        );
        for times in [0.8, 1.5, 3.0, 10.0] {
            for way in [OURS, ADAPTIVE, ADAPTIVE_LONG, NEWEST_LONG, OLDEST_LONG, OLDEST_SHORT] {
                let mut sums = [0.0; 8];
                for seed in 1..=SEEDS {
                    let run = if times < 1.0 { way.calm(&app, peak, seed) } else { way.overloaded(&app, peak, times, seed) };
                    let arrived = run.arrived(15.0, 39.0);
                    let share = |count: usize| 100.0 * count as f64 / arrived.count() as f64;
                    let row = [
                        run.goodput(15.0, 39.0) / (peak * times.min(1.0)),
                        arrived.latency_ms(0.5),
                        arrived.latency_ms(0.99),
                        arrived.latency_ms(0.999),
                        share(arrived.refused()),
                        share(refused_late(&arrived)),
                        arrived.refusal_ms(0.5),
                        arrived.refusal_ms(0.99),
                    ];
                    sums.iter_mut().zip(row).for_each(|(sum, figure)| *sum += figure / SEEDS as f64);
                }
                let [goodput, p50, p99, p999, refused, late, refusal_p50, refusal_p99] = sums;
                println!(
                    "{times:4} | {:19} | {goodput:7.3} | {p50:6.1} | {p99:6.1} | {p999:8.1} | {refused:9.2} | {late:14.2} | {refusal_p50:14.1} | {refusal_p99:6.1}",
                    way.name
                );
            }
        }
    }
}
