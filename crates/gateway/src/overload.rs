//! Says when an upstream gets more than it can do, and when that is over: one line each, not one per request.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::upstream::Upstream;

/// Overload is declared and over within a second or so: a look more often would see nothing more.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Never ends; dropped with the gateway.
pub(crate) async fn announce(upstream: Arc<Upstream>) {
    let Some(admission) = &upstream.admission else { return };
    let mut tick = interval(LOOK_EVERY);
    let mut refused_before = None;
    loop {
        tick.tick().await;
        let line = admission.load();
        match refused_before {
            None if line.is_overloaded => {
                refused_before = Some(line.refused_total());
                tracing::warn!(
                    upstream = upstream.config.name,
                    limit = line.limit,
                    drain_per_second = line.drain_per_second,
                    "overloaded: some requests are refused so that the others are answered in time"
                );
            }
            Some(before) if !line.is_overloaded => {
                refused_before = None;
                let refused = line.refused_total() - before;
                tracing::info!(upstream = upstream.config.name, limit = line.limit, refused, "no longer overloaded");
            }
            _ => {}
        }
    }
}
