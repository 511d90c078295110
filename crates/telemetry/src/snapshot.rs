//! The running totals of a fleet at one moment. Counters only grow; readers compare two snapshots to get rates.

use serde::{Deserialize, Serialize};

use crate::histogram::HistogramCounts;

/// Everything one plimsoll process knows about itself and its instances.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: String,
    pub pid: u32,
    pub uptime_ms: u64,
    /// Where clients reach the gateway.
    pub public_url: String,
    pub admin_url: String,
    /// True from the moment the fleet was told to stop.
    pub draining: bool,
    pub reload: ReloadSnapshot,
    pub edge: EdgeSnapshot,
    pub tls: TlsSnapshot,
    /// Those that are served, the first one first.
    pub certificates: Vec<CertificateSnapshot>,
    /// What became of orders for certificates; `None` while TLS is not spoken.
    #[serde(default)]
    pub acme: Option<AcmeSnapshot>,
    /// The load line of each upstream that has one.
    pub load_lines: Vec<LoadLineSnapshot>,
    /// The breaker of each upstream that has one.
    pub circuits: Vec<CircuitSnapshot>,
    pub instances: Vec<InstanceSnapshot>,
}

/// How attempts to put other settings in force went. The start counts as one that worked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadSnapshot {
    /// Whether the last one worked. If it did not, the settings from before hold.
    pub last_ok: bool,
    /// When it was, in milliseconds since 1970.
    pub last_unix_ms: u64,
    /// When the settings in force were read.
    pub last_success_unix_ms: u64,
    /// After the start.
    pub succeeded_total: u64,
    pub failed_total: u64,
}

/// What happened at the edge, whichever instance served it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EdgeSnapshot {
    pub connections: u64,
    pub connections_total: u64,
    pub in_flight: u64,
    /// Answers sent to clients by status class: index 0 is 1xx (switched protocols), 4 is 5xx.
    pub responses_total: [u64; 5],
    pub latency: HistogramCounts,
    /// Attempts beyond the first.
    pub retries_total: u64,
    /// Attempts that would have been safe and in time, but not within the retry budget.
    pub retries_denied_total: u64,
    /// Second attempts beside a slow first one.
    pub hedges_total: u64,
    /// Those of them that answered first.
    pub hedges_won_total: u64,
    /// Requests without a real answer that got a route's fallback.
    pub fallbacks_total: u64,
    /// Copies of requests that a mirror answered.
    pub mirrored_total: u64,
    /// Copies that were not sent, for want of room, or not answered.
    pub mirrors_lost_total: u64,
    /// Clients that left before their answer was complete.
    pub client_gone_total: u64,
    /// Refusals by reason; the names are `policy::Reason` slugs.
    pub refusals_total: Vec<(String, u64)>,
    /// Those of them that kept an instance from more than it can do: answers with 503 that are nobody's error.
    pub shed_total: u64,
}

/// What came of handshakes with clients.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TlsSnapshot {
    pub handshakes_full_total: u64,
    /// Those that went on where an earlier session had stopped.
    pub handshakes_resumed_total: u64,
    /// By reason; every reason is listed.
    pub handshake_failures_total: Vec<(String, u64)>,
}

/// A certificate that is shown to clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSnapshot {
    /// The file of its chain, or who made it.
    pub source: String,
    /// The hosts it is for.
    pub names: Vec<String>,
    /// Its end, in seconds since 1970.
    pub not_after_unix: u64,
    /// Whoever made it renews it in time, without anybody's doing.
    #[serde(default)]
    pub renews_itself: bool,
}

/// What became of orders for certificates (ACME, RFC 8555).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeSnapshot {
    /// By result; every result is listed.
    pub orders_total: Vec<(String, u64)>,
    /// By name.
    pub troubles: Vec<TroubleSnapshot>,
}

/// Why there is no certificate for a name, or no new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleSnapshot {
    pub name: String,
    /// What was wrong the last time, in words.
    pub problem: String,
    /// When the next order is due, in seconds since 1970.
    pub again_at_unix: u64,
}

/// How much an upstream is trusted with, how much it has, and who waits or was turned away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadLineSnapshot {
    pub upstream: String,
    /// Requests at a time, over all instances.
    pub limit: u64,
    /// Places taken.
    pub in_flight: u64,
    /// Those of them whose client has left while the instance works on.
    pub lingering: u64,
    /// Requests in the queue, by the names in [`PRIORITIES`].
    pub waiting: [u64; 3],
    /// Requests completed per second, as last measured.
    pub drain_per_second: f64,
    /// Some requests are being refused because not all can be served.
    pub overloaded: bool,
    pub admitted_total: u64,
    /// Those of the admitted that waited.
    pub waited_total: u64,
    /// Requests turned away, by the names in [`PRIORITIES`], then by those in [`SHED_CAUSES`].
    pub shed_total: [[u64; 4]; 3],
}

/// Whether an upstream is asked at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CircuitSnapshot {
    pub upstream: String,
    pub state: CircuitState,
    pub openings_total: u64,
}

/// What a breaker does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CircuitState {
    /// Lets them through.
    #[default]
    Closed,
    /// Refuses them.
    Open,
    /// Lets a few through to see whether they are answered.
    HalfOpen,
}

impl CircuitState {
    /// The word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// The classes of requests, most important first.
pub const PRIORITIES: [&str; 3] = ["critical", "normal", "sheddable"];

/// Why a request did not get a place: on arrival, after its time in the queue, for a more important one, because of its own deadline.
pub const SHED_CAUSES: [&str; 4] = ["overloaded", "waited", "displaced", "deadline"];

/// One instance as the supervisor and the gateway see it together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InstanceSnapshot {
    /// Its name, such as `api-1`.
    pub id: String,
    pub upstream: String,
    pub address: String,
    pub state: InstanceState,
    /// Absent for an instance that somebody else runs.
    pub pid: Option<u32>,
    pub restarts_total: u64,
    /// Since it was last started.
    pub uptime_ms: Option<u64>,
    pub in_flight: u64,
    /// Complete answers by status class, as in [`EdgeSnapshot::responses_total`].
    pub responses_total: [u64; 5],
    /// Attempts that ended without an answer: refused, reset, timed out.
    pub failures_total: u64,
    pub ejections_total: u64,
    /// From the attempt's start to the first byte of the answer.
    pub latency: HistogramCounts,
}

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Started, not ready yet.
    #[default]
    Starting,
    /// Takes traffic.
    Ready,
    /// Runs, but its readiness probe fails.
    Unhealthy,
    /// Runs, but too many attempts failed lately.
    Ejected,
    /// Finishes what it has and takes nothing new.
    Draining,
    /// Died; waits for its next start.
    Backoff,
    /// Gone for good.
    Stopped,
}

impl InstanceState {
    /// The word used in JSON, metrics and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
            Self::Backoff => "backoff",
            Self::Stopped => "stopped",
        }
    }
}
