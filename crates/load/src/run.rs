//! Carries a plan out.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::histogram::Histogram;
use crate::plan::Plan;
use crate::record::Recording;

/// How far a run is, for a live view. Sent about four times a second.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Since the first request was due; zero while users log in.
    pub elapsed: Duration,
    pub lasts: Duration,
    /// The schedule's rate at this moment; `None` in closed pace.
    pub offered_rate: Option<f64>,
    pub due: u64,
    pub sent: u64,
    pub good: u64,
    /// Ended without a good answer.
    pub failed: u64,
    pub in_flight: u64,
    pub connections: usize,
    /// What ended since the last report: good answers, others, and the latencies of both.
    pub recent: Recent,
}

#[derive(Clone, Debug, Default)]
pub struct Recent {
    pub spans: Duration,
    pub good: u64,
    pub failed: u64,
    pub latency: Histogram,
}

/// Carries the plan out and returns what came back. Cancelling `stop` ends it early with what there is: nothing further is sent, and
/// answers under way are waited for no longer than the plan's timeout. Dropping the future ends it at once.
pub async fn run(plan: Plan, progress: watch::Sender<Progress>, stop: CancellationToken) -> Result<Recording, Error> {
    plan.check()?;
    let _ = (progress, stop);
    Err(Error::BadPlan("not yet".to_owned()))
}
