//! The journey of a request at the edge, top to bottom, whichever version of HTTP it came in.
//!
//! Each step says why it stands where it stands. `plimsoll explain` prints the same order.

use std::rc::Rc;

use bytes::Bytes;
use http::Method;
use plimsoll_policy::admission::{self, Ask};
use plimsoll_policy::priority::{self, Priority};
use plimsoll_policy::{Reason, Refusal, deadline};

use crate::attempt::Attempts;
use crate::fallback;
use crate::forwarded::Hop;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{Framing, Headers, Name, Request, Response};
use crate::peer::Peer;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::route::Route;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// The steps in order, with the reason for the place of each.
pub const ORDER: &[(&str, &str)] = &[
    ("client address", "everything after it may depend on who asks; trusted proxies are believed, nobody else"),
    ("request id", "before anything can fail, so that every line and every refusal carries it"),
    ("access log", "outside all policies: it sees refusals too"),
    ("method", "CONNECT and TRACE are never forwarded: one makes a tunnel, the other echoes secrets"),
    ("body limit", "from Content-Length, before a byte of the body is read; counted again while it streams"),
    ("route", "host and path choose the upstream; policies after it may differ per route"),
    ("deadline", "the caller's or the route's, whichever is earlier: everything below keeps to it, and the next hop is told what is left"),
    ("fallback", "outside everything that may refuse: what was prepared, or another upstream, instead of no answer"),
    ("breaker", "before the queue: what is known to fail is refused at once instead of waited for"),
    ("admission", "the last gate before work is done: in line by priority and sender, refused at once when it would be too late"),
    ("attempts", "around the balancer: each attempt may go to another instance, within the total time"),
    ("balance", "as late as possible, on the freshest load figures"),
    ("forward", "one connection, both bodies streaming, nothing buffered that is not needed for a retry"),
];

pub(crate) async fn run(worker: &Worker, peer: Peer, request: &mut Request, interim: &Interim) -> (Response, Journey) {
    let plan = worker.plan();
    let hop = Hop::new(peer, &request.headers, &plan.config.trusted_proxies);
    let mut journey = Journey::begin(&worker.edge, plan.config.access_log, hop, request.method.clone(), request.target.clone());
    let response = match steps(&plan, &worker.pool, request, interim, &mut journey).await {
        Ok(response) => {
            journey.answered(response.head.status);
            response
        }
        Err(refusal) => {
            journey.refused(&refusal);
            Response::refusal(&refusal, journey.hop.request_id.as_str())
        }
    };
    (response, journey)
}

/// The journey of what could not be made a request: it ends before the first step, counted and logged all the same.
pub(crate) fn refuse(worker: &Worker, peer: Peer, method: Method, target: Bytes, refusal: &Refusal) -> (Response, Journey) {
    let plan = worker.plan();
    let hop = Hop::new(peer, &Headers::default(), &plan.config.trusted_proxies);
    let mut journey = Journey::begin(&worker.edge, plan.config.access_log, hop, method, target);
    journey.refused(refusal);
    (Response::refusal(refusal, hop.request_id.as_str()), journey)
}

async fn steps(plan: &Plan, pool: &Rc<Pool>, request: &mut Request, interim: &Interim, journey: &mut Journey) -> Result<Response, Refusal> {
    if request.method == Method::CONNECT || request.method == Method::TRACE {
        let detail = format!("{} is not served here", request.method);
        return Err(Refusal::new(Reason::NotImplemented, detail));
    }
    let limits = &plan.config.limits;
    if let Framing::Length(length) = request.framing
        && length > limits.body_bytes_max
    {
        let detail = format!("a body may have {} bytes, this one announces {length}", limits.body_bytes_max);
        return Err(Refusal::new(Reason::BodyTooLarge, detail));
    }
    let Some(route) = plan.routes.find(Some(&request.host), request.routed_path()) else {
        return Err(Refusal::new(Reason::NoRoute, "no route matches this host and path"));
    };
    journey.route = Some(route.pattern.clone());
    let allowed = request.headers.first(Name::XRequestTimeoutMs).and_then(deadline::parse);
    request.deadline = deadline::earliest(journey.started(), allowed, route.policies.deadline);
    let upstream = &plan.upstreams[route.upstream];
    let ask = route.policies.needs_place.then(|| ask(upstream, route, request, journey));
    let (hedge, max) = (route.hedge.as_deref(), plan.config.retry.attempts_max);
    let attempts = Attempts { config: &plan.config, upstream, pool, ask, hedge, max };
    let mut result = attempts.run(request, interim, journey).await;
    if let Err(refusal) = &mut result {
        deadline::attribute(refusal, allowed, route.policies.deadline);
    }
    fallback::instead(plan, pool, route, ask, result, request, interim, journey).await
}

/// What a request says about itself when it asks for a place below the load line.
fn ask(upstream: &Upstream, route: &Route, request: &Request, journey: &Journey) -> Ask {
    let claim = request.headers.first_named(priority::HEADER).and_then(Priority::parse);
    let priority = route.policies.priority.claimed(claim, journey.hop.peer_is_trusted());
    let tenant = upstream.config.fair_by.key(request, journey.hop.client).unwrap_or_default();
    Ask { priority, tenant, deadline: request.deadline, kind: admission::kind(request.routed_path()) }
}
