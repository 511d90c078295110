//! The tower side of a refusal. Inside a service a refusal travels as an almost empty answer that carries the [`Refusal`] in its
//! extensions, because whoever refuses rarely knows the request id; [`RespondLayer`] writes the problem once, for everybody.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::refusal::{self, Refusal};
use crate::request_id::RequestId;

/// The finished answer for a refusal, where no layer will touch it afterwards.
pub fn response<B: From<Bytes>>(refusal: &Refusal, request_id: &str) -> Response<B> {
    let body = refusal.to_json_in_program(request_id);
    let mut response = Response::new(());
    write_head(&mut response, refusal, body.len());
    response.map(|()| B::from(body))
}

/// The answer for a refusal inside a [`RespondLayer`], which will fill in the rest.
pub fn pending<B: Default>(refusal: Refusal) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = refusal.status();
    response.extensions_mut().insert(refusal);
    response
}

fn write_head<B>(response: &mut Response<B>, refusal: &Refusal, length: usize) {
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(refusal::CONTENT_TYPE));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    // The body names one request: no cache may answer another one with it, though 404 and 405 are cacheable by default.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = refusal.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(ALLOW, allow);
    }
    if let Some(range) = refusal.length.and_then(|length| HeaderValue::from_str(&format!("bytes */{length}")).ok()) {
        headers.insert(CONTENT_RANGE, range);
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Turns every answer that carries a [`Refusal`] into its `application/problem+json`. Headers set before, such as `Allow`, stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct RespondLayer;

impl<S> Layer<S> for RespondLayer {
    type Service = RespondService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RespondService { inner }
    }
}

/// See [`RespondLayer`].
#[derive(Clone, Debug)]
pub struct RespondService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RespondService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<Bytes> + Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = RespondFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request_id = request.extensions().get::<RequestId>().copied();
        let head = request.method() == Method::HEAD;
        RespondFuture { inner: self.inner.call(request), request_id, head }
    }
}

pin_project! {
    /// See [`RespondLayer`].
    pub struct RespondFuture<F> {
        #[pin]
        inner: F,
        request_id: Option<RequestId>,
        head: bool,
    }
}

impl<F, R, E> Future for RespondFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: From<Bytes> + Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        // The refusal stays in the extensions: the access log further out names it.
        if let Some(refusal) = response.extensions().get::<Refusal>().cloned() {
            let body = refusal.to_json_in_program(this.request_id.as_ref().map_or("", RequestId::as_str));
            write_head(&mut response, &refusal, body.len());
            *response.body_mut() = if *this.head { R::default() } else { R::from(body) };
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http_body_util::{BodyExt, Full};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::respond::Reason;

    async fn answer(method: Method) -> Response<Full<Bytes>> {
        let refusing = service_fn(|_: Request<()>| async {
            let refusal = Refusal::new(Reason::StateUnavailable, "try later").with_retry_after(Duration::from_secs(2));
            let mut response = pending::<Full<Bytes>>(refusal);
            response.headers_mut().insert("allow", HeaderValue::from_static("GET"));
            Ok::<_, Infallible>(response)
        });
        let mut request = Request::builder().method(method).body(()).unwrap();
        request.extensions_mut().insert(RequestId::parse(b"id-1").unwrap());
        RespondLayer.layer(refusing).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_refusal_becomes_a_problem_with_the_request_id() {
        let response = answer(Method::GET).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["allow"], "GET");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["request_id"], "id-1");
    }

    #[tokio::test]
    async fn head_gets_the_length_of_the_problem_without_the_problem() {
        let get = answer(Method::GET).await;
        let head = answer(Method::HEAD).await;
        assert_eq!(head.headers()["content-length"], get.headers()["content-length"]);
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    }

    #[test]
    fn a_finished_answer_equals_the_one_the_layer_writes() {
        let refusal = Refusal::new(Reason::NotFound, "");
        let response = response::<Full<Bytes>>(&refusal, "id-1");
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-length"], refusal.to_json_in_program("id-1").len().to_string().as_str());
    }
}
