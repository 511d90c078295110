//! `GET /whoami`: which process answered.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::context::Context;

#[derive(Serialize)]
pub(crate) struct WhoAmI {
    instance: String,
    version: String,
    pid: u32,
}

pub(crate) async fn whoami(State(context): State<Context>) -> Json<WhoAmI> {
    Json(WhoAmI { instance: context.instance.clone(), version: context.version.clone(), pid: std::process::id() })
}
