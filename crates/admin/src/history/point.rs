//! The points of the charts.

use plimsoll_telemetry::status::{LoadLineStatus, Status};
use serde::Serialize;

/// Uptime in milliseconds; requests, refused and failed per second; p50 and p99 in milliseconds; whether an upstream is overloaded. An array
/// in JSON, since there are hundreds.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Point(u64, f64, f64, f64, Option<f64>, Option<f64>, bool);

/// Of one load line: uptime in milliseconds, limit, places taken, requests that wait, overloaded.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Level(u64, u64, u64, u64, bool);

impl Point {
    pub(super) fn of(status: &Status) -> Self {
        let edge = &status.edge;
        let overloaded = status.load_lines.iter().any(|line| line.overloaded);
        Self(status.uptime_ms, edge.rate_per_second, edge.shed_per_second, edge.errors_per_second, edge.p50_ms, edge.p99_ms, overloaded)
    }
}

impl Level {
    pub(super) fn of(line: &LoadLineStatus, uptime_ms: u64) -> Self {
        Self(uptime_ms, line.limit, line.in_flight, line.waiting, line.overloaded)
    }
}
