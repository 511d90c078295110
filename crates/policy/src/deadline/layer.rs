//! The tower side of a deadline: known to every handler, kept for the whole answer, its body included.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{BoxError, Layer, Service};

use super::{HEADER, attribute, earliest, parse};
use crate::respond::layer::pending;
use crate::{Reason, Refusal};

/// Until when the answer is of use: in the extensions of a request that passed a [`DeadlineLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// Ends every request at its deadline: the caller's ([`HEADER`]), the server's, or one that is in its extensions already, whichever is
/// earliest. So it limits what comes in, and further in, around a client, each attempt that goes out.
///
/// Before the head of the answer it is the refusal `deadline-passed`, written by a
/// [`RespondLayer`](crate::respond::layer::RespondLayer) further out; afterwards the body breaks off, because its rest would come too
/// late. Streams that are meant to last belong on routes outside this layer. Costs one timer per request.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_policy::deadline::layer::DeadlineLayer;
///
/// let layer = DeadlineLayer::new(Some(Duration::from_secs(2)));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadlineLayer {
    server: Option<Duration>,
}

impl DeadlineLayer {
    /// `server` is the longest time any request, or attempt, may take; `None` leaves it to the callers.
    pub fn new(server: Option<Duration>) -> Self {
        Self { server }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, server: self.server }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    server: Option<Duration>,
}

impl<S, B, R> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<DeadlineBody<R>>;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let caller = request.headers().get(HEADER).and_then(|value| parse(value.as_bytes()));
        let further_out = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let deadline = earliest(Instant::now(), caller, self.server).into_iter().chain(further_out).min();
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let over = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
        DeadlineFuture { inner: self.inner.call(request), over, caller, server: self.server }
    }
}

type Over = Option<Pin<Box<Sleep>>>;

fn is_over(over: &mut Over, context: &mut Context<'_>) -> bool {
    over.as_mut().is_some_and(|over| over.as_mut().poll(context).is_ready())
}

pin_project! {
    /// See [`DeadlineLayer`].
    pub struct DeadlineFuture<F> {
        #[pin]
        inner: F,
        over: Over,
        caller: Option<Duration>,
        server: Option<Duration>,
    }
}

impl<F, R, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<DeadlineBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if is_over(this.over, context) {
            let mut refusal = Refusal::new(Reason::DeadlinePassed, "no answer within the time that was allowed for it");
            attribute(&mut refusal, *this.caller, *this.server);
            return Poll::Ready(Ok(pending(refusal)));
        }
        let mut response = ready!(this.inner.poll(context))?;
        if this.caller.is_some()
            && let Some(refusal) = response.extensions_mut().get_mut::<Refusal>()
        {
            // Admission further in refuses what cannot be served in time, and does not know who said in what time.
            attribute(refusal, *this.caller, *this.server);
        }
        let over = this.over.take();
        Poll::Ready(Ok(response.map(|inner| DeadlineBody { inner, over })))
    }
}

pin_project! {
    /// A body that breaks off at its deadline.
    #[derive(Default)]
    pub struct DeadlineBody<R> {
        #[pin]
        inner: R,
        over: Over,
    }
}

/// The refusal is written in one piece: nothing of it can be late.
impl<R: From<Bytes>> From<Bytes> for DeadlineBody<R> {
    fn from(bytes: Bytes) -> Self {
        Self { inner: R::from(bytes), over: None }
    }
}

impl<R> Body for DeadlineBody<R>
where
    R: Body,
    R::Error: Into<BoxError>,
{
    type Data = R::Data;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, BoxError>>> {
        let this = self.project();
        if is_over(this.over, context) {
            return Poll::Ready(Some(Err("the deadline passed before the body was complete".into())));
        }
        this.inner.poll_frame(context).map_err(Into::into)
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

    use futures_util::stream::{self, StreamExt};
    use http::StatusCode;
    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio::time::sleep;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn asking(timeout_ms: &str) -> Request<()> {
        Request::builder().header(HEADER, timeout_ms).body(()).unwrap()
    }

    async fn slow(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
        let left = request.extensions().get::<Deadline>().map(|deadline| deadline.0 - Instant::now());
        sleep(Duration::from_secs(1)).await;
        Ok(Response::new(Full::from(format!("{left:?}"))))
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_at_the_callers_deadline_and_not_later() {
        let service = DeadlineLayer::new(Some(Duration::from_secs(5))).layer(service_fn(slow));
        let began = Instant::now();
        let response = service.oneshot(asking("300")).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.extensions().get::<Refusal>().unwrap().setting, Some(HEADER));
        assert_eq!(began.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_knows_the_deadline_and_may_answer_until_then() {
        let service = DeadlineLayer::new(Some(Duration::from_secs(2))).layer(service_fn(slow));
        let response = service.oneshot(asking("9000")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "Some(2s)");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_is_never_given_more_than_the_request_has_left() {
        let attempts = DeadlineLayer::new(Some(Duration::from_secs(5)));
        let service = DeadlineLayer::new(Some(Duration::from_secs(2))).layer(attempts.layer(service_fn(slow)));
        let response = service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "Some(2s)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_still_coming_at_the_deadline_breaks_off() {
        let endless = service_fn(|_: Request<()>| async {
            let frames = stream::repeat(()).then(|()| async {
                sleep(Duration::from_millis(100)).await;
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames).boxed_unsync()))
        });
        let service = DeadlineLayer::new(Some(Duration::from_millis(450))).layer(endless);
        let began = Instant::now();
        let outcome = service.oneshot(Request::new(())).await.unwrap().into_body().collect().await;
        assert!(outcome.is_err());
        assert_eq!(began.elapsed(), Duration::from_millis(450));
    }
}
