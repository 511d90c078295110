//! Admission as a tower layer, for a service that has no gateway in front of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Admission, Ask, Outcome, Permit, kind};
use crate::remaining::Remaining;
use crate::respond::layer::pending;

/// Lets a request through when there is a place for it; the place is held until the answer's body has ended.
///
/// `ask` says from the head of a request how much it matters, for whom it is made, and until when; its kind is told by its path.
/// Refusals become problems in a [`RespondLayer`](crate::respond::layer::RespondLayer) further out. The service is cloned for each request, and each future is boxed.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use plimsoll_policy::admission::layer::AdmissionLayer;
/// use plimsoll_policy::admission::{Admission, Ask, Config};
/// use plimsoll_policy::priority::Priority;
/// use tower::{Layer, service_fn};
///
/// let hello = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
/// let layer = AdmissionLayer::new(Admission::new(Config::default()), |head| Ask {
///     priority: if head.uri.path() == "/login" { Priority::Critical } else { Priority::Normal },
///     ..Ask::default()
/// });
/// let service = layer.layer(hello);
/// # let _ = service;
/// ```
#[derive(Clone, Debug)]
pub struct AdmissionLayer<A> {
    admission: Arc<Admission>,
    ask: A,
}

impl<A: Fn(&Parts) -> Ask> AdmissionLayer<A> {
    pub fn new(admission: Arc<Admission>, ask: A) -> Self {
        Self { admission, ask }
    }
}

impl<S, A: Clone> Layer<S> for AdmissionLayer<A> {
    type Service = AdmissionService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService { inner, layer: self.clone() }
    }
}

/// See [`AdmissionLayer`].
#[derive(Clone, Debug)]
pub struct AdmissionService<S, A> {
    inner: S,
    layer: AdmissionLayer<A>,
}

impl<S, A, B, R> Service<Request<B>> for AdmissionService<S, A>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    A: Fn(&Parts) -> Ask,
    B: Send + 'static,
    R: Body + Default,
{
    type Response = Response<AdmittedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let ask = Ask { kind: kind(head.uri.path().as_bytes()), ..(self.layer.ask)(&head) };
        let admission = Arc::clone(&self.layer.admission);
        // The service that was asked whether it is ready is the one to call.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let permit = match admission.enter(&ask).await {
                Ok(permit) => permit,
                Err(refusal) => return Ok(pending::<R>(refusal).map(AdmittedBody::without_place)),
            };
            let method = head.method.clone();
            let request = Request::from_parts(head, body);
            match inner.call(request).await {
                Ok(response) => {
                    let remaining = Remaining::of(&method, response.headers());
                    Ok(response.map(|inner| AdmittedBody::new(inner, permit, remaining)))
                }
                Err(error) => {
                    permit.finish(Outcome::Failed);
                    Err(error)
                }
            }
        })
    }
}

pin_project! {
    /// An answer's body that holds the request's place until it ends. Dropped before that, the client has left, and with the dropped future
    /// its work has ended: the place is free at once.
    pub struct AdmittedBody<B> {
        #[pin]
        inner: B,
        place: Option<Held>,
    }
}

struct Held {
    permit: Permit,
    remaining: Remaining,
}

impl<B> AdmittedBody<B> {
    fn without_place(inner: B) -> Self {
        Self { inner, place: None }
    }
}

impl<B: Body> AdmittedBody<B> {
    fn new(inner: B, permit: Permit, remaining: Remaining) -> Self {
        if inner.is_end_stream() || remaining.is_nothing() {
            permit.finish(Outcome::Served);
            return Self::without_place(inner);
        }
        Self { inner, place: Some(Held { permit, remaining }) }
    }
}

impl<B: Default> Default for AdmittedBody<B> {
    fn default() -> Self {
        Self::without_place(B::default())
    }
}

/// What a layer further out writes instead of the service, a problem for instance, holds no place.
impl<B: From<Bytes>> From<Bytes> for AdmittedBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self::without_place(B::from(bytes))
    }
}

impl<B: Body> Body for AdmittedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(context));
        if let Some(held) = this.place.as_mut() {
            let outcome = match &frame {
                Some(Err(_)) => Some(Outcome::Failed),
                None => Some(Outcome::Served),
                Some(Ok(frame)) => {
                    held.remaining.take(frame.data_ref().map_or(0, Buf::remaining));
                    // A server that knows the length never asks for the frame after the last.
                    (this.inner.is_end_stream() || held.remaining.is_nothing()).then_some(Outcome::Served)
                }
            };
            if let Some((outcome, held)) = outcome.and_then(|outcome| Some((outcome, this.place.take()?))) {
                held.permit.finish(outcome);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http::Method;
    use http_body_util::{BodyExt, Full, StreamBody};
    use tower::{ServiceExt, service_fn};

    use super::super::Config;
    use super::*;
    use crate::respond::layer::RespondLayer;

    #[tokio::test(start_paused = true)]
    async fn the_place_is_held_until_the_body_has_ended_and_others_get_a_problem() {
        let admission = Admission::new(Config { limit_initial: 1, limit_max: 1, ..Config::default() });
        let hello = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello"))) });
        let layer = AdmissionLayer::new(Arc::clone(&admission), |_: &Parts| Ask::default());
        let service = RespondLayer.layer(layer.layer(hello));
        let first = service.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(admission.load().in_flight, 1);
        let second = service.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(second.status(), 503);
        assert!(second.headers().contains_key("retry-after"));
        assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), "hello");
        assert_eq!((admission.load().in_flight, admission.load().lingering), (0, 0));
    }

    /// How many places are taken while an answer of eleven bytes is still at hand, of which so many of its two pieces have gone out.
    async fn taken(method: Method, announced: bool, pieces_out: usize) -> usize {
        let admission = Admission::new(Config::default());
        let file = service_fn(move |_: Request<()>| async move {
            let pieces = ["hello ", "world"].map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
            let mut response = Response::new(StreamBody::new(stream::iter(pieces)).boxed_unsync());
            if announced {
                response.headers_mut().insert("content-length", 11.into());
            }
            Ok::<_, Infallible>(response)
        });
        let layer = AdmissionLayer::new(Arc::clone(&admission), |_: &Parts| Ask::default());
        let request = Request::builder().method(method).body(()).unwrap();
        let mut body = layer.layer(file).oneshot(request).await.unwrap().into_body();
        for _ in 0..pieces_out {
            body.frame().await.unwrap().unwrap();
        }
        admission.load().in_flight
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_out_as_announced_holds_no_place() {
        assert_eq!(taken(Method::GET, true, 1).await, 1);
        assert_eq!(taken(Method::GET, true, 2).await, 0);
        assert_eq!(taken(Method::GET, false, 2).await, 1, "nobody knows whether this was all");
        assert_eq!(taken(Method::HEAD, false, 0).await, 0, "there is no body");
    }
}
