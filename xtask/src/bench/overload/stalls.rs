//! One answer in a hundred a second late: what a second attempt for the slow ones saves, and what it costs.

use std::fmt::Write as _;

use anyhow::Result;

use super::bench::{Bench, Label, milliseconds};
use super::load::Load;
use super::pool::{Pool, Synthetic};

const SERVICE_MS: u32 = 10;
const STALLS: &[&str] = &["--stall-share", "0.01"];
/// Far below what the instances can do, so that nothing but the stalls is slow.
const RATE: f64 = 300.0;
const HEDGING: [&str; 2] = ["off", "on"];

fn seconds(bench: &Bench) -> f64 {
    // The slowest thousandth takes some thousands of requests to see.
    bench.lengths.measure * 4.0
}

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.warm_up + seconds(bench);
    bench.plan(HEDGING.len(), seconds);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = format!(
        "Four synthetic instances of {SERVICE_MS} ms; {RATE:.0}/s, clients that wait.\n\n\
         | hedging | p50 | p99 | p99.9 | requests upstream |\n|---|--:|--:|--:|--:|\n"
    );
    let mut slowest = Vec::new();
    for hedge in HEDGING {
        let servers = [Synthetic { service_ms: SERVICE_MS, flags: STALLS }; 4];
        let pool = Pool::start(&servers, "plimsoll-hedge.toml", &[("hedge", hedge.to_owned())])?;
        // The time above which a request is unusually slow has to be learned first.
        Load::open(pool.port(), "/", &[(RATE, bench.lengths.warm_up)]).patient().run()?;
        let before = pool.arrived()?;
        let load = Load::open(pool.port(), "/", &[(RATE, seconds(bench))]).patient();
        let label = Label { part: "stalls", app: "synthetic", peer: "plimsoll", what: &format!("hedging {hedge}") };
        let (stage, _) = bench.run(label, &load, 0, Some(pool.process_id()))?;
        let upstream = (pool.arrived()? - before) as f64 / stage.totals.due.max(1) as f64;
        let quantile = |quantile| milliseconds(stage.totals.good_ms(quantile));
        let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
        let _ = writeln!(text, "| {hedge} | {p50} | {p99} | {p999} | {:.2} % |", 100.0 * upstream);
        slowest.push(stage.totals.good_ms(0.999).unwrap_or(f64::NAN));
    }
    let _ = writeln!(text, "\np99.9 is **{:.1} times** better with hedging.", slowest[0] / slowest[1]);
    Ok(text)
}
