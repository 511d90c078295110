//! Who is served when not everybody can be: important requests before others, and every tenant beside one that floods.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::recording::Stage;
use super::app::App;
use super::bench::{Bench, Label, Lengths, milliseconds};
use super::load::Load;
use super::pool;
use crate::bench::server::free_port;

/// In multiples of the limit.
const OVERLOAD: f64 = 3.0;
const SHEDDABLE_SHARE: f64 = 0.7;
const QUIET_TENANT: f64 = 0.3;
const FLOOD: f64 = 10.0;

pub(super) fn plan(bench: &mut Bench) {
    let Lengths { warm_up, settle, measure, .. } = bench.lengths;
    bench.plan(bench.apps.len() * 3, warm_up + settle + measure);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = "Overload of 3×, 70 % of it sheddable and 30 % critical; then two tenants, the second flooding at 10× of the limit. Behind plimsoll.\n\n\
        | app | whose requests | offered/s | answered well | p99 of those |\n|---|---|--:|--:|--:|\n"
        .to_owned();
    for app in bench.apps.clone() {
        let limit = bench.limit(app)?;
        let mut measure = |what: &str, classes: &[(&str, f64)]| -> Result<()> {
            for (class, stage) in side_by_side(bench, app, what, limit, classes)? {
                let (share, p99) = (100.0 * stage.totals.success(), milliseconds(stage.totals.good_ms(0.99)));
                let _ = writeln!(text, "| {} | {what}: {class} | {:.0} | {share:.2} % | {p99} |", app.name(), stage.offered());
            }
            Ok(())
        };
        let critical = ("X-Request-Priority: critical", OVERLOAD * (1.0 - SHEDDABLE_SHARE));
        measure("priority", &[critical, ("X-Request-Priority: sheddable", OVERLOAD * SHEDDABLE_SHARE)])?;
        measure("alone", &[("X-Tenant: quiet", QUIET_TENANT)])?;
        measure("flooded", &[("X-Tenant: quiet", QUIET_TENANT), ("X-Tenant: flood", FLOOD)])?;
    }
    Ok(text)
}

/// Each class of requests, marked by a header, from a generator of its own against one app.
fn side_by_side<'a>(bench: &mut Bench, app: App, what: &str, limit: f64, classes: &[(&'a str, f64)]) -> Result<Vec<(&'a str, Stage)>> {
    let Lengths { warm_up, settle, measure, .. } = bench.lengths;
    let server = app.start(free_port()?, bench.database_for(app)?)?;
    let gateway = pool::start_gateway(&[server.port], "plimsoll-sharing.toml", &[])?;
    let total: f64 = classes.iter().map(|(_, multiple)| multiple).sum();
    let start = |(seed, (header, multiple)): (u64, &(&str, f64))| {
        // Together half of the limit at first, each in proportion.
        let stages = [(limit * 0.5 * multiple / total, warm_up), (limit * multiple, settle), (limit * multiple, measure)];
        Load { seed, ..Load::open(gateway.port, app.path(), &stages).with_header(header) }.start()
    };
    let running = (1..).zip(classes).map(start).collect::<Result<Vec<_>>>()?;
    let mut stages = Vec::new();
    for ((header, _), running) in classes.iter().zip(running) {
        let recording = running.finish()?;
        let stage = recording.since_stage(2);
        let label = Label { part: "sharing", app: app.name(), peer: "plimsoll", what: &format!("{what} {header}") };
        bench.note(label, &stage, &recording);
        stages.push((*header, stage));
    }
    bench.passed(warm_up + settle + measure);
    Ok(stages)
}
