//! How much of what is offered is answered well, from calm to ten times the limit: every app behind every peer.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::recording::Stage;
use super::app::App;
use super::bench::{Bench, Lengths, milliseconds};

pub(super) fn plan(bench: &mut Bench) {
    let Lengths { warm_up, settle, measure, .. } = bench.lengths;
    let runs = bench.apps.len() * bench.peers.len() * bench.multiples.len();
    bench.plan(runs, warm_up + settle + measure);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = String::new();
    for app in bench.apps.clone() {
        let limit = bench.limit(app)?;
        let mut table = Vec::new();
        for peer in bench.peers.clone() {
            let mut row = Vec::new();
            for multiple in bench.multiples {
                row.push(measure(bench, app, peer, *multiple)?);
            }
            table.push((peer.name(), row));
        }
        write_table(&mut text, app, limit, bench.multiples, &table);
    }
    Ok(text)
}

fn measure(bench: &mut Bench, app: App, peer: super::peer::Peer, multiple: f64) -> Result<Stage> {
    let limit = bench.limit(app)?;
    let Lengths { warm_up, settle, measure, .. } = bench.lengths;
    let rate = limit * multiple;
    let stages = [(limit * 0.5, warm_up), (rate, settle), (rate, measure)];
    Ok(bench.measure(app, peer, &format!("goodput {multiple}x"), 2, &stages)?.0)
}

fn write_table(text: &mut String, app: App, limit: f64, multiples: &[f64], table: &[(&str, Vec<Stage>)]) {
    let peak = table.iter().flat_map(|(_, row)| row).map(Stage::goodput).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "{}: {limit:.0}/s in a closed loop, {peak:.0}/s at best in these runs (the peak). \
         Goodput per second and its share of the peak; p99 of good answers; share refused and p99 of refusals; share without an answer.\n",
        app.name()
    );
    let heads: Vec<String> = multiples.iter().map(|multiple| format!("{multiple}× = {:.0}/s", multiple * limit)).collect();
    let _ = writeln!(text, "| peer | {} |\n|---|{}", heads.join(" | "), "---|".repeat(multiples.len()));
    for (peer, row) in table {
        let cells: Vec<String> = row.iter().map(|stage| cell(stage, peak)).collect();
        let _ = writeln!(text, "| {peer} | {} |", cells.join(" | "));
    }
    text.push('\n');
}

fn cell(stage: &Stage, peak: f64) -> String {
    let totals = &stage.totals;
    let share = |count: u64| 100.0 * count as f64 / totals.due.max(1) as f64;
    let mut cell =
        format!("**{:.0}** ({:.0} %), {}", stage.goodput(), 100.0 * stage.goodput() / peak.max(1.0), milliseconds(totals.good_ms(0.99)));
    if totals.refused() > 0 {
        let _ = write!(cell, "; {:.1} % refused, {}", share(totals.refused()), milliseconds(totals.refused_ms(0.99)));
    }
    if totals.unanswered() > 0 {
        let _ = write!(cell, "; {:.1} % unanswered", share(totals.unanswered()));
    }
    cell
}
