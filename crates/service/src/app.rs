//! The whole API as one service, without a server: the seam that tests call and the accept loop serves.

use std::convert::Infallible;

use axum::body::Body;
use axum::middleware::from_fn_with_state;
use http::{Request, Response};
use plimsoll_policy::service_stack::service_stack;
use tower::{Layer, Service};

use crate::context::Context;
use crate::router::router;
use crate::stats;

/// The API in its policies. The peer of a request is expected in its extensions as [`plimsoll_policy::Peer`]; nobody is trusted without.
pub fn app(
    context: Context,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static {
    let layers = (
        // Outermost, so that every answer is recorded, a caught panic's too, and is visible fleet-wide before the client has it.
        from_fn_with_state(context.clone(), stats::record),
        service_stack(context.trusted.clone(), context.panics.clone()),
    );
    layers.layer(router(context))
}
