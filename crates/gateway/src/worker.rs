//! One thread of the gateway: its own runtime, its own listener, its own connections to instances.
//!
//! Nothing on a request's way is shared between workers but atomics, so a request never waits for another core.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use plimsoll_policy::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::config::Speaks;
use crate::drain::{Drain, Order};
use crate::http1::Wire;
use crate::http1::server::Server;
use crate::http2;
use crate::peer::Peer;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::stats::EdgeStats;
use crate::transport::Transport;

/// Connections beyond the cap that one worker tells so at a time; further ones are closed without a word.
const TURNED_AWAY_MAX: u32 = 256;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_WARNING_EVERY: Duration = Duration::from_secs(10);

/// What a worker is given.
pub(crate) struct Start {
    pub(crate) plan: Plan,
    pub(crate) edge: Arc<EdgeStats>,
    pub(crate) order: Order,
    pub(crate) reloads: mpsc::Receiver<Adopt>,
    pub(crate) sockets: Vec<Socket>,
}

/// A socket that listens, and what is spoken there.
pub(crate) struct Socket {
    pub(crate) listener: std::net::TcpListener,
    pub(crate) speaks: Speaks,
}

/// A new plan, and who waits until it is in force.
pub(crate) struct Adopt {
    pub(crate) plan: Plan,
    pub(crate) done: oneshot::Sender<()>,
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    plan: RefCell<Rc<Plan>>,
    pub(crate) edge: Arc<EdgeStats>,
    pub(crate) drain: Drain,
    pub(crate) pool: Rc<Pool>,
    turned_away: Cell<u32>,
}

impl Worker {
    /// What is decided about requests that begin now.
    pub(crate) fn plan(&self) -> Rc<Plan> {
        Rc::clone(&self.plan.borrow())
    }
}

/// Serves connections until the gateway drains; returns when the last one is done, or the drain has taken too long.
pub(crate) async fn run(start: Start) -> io::Result<()> {
    let Start { plan, edge, order, reloads, sockets } = start;
    let pool = Pool::new(plan.config.limits.upstream_idle_per_instance_max);
    let plan = RefCell::new(Rc::new(plan));
    let worker = Rc::new(Worker { plan, edge, drain: Drain::default(), pool, turned_away: Cell::new(0) });
    let connections = TaskTracker::new();
    let mut accepting = JoinSet::new();
    let mut last_looks = Vec::new();
    for Socket { listener, speaks } in sockets {
        last_looks.push((listener.try_clone()?, speaks));
        let listener = TcpListener::from_std(listener)?;
        accepting.spawn_local(accept(Rc::clone(&worker), listener, speaks, connections.clone()));
    }
    tokio::select! {
        () = adopt(&worker, reloads) => {}
        () = sweep(&worker) => {}
        () = order.wait() => {}
    }
    worker.drain.set();
    accepting.shutdown().await;
    // What the kernel has already accepted for these sockets would be reset by closing them.
    for (listener, speaks) in last_looks {
        while let Ok((stream, address)) = listener.accept() {
            stream.set_nonblocking(true)?;
            connections.spawn_local(serve(Rc::clone(&worker), TcpStream::from_std(stream)?, address, speaks));
        }
    }
    connections.close();
    let drain_time = worker.plan().config.timeouts.drain;
    let _ = timeout(drain_time, connections.wait()).await;
    worker.pool.clear();
    Ok(())
}

/// Takes over new plans until the gateway is gone.
async fn adopt(worker: &Worker, mut reloads: mpsc::Receiver<Adopt>) {
    while let Some(Adopt { plan, done }) = reloads.recv().await {
        worker.plan.replace(Rc::new(plan));
        // Whoever asked may have stopped waiting.
        let _ = done.send(());
    }
    pending().await
}

async fn accept(worker: Rc<Worker>, listener: TcpListener, speaks: Speaks, connections: TaskTracker) {
    let mut quiet_until = Instant::now();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                connections.spawn_local(serve(Rc::clone(&worker), stream, address, speaks));
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
        let plan = worker.plan();
        worker.pool.sweep(|slot| plan.upstreams.iter().any(|upstream| upstream.has_member(slot)));
    }
}

async fn serve(worker: Rc<Worker>, stream: TcpStream, address: SocketAddr, speaks: Speaks) {
    let edge = Arc::clone(&worker.edge);
    edge.connections_total.fetch_add(1, Relaxed);
    let open = edge.connections.fetch_add(1, Relaxed) + 1;
    let closed = Closed(edge);
    // Without it the last, partly filled packet of an answer waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let plan = worker.plan();
    let peer = Peer::new(address.ip(), speaks == Speaks::Https, &plan.config.trusted_proxies);
    let mut transport = match (speaks, &plan.config.tls) {
        (Speaks::Https, Some(tls)) => match timeout(plan.config.timeouts.head, tls.accept(stream)).await {
            Ok(Ok(transport)) => transport,
            // Scanners and clients that trust other certificates: nothing that this side could mend.
            Ok(Err(error)) => return tracing::debug!(client = %address, %error, "no TLS handshake"),
            Err(_) => return tracing::debug!(client = %address, "the TLS handshake took too long"),
        },
        (Speaks::Https, None) => return,
        (Speaks::Http, _) => Transport::from(stream),
    };
    if open > plan.config.limits.connections_max as u64 {
        // It takes no place while it is being told, or those turned away would keep out others.
        drop(closed);
        let Some(_place) = TurnedAway::enter(&worker) else { return };
        return Server::new(worker, Wire::new(transport, BytesMut::new()), peer).turn_away().await;
    }
    // A connection may outlive many plans.
    drop(plan);
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
