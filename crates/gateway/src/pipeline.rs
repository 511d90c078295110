//! The journey of a request at the edge, top to bottom, whichever version of HTTP it came in.
//!
//! Each step says why it stands where it stands. `plimsoll explain` prints the same order.

use std::rc::Rc;

use bytes::Bytes;
use http::Method;
use plimsoll_policy::admission::{self, Ask};
use plimsoll_policy::content_coding::Accepted;
use plimsoll_policy::priority::Priority;
use plimsoll_policy::{Reason, Refusal, deadline};

use crate::action::{Action, Forward};
use crate::attempt::Attempts;
use crate::compress;
use crate::fallback;
use crate::forwarded::Hop;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{Framing, Headers, Name, Request, Response, ResponseBody};
use crate::peer::Peer;
use crate::plan::Plan;
use crate::route::{Asked, Route};
use crate::tls;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// The steps in order, with the reason for the place of each.
pub const ORDER: &[(&str, &str)] = &[
    ("client address", "everything after it may depend on who asks; trusted proxies are believed, nobody else"),
    ("request id", "before anything can fail, so that every line and every refusal carries it"),
    ("access log", "outside all policies: it sees refusals too"),
    (
        "disclosure",
        "outside all policies, too: Server-Timing covers everything below, a refusal tells as well, and nobody can take Via away",
    ),
    ("challenge", "an authority that checks whose name it is comes unencrypted, and to no route: only for tokens of orders under way"),
    ("https", "what comes unencrypted where TLS is spoken is sent there before it can do anything"),
    ("method", "CONNECT and TRACE are never forwarded: one makes a tunnel, the other echoes secrets"),
    ("route", "host, path, method, header and query choose what is done; everything after it may differ per route"),
    ("body limit", "from Content-Length, before a byte of the body is read; counted again while it streams"),
    ("compress", "around everything that answers: header edits are done, a fallback is compressed too"),
    (
        "header fields",
        "of answers: what software says about itself goes first, so that caching and the edits of a route have the last word",
    ),
    ("action", "a redirect, a file or another answer of the edge's own needs nothing of what follows"),
    ("deadline", "the caller's or the route's, whichever is earlier: everything below keeps to it, and the next hop is told what is left"),
    ("rewrite", "the path and the fields that the upstream sees, as the route has them"),
    ("mirror", "a copy for another upstream, beside the original: it may cost it nothing"),
    ("fallback", "outside everything that may refuse: what was prepared, or another upstream, instead of no answer"),
    ("breaker", "before the queue: what is known to fail is refused at once instead of waited for"),
    ("admission", "the last gate before work is done: in line by priority and sender, refused at once when it would be too late"),
    ("attempts", "around the balancer: each attempt may go to another instance, within the total time"),
    ("balance", "as late as possible, on the freshest load figures"),
    ("forward", "one connection, both bodies streaming, nothing buffered that is not needed for a retry"),
];

/// The journey of a request, for [`run`] to go on with: kept by who asks, since it outlives that and is large.
pub(crate) fn begin(worker: &Worker, peer: Rc<Peer>, request: &Request) -> Journey {
    let plan = worker.plan();
    let hop = Hop::new(peer, &request.headers, &plan.config.trusted_proxies);
    Journey::begin(&worker.edge, plan.config.access_log, hop, request.method.clone(), request.target.clone())
}

pub(crate) async fn run(worker: &Worker, request: &mut Request, interim: &Interim, journey: &mut Journey) -> Response {
    let plan = worker.plan();
    journey.begins(request);
    let wanted = plan.config.disclosure.as_ref().map(|disclosure| disclosure.wanted(&journey.hop, &request.headers));
    if wanted.is_some_and(|wanted| wanted.timing) {
        journey.times();
    }
    let mut response = match steps(worker, &plan, request, interim, journey).await {
        Ok(response) => {
            journey.answered(response.head.status);
            response
        }
        Err(refusal) => {
            journey.refused(&refusal);
            Response::refusal(&refusal, journey.hop.request_id.as_str())
        }
    };
    // What is still to come may break off.
    if journey.has_trouble() || !matches!(response.body, ResponseBody::Full(_) | ResponseBody::Empty) {
        journey.describe(request);
    }
    if let Some(tls) = &plan.config.tls {
        tls::harden(tls, &journey.hop, &mut response.head);
    }
    if let Some(wanted) = wanted {
        wanted.tell(journey, &mut response.head);
    }
    response
}

/// The journey of what could not be made a request: it ends before the first step, counted and logged all the same.
pub(crate) fn refuse(worker: &Worker, peer: Rc<Peer>, method: Method, target: Bytes, refusal: &Refusal) -> (Response, Journey) {
    let plan = worker.plan();
    let hop = Hop::new(peer, &Headers::default(), &plan.config.trusted_proxies);
    let mut journey = Journey::begin(&worker.edge, plan.config.access_log, hop, method, target);
    journey.refused(refusal);
    (Response::refusal(refusal, journey.hop.request_id.as_str()), journey)
}

async fn steps(
    worker: &Worker,
    plan: &Rc<Plan>,
    request: &mut Request,
    interim: &Interim,
    journey: &mut Journey,
) -> Result<Response, Refusal> {
    if let Some(tls) = &plan.config.tls {
        if let Some(answer) = tls::answer_to_challenge(tls, &journey.hop, request) {
            return Ok(answer);
        }
        if let Some(redirect) = tls::instead(tls, &journey.hop, request)? {
            return Ok(redirect);
        }
    }
    if request.method == Method::CONNECT || request.method == Method::TRACE {
        let detail = format!("{} is not served here", request.method);
        return Err(Refusal::new(Reason::NotImplemented, detail));
    }
    let route = find(plan, request)?;
    journey.route = Some(route.pattern().clone());
    let bytes_max = plan.config_of(route).limits.body_bytes_max;
    // Edits of the request may take this from the instance, which then leaves compression to the edge.
    let accepted = route.policies.request_headers.as_ref().map(|_| Accepted::read(request.headers.all(Name::AcceptEncoding)));
    let mut result = match request.framing {
        Framing::Length(length) if length > bytes_max => {
            Err(Refusal::new(Reason::BodyTooLarge, format!("a body may have {bytes_max} bytes, this one announces {length}")))
        }
        _ => match &route.action {
            Action::Forward(to) => forward(worker, plan, route, to, request, interim, journey).await,
            Action::Redirect(redirect) => redirect.answer(request),
            Action::Respond(respond) => Ok(respond.answer()),
            Action::Files(files) => files.answer(request, compression(plan, route)).await,
        },
    };
    match &mut result {
        Ok(response) => on_its_way_out(plan, route, accepted, request, response),
        Err(refusal) => route.attribute(refusal),
    }
    result
}

/// What is done to an answer, whoever gave it. Refusals are the edge's own words and stay as they are.
fn on_its_way_out(plan: &Plan, route: &Route, accepted: Option<Accepted>, request: &Request, response: &mut Response) {
    response.head.headers.remove(&plan.config.removed);
    route.policies.caching.apply(request, &mut response.head);
    if let Some(edits) = &route.policies.response_headers {
        edits.apply(&mut response.head.headers);
    }
    if let Some(compression) = compression(plan, route) {
        compress::apply(compression, accepted, request, response);
    }
}

/// How answers of this route are compressed, if they are.
fn compression<'a>(plan: &'a Plan, route: &Route) -> Option<&'a compress::Config> {
    plan.config.compression.as_ref().filter(|_| route.policies.compresses)
}

fn find<'a>(plan: &'a Plan, request: &Request) -> Result<&'a Route, Refusal> {
    let asked = Asked::by(request);
    plan.routes.find(&asked).ok_or_else(|| {
        let allowed: Vec<_> = plan.routes.allowed(&asked).iter().map(|method| method.as_str()).collect();
        if allowed.is_empty() {
            Refusal::new(Reason::NoRoute, "no route matches this request")
        } else {
            Refusal::new(Reason::MethodNotAllowed, format!("{} is not taken here", request.method)).with_allow(&allowed.join(", "))
        }
    })
}

/// The steps of a request that an upstream answers.
async fn forward(
    worker: &Worker,
    plan: &Rc<Plan>,
    route: &Route,
    to: &Forward,
    request: &mut Request,
    interim: &Interim,
    journey: &mut Journey,
) -> Result<Response, Refusal> {
    let config = plan.config_of(route);
    if route.policies.limits.body_bytes_max.is_some() {
        request.body.limit(config.limits.body_bytes_max);
    }
    let allowed = request.headers.first(Name::XRequestTimeoutMs).and_then(deadline::parse);
    request.deadline = deadline::earliest(journey.started(), allowed, route.policies.deadline);
    let upstream = &plan.upstreams[to.upstream];
    let ask = route.policies.needs_place.then(|| ask(upstream, route, request, journey));
    let key = upstream.hash_key(request, journey.hop.client);
    if let Some(rewrite) = &to.rewrite
        && rewrite.apply(request).is_err()
    {
        let detail = "servers may read this path in different ways: it cannot be rewritten";
        return Err(Refusal::new(Reason::NoRoute, detail));
    }
    if let Some(edits) = &route.policies.request_headers {
        edits.apply(&mut request.headers);
    }
    let (hedge, max, pool) = (route.hedge.as_deref(), config.retry.attempts_max, &worker.pool);
    let attempts = Attempts { config, upstream, pool, ask, key, hedge, max };
    let copy = to.mirror.as_ref().and_then(|mirror| mirror.choose(request, config, upstream, &worker.edge));
    let mut result = match copy {
        None => attempts.run(request, interim, journey).await,
        Some(copy) => match attempts.receive(request, journey).await {
            Ok(()) => {
                copy.send(worker, plan, request, journey.hop.clone(), ask);
                attempts.run(request, interim, journey).await
            }
            Err(refusal) => Err(refusal),
        },
    };
    if let Err(refusal) = &mut result {
        deadline::attribute(refusal, allowed, route.policies.deadline);
    }
    fallback::instead(plan, route, &attempts, result, request, interim, journey).await
}

/// What a request says about itself when it asks for a place below the load line.
fn ask(upstream: &Upstream, route: &Route, request: &Request, journey: &Journey) -> Ask {
    let claim = request.headers.first(Name::XRequestPriority).and_then(Priority::parse);
    let priority = route.policies.priority.claimed(claim, journey.hop.peer_is_trusted());
    let tenant = upstream.config.fair_by.key(request, journey.hop.client).unwrap_or_default();
    Ask { priority, tenant, deadline: request.deadline, kind: admission::kind(request.routed_path()) }
}
