//! A prepared answer as a tower layer: instead of a refusal further in, or of an error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Prepared, Unanswered};
use crate::{Reason, Refusal};

/// Tells the client that this is not the answer it asked for.
pub const HEADER: HeaderName = HeaderName::from_static("x-plimsoll-fallback");
/// Its value for a prepared answer.
pub const STATIC: &str = "static";

/// Answers with something prepared when nothing better can be had: when a layer further in refused because nobody could answer, or the
/// service failed. Belongs outside of breaker, hedge and retries, and inside of whatever writes refusals.
///
/// Costs nothing while there are answers.
///
/// ```
/// use bytes::Bytes;
/// use http::{HeaderValue, Request, Response, StatusCode};
/// use http_body_util::Full;
/// use plimsoll_policy::fallback::{Prepared, layer::FallbackLayer};
/// use tower::{Layer, service_fn};
///
/// let empty = Prepared::new(StatusCode::OK, HeaderValue::from_static("application/json"), Bytes::from_static(b"[]"))?;
/// let client = service_fn(|_: Request<Full<Bytes>>| async { Err::<Response<Full<Bytes>>, _>("nobody is there") });
/// let client = FallbackLayer::new(empty).layer(client);
/// # let _ = client;
/// # Ok::<(), plimsoll_policy::fallback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FallbackLayer {
    prepared: Arc<Prepared>,
    is_failure: fn(&StatusCode) -> bool,
}

impl FallbackLayer {
    pub fn new(prepared: Prepared) -> Self {
        Self { prepared: Arc::new(prepared), is_failure: |_| false }
    }

    /// Statuses of the service that count as no answer at all: [`StatusCode::is_server_error`] where the error page of a dependency is of no
    /// use. Without this an answer is never replaced, whatever its status.
    #[must_use]
    pub fn on_status(self, is_failure: fn(&StatusCode) -> bool) -> Self {
        Self { is_failure, ..self }
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = FallbackService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackService { inner, layer: self.clone() }
    }
}

/// See [`FallbackLayer`].
#[derive(Clone, Debug)]
pub struct FallbackService<S> {
    inner: S,
    layer: FallbackLayer,
}

impl<S, B, R> Service<Request<B>> for FallbackService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FallbackFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = request.method().clone();
        FallbackFuture { inner: self.inner.call(request), layer: self.layer.clone(), method }
    }
}

pin_project! {
    /// See [`FallbackLayer`].
    pub struct FallbackFuture<F> {
        #[pin]
        inner: F,
        layer: FallbackLayer,
        method: Method,
    }
}

impl<F, R, E> Future for FallbackFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(context));
        let reason = match &result {
            Ok(response) => match response.extensions().get::<Refusal>() {
                Some(refusal) => Some(refusal.reason),
                None => (this.layer.is_failure)(&response.status()).then_some(Reason::UpstreamFailed),
            },
            Err(_) => Some(Reason::UpstreamFailed),
        };
        let prepared = &this.layer.prepared;
        let answers = |reason| prepared.kind().answers(&Unanswered { method: this.method, reason, may_repeat: false });
        Poll::Ready(if reason.is_some_and(answers) { Ok(answer(prepared, this.method)) } else { result })
    }
}

fn answer<R: From<Bytes>>(prepared: &Prepared, method: &Method) -> Response<R> {
    let body = if method == Method::HEAD { Bytes::new() } else { prepared.body().clone() };
    let mut response = Response::new(R::from(body));
    *response.status_mut() = prepared.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, prepared.content_type().clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HEADER, HeaderValue::from_static(STATIC));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::respond::layer::pending;

    type Answer = Result<Response<Full<Bytes>>, &'static str>;

    fn layer() -> FallbackLayer {
        let kind = HeaderValue::from_static("application/json");
        FallbackLayer::new(Prepared::new(StatusCode::OK, kind, Bytes::from_static(b"[]")).unwrap())
    }

    async fn ask(method: Method, answer: fn() -> Answer) -> Result<(u16, String), &'static str> {
        ask_through(layer(), method, answer).await
    }

    async fn ask_through(layer: FallbackLayer, method: Method, answer: fn() -> Answer) -> Result<(u16, String), &'static str> {
        let service = layer.layer(service_fn(move |_: Request<()>| async move { answer() }));
        let request = Request::builder().method(method).body(()).unwrap();
        let (head, body) = service.oneshot(request).await?.into_parts();
        Ok((head.status.as_u16(), String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn it_stands_in_for_what_could_not_be_had_and_for_nothing_else() {
        let empty = Ok((200, "[]".to_owned()));
        assert_eq!(ask(Method::GET, || Err("broken")).await, empty);
        assert_eq!(ask(Method::GET, || Ok(pending(Refusal::new(Reason::CircuitOpen, "")))).await, empty);
        assert_eq!(ask(Method::HEAD, || Err("broken")).await, Ok((200, String::new())));
        assert_eq!(ask(Method::POST, || Err("broken")).await, Err("broken"), "nothing was done");
        let own_words = || Ok(Response::builder().status(503).body(Full::from("own words")).unwrap());
        assert_eq!(ask(Method::GET, own_words).await, Ok((503, "own words".to_owned())));
        assert_eq!(ask(Method::GET, || Ok(pending(Refusal::new(Reason::NotFound, "")))).await, Ok((404, String::new())));
    }

    #[tokio::test]
    async fn a_status_that_counts_as_no_answer_is_stood_in_for_where_a_failure_would_be() {
        let layer = layer().on_status(StatusCode::is_server_error);
        let asked = async |method, answer: fn() -> Answer| ask_through(layer.clone(), method, answer).await.unwrap();
        let failed = || Ok(Response::builder().status(500).body(Full::from("own words")).unwrap());
        let missing = || Ok(Response::builder().status(404).body(Full::from("own words")).unwrap());
        assert_eq!(asked(Method::GET, failed).await, (200, "[]".to_owned()));
        assert_eq!(asked(Method::POST, failed).await, (500, "own words".to_owned()), "nothing was done");
        assert_eq!(asked(Method::GET, missing).await, (404, "own words".to_owned()));
    }
}
