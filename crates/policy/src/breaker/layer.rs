//! A breaker as a tower layer, for clients of other services and for parts of an app.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Breaker, COULD_NOT, Call, Config, Failure, Standing};
use crate::clock::now_ns;
use crate::respond::layer::pending;
use crate::{Reason, Refusal};

/// Refuses at once while what is behind it fails: with a 503 that carries its [`Refusal`], which a
/// [`RespondLayer`](crate::respond::layer::RespondLayer) further out writes.
///
/// Errors and the statuses 502, 503 and 504 are failures; a 500 is an answer. All clones share one breaker. Costs one load before a call and
/// one compare-and-swap after it.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use plimsoll_policy::breaker::{self, layer::BreakerLayer};
/// use tower::{Layer, service_fn};
///
/// let client = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
/// let client = BreakerLayer::new(breaker::Config::default()).layer(client);
/// # let _ = client;
/// ```
#[derive(Clone, Debug)]
pub struct BreakerLayer {
    breaker: Arc<Breaker>,
}

impl BreakerLayer {
    pub fn new(config: Config) -> Self {
        Self { breaker: Arc::new(Breaker::new(config)) }
    }

    /// Whether calls are made at present, for a health page or a metric: keep a clone of the layer and ask it.
    pub fn standing(&self) -> Standing {
        self.breaker.standing(now_ns())
    }

    /// How often it has opened.
    pub fn openings(&self) -> u64 {
        self.breaker.openings()
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = BreakerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, breaker: Arc::clone(&self.breaker) }
    }
}

/// See [`BreakerLayer`].
#[derive(Clone, Debug)]
pub struct BreakerService<S> {
    inner: S,
    breaker: Arc<Breaker>,
}

impl<S, B, R> Service<Request<B>> for BreakerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BreakerFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.breaker.enter(now_ns()) {
            Ok(call) => {
                let guard = Guard { breaker: Arc::clone(&self.breaker), call };
                BreakerFuture { inner: Some(self.inner.call(request)), state: State::UnderWay(guard) }
            }
            Err(refused) => {
                let refusal = Refusal::new(Reason::CircuitOpen, "it is tried again soon").with_retry_after(refused.retry_after);
                BreakerFuture { inner: None, state: State::Refused(Some(refusal)) }
            }
        }
    }
}

/// A call under way; dropped without an end, it says nothing.
struct Guard {
    breaker: Arc<Breaker>,
    call: Call,
}

impl Guard {
    fn ended(&mut self, failed: bool) {
        let now = now_ns();
        let opened = if failed {
            self.breaker.failed(&mut self.call, Failure::Ordinary, now)
        } else {
            let took = Duration::from_nanos(now.saturating_sub(self.call.began_ns));
            self.breaker.succeeded(&mut self.call, took, now)
        };
        if let Some(opened) = opened {
            tracing::warn!(duration_ms = opened.lasts.as_millis() as u64, "calls fail: further ones are refused at once");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.breaker.abandoned(&mut self.call);
    }
}

enum State {
    UnderWay(Guard),
    Refused(Option<Refusal>),
}

pin_project! {
    /// See [`BreakerLayer`].
    pub struct BreakerFuture<F> {
        // `None`: refused.
        #[pin]
        inner: Option<F>,
        state: State,
    }
}

impl<F, R, E> Future for BreakerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match (this.inner.as_pin_mut(), this.state) {
            (Some(inner), State::UnderWay(guard)) => {
                let result = ready!(inner.poll(context));
                guard.ended(result.as_ref().map_or(true, |response| COULD_NOT.contains(&response.status())));
                Poll::Ready(result)
            }
            (_, State::Refused(refusal)) => Poll::Ready(Ok(pending(refusal.take().expect("polled once")))),
            (None, State::UnderWay(_)) => unreachable!("a call under way has a future"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

    use bytes::Bytes;
    use http::StatusCode;
    use http_body_util::Full;
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn after_failures_in_a_row_the_target_is_not_asked_any_more() {
        let (status, asked) = (Arc::new(AtomicU16::new(500)), Arc::new(AtomicU32::new(0)));
        let (answer, counter) = (Arc::clone(&status), Arc::clone(&asked));
        let target = service_fn(move |_: Request<()>| {
            counter.fetch_add(1, Relaxed);
            let status = answer.load(Relaxed);
            async move { Response::builder().status(status).body(Full::<Bytes>::default()) }
        });
        let layer = BreakerLayer::new(Config { failures_in_row: Some(3), ..Config::default() });
        let service = layer.layer(target);
        let ask = async || service.clone().oneshot(Request::new(())).await.unwrap();
        for _ in 0..10 {
            assert_eq!(ask().await.status(), 500, "an answer, however bad");
        }
        assert_eq!((layer.standing(), layer.openings()), (Standing::Closed, 0));
        status.store(503, Relaxed);
        for _ in 0..3 {
            assert!(ask().await.extensions().get::<Refusal>().is_none());
        }
        let refused = ask().await;
        assert_eq!(refused.extensions().get::<Refusal>().map(|refusal| refusal.reason), Some(Reason::CircuitOpen));
        assert_eq!((refused.status(), asked.load(Relaxed)), (StatusCode::SERVICE_UNAVAILABLE, 13));
        assert!(matches!(layer.standing(), Standing::Open { .. }), "{:?}", layer.standing());
        assert_eq!(layer.openings(), 1);
    }
}
