//! Connections: accepted, capped, timed, drained. `axum::serve` does the first of these.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use plimsoll_policy::catch_panic::{CatchPanicLayer, PanicCount};
use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_policy::request_id::layer::RequestIdLayer;
use plimsoll_policy::respond::layer::RespondLayer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::Layer;

use crate::access::Gate;
use crate::config::{Config, Error, Limits};
use crate::listener::Listener;
use crate::router::{Shared, router};
use crate::sampler::{Sampler, Source};

/// What a connection may hold of requests not read and answers not taken. A reader that stalls costs this and no more.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// After a failed accept, mostly for want of file descriptors: waiting lets others give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the same pages on every listener until `shutdown` is done, then ends streams and lets other answers finish. Orders are taken on
/// Unix sockets only.
pub async fn serve(
    listeners: Vec<Listener>,
    source: Source,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    for address in listeners.iter().filter_map(Listener::address) {
        config.permits(address)?;
    }
    let stop = CancellationToken::new();
    let sampler = Arc::new(Sampler::new(source));
    let shared = Shared { sampler: Arc::clone(&sampler), streams: Arc::new(Semaphore::new(config.limits.streams_max)), stop: stop.clone() };
    let mut tasks = JoinSet::new();
    tasks.spawn(sampler.run(config.limits.sample_interval, stop.clone()));
    for listener in listeners {
        let (gate, orders) = match listener {
            Listener::Tcp(_) => (Gate::for_tcp(&config), None),
            Listener::Unix(_) => (Gate::Open, config.orders.as_ref()),
        };
        let pages = policies().layer(router(shared.clone(), Arc::new(gate), orders));
        tasks.spawn(Acceptor { listener, pages, limits: config.limits, stop: stop.clone() }.run());
    }
    shutdown.await;
    stop.cancel();
    tasks.join_all().await;
    Ok(())
}

/// No access log: a scrape and a probe every few seconds would drown what the operator looks for.
type Policies = (RequestIdLayer, RespondLayer, CatchPanicLayer);
type Pages = <Policies as Layer<Router>>::Service;

fn policies() -> Policies {
    (RequestIdLayer::new(Arc::new(TrustedProxies::default())), RespondLayer, CatchPanicLayer::new(PanicCount::default()))
}

struct Acceptor {
    listener: Listener,
    pages: Pages,
    limits: Limits,
    stop: CancellationToken,
}

impl Acceptor {
    async fn run(self) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut connections = JoinSet::new();
        loop {
            // At the cap, connections wait in the kernel's queue instead of here.
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
                (place, self.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = self.stop.cancelled() => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok(stream) => {
                    let connection = connection(stream, self.pages.clone(), self.limits, self.stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "admin connection not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Nobody new may come while the last ones finish, and the socket's file goes.
        drop(self.listener);
        connections.join_all().await;
    }

    async fn accept(&self) -> io::Result<Box<dyn Connection>> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                set_up(&stream, self.limits.stall_time_max)?;
                Ok(Box::new(stream))
            }
            Listener::Unix(socket) => Ok(Box::new(socket.listener.accept().await?.0)),
        }
    }
}

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The kernel ends a connection whose other side takes nothing: a sleeping laptop must not keep its place among the streams.
fn set_up(stream: &TcpStream, stall_time_max: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(stall_time_max))
}

async fn connection(stream: Box<dyn Connection>, pages: Pages, limits: Limits, stop: CancellationToken) {
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time_max)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.drain_time_max, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "admin connection broke");
    }
}
