//! The next hop is told what is left, as a tower layer for clients.

use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::layer::Deadline;
use super::{HEADER, remaining_ms};

/// Writes the [`Deadline`] in a request's extensions into [`HEADER`], as the time that is left at that moment.
///
/// Belongs innermost, next to the client: every further attempt has less left than the one before. Without a deadline the request stays as
/// it is. Costs one header.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use plimsoll_policy::deadline::outbound::PassOnDeadlineLayer;
/// use tower::{Layer, service_fn};
///
/// let client = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
/// let client = PassOnDeadlineLayer.layer(client);
/// # let _ = client;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PassOnDeadlineLayer;

impl<S> Layer<S> for PassOnDeadlineLayer {
    type Service = PassOnDeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PassOnDeadlineService { inner }
    }
}

/// See [`PassOnDeadlineLayer`].
#[derive(Clone, Debug)]
pub struct PassOnDeadlineService<S> {
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for PassOnDeadlineService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(Deadline(deadline)) = request.extensions().get().copied() {
            let left = HeaderValue::from(remaining_ms(deadline, Instant::now()));
            request.headers_mut().insert(HeaderName::from_static(HEADER), left);
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tokio::time::sleep;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn told(request: Request<()>) -> Option<HeaderValue> {
        let next_hop = service_fn(|request: Request<()>| async move { Ok::<_, Infallible>(request.headers().get(HEADER).cloned()) });
        PassOnDeadlineLayer.layer(next_hop).oneshot(request).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_is_told_what_is_left_by_then() {
        let mut request = Request::builder().header(HEADER, "9000").body(()).unwrap();
        assert_eq!(told(request.clone()).await.unwrap(), "9000", "nothing is known: it stays as it is");
        request.extensions_mut().insert(Deadline(Instant::now() + Duration::from_millis(500)));
        assert_eq!(told(request.clone()).await.unwrap(), "500");
        sleep(Duration::from_millis(200)).await;
        assert_eq!(told(request).await.unwrap(), "300");
    }
}
