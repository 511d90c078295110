//! The last minutes, kept here so that whoever opens the dashboard during an incident sees how it began.

use std::collections::{HashMap, VecDeque};

use plimsoll_telemetry::snapshot::InstanceState;
use plimsoll_telemetry::status::{InstanceStatus, Status};
use serde::Serialize;

/// Five minutes at one point a second.
const POINTS_MAX: usize = 300;
/// One minute of an instance's rate: a sparkline's worth.
const RATES_MAX: usize = 60;
const CHANGES_MAX: usize = 100;

/// Points of the charts, of the sparklines, and what happened to instances. Everything in it is bounded, oldest first.
#[derive(Default)]
pub(crate) struct History {
    points: VecDeque<Point>,
    instances: HashMap<Key, Seen>,
    changes: VecDeque<Change>,
    changes_total: u64,
}

/// Upstream and id.
type Key = (String, String);

/// Uptime in milliseconds, requests per second, p50 and p99 in milliseconds; then of all load lines together the limit, the places taken
/// and the requests refused per second. An array in JSON, since there are hundreds.
#[derive(Clone, Copy, Serialize)]
struct Point(u64, f64, Option<f64>, Option<f64>, Option<u64>, u64, f64);

struct Seen {
    state: InstanceState,
    restarts_total: u64,
    rates: VecDeque<f64>,
}

/// Something that happened to an instance between two looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Counts up from 1 with each change.
    pub(crate) number: u64,
    at_unix_ms: u64,
    uptime_ms: u64,
    instance: String,
    upstream: String,
    /// Absent: it was not there before.
    from: Option<InstanceState>,
    /// Absent: it is gone.
    to: Option<InstanceState>,
    /// Starts in between: a fast restart may show in no state at all.
    restarts: u64,
}

/// What a new dashboard is told first.
#[derive(Serialize)]
pub(crate) struct Recap<'a> {
    points: &'a VecDeque<Point>,
    instances: Vec<Sparkline<'a>>,
    changes: &'a VecDeque<Change>,
}

#[derive(Serialize)]
struct Sparkline<'a> {
    id: &'a str,
    upstream: &'a str,
    rates: &'a VecDeque<f64>,
}

impl History {
    pub(crate) fn record(&mut self, status: &Status, at_unix_ms: u64) {
        push_bounded(&mut self.points, POINTS_MAX, Point::of(status));
        let mut before = std::mem::take(&mut self.instances);
        // The first look finds a fleet as it is; that its instances are there is no news.
        let first = self.points.len() == 1;
        for instance in &status.instances {
            let key = (instance.upstream.clone(), instance.id.clone());
            let seen = before.remove(&key);
            let news = seen.as_ref().is_none_or(|seen| seen.state != instance.state || seen.restarts_total != instance.restarts_total);
            if news && !first {
                let from = seen.as_ref().map(|seen| seen.state);
                let restarts = seen.as_ref().map_or(0, |seen| instance.restarts_total.saturating_sub(seen.restarts_total));
                self.change(status.uptime_ms, at_unix_ms, &key, (from, Some(instance.state)), restarts);
            }
            self.instances.insert(key, Seen::next(seen, instance));
        }
        let mut gone: Vec<_> = before.into_iter().collect();
        gone.sort_by(|one, other| one.0.cmp(&other.0));
        for (key, seen) in gone {
            self.change(status.uptime_ms, at_unix_ms, &key, (Some(seen.state), None), 0);
        }
    }

    /// The number of the newest change.
    pub(crate) fn changes_total(&self) -> u64 {
        self.changes_total
    }

    /// What happened after change `number`, as far as it is still known.
    pub(crate) fn changes_after(&self, number: u64) -> Vec<&Change> {
        self.changes.iter().filter(|change| change.number > number).collect()
    }

    pub(crate) fn recap(&self) -> Recap<'_> {
        let instances = self.instances.iter().map(|((upstream, id), seen)| Sparkline { id, upstream, rates: &seen.rates });
        Recap { points: &self.points, instances: instances.collect(), changes: &self.changes }
    }

    fn change(&mut self, uptime_ms: u64, at_unix_ms: u64, key: &Key, step: (Option<InstanceState>, Option<InstanceState>), restarts: u64) {
        self.changes_total += 1;
        let (upstream, instance) = key.clone();
        let (from, to) = step;
        let change = Change { number: self.changes_total, at_unix_ms, uptime_ms, instance, upstream, from, to, restarts };
        push_bounded(&mut self.changes, CHANGES_MAX, change);
    }
}

impl Point {
    fn of(status: &Status) -> Self {
        let (edge, lines) = (&status.edge, &status.load_lines);
        // Without a load line there is no limit to draw, not a limit of nothing.
        let limit = (!lines.is_empty()).then(|| lines.iter().map(|line| line.limit).sum());
        let taken = lines.iter().map(|line| line.in_flight).sum();
        let refused = lines.iter().map(|line| line.shed_per_second).sum();
        Self(status.uptime_ms, edge.rate_per_second, edge.p50_ms, edge.p99_ms, limit, taken, refused)
    }
}

impl Seen {
    fn next(before: Option<Self>, instance: &InstanceStatus) -> Self {
        let mut rates = before.map(|seen| seen.rates).unwrap_or_default();
        push_bounded(&mut rates, RATES_MAX, instance.rate_per_second);
        Self { state: instance.state, restarts_total: instance.restarts_total, rates }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, length_max: usize, item: T) {
    queue.push_back(item);
    while queue.len() > length_max {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceState::{Backoff, Ready};

    fn status(uptime_ms: u64, instances: &[(&str, InstanceState, u64)]) -> Status {
        let instance = |(id, state, restarts_total): &(&str, InstanceState, u64)| InstanceStatus {
            id: (*id).into(),
            state: *state,
            restarts_total: *restarts_total,
            ..InstanceStatus::default()
        };
        Status { uptime_ms, instances: instances.iter().map(instance).collect(), ..Status::default() }
    }

    #[test]
    fn tells_what_changed_and_nothing_else() {
        let mut history = History::default();
        let steps: [&[_]; 5] = [
            &[("a", Ready, 0), ("b", Ready, 0)],
            &[("a", Ready, 0), ("b", Ready, 0)],
            &[("a", Backoff, 0), ("b", Ready, 1)],
            &[("a", Ready, 1)],
            &[("a", Ready, 1), ("c", Ready, 0)],
        ];
        for (second, step) in steps.iter().enumerate() {
            history.record(&status(second as u64 * 1_000, step), 0);
        }
        let told: Vec<_> =
            history.changes_after(0).iter().map(|change| (change.instance.as_str(), change.from, change.to, change.restarts)).collect();
        let expected = [
            ("a", Some(Ready), Some(Backoff), 0),
            // So fast that no look saw it down.
            ("b", Some(Ready), Some(Ready), 1),
            ("a", Some(Backoff), Some(Ready), 1),
            ("b", Some(Ready), None, 0),
            ("c", None, Some(Ready), 0),
        ];
        assert_eq!(told, expected);
        assert_eq!(history.changes_after(4).len(), 1);
    }

    #[test]
    fn stays_within_its_bounds_however_long_it_runs() {
        let mut history = History::default();
        for second in 0..1_000 {
            let state = if second % 2 == 0 { Ready } else { Backoff };
            history.record(&status(second, &[("a", state, 0), (&format!("once-{second}"), Ready, 0)]), 0);
        }
        assert_eq!((history.points.len(), history.changes.len(), history.instances.len()), (POINTS_MAX, CHANGES_MAX, 2));
        assert!(history.instances.values().all(|seen| seen.rates.len() <= RATES_MAX));
        assert_eq!(history.changes.back().unwrap().number, history.changes_total());
    }
}
