//! One of four instances twenty times slower than the others: what the slowest hundredth of all requests feels.

use std::fmt::Write as _;

use anyhow::Result;

use super::bench::{Bench, Label, milliseconds};
use super::load::Load;
use super::pool::{Pool, Synthetic};

const SERVICE_MS: u32 = 10;
const SLOWER: u32 = 20;
/// A quarter of it is less than what the slow instance can do: it is slow, not overloaded.
const RATE: f64 = 160.0;
const BALANCES: [&str; 2] = ["p2c_ewma", "round_robin"];

fn seconds(bench: &Bench) -> f64 {
    bench.lengths.measure * 2.0
}

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.warm_up + seconds(bench);
    bench.plan(BALANCES.len(), seconds);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = format!(
        "Synthetic instances of {SERVICE_MS} ms, one of {} ms; {RATE:.0}/s, clients that wait.\n\n\
         | balance | p50 | p99 | p99.9 |\n|---|--:|--:|--:|\n",
        SERVICE_MS * SLOWER
    );
    let mut slowest = Vec::new();
    for balance in BALANCES {
        let mut servers = [Synthetic::healthy(SERVICE_MS); 4];
        servers[3].service_ms *= SLOWER;
        let pool = Pool::start(&servers, "plimsoll-balance.toml", &[("balance", balance.to_owned())])?;
        let load = Load::open(pool.port(), "/", &[(RATE, bench.lengths.warm_up), (RATE, seconds(bench))]).patient();
        let label = Label { part: "degraded", app: "synthetic", peer: "plimsoll", what: balance };
        let (stage, _) = bench.run(label, &load, 1, Some(pool.process_id()))?;
        let quantile = |quantile| milliseconds(stage.totals.good_ms(quantile));
        let _ = writeln!(text, "| {balance} | {} | {} | {} |", quantile(0.5), quantile(0.99), quantile(0.999));
        slowest.push(stage.totals.good_ms(0.99).unwrap_or(f64::NAN));
    }
    let _ = writeln!(text, "\np99 is **{:.1} times** better than with round robin.", slowest[1] / slowest[0]);
    Ok(text)
}
