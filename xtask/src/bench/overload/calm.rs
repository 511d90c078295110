//! Steady load below the limit, for long: a limiter that refuses anything then costs its owner requests.

use anyhow::Result;

use super::bench::{Bench, milliseconds};
use super::peer::Peer;

const SHARE: f64 = 0.8;

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.warm_up + bench.lengths.calm;
    bench.plan(1, seconds);
}

/// One app is enough for ten minutes: the first chosen, by default the one with a database.
pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let app = bench.apps[0];
    let limit = bench.limit(app)?;
    let stages = [(limit * 0.5, bench.lengths.warm_up), (limit * SHARE, bench.lengths.calm)];
    let (stage, _) = bench.measure(app, Peer::Plimsoll, "calm 0.8x", 1, &stages)?;
    let totals = &stage.totals;
    Ok(format!(
        "{} behind plimsoll, {:.0}/s for {:.0} s: {} requests, **{} refused**, {} unanswered within a second, p99 {}.\n",
        app.name(),
        stage.offered(),
        stage.lasted,
        totals.due,
        totals.refused(),
        totals.unanswered(),
        milliseconds(totals.good_ms(0.99))
    ))
}
