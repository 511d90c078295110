//! `GET /`: a signpost for people.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::context::Context;

#[derive(Serialize)]
pub(crate) struct Index {
    instance: String,
    calls: &'static [Call],
}

#[derive(Serialize)]
struct Call {
    method: &'static str,
    path: &'static str,
    answer: &'static str,
}

const CALLS: &[Call] = &[
    Call { method: "GET", path: "/whoami", answer: "which instance serves you" },
    Call { method: "POST", path: "/login", answer: "a session for {\"username\":\"ada\"}" },
    Call { method: "GET", path: "/me", answer: "who you are" },
    Call { method: "POST", path: "/logout", answer: "the end of your session" },
    Call { method: "GET", path: "/stats", answer: "which instance served the last requests" },
    Call { method: "GET", path: "/health", answer: "whether this instance lives, has started, is ready" },
];

pub(crate) async fn index(State(context): State<Context>) -> Json<Index> {
    Json(Index { instance: context.instance.clone(), calls: CALLS })
}
