//! The order of the policies inside a service, outermost first: this file is that order.
//!
//! The stack wraps the finished router, never a part of it: `Router::layer` makes one copy per route, and state kept in a copy counts
//! for that route only. Every layer's shared state lives in the layer value.

use std::sync::Arc;

use crate::access_log::AccessLogLayer;
use crate::catch_panic::{CatchPanicLayer, PanicCount};
use crate::forwarded::TrustedProxies;
use crate::request_id::layer::RequestIdLayer;
use crate::respond::layer::RespondLayer;

/// The layers of [`service_stack`], outermost first.
pub type ServiceStack = (RequestIdLayer, AccessLogLayer, RespondLayer, CatchPanicLayer);

/// Wraps an HTTP service in the policies every service needs.
///
/// `trusted` are the proxies whose headers are believed; `panics` keeps the count for whoever shows it. Costs each request an id, a span,
/// an event and a few small allocations; no future is boxed and bodies pass through uncopied.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use plimsoll_policy::catch_panic::PanicCount;
/// use plimsoll_policy::forwarded::TrustedProxies;
/// use plimsoll_policy::service_stack::service_stack;
/// use tower::{Layer, service_fn};
///
/// // An axum `Router` goes in the same way, once it is complete.
/// let hello = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
/// let service = service_stack(TrustedProxies::default(), PanicCount::default()).layer(hello);
/// # let _ = service;
/// ```
pub fn service_stack(trusted: TrustedProxies, panics: PanicCount) -> ServiceStack {
    let trusted = Arc::new(trusted);
    (
        // Everything further in names the request by this id.
        RequestIdLayer::new(Arc::clone(&trusted)),
        // Sees every answer as the client gets it: with the problem's bytes, with the reason, for panics too.
        AccessLogLayer::new(trusted),
        // Writes the problem for whoever refused further in.
        RespondLayer,
        // The last line before code that may have bugs; its 500 still passes the three above.
        CatchPanicLayer::new(panics),
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_panic_leaves_as_a_problem_with_the_request_id_of_the_header() {
        let broken = service_fn(|request: Request<Full<Bytes>>| async move {
            assert!(request.headers().contains_key("x"), "a bug");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let panics = PanicCount::default();
        let service = service_stack(TrustedProxies::default(), panics.clone()).layer(broken);
        let response = service.oneshot(Request::default()).await.unwrap();
        assert_eq!(response.status(), 500);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["request_id"], id);
        assert_eq!(panics.total(), 1);
    }
}
