//! What a person reads at the end of a run.

use std::fmt::Write;

use super::format::{self, printable};
use super::outcome::Outcome;
use super::{Judged, Line, Point, Report};
use crate::plan::{Arrivals, Pace};
use crate::record::Totals;
use crate::search::Found;
use crate::search::limit::Limit;
use crate::slo::Measured;

pub(super) const SATURATED: &str =
    "The load generator could not keep its schedule: this machine was too busy, and part of the latency is its own.";
const REDIRECTS: &str = "Every good answer is a redirect, which nobody followed: what was measured is whoever sends clients elsewhere. \
                         `curl -i` shows where; ask there.";
const CLOSED: &str = "Closed loop: each connection waits for its answer before it asks again, so a stalled server is hardly asked while it stalls. \
                      Latencies look better than people would find them; use --rate to see what they would.";

/// The report as lines of text.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n{}\n", printable(report.target()), facts(report));
    for failure in failures(report) {
        put(&mut text, format_args!("\n{failure}\n"));
    }
    for line in &report.lines {
        if report.lines.len() > 1 {
            put(&mut text, format_args!("\n{}", line.name));
        }
        text.push('\n');
        table(&mut text, line);
        outcome(&mut text, line);
    }
    requests(&mut text, report);
    if let Some(limit) = &report.limit {
        limit_found(&mut text, limit, report);
    }
    verdicts(&mut text, report);
    let is_closed = report.recordings().any(|recording| !recording.plan.pace.is_open());
    let notes = [(is_closed, CLOSED), (is_sent_elsewhere(report), REDIRECTS), (!report.is_trustworthy(), SATURATED)];
    for note in notes.into_iter().filter_map(|(holds, note)| holds.then_some(note)) {
        put(&mut text, format_args!("\nnote: {note}\n"));
    }
    text
}

/// Whether whoever was asked said nothing but where to ask.
fn is_sent_elsewhere(report: &Report) -> bool {
    let mut good = report.recordings().flat_map(|recording| &recording.statuses).filter(|record| !record.is_poor()).peekable();
    good.peek().is_some() && good.all(|record| record.status >= 300)
}

/// Of each line of which not one request was answered well: that, and why.
pub(super) fn failures(report: &Report) -> impl Iterator<Item = String> {
    let several = report.lines.len() > 1;
    report.lines.iter().filter_map(move |line| {
        let failure = line.failure()?;
        Some(if several { format!("{}: {failure}", line.name) } else { failure })
    })
}

/// How it was asked, in one line.
pub(super) fn facts(report: &Report) -> String {
    let Some(recording) = report.recordings().next() else { return String::new() };
    let lasted: f64 = report.recordings().map(|recording| recording.lasted.as_secs_f64()).sum();
    let pace = match &recording.plan.pace {
        Pace::Closed { connections, .. } => format!("closed loop, {connections} connections"),
        Pace::Open(_) if recording.plan.arrivals == Arrivals::Poisson => "open loop, Poisson arrivals".to_owned(),
        Pace::Open(_) => "open loop, constant arrivals".to_owned(),
    };
    let stopped = if report.recordings().any(|recording| recording.stopped_early) { ", stopped early" } else { "" };
    format!("{pace}, {} of load, patience {}{stopped}", format::time(lasted), format::time(recording.plan.timeout.as_secs_f64()))
}

fn table(text: &mut String, line: &Line) {
    let points = line.points();
    let widest = points.iter().map(|point| point.label.chars().count()).max().unwrap_or(0).max(8);
    put(
        text,
        format_args!(
            "{:<widest$}  {:>9}  {:>9}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}\n",
            "load", "requests", "goodput", "errors", "p50", "p90", "p99", "p99.9", "slowest"
        ),
    );
    for Point { label, figures } in &points {
        let goodput = format!("{}/s", format::rate(figures.goodput()));
        put(text, format_args!("{label:<widest$}  {:>9}  {goodput:>9}  {}\n", format::count(figures.totals.due), columns(&figures.totals)));
    }
}

fn columns(totals: &Totals) -> String {
    let mut text = format!("{:>8}", totals.failed_share().map_or_else(|| "–".to_owned(), format::share));
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        let latency = if quantile < 1.0 { totals.good_latency.quantile(quantile) } else { totals.good_latency.max() };
        put(&mut text, format_args!("  {:>8}", format::latency_or_dash(latency.map(|latency| latency.as_secs_f64()))));
    }
    text
}

/// Names longer than this would break the table.
const NAME_MAX: usize = 40;

fn requests(text: &mut String, report: &Report) {
    let Some(recording) = report.recordings().next().filter(|recording| recording.requests.len() > 1 && report.limit.is_none()) else {
        return;
    };
    let name = |name: &str| printable(name).chars().take(NAME_MAX).collect::<String>();
    let widest = recording.requests.iter().map(|request| name(&request.name).chars().count()).max().unwrap_or(0).max(8);
    put(
        text,
        format_args!(
            "\n{:<widest$}  {:>9}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}\n",
            "request", "requests", "errors", "p50", "p90", "p99", "p99.9", "slowest"
        ),
    );
    for request in &recording.requests {
        put(
            text,
            format_args!("{:<widest$}  {:>9}  {}\n", name(&request.name), format::count(request.totals.due), columns(&request.totals)),
        );
    }
}

/// How the requests of a line ended, each count with what the server or the system said.
fn outcome(text: &mut String, line: &Line) {
    let outcome = Outcome::of(line);
    let details = outcome.endings();
    for (index, ending) in details.iter().enumerate() {
        let name = if index == 0 { "outcome" } else { "" };
        let lead = if index == 0 { "\n" } else { "" };
        put(text, format_args!("{lead}{name:<9}{:>9}  {}\n", format::count(ending.count), ending.name));
        for detail in &ending.details {
            put(text, format_args!("{:<22}{}\n", "", printable(detail)));
        }
    }
    if outcome.totals.fallbacks > 0 {
        let (answered, fallbacks) = (format::count(outcome.totals.answered()), format::count(outcome.totals.fallbacks));
        put(text, format_args!("{answered:>18}  answered, of which {fallbacks} by a fallback of the edge\n"));
    }
}

fn limit_found(text: &mut String, limit: &Limit, report: &Report) {
    // A search without a promise of its own looks for the default one.
    let slo = report.slo.clone().unwrap_or_default();
    let found = match limit.found {
        Found::Limit { rate, range } => format!(
            "{} requests/s keep {slo} (none missed up to {}/s, none held from {}/s)",
            format::rate(rate),
            format::rate(range.low),
            format::rate(range.high)
        ),
        Found::AtLeast { rate } => {
            format!("above {} requests/s, beyond which nothing was measured; {slo} held throughout", format::rate(rate))
        }
        Found::Nothing { rate } => format!("none: even {} requests/s miss {slo}", format::rate(rate)),
        Found::Unstable { range } => {
            format!(
                "unstable: trials contradict each other between {} and {} requests/s",
                format::rate(range.low),
                format::rate(range.high)
            )
        }
    };
    put(text, format_args!("\nlimit       {found}\n"));
    if let Some(knee) = limit.knee {
        put(
            text,
            format_args!(
                "knee        {}/s: beyond it each further request costs more latency than it brings goodput\n",
                format::rate(knee.rate)
            ),
        );
    }
    put(text, format_args!("calm        {} for a single request\n", format::latency(limit.calm_latency)));
    for (index, beyond) in limit.beyond.iter().enumerate() {
        let p99 = beyond.p99.map_or_else(String::new, |p99| format!(", p99 {}", format::latency(p99)));
        let name = if index == 0 { "beyond it" } else { "" };
        let multiple = format!("{}×", beyond.multiple);
        put(
            text,
            format_args!("{name:<12}{multiple:>4}  {}/s good of {}/s{p99}\n", format::rate(beyond.goodput), format::rate(beyond.rate)),
        );
    }
    put(text, format_args!("guess       {}\n", limit.bottleneck));
    if limit.unrecovered > 0 {
        put(
            text,
            format_args!(
                "note        after {} of {} steps the server did not calm down in time: the limit may be higher\n",
                limit.unrecovered, limit.steps
            ),
        );
    }
    if limit.is_edge {
        text.push_str("note        this is already a Plimsoll edge: a second one in front of it would gain nothing\n");
    }
    text.push_str("\nproposed plimsoll.toml\n");
    for line in limit.proposal.lines() {
        put(text, format_args!("{}{line}\n", if line.is_empty() { "" } else { "  " }));
    }
}

fn verdicts(text: &mut String, report: &Report) {
    let Some(verdicts) = report.verdicts() else { return };
    for (index, Judged { line, point, verdict, .. }) in verdicts.iter().enumerate() {
        let name = if index == 0 { "slo" } else { "" };
        let findings: Vec<_> =
            verdict.findings.iter().map(|finding| format!("{finding} {}", if finding.is_met { "met" } else { "MISSED" })).collect();
        let place = match line {
            Some(line) => format!("{line} at {}: ", point.label),
            None if verdicts.len() > 1 => format!("at {}: ", point.label),
            None => String::new(),
        };
        put(text, format_args!("{}{name:<12}{place}{}\n", if index == 0 { "\n" } else { "" }, findings.join(", ")));
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes it");
}
