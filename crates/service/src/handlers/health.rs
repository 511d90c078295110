//! Three questions that are not one: does it live (else restart it), has it started (else wait), is it ready (else send it nothing).
//!
//! A probe's answer is this document at 200 and at 503 alike, not a problem: it reports, it refuses nothing.
//!
//! Shared state that is gone leaves an instance ready and shows up as a dependency that is `down`. Every instance shares it, so all
//! would become unready together and the gateway would refuse even what needs no state; an outage of a part would be one of the whole.
//! Calls that do need it answer 503 for themselves.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;

use crate::context::Context;
use crate::lifecycle::Phase;

/// A probe is answered well within the second or so that probes wait.
const PING_MAX: Duration = Duration::from_millis(500);

#[derive(Serialize)]
pub(crate) struct Live {
    status: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Startup {
    status: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Ready {
    status: &'static str,
    dependencies: [Dependency; 1],
}

#[derive(Serialize)]
struct Dependency {
    name: &'static str,
    kind: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Summary {
    instance: String,
    live: Live,
    startup: Startup,
    ready: Ready,
}

/// 200 as long as the process can answer at all.
pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

pub(crate) async fn startup(State(context): State<Context>) -> (StatusCode, Json<Startup>) {
    (status_of(context.lifecycle.phase() >= Phase::Running), Json(started(&context)))
}

pub(crate) async fn ready(State(context): State<Context>) -> (StatusCode, Json<Ready>) {
    let ready = readiness(&context).await;
    (status_of(ready.status == "ready"), Json(ready))
}

/// All three; its status code is that of readiness.
pub(crate) async fn summary(State(context): State<Context>) -> (StatusCode, Json<Summary>) {
    let ready = readiness(&context).await;
    let summary = Summary { instance: context.instance.clone(), live: Live { status: "live" }, startup: started(&context), ready };
    (status_of(summary.ready.status == "ready"), Json(summary))
}

fn status_of(yes: bool) -> StatusCode {
    if yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn started(context: &Context) -> Startup {
    Startup { status: if context.lifecycle.phase() >= Phase::Running { "started" } else { "starting" } }
}

async fn readiness(context: &Context) -> Ready {
    let answered = tokio::time::timeout(PING_MAX, context.state.ping()).await;
    let state = if matches!(answered, Ok(Ok(()))) { "up" } else { "down" };
    let status = match context.lifecycle.phase() {
        Phase::Starting => "starting",
        Phase::Running => "ready",
        Phase::Draining => "draining",
    };
    Ready { status, dependencies: [Dependency { name: "state", kind: context.state.kind(), status: state }] }
}
