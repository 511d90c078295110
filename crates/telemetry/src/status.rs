//! Rates and percentiles between two snapshots: what the dashboard, `/api/status` and `plimsoll status` read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::histogram::HistogramCounts;
use crate::snapshot::{EdgeSnapshot, InstanceSnapshot, InstanceState, LoadLineSnapshot, Snapshot};

/// A fleet as a person reads it. Rates, error shares and percentiles cover a recent stretch of time; `…_total` counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_ms: u64,
    pub public_url: String,
    pub admin_url: String,
    pub draining: bool,
    pub edge: EdgeStatus,
    pub load_lines: Vec<LoadLineStatus>,
    pub instances: Vec<InstanceStatus>,
}

/// What clients see, whichever instance served them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeStatus {
    pub connections: u64,
    pub in_flight: u64,
    pub rate_per_second: f64,
    /// The share of answers that were 5xx, 0 to 1. Zero when nothing was answered.
    pub error_rate: f64,
    /// Absent when nothing was answered.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub requests_total: u64,
    pub responses_total: ResponsesByClass,
    pub retries_total: u64,
    pub client_gone_total: u64,
    /// Requests turned away, by `policy::Reason` slug.
    pub refusals_total: BTreeMap<String, u64>,
}

/// How much an upstream is trusted with, and how much it has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadLineStatus {
    pub upstream: String,
    /// Requests at a time, over all instances.
    pub limit: u64,
    pub in_flight: u64,
    /// Places of requests whose client has left while the instance works on.
    pub lingering: u64,
    pub waiting: u64,
    pub overloaded: bool,
    pub admitted_per_second: f64,
    pub shed_per_second: f64,
    pub admitted_total: u64,
    pub shed_total: u64,
}

/// Answers by status class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponsesByClass {
    #[serde(rename = "1xx")]
    pub informational: u64,
    #[serde(rename = "2xx")]
    pub success: u64,
    #[serde(rename = "3xx")]
    pub redirection: u64,
    #[serde(rename = "4xx")]
    pub client_error: u64,
    #[serde(rename = "5xx")]
    pub server_error: u64,
}

/// One instance as the gateway in front of it sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub id: String,
    pub upstream: String,
    pub address: String,
    pub state: InstanceState,
    pub pid: Option<u32>,
    pub restarts_total: u64,
    pub uptime_ms: Option<u64>,
    pub in_flight: u64,
    pub rate_per_second: f64,
    /// The share of attempts that ended in a 5xx or without an answer, 0 to 1.
    pub error_rate: f64,
    pub failures_total: u64,
    pub ejections_total: u64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Complete answers of any class.
    pub requests_total: u64,
}

impl Status {
    /// What happened from `earlier` to `later`, two snapshots of the same process; its uptime tells how far apart they are.
    ///
    /// With an empty `earlier` ([`Snapshot::default`]) it averages over the whole life of the process.
    ///
    /// ```
    /// use plimsoll_telemetry::{Snapshot, Status};
    ///
    /// let mut later = Snapshot { uptime_ms: 10_000, ..Snapshot::default() };
    /// later.edge.responses_total = [0, 90, 0, 0, 10];
    /// let status = Status::between(&Snapshot::default(), &later);
    /// assert_eq!(status.edge.rate_per_second, 10.0);
    /// assert_eq!(status.edge.error_rate, 0.1);
    /// ```
    pub fn between(earlier: &Snapshot, later: &Snapshot) -> Self {
        let elapsed = Duration::from_millis(later.uptime_ms.saturating_sub(earlier.uptime_ms));
        let instance_before: BTreeMap<_, _> = earlier.instances.iter().map(|instance| (key(instance), instance)).collect();
        let newcomer = InstanceSnapshot::default();
        let instances = later.instances.iter().map(|instance| {
            let before = instance_before.get(&key(instance)).copied().unwrap_or(&newcomer);
            InstanceStatus::between(before, instance, elapsed)
        });
        Self {
            version: later.version.clone(),
            pid: later.pid,
            uptime_ms: later.uptime_ms,
            public_url: later.public_url.clone(),
            admin_url: later.admin_url.clone(),
            draining: later.draining,
            edge: EdgeStatus::between(&earlier.edge, &later.edge, elapsed),
            load_lines: later.load_lines.iter().map(|line| LoadLineStatus::between(earlier, line, elapsed)).collect(),
            instances: instances.collect(),
        }
    }
}

impl EdgeStatus {
    fn between(earlier: &EdgeSnapshot, later: &EdgeSnapshot, elapsed: Duration) -> Self {
        let answers = growth(&earlier.responses_total, &later.responses_total);
        let answered = answers.iter().sum();
        let [p50_ms, p95_ms, p99_ms] = percentiles(&later.latency.since(&earlier.latency));
        Self {
            connections: later.connections,
            in_flight: later.in_flight,
            rate_per_second: per_second(answered, elapsed),
            error_rate: share(answers[4], answered),
            p50_ms,
            p95_ms,
            p99_ms,
            requests_total: later.responses_total.iter().sum(),
            responses_total: later.responses_total.into(),
            retries_total: later.retries_total,
            client_gone_total: later.client_gone_total,
            refusals_total: later.refusals_total.iter().cloned().collect(),
        }
    }
}

impl LoadLineStatus {
    fn between(earlier: &Snapshot, later: &LoadLineSnapshot, elapsed: Duration) -> Self {
        let fresh = LoadLineSnapshot::default();
        let before = earlier.load_lines.iter().find(|line| line.upstream == later.upstream).unwrap_or(&fresh);
        let shed = |line: &LoadLineSnapshot| line.shed_total.iter().sum::<u64>();
        Self {
            upstream: later.upstream.clone(),
            limit: later.limit,
            in_flight: later.in_flight,
            lingering: later.lingering,
            waiting: later.waiting.iter().sum(),
            overloaded: later.overloaded,
            admitted_per_second: per_second(later.admitted_total.saturating_sub(before.admitted_total), elapsed),
            shed_per_second: per_second(shed(later).saturating_sub(shed(before)), elapsed),
            admitted_total: later.admitted_total,
            shed_total: shed(later),
        }
    }
}

impl InstanceStatus {
    fn between(earlier: &InstanceSnapshot, later: &InstanceSnapshot, elapsed: Duration) -> Self {
        let answers = growth(&earlier.responses_total, &later.responses_total);
        let answered: u64 = answers.iter().sum();
        let failed = later.failures_total.saturating_sub(earlier.failures_total);
        let [p50_ms, p95_ms, p99_ms] = percentiles(&later.latency.since(&earlier.latency));
        Self {
            id: later.id.clone(),
            upstream: later.upstream.clone(),
            address: later.address.clone(),
            state: later.state,
            pid: later.pid,
            restarts_total: later.restarts_total,
            uptime_ms: later.uptime_ms,
            in_flight: later.in_flight,
            rate_per_second: per_second(answered, elapsed),
            error_rate: share(answers[4] + failed, answered + failed),
            failures_total: later.failures_total,
            ejections_total: later.ejections_total,
            p50_ms,
            p95_ms,
            p99_ms,
            requests_total: later.responses_total.iter().sum(),
        }
    }
}

impl From<[u64; 5]> for ResponsesByClass {
    fn from([informational, success, redirection, client_error, server_error]: [u64; 5]) -> Self {
        Self { informational, success, redirection, client_error, server_error }
    }
}

/// What makes an instance the same one in two snapshots: names are unique only within their upstream.
fn key(instance: &InstanceSnapshot) -> (&str, &str) {
    (&instance.upstream, &instance.id)
}

fn growth(earlier: &[u64; 5], later: &[u64; 5]) -> [u64; 5] {
    std::array::from_fn(|class| later[class].saturating_sub(earlier[class]))
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { count as f64 / elapsed.as_secs_f64() }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percentiles(latency: &HistogramCounts) -> [Option<f64>; 3] {
    [0.5, 0.95, 0.99].map(|quantile| latency.quantile(quantile).map(|duration| duration.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;

    fn instance(id: &str, responses_total: [u64; 5], failures_total: u64) -> InstanceSnapshot {
        InstanceSnapshot { id: id.into(), responses_total, failures_total, ..InstanceSnapshot::default() }
    }

    #[test]
    fn rates_cover_only_what_happened_in_between() {
        let mut earlier = Snapshot { uptime_ms: 60_000, ..Snapshot::default() };
        earlier.edge.responses_total = [0, 1_000, 0, 0, 1_000];
        earlier.instances = vec![instance("api-2", [0, 500, 0, 0, 0], 7)];
        let mut later = Snapshot { uptime_ms: 70_000, ..earlier.clone() };
        later.edge.responses_total = [0, 1_150, 0, 0, 1_050];
        later.instances = vec![instance("api-1", [0, 30, 0, 0, 0], 0), instance("api-2", [0, 580, 0, 0, 10], 17)];

        let status = Status::between(&earlier, &later);
        assert_eq!(status.edge.rate_per_second.to_bits(), 20_f64.to_bits());
        assert_eq!(status.edge.error_rate.to_bits(), 0.25_f64.to_bits());
        assert_eq!(status.edge.responses_total.server_error, 1_050);
        let rates: Vec<_> = status.instances.iter().map(|instance| (instance.id.as_str(), instance.rate_per_second)).collect();
        assert_eq!(rates, [("api-1", 3.0), ("api-2", 9.0)]);
        // 10 of 5xx and 10 without any answer, of 100 attempts.
        assert_eq!(status.instances[1].error_rate.to_bits(), 0.2_f64.to_bits());
    }

    #[test]
    fn percentiles_forget_what_was_slow_before() {
        let latency = Histogram::default();
        latency.record(Duration::from_secs(9));
        let mut earlier = Snapshot { uptime_ms: 1, ..Snapshot::default() };
        earlier.edge.latency = latency.counts();
        let mut later = Snapshot { uptime_ms: 10_001, ..earlier.clone() };
        assert_eq!(Status::between(&earlier, &later).edge.p99_ms, None);

        latency.record(Duration::from_millis(8));
        later.edge.latency = latency.counts();
        let p99_ms = Status::between(&earlier, &later).edge.p99_ms.unwrap();
        assert!((8.0..8.6).contains(&p99_ms), "{p99_ms}");
    }

    #[test]
    fn instances_of_the_same_name_in_two_upstreams_are_told_apart() {
        let in_upstream = |upstream: &str, answers| {
            let mut instance = instance("1", [0, answers, 0, 0, 0], 0);
            instance.upstream = upstream.into();
            instance
        };
        let earlier = Snapshot { instances: vec![in_upstream("a", 100), in_upstream("b", 0)], ..Snapshot::default() };
        let later = Snapshot { uptime_ms: 1_000, instances: vec![in_upstream("a", 101), in_upstream("b", 5)], ..Snapshot::default() };
        let rates: Vec<_> = Status::between(&earlier, &later).instances.iter().map(|instance| instance.rate_per_second).collect();
        assert_eq!(rates, [1.0, 5.0]);
    }

    #[test]
    fn two_snapshots_of_the_same_moment_have_no_rate() {
        let mut snapshot = Snapshot::default();
        let before = snapshot.clone();
        snapshot.edge.responses_total[1] = 5;
        assert!(Status::between(&before, &snapshot).edge.rate_per_second.abs() < f64::EPSILON);
    }

    #[test]
    fn json_reads_back_as_written() {
        let mut snapshot = Snapshot { uptime_ms: 1_000, instances: vec![instance("api-1", [1, 2, 3, 4, 5], 6)], ..Snapshot::default() };
        snapshot.edge.refusals_total = vec![("no-instance".into(), 3)];
        snapshot.edge.responses_total = [1, 2, 3, 4, 5];
        let status = Status::between(&Snapshot::default(), &snapshot);
        let json = serde_json::to_string(&status).unwrap();
        assert!(json.contains(r#""responses_total":{"1xx":1,"2xx":2,"3xx":3,"4xx":4,"5xx":5}"#), "{json}");
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
