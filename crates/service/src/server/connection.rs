//! One connection: HTTP/1.1 or cleartext HTTP/2 (by its preface), from the first byte to the last.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::listener::Accepted;
use crate::config::Limits;

/// A peer that vanished without a word is noticed after these.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a connection may be used again after its first request.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeepAlive {
    On,
    Off,
}

/// Serves until the peer closes, a limit is passed, or `closing` turns true and what is being served is finished.
pub(super) async fn serve<A>(accepted: Accepted, app: A, limits: Limits, keep_alive: KeepAlive, mut closing: watch::Receiver<bool>)
where
    A: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static> + Clone + Send + Sync + 'static,
{
    let Accepted { stream, peer } = accepted;
    let has_sent_head = Arc::new(AtomicBool::new(false));
    let head_seen = Arc::clone(&has_sent_head);
    let service = service_fn(move |request: Request<Incoming>| {
        head_seen.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        app.clone().oneshot(request)
    });
    let streams = Streams::default();
    let _cut_off_on_return = streams.0.clone().drop_guard();
    let builder = builder(streams, limits, keep_alive);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // The library waits without limit for the bytes that tell the version, so the first head has a clock of ours.
    let first_head = tokio::time::sleep(limits.first_head);
    tokio::pin!(first_head);
    let mut told_to_close = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, ?peer, "a connection broke");
                }
                return;
            }
            _ = closing.wait_for(|closing| *closing), if !told_to_close => {
                told_to_close = true;
                connection.as_mut().graceful_shutdown();
            }
            () = first_head.as_mut(), if !first_head.is_elapsed() => {
                if !has_sent_head.load(Ordering::Relaxed) {
                    tracing::debug!(?peer, "a connection sent no request in time");
                    return;
                }
            }
        }
    }
}

fn builder(streams: Streams, limits: Limits, keep_alive: KeepAlive) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.head_bytes_max)
        .keep_alive(matches!(keep_alive, KeepAlive::On));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    builder
}

/// The requests of an HTTP/2 connection run as tasks; they end with it, also when it is cut off.
#[derive(Clone, Default)]
struct Streams(CancellationToken);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let connection_ends = self.0.clone();
        tokio::spawn(async move { connection_ends.run_until_cancelled_owned(stream).await }.in_current_span());
    }
}
