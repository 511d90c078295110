//! What the edge counts. Relaxed atomics shared by all workers: a few additions per request, no lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;
use plimsoll_policy::Reason;
use plimsoll_policy::access_log::Allowance;
use plimsoll_telemetry::Histogram;
use plimsoll_telemetry::snapshot::EdgeSnapshot;

use crate::tls::HandshakeStats;

/// Answers by status class: index 0 is 1xx, 4 is 5xx.
#[derive(Debug, Default)]
pub(crate) struct StatusClasses([AtomicU64; 5]);

impl StatusClasses {
    pub(crate) fn count(&self, status: StatusCode) {
        let class = (usize::from(status.as_u16()) / 100).clamp(1, 5) - 1;
        self.0[class].fetch_add(1, Relaxed);
    }

    pub(crate) fn totals(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.0[class].load(Relaxed))
    }
}

#[derive(Debug)]
pub(crate) struct EdgeStats {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) responses: StatusClasses,
    pub(crate) latency: Histogram,
    pub(crate) retries: AtomicU64,
    /// Retries that the budget did not allow.
    pub(crate) retries_denied: AtomicU64,
    /// Second attempts beside a slow first one, and those of them that answered first.
    pub(crate) hedges: AtomicU64,
    pub(crate) hedges_won: AtomicU64,
    pub(crate) fallbacks: AtomicU64,
    /// Copies for mirrors that were answered, and those that were not sent or not answered.
    pub(crate) mirrored: AtomicU64,
    pub(crate) mirrors_lost: AtomicU64,
    pub(crate) client_gone: AtomicU64,
    /// Lines about requests that were refused without being tried.
    pub(crate) shed_lines: Allowance,
    pub(crate) handshakes: HandshakeStats,
    refusals: Vec<AtomicU64>,
}

impl Default for EdgeStats {
    fn default() -> Self {
        Self {
            connections: AtomicU64::default(),
            connections_total: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            responses: StatusClasses::default(),
            latency: Histogram::default(),
            retries: AtomicU64::default(),
            retries_denied: AtomicU64::default(),
            hedges: AtomicU64::default(),
            hedges_won: AtomicU64::default(),
            fallbacks: AtomicU64::default(),
            mirrored: AtomicU64::default(),
            mirrors_lost: AtomicU64::default(),
            client_gone: AtomicU64::default(),
            shed_lines: Allowance::default(),
            handshakes: HandshakeStats::default(),
            refusals: Reason::ALL.iter().map(|_| AtomicU64::default()).collect(),
        }
    }
}

impl EdgeStats {
    pub(crate) fn count_refusal(&self, reason: Reason) {
        self.refusals[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> EdgeSnapshot {
        let count = |reason: Reason| self.refusals[reason as usize].load(Relaxed);
        let refusals = Reason::ALL.iter().map(|reason| (reason.slug().to_owned(), count(*reason)));
        EdgeSnapshot {
            connections: self.connections.load(Relaxed),
            connections_total: self.connections_total.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            responses_total: self.responses.totals(),
            latency: self.latency.counts(),
            retries_total: self.retries.load(Relaxed),
            retries_denied_total: self.retries_denied.load(Relaxed),
            hedges_total: self.hedges.load(Relaxed),
            hedges_won_total: self.hedges_won.load(Relaxed),
            fallbacks_total: self.fallbacks.load(Relaxed),
            mirrored_total: self.mirrored.load(Relaxed),
            mirrors_lost_total: self.mirrors_lost.load(Relaxed),
            client_gone_total: self.client_gone.load(Relaxed),
            refusals_total: refusals.filter(|(_, count)| *count > 0).collect(),
            shed_total: Reason::ALL.iter().filter(|reason| reason.sheds_load()).map(|reason| count(*reason)).sum(),
        }
    }
}
