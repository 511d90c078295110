//! Rates and percentiles between two snapshots: what the dashboard, `/api/status` and `plimsoll status` read.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::histogram::HistogramCounts;
use crate::snapshot::{
    CertificateSnapshot, EdgeSnapshot, InstanceSnapshot, InstanceState, LoadLineSnapshot, ReloadSnapshot, Snapshot, TroubleSnapshot,
};

/// A fleet as a person reads it. Rates, error shares and percentiles cover a recent stretch of time; `…_total` counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_ms: u64,
    pub public_url: String,
    pub admin_url: String,
    pub draining: bool,
    pub reload: ReloadSnapshot,
    /// How long the recent stretch is that rates, shares and percentiles cover.
    pub window_ms: u64,
    pub edge: EdgeStatus,
    pub tls: TlsStatus,
    pub load_lines: Vec<LoadLineStatus>,
    pub instances: Vec<InstanceStatus>,
}

/// What clients see, whichever instance served them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeStatus {
    pub connections: u64,
    pub in_flight: u64,
    /// Answers of all kinds, those that refuse included.
    pub rate_per_second: f64,
    /// Requests given up so that others are served in time. They are not among the errors.
    pub shed_per_second: f64,
    pub errors_per_second: f64,
    /// The share of answers that were 5xx for any other reason, 0 to 1. Zero when nothing was answered.
    pub error_rate: f64,
    /// Absent when nothing was answered.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub requests_total: u64,
    pub responses_total: ResponsesByClass,
    pub shed_total: u64,
    pub errors_total: u64,
    pub retries: Count,
    /// Retries that the budget did not allow.
    pub retries_denied: Count,
    /// Second attempts beside a slow first one.
    pub hedges: Count,
    /// Those of them that answered first.
    pub hedges_won: Count,
    /// Requests without a real answer that got a route's fallback.
    pub fallbacks: Count,
    pub client_gone_total: u64,
    /// Requests turned away, by `policy::Reason` slug.
    pub refusals_total: BTreeMap<String, u64>,
}

/// Encrypted connections with clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStatus {
    pub handshakes_full_total: u64,
    pub handshakes_resumed_total: u64,
    /// By reason.
    pub handshake_failures_total: BTreeMap<String, u64>,
    pub certificates: Vec<CertificateSnapshot>,
    /// Names for which orders of certificates fail, and why.
    #[serde(default)]
    pub troubles: Vec<TroubleSnapshot>,
}

impl TlsStatus {
    fn of(snapshot: &Snapshot) -> Self {
        let tls = &snapshot.tls;
        Self {
            handshakes_full_total: tls.handshakes_full_total,
            handshakes_resumed_total: tls.handshakes_resumed_total,
            handshake_failures_total: tls.handshake_failures_total.iter().cloned().collect(),
            certificates: snapshot.certificates.clone(),
            troubles: snapshot.acme.iter().flat_map(|acme| &acme.troubles).cloned().collect(),
        }
    }
}

/// Something that is only worth a look when it happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub per_second: f64,
    pub total: u64,
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
    /// Requests completed per second, as last measured while the line was in use.
    pub drain_per_second: f64,
    pub overloaded: bool,
    pub admitted_per_second: f64,
    pub shed_per_second: f64,
    pub admitted_total: u64,
    pub shed_total: u64,
    /// Requests turned away by their priority.
    pub shed: ByPriority,
}

/// The same of every class of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ByPriority {
    pub critical: Count,
    pub normal: Count,
    pub sheddable: Count,
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
            reload: later.reload.clone(),
            window_ms: elapsed.as_millis() as u64,
            edge: EdgeStatus::between(&earlier.edge, &later.edge, elapsed),
            tls: TlsStatus::of(later),
            load_lines: later.load_lines.iter().map(|line| LoadLineStatus::between(earlier, line, elapsed)).collect(),
            instances: instances.collect(),
        }
    }
}

impl EdgeStatus {
    fn between(earlier: &EdgeSnapshot, later: &EdgeSnapshot, elapsed: Duration) -> Self {
        let answers = growth(&earlier.responses_total, &later.responses_total);
        let answered = answers.iter().sum();
        let shed = later.shed_total.saturating_sub(earlier.shed_total);
        let errors = answers[4].saturating_sub(shed);
        let count = |of: fn(&EdgeSnapshot) -> u64| Count::between(of(earlier), of(later), elapsed);
        let [p50_ms, p95_ms, p99_ms] = percentiles(&later.latency.since(&earlier.latency));
        Self {
            connections: later.connections,
            in_flight: later.in_flight,
            rate_per_second: per_second(answered, elapsed),
            shed_per_second: per_second(shed, elapsed),
            errors_per_second: per_second(errors, elapsed),
            error_rate: share(errors, answered),
            p50_ms,
            p95_ms,
            p99_ms,
            requests_total: later.responses_total.iter().sum(),
            responses_total: later.responses_total.into(),
            shed_total: later.shed_total,
            errors_total: later.responses_total[4].saturating_sub(later.shed_total),
            retries: count(|edge| edge.retries_total),
            retries_denied: count(|edge| edge.retries_denied_total),
            hedges: count(|edge| edge.hedges_total),
            hedges_won: count(|edge| edge.hedges_won_total),
            fallbacks: count(|edge| edge.fallbacks_total),
            client_gone_total: later.client_gone_total,
            refusals_total: later.refusals_total.iter().cloned().collect(),
        }
    }
}

impl LoadLineStatus {
    fn between(earlier: &Snapshot, later: &LoadLineSnapshot, elapsed: Duration) -> Self {
        let fresh = LoadLineSnapshot::default();
        let before = earlier.load_lines.iter().find(|line| line.upstream == later.upstream).unwrap_or(&fresh);
        let shed_of = |class: usize| {
            let of = |line: &LoadLineSnapshot| line.shed_total[class].iter().sum();
            Count::between(of(before), of(later), elapsed)
        };
        let shed = ByPriority { critical: shed_of(0), normal: shed_of(1), sheddable: shed_of(2) };
        let all = [shed.critical, shed.normal, shed.sheddable];
        Self {
            upstream: later.upstream.clone(),
            limit: later.limit,
            in_flight: later.in_flight,
            lingering: later.lingering,
            waiting: later.waiting.iter().sum(),
            drain_per_second: later.drain_per_second,
            overloaded: later.overloaded,
            admitted_per_second: per_second(later.admitted_total.saturating_sub(before.admitted_total), elapsed),
            shed_per_second: all.iter().map(|count| count.per_second).sum(),
            admitted_total: later.admitted_total,
            shed_total: all.iter().map(|count| count.total).sum(),
            shed,
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

impl Count {
    fn between(earlier: u64, later: u64, elapsed: Duration) -> Self {
        Self { per_second: per_second(later.saturating_sub(earlier), elapsed), total: later }
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
