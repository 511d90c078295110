//! The paths of the operator's listener, and the headers on every answer.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use plimsoll_policy::respond::layer::pending;
use plimsoll_policy::{Reason, Refusal};
use plimsoll_telemetry::{Status, exposition};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::access::Gate;
use crate::assets;
use crate::control::{self, Order};
use crate::sampler::Sampler;
use crate::stream;

/// What the paths read.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
}

/// The paths as one listener serves them, behind its gate; with those for orders if somebody takes them there.
pub(crate) fn router(shared: Shared, gate: Arc<Gate>, orders: Option<&mpsc::Sender<Order>>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/api/status", get(status))
        .route("/api/stream", get(stream_events))
        .with_state(shared)
        .merge(assets::routes())
        .merge(orders.map(control::routes).unwrap_or_default())
        .fallback(async || refuse(Refusal::new(Reason::NotFound, "see / for the dashboard, /metrics and /api/status for the numbers")))
        .method_not_allowed_fallback(async || refuse(Refusal::new(Reason::MethodNotAllowed, "everything here is read with GET")))
        .layer(from_fn_with_state(gate, pass_gate));
    // Asked by whoever watches this process, and it says nothing: no token, any host name.
    guarded.route("/health/live", get(async || Json(serde_json::json!({ "status": "live" })))).layer(from_fn(protect))
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let mut response = Response::new(exposition::render(&shared.sampler.snapshot()).into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(exposition::CONTENT_TYPE));
    response
}

async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(shared.sampler.status())
}

async fn stream_events(State(shared): State<Shared>) -> Response {
    match shared.streams.try_acquire_owned() {
        Ok(permit) => stream::response(shared.sampler, permit, shared.stop),
        Err(_) => refuse(Refusal::new(Reason::TooManyConnections, "too many dashboards are open: close one, or read /api/status")),
    }
}

/// The token of a login link.
#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn pass_gate(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/"
        && let Ok(Query(login)) = Query::<Login>::try_from_uri(request.uri())
    {
        return gate.log_in(&login.token, request.headers()).map_or_else(refuse, redirect_home);
    }
    match gate.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refuse(refusal),
    }
}

/// Takes the token out of the address bar, and with it out of the browser's history.
fn redirect_home(cookie: Option<HeaderValue>) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn refuse(refusal: Refusal) -> Response {
    let mut response: Response = pending(refusal);
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"plimsoll\""));
    }
    response
}

const TRUSTED: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The page runs only its own files, is shown in no frame, and is read by no other site.
async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, TRUSTED),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
