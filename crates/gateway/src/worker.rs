//! One thread of the gateway: its own runtime, its own listener, its own connections to instances.
//!
//! Nothing on a request's way is shared between workers but atomics, so a request never waits for another core.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use plimsoll_policy::{Reason, clock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::clients::{Clients, Entered};
use crate::config::{Config, Speaks};
use crate::drain::{Drain, Life, Order, Phase};
use crate::http1::Wire;
use crate::http1::server::Server;
use crate::http2;
use crate::listen;
use crate::peer::{Channel, Peer};
use crate::plan::Plan;
use crate::pool::Pool;
use crate::proxy_protocol::{self, Header};
use crate::seldom::Seldom;
use crate::stats::EdgeStats;
use crate::tls;
use crate::transport::Transport;

/// Connections beyond the cap that one worker tells so at a time; further ones are closed without a word.
const TURNED_AWAY_MAX: u32 = 256;
/// How long a handshake may go on once the gateway drains.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_WARNING_EVERY: Duration = Duration::from_secs(10);
/// Connections that one socket's queue may hold when the drain begins.
const LAST_LOOKS_MAX: usize = listen::BACKLOG as usize;

/// What a worker is given.
pub(crate) struct Start {
    pub(crate) plan: Plan,
    pub(crate) edge: Arc<EdgeStats>,
    pub(crate) clients: Arc<Clients>,
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
    /// Copies for mirrors. Nobody waits for them, at the end neither.
    pub(crate) mirrors: TaskTracker,
    clients: Arc<Clients>,
    turned_away: Cell<u32>,
    /// Lines about clients with too many connections, and about floods of frames.
    crowds: Seldom,
    pub(crate) floods: Seldom,
    /// Lines about connections without the PROXY header that they need.
    unannounced: Seldom,
}

impl Worker {
    /// What is decided about requests that begin now.
    pub(crate) fn plan(&self) -> Rc<Plan> {
        Rc::clone(&self.plan.borrow())
    }
}

/// Serves connections until the gateway drains; returns when the last one is done, or the drain has taken too long.
pub(crate) async fn run(start: Start) -> io::Result<()> {
    let Start { plan, edge, clients, order, reloads, sockets } = start;
    let pool = Pool::new(plan.config.limits.upstream_idle_per_instance_max);
    let plan = RefCell::new(Rc::new(plan));
    let worker = Rc::new(Worker {
        plan,
        edge,
        drain: Drain::default(),
        pool,
        mirrors: TaskTracker::new(),
        clients,
        turned_away: Cell::new(0),
        crowds: Seldom::default(),
        floods: Seldom::default(),
        unannounced: Seldom::default(),
    });
    let connections = TaskTracker::new();
    let mut accepting = JoinSet::new();
    let mut last_looks = Vec::new();
    for Socket { listener, speaks } in sockets {
        last_looks.push((listener.try_clone()?, speaks));
        let listener = TcpListener::from_std(listener)?;
        accepting.spawn_local(accept(Rc::clone(&worker), listener, speaks, connections.clone(), order.clone()));
    }
    let Life { phase, was_open } = tokio::select! {
        never = adopt(&worker, reloads) => match never {},
        never = sweep(&worker) => match never {},
        ended = order.ended() => ended,
    };
    worker.drain.begin();
    accepting.shutdown().await;
    // What the kernel has already accepted for these sockets would be reset by closing them, unless somebody else has them too.
    for (listener, speaks) in last_looks.into_iter().filter(|_| was_open && phase == Phase::Stopping) {
        let queued = std::iter::from_fn(|| listener.accept().ok());
        for (stream, address) in queued.take(LAST_LOOKS_MAX) {
            stream.set_nonblocking(true)?;
            connections.spawn_local(clock::held(serve(Rc::clone(&worker), TcpStream::from_std(stream)?, address, speaks)));
        }
    }
    connections.close();
    finish(&worker, &connections, phase).await;
    worker.pool.clear();
    Ok(())
}

/// Waits for the connections, at most for the drain time. Those between two requests end at once if nobody else would take their next one,
/// and have half of the time if somebody does.
async fn finish(worker: &Worker, connections: &TaskTracker, phase: Phase) {
    let drain_time = worker.plan().config.timeouts.drain;
    let all = async {
        if phase == Phase::HandedOver && timeout(drain_time / 2, connections.wait()).await.is_ok() {
            return;
        }
        worker.drain.end_idle();
        connections.wait().await;
    };
    let _ = timeout(drain_time, all).await;
}

/// Takes over new plans until the gateway is gone.
async fn adopt(worker: &Worker, mut reloads: mpsc::Receiver<Adopt>) -> Infallible {
    while let Some(Adopt { plan, done }) = reloads.recv().await {
        worker.pool.keep_at_most(plan.config.limits.upstream_idle_per_instance_max);
        worker.plan.replace(Rc::new(plan));
        // Whoever asked may have stopped waiting.
        let _ = done.send(());
    }
    pending().await
}

async fn accept(worker: Rc<Worker>, listener: TcpListener, speaks: Speaks, connections: TaskTracker, order: Order) {
    order.opened().await;
    let mut quiet_until = Instant::now();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                connections.spawn_local(clock::held(serve(Rc::clone(&worker), stream, address, speaks)));
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

async fn sweep(worker: &Worker) -> Infallible {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let plan = worker.plan();
        worker.pool.sweep(|slot| plan.upstreams.iter().any(|upstream| upstream.has_member(slot)));
    }
}

async fn serve(worker: Rc<Worker>, mut stream: TcpStream, address: SocketAddr, speaks: Speaks) {
    let edge = Arc::clone(&worker.edge);
    edge.connections_total.fetch_add(1, Relaxed);
    let open = edge.connections.fetch_add(1, Relaxed) + 1;
    let closed = Closed(edge);
    // Without it the last, partly filled packet of an answer waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let plan = worker.plan();
    let Some(address) = announced(&worker, &mut stream, address).await else { return };
    if open > plan.config.limits.connections_max as u64 {
        // It takes no place while it is being told, or those turned away would keep out others.
        drop(closed);
        let Some(_place) = TurnedAway::enter(&worker) else { return };
        let Some((transport, channel)) = receive(&worker, &plan, stream, speaks).await else { return };
        let peer = Peer::new(address.ip(), channel, &plan.config.trusted_proxies);
        return turn_away(worker, transport, peer, Reason::TooManyConnections).await;
    }
    let Ok(_entered) = enter(&worker, address.ip(), &plan.config) else {
        drop(closed);
        return refuse_crowd(worker, &plan, stream, address, speaks).await;
    };
    let Some((mut transport, channel)) = receive(&worker, &plan, stream, speaks).await else { return };
    let peer = Peer::new(address.ip(), channel, &plan.config.trusted_proxies);
    // A connection may outlive many plans.
    drop(plan);
    match http2::sniff(&mut transport, &worker).await {
        http2::Sniffed::Http1(prefix) => Server::new(worker, Wire::new(transport, prefix), peer).run().await,
        http2::Sniffed::Http2(prefix) => http2::serve(worker, transport, prefix, peer).await,
        http2::Sniffed::Gone => {}
    }
}

/// Makes a connection one on which HTTP is spoken.
async fn receive(worker: &Worker, plan: &Plan, stream: TcpStream, speaks: Speaks) -> Option<(Transport, Channel)> {
    if speaks == Speaks::Http {
        return Some((stream.into(), Channel::Plain));
    }
    // Without certificates any more: a reload has taken them away.
    let tls = plan.config.tls.as_ref()?;
    let hurried = async {
        worker.drain.clone().idle_ends().await;
        sleep(HANDSHAKE_GRACE).await;
    };
    tokio::select! {
        biased;
        // Boxed: connections without TLS would carry its room along.
        received = Box::pin(tls::receive(tls, stream, plan.config.timeouts.head, &worker.edge.handshakes)) => received,
        () = hurried => None,
    }
}

/// A place among the connections of this client; an error if it has as many as it may. Who speaks for many has no cap.
fn enter(worker: &Worker, address: IpAddr, config: &Config) -> Result<Option<Entered>, ()> {
    let max = config.limits.connections_per_client_max;
    if max == 0 || config.trusted_proxies.contains(address) {
        return Ok(None);
    }
    let entered = worker.clients.enter(address, max);
    if entered.is_none()
        && let Some(left_out) = worker.crowds.take()
    {
        let setting = Reason::TooManyFromClient.setting();
        tracing::warn!(client = %address, max, setting, left_out, "a client wants more connections than it may have: refused");
    }
    entered.map(Some).ok_or(())
}

/// Tells a client that it has enough connections. Not over TLS: a handshake is what an attacker would like to be given.
async fn refuse_crowd(worker: Rc<Worker>, plan: &Plan, stream: TcpStream, address: SocketAddr, speaks: Speaks) {
    let place = if speaks == Speaks::Http { TurnedAway::enter(&worker) } else { None };
    if place.is_none() {
        return worker.edge.count_refusal(Reason::TooManyFromClient);
    }
    let peer = Peer::new(address.ip(), Channel::Plain, &plan.config.trusted_proxies);
    turn_away(worker, stream.into(), peer, Reason::TooManyFromClient).await;
}

async fn turn_away(worker: Rc<Worker>, transport: Transport, peer: Rc<Peer>, reason: Reason) {
    Server::new(worker, Wire::new(transport, BytesMut::new()), peer).turn_away(reason).await;
}

/// Whose connection it is: the peer's, or that of whom a trusted peer passes on. `None`: it must say so, and did not.
async fn announced(worker: &Worker, stream: &mut TcpStream, address: SocketAddr) -> Option<SocketAddr> {
    let plan = worker.plan();
    if !plan.config.proxy_protocol {
        return Some(address);
    }
    let header = if plan.config.trusted_proxies.contains(address.ip()) {
        let header = timeout(plan.config.timeouts.head, proxy_protocol::take(stream)).await;
        header.map_err(|_| "its PROXY header did not come in time".to_owned()).and_then(|header| header.map_err(|error| error.to_string()))
    } else {
        Err("gateway.trusted_proxies does not hold its address".to_owned())
    };
    match header {
        Ok(Header::Of(client)) => Some(client),
        Ok(Header::Own) => Some(address),
        Err(reason) => {
            if let Some(left_out) = worker.unannounced.take() {
                tracing::warn!(peer.address = %address, reason, left_out, "connection closed: gateway.proxy_protocol is on");
            }
            None
        }
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
