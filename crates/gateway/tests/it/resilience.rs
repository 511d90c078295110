//! What trouble may cost: retries within a budget, a breaker, hedges, fallbacks.

mod breaker;
mod fallback;
mod hedging;
mod retries;

use plimsoll_gateway::route::{Policies, Route};

use crate::edge::Plan;
use crate::origin::Origin;

/// One route for everything, with these policies.
fn everything_with(plan: &mut Plan, policies: Policies) {
    plan.routes = vec![Route::new(None, "/*", 0).unwrap().with(policies)];
}

fn answers(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// Reads the request and closes.
async fn dying() -> Origin {
    Origin::start(|mut visit| async move {
        visit.request().await;
    })
    .await
}

fn seen(origins: &[Origin]) -> usize {
    origins.iter().map(Origin::request_count).sum()
}
