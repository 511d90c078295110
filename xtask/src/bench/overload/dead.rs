//! An upstream that is dead: how often it is asked in vain, and how soon clients are told.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::recording::Stage;
use super::bench::{Bench, Label, milliseconds};
use super::load::Load;
use super::pool::{Pool, Synthetic};

const RATE: f64 = 200.0;
const BROKEN: Synthetic = Synthetic { service_ms: 10, flags: &["--broken"] };
const INSTANCES: usize = 3;

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.settle + bench.lengths.measure;
    bench.plan(2, seconds);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = format!(
        "{INSTANCES} instances, {RATE:.0}/s. Broken: they accept connections and close them unanswered. Gone: nobody listens.\n\n\
         | upstream | attempts upstream per request | p50 of refusals | p99 of refusals | unanswered within 1 s |\n|---|--:|--:|--:|--:|\n"
    );
    // From the first request on: the attempts made before it is known that the upstream is dead count, too.
    let stages = [(RATE, bench.lengths.settle), (RATE, bench.lengths.measure)];
    let pool = Pool::start(&[BROKEN; INSTANCES], "plimsoll-balance.toml", &[("balance", "p2c_ewma".to_owned())])?;
    let before = pool.arrived()?;
    let label = Label { part: "dead", app: "synthetic", peer: "plimsoll", what: "broken" };
    let (stage, recording) = bench.run(label, &Load::open(pool.port(), "/", &stages), 1, Some(pool.process_id()))?;
    let attempts = (pool.arrived()? - before) as f64 / recording.since_stage(0).totals.due.max(1) as f64;
    write_row(&mut text, "broken", &format!("**{attempts:.2}**"), &stage);
    drop(pool);

    let mut pool = Pool::start(&[Synthetic::healthy(10); INSTANCES], "plimsoll-balance.toml", &[("balance", "p2c_ewma".to_owned())])?;
    pool.kill_servers();
    let label = Label { what: "gone", ..label };
    let (stage, _) = bench.run(label, &Load::open(pool.port(), "/", &stages), 1, Some(pool.process_id()))?;
    write_row(&mut text, "gone", "–", &stage);
    Ok(text)
}

fn write_row(text: &mut String, upstream: &str, attempts: &str, stage: &Stage) {
    let totals = &stage.totals;
    let refusal = |quantile| milliseconds(totals.refused_ms(quantile));
    let _ = writeln!(text, "| {upstream} | {attempts} | {} | {} | {} |", refusal(0.5), refusal(0.99), totals.unanswered());
}
