//! Plans as tests want them: short, reproducible, impatient.

use std::time::Duration;

use plimsoll_load::plan::{Arrivals, Pace, Plan};
use plimsoll_load::{Error, Progress, Recording, run};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) fn plan(url: &str, pace: Pace) -> Plan {
    let timeout = Duration::from_secs(5);
    Plan { arrivals: Arrivals::Constant, timeout, ..Plan::new(url.parse().unwrap(), pace) }
}

/// `count` requests, evenly within `lasts`.
pub(crate) fn evenly(count: u32, lasts: Duration) -> Pace {
    Pace::constant(f64::from(count) / lasts.as_secs_f64(), lasts)
}

pub(crate) async fn carry_out(plan: Plan) -> Recording {
    try_to(plan).await.unwrap()
}

pub(crate) async fn try_to(plan: Plan) -> Result<Recording, Error> {
    let (progress, _) = watch::channel(Progress::default());
    run(plan, progress, CancellationToken::new()).await
}
