//! What came back, second by second, and how it is kept.
//!
//! A request belongs to the second, the stage and the name under which it was *due*, however late its answer: "of those that people wanted
//! in this second, so many were served".

pub mod status;

use std::ops::{Index, IndexMut};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::plan::{Arrivals, Pace, Protocol, Stage, seconds};

pub use status::StatusRecord;

/// Changes when an older program could misread what is written.
pub const VERSION: u32 = 1;
/// Present on an answer that somebody else gave in the server's place: a fallback of the edge.
pub const FALLBACK_HEADER: &str = "x-plimsoll-fallback";
/// Messages kept of each kind of error.
pub const EXAMPLES_MAX: usize = 5;
/// The generator's own lateness beyond which its figures are not to be trusted: more than 1 % of requests later than this.
pub const LATENESS_MAX: Duration = Duration::from_millis(10);

/// A run, whole or as far as it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    pub version: u32,
    pub target: String,
    pub started_unix_ms: u64,
    /// How long requests were due, without the wait for the last answers.
    #[serde(with = "seconds")]
    pub lasted: Duration,
    /// True when it was stopped before the end of its plan.
    pub stopped_early: bool,
    pub plan: PlanSummary,
    pub total: Totals,
    /// By the second in which requests were due, from the start. Without service times.
    pub seconds: Vec<Totals>,
    /// One for each stage of an open pace that was begun, or one for the whole of a closed pace.
    pub stages: Vec<StageRecord>,
    /// By name, in the scenario's order.
    pub requests: Vec<RequestRecord>,
    pub generator: Generator,
    /// In ascending order; older reports have none.
    #[serde(default)]
    pub statuses: Vec<StatusRecord>,
    pub examples: Vec<Example>,
}

/// What was asked for, as far as it matters to a reader of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    pub pace: Pace,
    pub arrivals: Arrivals,
    #[serde(with = "seconds")]
    pub timeout: Duration,
    pub connections_max: usize,
    pub protocol: Protocol,
    pub users: usize,
    pub seed: u64,
}

/// Counts of a group of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub due: u64,
    /// Those of which at least the first byte may have left.
    pub sent: u64,
    /// Answers by the first digit of their status, 1 to 5; index 0 is for statuses beyond.
    pub answered_by_class: [u64; 6],
    /// 2xx and 3xx, whole, within the client's patience.
    pub good: u64,
    /// Answers that a fallback of the edge gave. They count by their status like any other, and are told apart here.
    #[serde(default)]
    pub fallbacks: u64,
    pub errors: Errors,
    /// From due to the end of the answer, of good answers.
    pub good_latency: Histogram,
    /// The same of all other answers, and the client's patience for each time-out.
    pub poor_latency: Histogram,
    /// From sent to the end of the answer: what a tool would show that does not count the wait. Never for judging a server.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub service: Histogram,
    /// Body bytes of answers.
    pub body_bytes: u64,
    /// Requests sent a second time because a kept-alive connection had just been closed by the server.
    pub resent: u64,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The server's system turned the connection down.
    Refused,
    /// The connection failed otherwise: no route, no such name, no free port.
    Connect,
    /// The client's patience ended.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    Reset,
    Tls,
    /// What came was not HTTP.
    Protocol,
    /// The generator's own queue for connections was full.
    Overflow,
}

impl ErrorKind {
    pub const ALL: [Self; 8] =
        [Self::Refused, Self::Connect, Self::Timeout, Self::Closed, Self::Reset, Self::Tls, Self::Protocol, Self::Overflow];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Overflow => "overflow",
        }
    }
}

/// A count for each [`ErrorKind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Errors {
    refused: u64,
    connect: u64,
    timeout: u64,
    closed: u64,
    reset: u64,
    tls: u64,
    protocol: u64,
    overflow: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageRecord {
    /// `None` for a closed pace.
    pub stage: Option<Stage>,
    /// When it began, from the start of the run.
    #[serde(with = "seconds")]
    pub starts: Duration,
    /// How long requests were due in it; shorter than planned when the run was stopped.
    #[serde(with = "seconds")]
    pub lasted: Duration,
    pub totals: Totals,
    pub lateness: Histogram,
    pub generator_saturated: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestRecord {
    pub name: String,
    pub totals: Totals,
}

/// How the generator itself fared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    pub threads: usize,
    /// Processor time of its threads while requests were due.
    #[serde(with = "seconds")]
    pub cpu: Duration,
    /// From due to sent, of requests that found a free connection or could open one: the generator's own fault, and in the latencies.
    pub lateness: Histogram,
    /// True when the machine did not let the generator keep its schedule, so that what it measured is partly itself.
    pub saturated: bool,
    /// Requests that had to wait inside the generator, all connections being busy.
    pub queued: u64,
    pub connections_opened: u64,
    pub connections_peak: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub kind: ErrorKind,
    pub message: String,
}

impl Totals {
    pub fn answered(&self) -> u64 {
        self.answered_by_class.iter().sum()
    }

    /// Requests that ended in whatever way.
    pub fn ended(&self) -> u64 {
        self.answered() + self.errors.sum()
    }

    /// The share of the requests due that ended without a good answer; `None` when none was due.
    pub fn failed_share(&self) -> Option<f64> {
        (self.due > 0).then(|| (self.due - self.good.min(self.due)) as f64 / self.due as f64)
    }

    /// From due to the end, of every answer, with the client's patience for each time-out.
    pub fn latency(&self) -> Histogram {
        let mut all = self.good_latency.clone();
        all.merge(&self.poor_latency);
        all
    }

    pub fn merge(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        for (sum, more) in self.answered_by_class.iter_mut().zip(other.answered_by_class) {
            *sum += more;
        }
        self.good += other.good;
        self.fallbacks += other.fallbacks;
        for kind in ErrorKind::ALL {
            self.errors[kind] += other.errors[kind];
        }
        self.good_latency.merge(&other.good_latency);
        self.poor_latency.merge(&other.poor_latency);
        self.service.merge(&other.service);
        self.body_bytes += other.body_bytes;
        self.resent += other.resent;
    }
}

impl Errors {
    pub fn sum(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// Every kind with its count, zero or not.
    pub fn iter(&self) -> impl Iterator<Item = (ErrorKind, u64)> {
        ErrorKind::ALL.into_iter().map(|kind| (kind, self[kind]))
    }
}

impl Index<ErrorKind> for Errors {
    type Output = u64;

    fn index(&self, kind: ErrorKind) -> &u64 {
        match kind {
            ErrorKind::Refused => &self.refused,
            ErrorKind::Connect => &self.connect,
            ErrorKind::Timeout => &self.timeout,
            ErrorKind::Closed => &self.closed,
            ErrorKind::Reset => &self.reset,
            ErrorKind::Tls => &self.tls,
            ErrorKind::Protocol => &self.protocol,
            ErrorKind::Overflow => &self.overflow,
        }
    }
}

impl IndexMut<ErrorKind> for Errors {
    fn index_mut(&mut self, kind: ErrorKind) -> &mut u64 {
        match kind {
            ErrorKind::Refused => &mut self.refused,
            ErrorKind::Connect => &mut self.connect,
            ErrorKind::Timeout => &mut self.timeout,
            ErrorKind::Closed => &mut self.closed,
            ErrorKind::Reset => &mut self.reset,
            ErrorKind::Tls => &mut self.tls,
            ErrorKind::Protocol => &mut self.protocol,
            ErrorKind::Overflow => &mut self.overflow,
        }
    }
}

/// True when more than 1 % of requests left later than [`LATENESS_MAX`] through no fault of the server.
pub fn is_saturated(lateness: &Histogram) -> bool {
    lateness.quantile(0.99).is_some_and(|late| late > LATENESS_MAX)
}
