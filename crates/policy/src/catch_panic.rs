//! A panic is a bug; it costs its own request a 500 and nobody else anything. Caught at the outermost layer, counted and logged.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::refusal::Refusal;
use crate::respond::{Reason, layer::pending};

/// How many panics were caught. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct PanicCount(Arc<AtomicU64>);

impl PanicCount {
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, payload: &(dyn Any + Send)) {
        let panics_total = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(panics_total, "a handler panicked: {}", message(payload));
    }
}

/// `panic!` carries a `&str` or a `String`; anything else has no text.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Answers a panic with [`Reason::Internal`]. Covers the call and its future; a body that panics later breaks its connection.
#[derive(Clone, Debug, Default)]
pub struct CatchPanicLayer {
    count: PanicCount,
}

impl CatchPanicLayer {
    pub fn new(count: PanicCount) -> Self {
        Self { count }
    }
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanicService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchPanicService { inner, count: self.count.clone() }
    }
}

/// See [`CatchPanicLayer`].
#[derive(Clone, Debug)]
pub struct CatchPanicService<S> {
    inner: S,
    count: PanicCount,
}

impl<S, B, R> Service<Request<B>> for CatchPanicService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Unwind safety: what requests share sits behind locks and atomics; whatever else the panic broke is dropped with the request.
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        let inner = inner.inspect_err(|payload| self.count.add(payload.as_ref())).ok();
        CatchPanicFuture { inner: inner.map(|future| AssertUnwindSafe(future).catch_unwind()), count: self.count.clone() }
    }
}

pin_project! {
    /// See [`CatchPanicLayer`].
    pub struct CatchPanicFuture<F> {
        // `None`: the call itself panicked.
        #[pin]
        inner: Option<CatchUnwind<AssertUnwindSafe<F>>>,
        count: PanicCount,
    }
}

impl<F, R, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(Ok(failed())) };
        inner.poll(context).map(|outcome| {
            outcome.unwrap_or_else(|payload| {
                this.count.add(payload.as_ref());
                Ok(failed())
            })
        })
    }
}

fn failed<R: Default>() -> Response<R> {
    pending(Refusal::new(Reason::Internal, "the request hit a bug; the log has the details under this request id"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_panicking_future_is_answered_and_counted() {
        let count = PanicCount::default();
        let broken = service_fn(|request: Request<()>| async move {
            assert!(request.headers().contains_key("x"), "no header");
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let service = CatchPanicLayer::new(count.clone()).layer(broken);
        for panics in 1..=2 {
            let response = service.clone().oneshot(Request::new(())).await.unwrap();
            assert_eq!(response.status(), 500);
            assert_eq!(response.extensions().get::<Refusal>().unwrap().reason, Reason::Internal);
            assert_eq!(count.total(), panics);
        }
    }

    #[tokio::test]
    async fn a_panicking_call_is_answered_and_counted() {
        let count = PanicCount::default();
        let broken = service_fn(|request: Request<()>| {
            assert!(request.headers().contains_key("x"), "no header");
            std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
        });
        let response = CatchPanicLayer::new(count.clone()).layer(broken).oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(count.total(), 1);
    }
}
