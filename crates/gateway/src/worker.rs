//! One thread of the gateway: its own runtime, its own listener, its own connections to instances.
//!
//! Nothing on a request's way is shared between workers but atomics, so a request never waits for another core.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_policy::clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::clients::Clients;
use crate::config::Speaks;
use crate::connection::serve;
use crate::drain::{Drain, Life, Order, Phase};
use crate::listen;
use crate::plan::Plan;
use crate::pool::Pool;
use crate::seldom::Seldom;
use crate::stats::EdgeStats;

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_WARNING_EVERY: Duration = Duration::from_secs(10);
/// The allocator gives freed memory back to the system when something is done with blocks of about this size, and not by itself: after a rush
/// a worker that rests would keep all it had.
const TIDIED_BYTES: usize = 1024 * 1024;
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
    pub(crate) clients: Arc<Clients>,
    /// Connections that are being told that they are one too many.
    pub(crate) turned_away: Cell<u32>,
    /// Lines about clients with too many connections, and about floods of frames.
    pub(crate) crowds: Seldom,
    pub(crate) floods: Seldom,
    /// Lines about connections without the PROXY header that they need.
    pub(crate) unannounced: Seldom,
    /// Lines about clients whose certificates are not believed.
    pub(crate) unbelieved: Seldom,
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
        unbelieved: Seldom::default(),
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
        drop(std::hint::black_box(Vec::<u8>::with_capacity(TIDIED_BYTES)));
    }
}
