//! One thread of the gateway: its own runtime, its own listener, its own connections to instances.
//!
//! Nothing on a request's way is shared between workers but atomics, so a request never waits for another core.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use plimsoll_policy::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::drain::{Drain, Order};
use crate::http1::Wire;
use crate::http1::server::Server;
use crate::http2;
use crate::peer::Peer;
use crate::pool::Pool;
use crate::route::Routes;
use crate::stats::EdgeStats;
use crate::transport::Transport;
use crate::upstream::Upstream;

/// Connections beyond the cap that one worker tells so at a time; further ones are closed without a word.
const TURNED_AWAY_MAX: u32 = 256;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_WARNING_EVERY: Duration = Duration::from_secs(10);

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) upstreams: Arc<[Arc<Upstream>]>,
    pub(crate) edge: Arc<EdgeStats>,
    pub(crate) order: Order,
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) upstreams: Arc<[Arc<Upstream>]>,
    pub(crate) edge: Arc<EdgeStats>,
    pub(crate) drain: Drain,
    pub(crate) pool: Rc<Pool>,
    turned_away: Cell<u32>,
}

/// Serves connections until the gateway drains; returns when the last one is done, or the drain has taken too long.
pub(crate) async fn run(shared: Shared, listener: std::net::TcpListener) -> io::Result<()> {
    let last_look = listener.try_clone()?;
    let listener = TcpListener::from_std(listener)?;
    let Shared { config, routes, upstreams, edge, order } = shared;
    let pool = Pool::new(config.limits.upstream_idle_per_instance_max);
    let worker = Rc::new(Worker { config, routes, upstreams, edge, drain: Drain::default(), pool, turned_away: Cell::new(0) });
    let connections = TaskTracker::new();
    tokio::select! {
        () = accept(&worker, &listener, &connections) => {}
        () = sweep(&worker) => {}
        () = order.wait() => {}
    }
    worker.drain.set();
    // What the kernel has already accepted for this listener would be reset by closing it.
    while let Ok((stream, address)) = last_look.accept() {
        stream.set_nonblocking(true)?;
        connections.spawn_local(serve(Rc::clone(&worker), TcpStream::from_std(stream)?, address));
    }
    drop((listener, last_look));
    connections.close();
    let _ = timeout(worker.config.timeouts.drain, connections.wait()).await;
    worker.pool.clear();
    Ok(())
}

async fn accept(worker: &Rc<Worker>, listener: &TcpListener, connections: &TaskTracker) {
    let mut quiet_until = Instant::now();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                connections.spawn_local(serve(Rc::clone(worker), stream, address));
            }
            // Out of file descriptors, or the peer left in the queue: neither is cured by trying again at once.
            Err(error) => {
                if Instant::now() >= quiet_until {
                    tracing::warn!(%error, "cannot accept a connection; is the limit on open files too low? (ulimit -n)");
                    quiet_until = Instant::now() + ACCEPT_WARNING_EVERY;
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn sweep(worker: &Worker) {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        worker.pool.sweep(|slot| worker.upstreams.iter().any(|upstream| upstream.has_member(slot)));
    }
}

async fn serve(worker: Rc<Worker>, stream: TcpStream, address: SocketAddr) {
    let edge = Arc::clone(&worker.edge);
    edge.connections_total.fetch_add(1, Relaxed);
    let open = edge.connections.fetch_add(1, Relaxed) + 1;
    let closed = Closed(edge);
    // Without it the last, partly filled packet of an answer waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut transport = Transport::from(stream);
    let peer = Peer::new(address.ip(), &worker.config.trusted_proxies);
    if open > worker.config.limits.connections_max as u64 {
        // It takes no place while it is being told, or those turned away would keep out others.
        drop(closed);
        let Some(_place) = TurnedAway::enter(&worker) else { return };
        return Server::new(worker, Wire::new(transport, BytesMut::new()), peer).turn_away().await;
    }
    match http2::sniff(&mut transport, &worker).await {
        http2::Sniffed::Http1(prefix) => Server::new(worker, Wire::new(transport, prefix), peer).run().await,
        http2::Sniffed::Http2(prefix) => http2::serve(worker, transport, prefix, peer).await,
        http2::Sniffed::Gone => {}
    }
}

/// A connection beyond the cap that is being told so.
struct TurnedAway(Rc<Worker>);

impl TurnedAway {
    fn enter(worker: &Rc<Worker>) -> Option<Self> {
        let count = worker.turned_away.get();
        if count >= TURNED_AWAY_MAX {
            return None;
        }
        worker.turned_away.set(count + 1);
        Some(Self(Rc::clone(worker)))
    }
}

impl Drop for TurnedAway {
    fn drop(&mut self) {
        self.0.turned_away.set(self.0.turned_away.get() - 1);
    }
}

struct Closed(Arc<EdgeStats>);

impl Drop for Closed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A bug, and this connection's end; the others go on.
            self.0.count_refusal(Reason::Internal);
            tracing::error!("a connection's task panicked");
        }
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
