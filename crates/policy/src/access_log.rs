//! One wide event per request: written when the last byte of the answer is gone, or when the client is.
//!
//! Each event is complete in itself. Everything else that is logged while the request is served happens in a span that carries the
//! request id. Levels: a 500 is a bug somebody must look at (error), other 5xx are degradation (warn), 4xx are the client's (info),
//! the rest is diagnosis (debug). Refusals for the sake of others, of which there may be thousands a second, have an [`Allowance`].

mod allowance;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::instrument::{Instrument, Instrumented};
use tracing::{Level, info_span};

pub use allowance::Allowance;

use crate::clock::now_ns;
use crate::forwarded::TrustedProxies;
use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::remaining::Remaining;
use crate::request_id::RequestId;

/// The target of the events, for filters such as `access=debug`.
pub const TARGET: &str = "access";
/// Longer method names are cut: the client chooses them.
pub const METHOD_LENGTH_MAX: usize = 16;

/// Where the router notes which route matched: its pattern, never the raw path, which is the client's to choose and without bound.
///
/// In the extensions of every request under an [`AccessLogLayer`]. Clones share the note, so it survives a handler that panics.
#[derive(Clone, Debug, Default)]
pub struct MatchedRoute(Arc<OnceLock<Box<str>>>);

impl MatchedRoute {
    /// The first note stays.
    pub fn set(&self, pattern: &str) {
        self.0.get_or_init(|| pattern.into());
    }

    pub fn get(&self) -> Option<&str> {
        self.0.get().map(AsRef::as_ref)
    }
}

/// Writes the access event of every request.
#[derive(Clone, Debug)]
pub struct AccessLogLayer {
    trusted: Arc<TrustedProxies>,
    shed_lines: Arc<Allowance>,
}

impl AccessLogLayer {
    pub fn new(trusted: Arc<TrustedProxies>) -> Self {
        Self { trusted, shed_lines: Arc::default() }
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLogService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessLogService { inner, layer: self.clone() }
    }
}

/// See [`AccessLogLayer`].
#[derive(Clone, Debug)]
pub struct AccessLogService<S> {
    inner: S,
    layer: AccessLogLayer,
}

impl<S, B, R> Service<Request<B>> for AccessLogService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body,
    R: Body,
{
    type Response = Response<LoggedBody<R>>;
    type Error = S::Error;
    type Future = AccessLogFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let entry = Entry::begin(&request, &self.layer);
        request.extensions_mut().insert(entry.route.clone());
        let span = info_span!("request", request.id = entry.request_id.map(tracing::field::display));
        let inner = span.in_scope(|| self.inner.call(request)).instrument(span.clone());
        AccessLogFuture { inner, entry: Some(entry) }
    }
}

pin_project! {
    /// See [`AccessLogLayer`].
    pub struct AccessLogFuture<F> {
        #[pin]
        inner: Instrumented<F>,
        entry: Option<Entry>,
    }
}

impl<F, R, E> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<LoggedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        let mut entry = this.entry.take().expect("a future is not polled after it ended");
        entry.status = Some(response.status());
        entry.refused_by = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.slug());
        let remaining = Remaining::of(&entry.method, response.headers());
        Poll::Ready(Ok(response.map(|body| {
            entry.body_ended = body.is_end_stream() || remaining.is_nothing();
            LoggedBody { inner: body, entry, remaining }
        })))
    }
}

pin_project! {
    /// An answer's body that writes the access event when it ends or is dropped.
    pub struct LoggedBody<B> {
        #[pin]
        inner: B,
        entry: Entry,
        remaining: Remaining,
    }
}

impl<B: Body> Body for LoggedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                this.entry.bytes_out += bytes as u64;
                this.remaining.take(bytes);
            }
            Some(Err(_)) => {}
            None => this.entry.body_ended = true,
        }
        // A server that knows the length never asks for the frame after the last.
        this.entry.body_ended |= this.inner.is_end_stream() || this.remaining.is_nothing();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What is known about one request; written when dropped, so that no path can forget it.
struct Entry {
    started: Instant,
    request_id: Option<RequestId>,
    method: Method,
    route: MatchedRoute,
    client_ip: Option<IpAddr>,
    /// As declared by the client; absent for a chunked body.
    bytes_in: Option<u64>,
    status: Option<StatusCode>,
    refused_by: Option<&'static str>,
    shed_lines: Arc<Allowance>,
    bytes_out: u64,
    body_ended: bool,
}

impl Entry {
    fn begin<B: Body>(request: &Request<B>, layer: &AccessLogLayer) -> Self {
        let peer = request.extensions().get::<Peer>();
        Self {
            started: Instant::now(),
            request_id: request.extensions().get::<RequestId>().copied(),
            method: request.method().clone(),
            route: MatchedRoute::default(),
            client_ip: peer.map(|peer| peer.client_ip(request.headers(), &layer.trusted)),
            bytes_in: request.body().size_hint().exact(),
            status: None,
            refused_by: None,
            shed_lines: Arc::clone(&layer.shed_lines),
            bytes_out: 0,
            body_ended: false,
        }
    }

    fn level(&self) -> Level {
        match self.status {
            Some(StatusCode::INTERNAL_SERVER_ERROR) => Level::ERROR,
            Some(status) if status.is_server_error() => Level::WARN,
            Some(status) if !status.is_client_error() && self.body_ended => Level::DEBUG,
            _ => Level::INFO,
        }
    }

    fn summary(&self) -> String {
        let method = method_name(&self.method);
        let route = self.route.get().unwrap_or("(no route)");
        match self.status {
            Some(status) if self.body_ended => format!("{method} {route} {}", status.as_u16()),
            Some(status) => format!("{method} {route} {}, cut off: the client left", status.as_u16()),
            None => format!("{method} {route} unanswered: the client left"),
        }
    }
}

/// A time as the log writes it: to the microsecond, and without digits that only binary fractions have.
pub fn milliseconds(time: Duration) -> f64 {
    // The quotient of whole numbers is the number nearest to the decimal, and is written as that.
    time.as_micros() as f64 / 1_000.0
}

/// The method, cut to [`METHOD_LENGTH_MAX`].
pub fn method_name(method: &Method) -> &str {
    let name = method.as_str();
    // Method names are ASCII tokens, so every index is a character boundary.
    &name[..name.len().min(METHOD_LENGTH_MAX)]
}

impl Drop for Entry {
    fn drop(&mut self) {
        let was_shed = self.refused_by.is_some() && self.status == Some(StatusCode::SERVICE_UNAVAILABLE);
        let left_out = if was_shed { self.shed_lines.take(now_ns()) } else { Some(0) };
        let Some(left_out) = left_out else { return };
        // A level is part of an event's static description: one call site each.
        macro_rules! write_at {
            ($level:expr) => {
                tracing::event!(
                    target: TARGET,
                    $level,
                    request.id = self.request_id.map(tracing::field::display),
                    http.method = method_name(&self.method),
                    http.route = self.route.get(),
                    http.status = self.status.map(|status| status.as_u16()),
                    client.ip = self.client_ip.map(tracing::field::display),
                    policy.refused_by = self.refused_by,
                    duration_ms = milliseconds(self.started.elapsed()),
                    bytes_in = self.bytes_in,
                    bytes_out = self.bytes_out,
                    left_out,
                    "{}",
                    self.summary()
                )
            };
        }
        match self.level() {
            Level::ERROR => write_at!(Level::ERROR),
            Level::WARN => write_at!(Level::WARN),
            Level::INFO => write_at!(Level::INFO),
            _ => write_at!(Level::DEBUG),
        }
    }
}

#[cfg(test)]
mod tests;
