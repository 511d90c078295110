//! Which call is answered by which function, and what is said where there is none.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use plimsoll_policy::access_log::MatchedRoute;
use plimsoll_policy::{Reason, Refusal};

use crate::context::Context;
use crate::handlers::{health, index, session, stats, whoami};
use crate::refused::Refused;

pub(crate) fn router(context: Context) -> Router {
    Router::new()
        .route("/", get(index::index))
        .route("/whoami", get(whoami::whoami))
        .route("/login", post(session::login))
        .route("/me", get(session::me))
        .route("/logout", post(session::logout).delete(session::logout))
        .route("/stats", get(stats::stats))
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/startup", get(health::startup))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Inside the router, because only here the pattern is known; it keeps no state, so a copy per route does no harm.
        .layer(from_fn(note_route))
        .with_state(context)
}

async fn note_route(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(note), Some(matched)) = (extensions.get::<MatchedRoute>(), extensions.get::<MatchedPath>()) {
        note.set(matched.as_str());
    }
    next.run(request).await
}

async fn not_found() -> Refused {
    Refusal::new(Reason::NotFound, "GET / lists what is served").into()
}

/// The router adds `Allow`.
async fn method_not_allowed() -> Refused {
    Refusal::new(Reason::MethodNotAllowed, "the Allow header lists the methods of this path").into()
}
