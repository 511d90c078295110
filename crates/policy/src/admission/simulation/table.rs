//! The figures of `docs/admission.md`, printed: `cargo test -p plimsoll-policy --release -- --ignored --nocapture admission_table`.

use super::app::{App, Service};
use super::baselines::{Baseline, aimd, fixed, gradient2, vegas};
use super::load::Kind;
use super::load::{Load, mixed_kinds};
use super::record::Run;
use super::{simulate, simulate_with};
use crate::admission::config::Config;

/// An application, what it can do, and where its knee is.
struct Case {
    name: &'static str,
    app: fn() -> App,
    kinds: Vec<Kind>,
    peak: f64,
}

fn cases() -> Vec<Case> {
    let case = |name, app, peak| Case { name, app, kinds: vec![Kind::default()], peak };
    vec![
        case("5 servers, 20 ms fixed", || App::servers(5, Service::Fixed(0.02)), 250.0),
        case("5 servers, 20 ms exponential", || App::servers(5, Service::Exponential(0.02)), 250.0),
        case("50 servers, 20 ms lognormal", || App::servers(50, Service::Lognormal(0.02, 1.0)), 2_500.0),
        case("FastAPI-like", App::fastapi, 200.0),
        case("degrading beyond 8", || App::servers(8, Service::Exponential(0.02)).degrading(8, 0.05), 400.0),
        Case { name: "90 % 2 ms, 10 % 200 ms, 8 servers", app: App::mixed, kinds: mixed_kinds(), peak: 367.0 },
        case("10 servers, 500 ms lognormal", || App::servers(10, Service::Lognormal(0.5, 0.5)), 20.0),
        case("16 servers, 1 ms exponential", || App::servers(16, Service::Exponential(0.001)), 16_000.0),
    ]
}

fn run(limiter: &str, app: App, load: Load, seed: u64) -> Run {
    let config = Config::default();
    match limiter {
        "ours" => simulate(config, app, load, seed),
        "none" => simulate_with(config, Baseline::new(16_384.0, fixed()), app, load, seed),
        "fixed 20" => simulate_with(config, Baseline::new(20.0, fixed()), app, load, seed),
        "aimd" => simulate_with(config, Baseline::new(20.0, aimd(0.1)), app, load, seed),
        "vegas" => simulate_with(config, Baseline::new(20.0, vegas()), app, load, seed),
        "gradient2" => simulate_with(config, Baseline::new(20.0, gradient2()), app, load, seed),
        other => panic!("no limiter {other}"),
    }
}

#[test]
#[ignore = "prints a table"]
fn admission_table() {
    for case in cases() {
        println!("\n{} (peak {}/s): 10 s at 0.7, 40 s at 2, 20 s at 10", case.name, case.peak);
        println!("limiter    | first s | 2x good | p50 ms | p99 ms | limit (min-max) | 10x good | p99 ms | refusal p50 ms");
        for limiter in ["ours", "gradient2", "vegas", "aimd", "fixed 20", "none"] {
            let phases = [(10.0, 0.7 * case.peak), (40.0, 2.0 * case.peak), (20.0, 10.0 * case.peak)];
            let load = Load::phases(&phases).of(&case.kinds).with_patience(1_000_000_000);
            let run = run(limiter, (case.app)(), load, 7);
            let (mean, low, high) = run.limit(15.0, 50.0);
            println!(
                "{limiter:10} | {:5.2} | {:5.3} | {:6.1} | {:6.1} | {mean:6.1} ({low}-{high}) | {:5.3} | {:6.1} | {:6.1}",
                run.goodput(10.0, 12.0) / case.peak,
                run.goodput(15.0, 50.0) / case.peak,
                run.arrived(15.0, 50.0).latency_ms(0.5),
                run.arrived(15.0, 50.0).latency_ms(0.99),
                run.goodput(51.0, 70.0) / case.peak,
                run.arrived(51.0, 70.0).latency_ms(0.99),
                run.arrived(51.0, 70.0).refusal_ms(0.5),
            );
        }
    }
}
