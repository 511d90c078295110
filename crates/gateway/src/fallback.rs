//! What a route answers when no real answer can be had. The decision is [`plimsoll_policy::fallback`]'s; this is how it is carried out.

use std::sync::Arc;

use plimsoll_policy::Refusal;
use plimsoll_policy::fallback::layer::{HEADER, STATIC};
use plimsoll_policy::fallback::{Kind, Prepared, Unanswered};

use crate::attempt::Attempts;
use crate::interim::Interim;
use crate::journey::Journey;
use crate::message::{Framing, Headers, Request, Response, ResponseBody, ResponseHead};
use crate::plan::Plan;
use crate::route::Route;

/// Where a route's other answer comes from.
#[derive(Clone, Debug)]
pub enum Fallback {
    Prepared(Arc<Prepared>),
    /// The position of an upstream in the list. It is asked once.
    Upstream(usize),
}

impl Fallback {
    fn kind(&self) -> Kind {
        match self {
            Self::Prepared(prepared) => prepared.kind(),
            Self::Upstream(_) => Kind::Upstream,
        }
    }
}

/// Passes an answer on, and replaces a refusal where the route has something better and it may. `first`: the attempts that were made.
pub(crate) async fn instead(
    plan: &Plan,
    route: &Route,
    first: &Attempts<'_>,
    result: Result<Response, Refusal>,
    request: &mut Request,
    interim: &Interim,
    journey: &mut Journey,
) -> Result<Response, Refusal> {
    let (refusal, fallback) = match (result, &route.policies.fallback) {
        (Err(refusal), Some(fallback)) => (refusal, fallback),
        (result, _) => return result,
    };
    let unanswered = Unanswered { method: &request.method, reason: refusal.reason, may_repeat: journey.may_repeat };
    if !fallback.kind().answers(&unanswered) {
        return Err(refusal);
    }
    match fallback {
        Fallback::Prepared(prepared) => {
            journey.fell_back(refusal.reason, STATIC.into());
            Ok(answer(prepared))
        }
        Fallback::Upstream(position) => {
            let upstream = &plan.upstreams[*position];
            // As the client sent it, if both look at the same: by now the request is as the first upstream was to see it.
            let known = first.key.filter(|_| first.upstream.config.hash_on == upstream.config.hash_on);
            let key = upstream.hash_key(request, journey.hop.client).map(|edited| known.unwrap_or(edited));
            let attempts = Attempts { upstream, key, hedge: None, max: journey.attempts + 1, ..*first };
            // Boxed because it is rare: the futures of requests that are answered stay small.
            match Box::pin(attempts.run(request, interim, journey)).await {
                Ok(mut response) => {
                    journey.fell_back(refusal.reason, upstream.config.name.as_str().into());
                    response.head.headers.push(HEADER.as_str().as_bytes(), upstream.config.name.as_bytes());
                    Ok(response)
                }
                // What is said about the upstream that should have answered is of more use.
                Err(_) => Err(refusal),
            }
        }
    }
}

fn answer(prepared: &Prepared) -> Response {
    let mut headers = Headers::default();
    headers.push(b"content-type", prepared.content_type().as_bytes());
    headers.push(b"cache-control", b"no-store");
    headers.push(HEADER.as_str().as_bytes(), STATIC.as_bytes());
    let body = prepared.body().clone();
    let framing = Framing::Length(body.len() as u64);
    Response { head: ResponseHead::of_the_edge(prepared.status(), headers, framing), body: ResponseBody::Full(body) }
}
