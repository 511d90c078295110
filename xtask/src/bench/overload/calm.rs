//! Steady load below the limit, for long: a limiter that refuses anything then costs its owner requests.
//!
//! Two apps take ten minutes each: the one with a database, whose limit moves with the machine and is therefore measured once more
//! afterwards, and the synthetic one, whose limit is the same whatever the machine does.

use std::fmt::Write;

use anyhow::Result;

use super::app::App;
use super::bench::{Bench, milliseconds};
use super::peer::Peer;

const SHARE: f64 = 0.8;

fn apps(bench: &Bench) -> Vec<App> {
    bench.apps.iter().copied().filter(|app| *app != App::Express).collect()
}

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.warm_up + bench.lengths.calm + bench.limit_seconds();
    bench.plan(apps(bench).len(), seconds);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut table = String::from(
        "Ten minutes behind plimsoll, without a file. The limit was measured before and after.\n\n\
         | app | limit before | offered | requests | refused | unanswered within 1 s | p99 | limit after |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for app in apps(bench) {
        let limit = bench.limit(app)?;
        let stages = [(limit * 0.5, bench.lengths.warm_up), (limit * SHARE, bench.lengths.calm)];
        let (stage, _) = bench.measure(app, Peer::Plimsoll, "calm 0.8x", 1, &stages)?;
        bench.forget_limit(app);
        let after = bench.limit(app)?;
        let totals = &stage.totals;
        writeln!(
            table,
            "| {} | {limit:.0}/s | {:.0}/s | {} | **{}** | {} | {} | {after:.0}/s |",
            app.name(),
            stage.offered(),
            totals.due,
            totals.refused(),
            totals.unanswered(),
            milliseconds(totals.good_ms(0.99))
        )?;
    }
    Ok(table)
}
