//! One of four instances twenty times slower than the others: what the slowest hundredth of all requests feels.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::recording::Stage;
use super::bench::{Bench, Label, milliseconds};
use super::load::Load;
use super::pool::{Pool, Synthetic};

const SERVICE_MS: u32 = 10;
const SLOWER: u32 = 20;
/// The slow instance can do 50/s. A quarter of the first rate leaves it slow, a quarter of the second drowns it.
const RATES: [f64; 2] = [160.0, 400.0];
const BALANCES: [&str; 2] = ["p2c_ewma", "round_robin"];

fn seconds(bench: &Bench) -> f64 {
    bench.lengths.measure * 2.0
}

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.warm_up + seconds(bench);
    bench.plan(RATES.len() * BALANCES.len(), seconds);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = format!(
        "Synthetic instances of {SERVICE_MS} ms, one of {} ms; clients that wait.\n\n\
         | offered | balance | p50 | p99 | p99.9 | p99 to round robin |\n|--:|---|--:|--:|--:|--:|\n",
        SERVICE_MS * SLOWER
    );
    for rate in RATES {
        let (fast, round_robin) = (measure(bench, rate, BALANCES[0])?, measure(bench, rate, BALANCES[1])?);
        let better = round_robin.totals.good_ms(0.99).zip(fast.totals.good_ms(0.99)).map(|(slow, fast)| slow / fast);
        let better = better.map_or_else(String::new, |better| format!("**{better:.1} times better**"));
        for (balance, stage, better) in [(BALANCES[0], &fast, better.as_str()), (BALANCES[1], &round_robin, "")] {
            let quantile = |quantile| milliseconds(stage.totals.good_ms(quantile));
            let (p50, p99, p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
            let _ = writeln!(text, "| {rate:.0}/s | {balance} | {p50} | {p99} | {p999} | {better} |");
        }
    }
    Ok(text)
}

fn measure(bench: &mut Bench, rate: f64, balance: &str) -> Result<Stage> {
    let mut servers = [Synthetic::healthy(SERVICE_MS); 4];
    servers[3].service_ms *= SLOWER;
    let pool = Pool::start(&servers, "plimsoll-balance.toml", &[("balance", balance.to_owned())])?;
    let load = Load::open(pool.port(), "/", &[(rate, bench.lengths.warm_up), (rate, seconds(bench))]).patient();
    let label = Label { part: "degraded", app: "synthetic", peer: "plimsoll", what: &format!("{balance} at {rate:.0}/s") };
    Ok(bench.run(label, &load, 1, Some(pool.process_id()))?.0)
}
