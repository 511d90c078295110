//! One point of the charts.

use plimsoll_telemetry::status::Status;
use serde::Serialize;

/// Uptime in milliseconds; requests, refused and failed per second; p50 and p99 in milliseconds; then of all load lines together the limit,
/// the places taken, the requests that wait, and whether one is overloaded. An array in JSON, since there are hundreds.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Point(u64, f64, f64, f64, Option<f64>, Option<f64>, Option<u64>, u64, u64, bool);

impl Point {
    pub(super) fn of(status: &Status) -> Self {
        let (edge, lines) = (&status.edge, &status.load_lines);
        // Without a load line there is no limit to draw, not a limit of nothing.
        let limit = (!lines.is_empty()).then(|| lines.iter().map(|line| line.limit).sum());
        let taken = lines.iter().map(|line| line.in_flight).sum();
        let waiting = lines.iter().map(|line| line.waiting).sum();
        let overloaded = lines.iter().any(|line| line.overloaded);
        let rates = (edge.rate_per_second, edge.shed_per_second, edge.errors_per_second);
        Self(status.uptime_ms, rates.0, rates.1, rates.2, edge.p50_ms, edge.p99_ms, limit, taken, waiting, overloaded)
    }
}
