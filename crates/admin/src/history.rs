//! The last minutes, kept here so that whoever opens the dashboard during an incident sees how it began.

mod change;
mod line;
mod point;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use plimsoll_telemetry::snapshot::InstanceState;
use plimsoll_telemetry::status::{InstanceStatus, Status};
use serde::Serialize;

pub(crate) use self::change::Change;
use self::change::What;
use self::line::Line;
use self::point::{Level, Point};

/// Five minutes at one point a second.
const POINTS_MAX: usize = 300;
/// One minute of an instance's rate: a sparkline's worth.
const RATES_MAX: usize = 60;
const CHANGES_MAX: usize = 100;

/// Points of the charts, of the sparklines, and what happened to instances and load lines. Everything in it is bounded, oldest first.
#[derive(Default)]
pub(crate) struct History {
    points: VecDeque<Point>,
    instances: HashMap<Key, Seen>,
    /// By upstream.
    lines: HashMap<String, Line>,
    changes: VecDeque<Change>,
    changes_total: u64,
}

/// Upstream and id.
type Key = (String, String);

struct Seen {
    state: InstanceState,
    restarts_total: u64,
    rates: VecDeque<f64>,
}

/// What a new dashboard is told first.
#[derive(Serialize)]
pub(crate) struct Recap<'a> {
    points: &'a VecDeque<Point>,
    instances: Vec<Sparkline<'a>>,
    lines: Vec<LinePast<'a>>,
    changes: &'a VecDeque<Change>,
}

#[derive(Serialize)]
struct Sparkline<'a> {
    id: &'a str,
    upstream: &'a str,
    rates: &'a VecDeque<f64>,
}

#[derive(Serialize)]
struct LinePast<'a> {
    upstream: &'a str,
    /// The uptime at which it became as calm or as overloaded as it is; absent if it was never seen otherwise.
    since_ms: Option<u64>,
    points: &'a VecDeque<Level>,
}

/// The moment of a look.
#[derive(Clone, Copy)]
struct Moment {
    uptime_ms: u64,
    at_unix_ms: u64,
}

impl History {
    pub(crate) fn record(&mut self, status: &Status, at_unix_ms: u64) {
        push_bounded(&mut self.points, POINTS_MAX, Point::of(status));
        let moment = Moment { uptime_ms: status.uptime_ms, at_unix_ms };
        self.record_instances(status, moment);
        self.record_lines(status, moment);
    }

    fn record_instances(&mut self, status: &Status, moment: Moment) {
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
                self.change(
                    moment,
                    &instance.upstream,
                    What::Instance { instance: key.1.clone(), from, to: Some(instance.state), restarts },
                );
            }
            self.instances.insert(key, Seen::next(seen, instance));
        }
        let mut gone: Vec<_> = before.into_iter().collect();
        gone.sort_by(|one, other| one.0.cmp(&other.0));
        for ((upstream, instance), seen) in gone {
            self.change(moment, &upstream, What::Instance { instance, from: Some(seen.state), to: None, restarts: 0 });
        }
    }

    fn record_lines(&mut self, status: &Status, moment: Moment) {
        let mut before = std::mem::take(&mut self.lines);
        for line in &status.load_lines {
            let mut seen = before.remove(&line.upstream).unwrap_or_else(|| Line::first_seen(line));
            if let Some(what) = seen.next(line, moment.uptime_ms) {
                self.change(moment, &line.upstream, what);
            }
            self.lines.insert(line.upstream.clone(), seen);
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
        let lines = self.lines.iter().map(|(upstream, line)| LinePast { upstream, since_ms: line.since_ms, points: &line.levels });
        Recap { points: &self.points, instances: instances.collect(), lines: lines.collect(), changes: &self.changes }
    }

    fn change(&mut self, moment: Moment, upstream: &str, what: What) {
        self.changes_total += 1;
        let Moment { uptime_ms, at_unix_ms } = moment;
        let change = Change { number: self.changes_total, at_unix_ms, uptime_ms, upstream: upstream.to_owned(), what };
        push_bounded(&mut self.changes, CHANGES_MAX, change);
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
