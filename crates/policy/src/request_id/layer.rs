//! The tower side of the request id: decided once per request, in its extensions on the way in, in `X-Request-Id` on the way out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{HEADER, RequestId};
use crate::forwarded::TrustedProxies;
use crate::peer::Peer;

/// Gives every request a [`RequestId`] extension and every answer the header.
///
/// An id that came along is kept if a trusted [`Peer`] sent it; a stranger could otherwise write somebody else's id into our logs.
#[derive(Clone, Debug)]
pub struct RequestIdLayer {
    trusted: Arc<TrustedProxies>,
}

impl RequestIdLayer {
    pub fn new(trusted: Arc<TrustedProxies>) -> Self {
        Self { trusted }
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIdService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIdService { inner, trusted: Arc::clone(&self.trusted) }
    }
}

/// See [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestIdService<S> {
    inner: S,
    trusted: Arc<TrustedProxies>,
}

impl<S, B, R> Service<Request<B>> for RequestIdService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = RequestIdFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = sent_along(&request, &self.trusted).unwrap_or_else(RequestId::generate);
        request.extensions_mut().insert(id);
        RequestIdFuture { inner: self.inner.call(request), id }
    }
}

fn sent_along<B>(request: &Request<B>, trusted: &TrustedProxies) -> Option<RequestId> {
    let peer = request.extensions().get::<Peer>()?;
    let value = request.headers().get(HEADER)?;
    RequestId::parse(value.as_bytes()).filter(|_| peer.is_trusted(trusted))
}

pin_project! {
    /// See [`RequestIdLayer`].
    pub struct RequestIdFuture<F> {
        #[pin]
        inner: F,
        id: RequestId,
    }
}

impl<F, R, E> Future for RequestIdFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        let value = HeaderValue::from_str(this.id.as_str()).expect("ids are visible ASCII");
        response.headers_mut().insert(HeaderName::from_static(HEADER), value);
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    /// Sends one request from `peer` with `sent` as its id; gives back what the service saw and what the client got.
    async fn ids(peer: &str, sent: &str) -> (String, String) {
        let trusted = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let seen = service_fn(|request: Request<()>| async move {
            let id = *request.extensions().get::<RequestId>().unwrap();
            Ok::<_, Infallible>(Response::new(id.to_string()))
        });
        let mut request = Request::builder().header(HEADER, sent).body(()).unwrap();
        request.extensions_mut().insert(Peer::Tcp(peer.parse().unwrap()));
        let response = RequestIdLayer::new(Arc::new(trusted)).layer(seen).oneshot(request).await.unwrap();
        let header = response.headers()[HEADER].to_str().unwrap().to_owned();
        (response.into_body(), header)
    }

    #[tokio::test]
    async fn an_id_from_a_trusted_peer_is_kept() {
        assert_eq!(ids("127.0.0.1:9", "edge-1").await, ("edge-1".into(), "edge-1".into()));
    }

    #[tokio::test]
    async fn an_id_from_a_stranger_or_a_malformed_one_is_replaced() {
        for (peer, sent) in [("203.0.113.9:9", "edge-1"), ("127.0.0.1:9", "two words")] {
            let (seen, answered) = ids(peer, sent).await;
            assert_eq!(seen, answered);
            assert_ne!(seen, sent);
            assert_eq!(seen.len(), 26);
        }
    }
}
