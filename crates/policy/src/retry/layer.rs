//! Retries as a tower layer, for clients of other services: the same decisions as at the edge, towards one target.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service};

use super::Config;
use crate::backoff;
use crate::budget::Budget;
use crate::clock::now_ns;
use crate::deadline::layer::Deadline;

/// Makes a failed request again where that is safe, within a budget that all clones share.
///
/// Only idempotent methods; bodies must be cheap to clone, such as `Full<Bytes>`. Honours `Retry-After`, and the
/// [`Deadline`] in a request's extensions: what would end after it is not tried. Costs a clone of the request, one allocation for the future,
/// and a compare-and-swap.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use plimsoll_policy::retry::{self, layer::RetryLayer};
/// use tower::{Layer, service_fn};
///
/// let client = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
/// let client = RetryLayer::new(retry::Config::default()).layer(client);
/// # let _ = client;
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    budget: Budget,
}

impl RetryLayer {
    pub fn new(config: Config) -> Self {
        let budget = Budget::new(config.budget);
        Self { shared: Arc::new(Shared { config, budget }) }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = RetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService { inner, shared: Arc::clone(&self.shared) }
    }
}

/// See [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct RetryService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B, R> Service<Request<B>> for RetryService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Clone + Send + 'static,
    R: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let fresh = self.inner.clone();
        // The one that is ready makes the first attempt.
        let ready = std::mem::replace(&mut self.inner, fresh);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.run(ready, request).await })
    }
}

impl Shared {
    async fn run<S, B, R>(&self, mut service: S, request: Request<B>) -> Result<Response<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        B: Clone,
    {
        self.budget.request(now_ns());
        let may_repeat = request.method().is_idempotent();
        let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let mut attempts = 1;
        loop {
            // The last attempt needs no copy, but which one is the last is known only afterwards.
            let result = service.call(request.clone()).await;
            let retry_after = match &result {
                Ok(response) if !self.config.on_status.contains(&response.status()) => return result,
                Ok(response) => {
                    response.headers().get(RETRY_AFTER).and_then(|value| backoff::retry_after(value.as_bytes(), SystemTime::now()))
                }
                Err(_) => None,
            };
            if !may_repeat || attempts >= self.config.attempts_max {
                return result;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let Some(wait) = self.wait(attempts, retry_after, left) else { return result };
            if !self.budget.try_spend(now_ns()) {
                return result;
            }
            // What failed may hold a connection or a place.
            drop(result);
            sleep(wait).await;
            poll_fn(|context| service.poll_ready(context)).await?;
            attempts += 1;
        }
    }

    fn wait(&self, retry: u32, retry_after: Option<Duration>, left: Option<Duration>) -> Option<Duration> {
        self.config.backoff.wait_within(retry, retry_after, left, &mut fastrand::Rng::new())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use bytes::Bytes;
    use http::{Method, StatusCode};
    use http_body_util::Full;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::budget;

    type Body = Full<Bytes>;

    /// What a target does that answers so; how often it was asked, and what came out.
    async fn ask(
        config: Config,
        method: Method,
        deadline: Option<Instant>,
        answer: fn(u32) -> Result<Response<Body>, &'static str>,
    ) -> (u32, Result<StatusCode, &'static str>) {
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        let target = service_fn(move |_: Request<Body>| {
            let number = counter.fetch_add(1, Relaxed);
            async move { answer(number) }
        });
        let mut request = Request::builder().method(method).body(Body::from("body")).unwrap();
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let result = RetryLayer::new(config).layer(target).oneshot(request).await;
        (count.load(Relaxed), result.map(|response| response.status()))
    }

    fn status(status: u16) -> Response<Body> {
        Response::builder().status(status).body(Body::default()).unwrap()
    }

    fn fails_once(number: u32) -> Result<Response<Body>, &'static str> {
        if number == 0 { Err("broken") } else { Ok(status(200)) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_done_twice_is_tried_again_and_nothing_else() {
        assert_eq!(ask(Config::default(), Method::PUT, None, fails_once).await, (2, Ok(StatusCode::OK)));
        assert_eq!(ask(Config::default(), Method::POST, None, fails_once).await, (1, Err("broken")));
        assert_eq!(ask(Config::default(), Method::GET, None, |_| Ok(status(503))).await, (3, Ok(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(ask(Config::default(), Method::GET, None, |_| Ok(status(500))).await, (1, Ok(StatusCode::INTERNAL_SERVER_ERROR)));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_again_beyond_the_budget() {
        let config = Config { budget: budget::Config { share: 0.0, reserve: 0, refill_per_second: 0.0 }, ..Config::default() };
        assert_eq!(ask(config, Method::GET, None, fails_once).await, (1, Err("broken")));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_waited_for_if_the_deadline_allows() {
        let busy = |number| {
            let mut response = status(if number == 0 { 503 } else { 200 });
            response.headers_mut().insert(RETRY_AFTER, 3.into());
            Ok(response)
        };
        let started = Instant::now();
        assert_eq!(ask(Config::default(), Method::GET, None, busy).await, (2, Ok(StatusCode::OK)));
        assert!(started.elapsed() >= Duration::from_secs(3));
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(ask(Config::default(), Method::GET, Some(soon), busy).await, (1, Ok(StatusCode::SERVICE_UNAVAILABLE)));
    }
}
