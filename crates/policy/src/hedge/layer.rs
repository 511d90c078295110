//! Hedging as a tower layer, for clients of other services.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{Config, Hedge, Worth, better};
use crate::clock::now_ns;

/// Makes a second call when most answers would have come, and takes whichever answers first; the other is dropped. A 502, 503 or 504 is the
/// answer only when the other call brings nothing better.
///
/// Only for idempotent methods and empty bodies. What it wraps must not send both calls to the same place: a balancer, or a pool of
/// connections. Costs a clone of the request and one allocation.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use plimsoll_policy::hedge::{self, layer::HedgeLayer};
/// use tower::{Layer, service_fn};
///
/// let client = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
/// let client = HedgeLayer::new(hedge::Config::default()).layer(client);
/// # let _ = client;
/// ```
#[derive(Clone, Debug)]
pub struct HedgeLayer {
    hedge: Arc<Hedge>,
}

impl HedgeLayer {
    pub fn new(config: Config) -> Self {
        Self { hedge: Arc::new(Hedge::new(config)) }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = HedgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService { inner, hedge: Arc::clone(&self.hedge) }
    }
}

/// See [`HedgeLayer`].
#[derive(Clone, Debug)]
pub struct HedgeService<S> {
    inner: S,
    hedge: Arc<Hedge>,
}

impl<S, B, R> Service<Request<B>> for HedgeService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Clone + Send + 'static,
    R: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let may = request.method().is_idempotent() && request.body().is_end_stream();
        if !may {
            return Box::pin(self.inner.call(request));
        }
        let (hedge, mut second) = (Arc::clone(&self.hedge), self.inner.clone());
        let first = self.inner.call(request.clone());
        let second = async move {
            poll_fn(|context| second.poll_ready(context)).await?;
            second.call(request).await
        };
        Box::pin(async move { race(&hedge, first, second).await })
    }
}

/// The second is not begun before it is polled.
async fn race<R, E>(
    hedge: &Hedge,
    first: impl Future<Output = Result<Response<R>, E>>,
    second: impl Future<Output = Result<Response<R>, E>>,
) -> Result<Response<R>, E> {
    let began = Instant::now();
    hedge.request(now_ns());
    let worth = |result: &Result<Response<R>, E>| result.as_ref().map_or(Worth::Nothing, |response| Worth::of_status(response.status()));
    let mut first = pin!(first);
    let result = match hedge.early(first.as_mut()).await {
        Some(result) => result,
        None if hedge.try_start(now_ns()) => better(first, second, worth).await.0,
        None => first.await,
    };
    if worth(&result) == Worth::Answer {
        hedge.answered(began.elapsed(), now_ns());
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::time::Duration;

    use bytes::Bytes;
    use http::Method;
    use http_body_util::Full;
    use tokio::time::sleep;
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_answered_by_a_second_one_and_a_post_is_not() {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&asked);
        let target = service_fn(move |_: Request<Full<Bytes>>| {
            let number = counter.fetch_add(1, Relaxed);
            async move {
                // The first two hundred teach it; then every other call hangs.
                sleep(Duration::from_millis(if number >= 200 && number.is_multiple_of(2) { 10_000 } else { 10 })).await;
                Ok::<_, &str>(Response::new(Full::<Bytes>::default()))
            }
        });
        let service = HedgeLayer::new(Config::default()).layer(target);
        let ask = async |method: Method| {
            let started = Instant::now();
            let request = Request::builder().method(method).body(Full::default()).unwrap();
            service.clone().oneshot(request).await.unwrap();
            started.elapsed()
        };
        for _ in 0..200 {
            ask(Method::GET).await;
        }
        let took = ask(Method::GET).await;
        assert!(took > Duration::from_millis(20) && took < Duration::from_millis(30), "{took:?}");
        assert_eq!(asked.load(Relaxed), 202);
        assert!(ask(Method::POST).await >= Duration::from_secs(10));
        assert_eq!(asked.load(Relaxed), 203);
    }
}
