//! `GET /stats`: which instance served each of the last requests across the fleet.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::context::Context;
use crate::refused::Refused;
use crate::stats::Served;

#[derive(Serialize)]
pub(crate) struct Stats {
    requests: Vec<Served>,
}

pub(crate) async fn stats(State(context): State<Context>) -> Result<Json<Stats>, Refused> {
    let requests = context.recorder.newest().await?;
    Ok(Json(Stats { requests }))
}
