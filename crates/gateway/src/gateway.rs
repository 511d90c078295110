//! Starts the edge, changes it while it serves, and stops it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use plimsoll_telemetry::snapshot::{CircuitSnapshot, EdgeSnapshot, InstanceSnapshot, LoadLineSnapshot};
use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::config::{Config, Door, Listening, Speaks, UpstreamConfig};
use crate::drain::Order;
use crate::endpoint::Endpoint;
use crate::listen;
use crate::plan::Plan;
use crate::probe::OnHealth;
use crate::route::{self, Route, Routes};
use crate::stats::EdgeStats;
use crate::upstream::Watched;
use crate::worker::{self, Adopt, Socket, Start};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start a worker thread")]
    Worker(#[source] io::Error),
    #[error(transparent)]
    Routes(#[from] route::Error),
}

/// An upstream, with the list of its endpoints as it changes.
pub struct Source {
    pub config: UpstreamConfig,
    pub endpoints: watch::Receiver<Vec<Endpoint>>,
}

/// Everything that a reload may change.
pub struct Setup {
    pub config: Config,
    pub sources: Vec<Source>,
    /// They name upstreams by position in `sources`.
    pub routes: Vec<Route>,
}

/// A running edge. Dropping it begins a drain that nobody waits for; [`Gateway::drain`] waits.
pub struct Gateway {
    doors: Vec<Listened>,
    edge: Arc<EdgeStats>,
    on_health: OnHealth,
    running: Mutex<Running>,
    workers: Vec<mpsc::Sender<Adopt>>,
    drain: watch::Sender<bool>,
    /// Its senders are the workers: it closes when the last of them has ended.
    ended: watch::Receiver<()>,
}

/// What a reload replaces.
struct Running {
    upstreams: Vec<Watched>,
    drain_time: Duration,
}

/// A door that is open.
struct Listened {
    address: SocketAddr,
    speaks: Speaks,
}

impl Gateway {
    /// Listens and serves at once; requests that come before an instance is ready wait a little.
    ///
    /// Needs a tokio runtime for those who watch the upstreams; the workers bring their own.
    pub fn start(listening: Listening, setup: Setup, on_health: &OnHealth) -> Result<Self, Error> {
        let workers = listening.workers.max(1);
        let (doors, sockets) = open(listening.doors, workers)?;
        let drain_time = setup.config.timeouts.drain;
        let (plan, upstreams) = plan(setup, &[], on_health)?;
        let (drain, order) = Order::new();
        let edge = Arc::new(EdgeStats::default());
        let (running, ended) = watch::channel(());
        let mut adopters = Vec::new();
        for (number, sockets) in sockets.into_iter().enumerate() {
            let (sender, reloads) = mpsc::channel(1);
            adopters.push(sender);
            let start = Start { plan: plan.clone(), edge: Arc::clone(&edge), order: order.clone(), reloads, sockets };
            start_worker(number, start, running.clone()).map_err(Error::Worker)?;
        }
        let running = Mutex::new(Running { upstreams, drain_time });
        Ok(Self { doors, edge, on_health: Arc::clone(on_health), running, workers: adopters, drain, ended })
    }

    /// Changes everything that is decided about requests, at once, for every request that begins after this returns. Requests under way end
    /// as they began. Upstreams that stay as they are keep their instances, their connections and what was learnt about them.
    ///
    /// An error changes nothing.
    pub async fn reload(&self, setup: Setup) -> Result<(), Error> {
        let drain_time = setup.config.timeouts.drain;
        let (plan, _replaced) = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let (plan, upstreams) = plan(setup, &running.upstreams, &self.on_health)?;
            (plan, std::mem::replace(&mut *running, Running { upstreams, drain_time }))
        };
        for worker in &self.workers {
            let (done, adopted) = oneshot::channel();
            // A worker that drains takes no new requests: it has nothing to adopt.
            if worker.send(Adopt { plan: plan.clone(), done }).await.is_ok() {
                let _ = adopted.await;
            }
        }
        Ok(())
    }

    /// Where it listens, with the port that was picked if any would do: the first door of all.
    pub fn address(&self) -> SocketAddr {
        self.doors[0].address
    }

    /// The first door at which this is spoken.
    pub fn address_of(&self, speaks: Speaks) -> Option<SocketAddr> {
        self.doors.iter().find(|door| door.speaks == speaks).map(|door| door.address)
    }

    pub fn edge(&self) -> EdgeSnapshot {
        self.edge.snapshot()
    }

    /// The members of all upstreams, in order.
    pub fn instances(&self) -> Vec<InstanceSnapshot> {
        self.of_upstreams(|upstream| upstream.snapshots())
    }

    /// The load line of every upstream that has one.
    pub fn load_lines(&self) -> Vec<LoadLineSnapshot> {
        self.of_upstreams(|upstream| upstream.load_line())
    }

    /// The breaker of every upstream that has one.
    pub fn circuits(&self) -> Vec<CircuitSnapshot> {
        self.of_upstreams(|upstream| upstream.circuit())
    }

    fn of_upstreams<T, I: IntoIterator<Item = T>>(&self, of: impl Fn(&crate::upstream::Upstream) -> I) -> Vec<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.upstreams.iter().flat_map(|watched| of(&watched.upstream)).collect()
    }

    pub fn is_draining(&self) -> bool {
        *self.drain.borrow()
    }

    /// Takes no new connection, lets requests in flight finish, and tells keep-alive connections to close; at most for the drain time.
    pub async fn drain(&self) {
        let drain_time = self.running.lock().unwrap_or_else(PoisonError::into_inner).drain_time;
        self.drain.send_replace(true);
        let mut ended = self.ended.clone();
        let all = async { while ended.changed().await.is_ok() {} };
        // Workers keep the time themselves; the extra second only guards against one that hangs.
        let _ = timeout(drain_time + Duration::from_secs(1), all).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.drain.send_replace(true);
    }
}

/// Opens every door, and deals its sockets out to the workers. All that were handed over are served, or clients would wait there in vain.
fn open(doors: Vec<Door>, workers: usize) -> Result<(Vec<Listened>, Vec<Vec<Socket>>), Error> {
    let mut dealt: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
    let mut listened = Vec::new();
    for Door { address, speaks, sockets } in doors {
        let failed = |source| Error::Listen { address, source };
        let (address, sockets) = if sockets.is_empty() {
            listen::bind(address, workers).map_err(failed)?
        } else {
            (sockets[0].local_addr().map_err(failed)?, sockets)
        };
        for (number, listener) in sockets.into_iter().enumerate() {
            dealt[number % workers].push(Socket { listener, speaks });
        }
        listened.push(Listened { address, speaks });
    }
    Ok((listened, dealt))
}

/// The plan of a setup. Upstreams that are the same as before are the same.
fn plan(setup: Setup, before: &[Watched], on_health: &OnHealth) -> Result<(Plan, Vec<Watched>), Error> {
    let routes = Arc::new(Routes::new(setup.routes)?);
    let watched = |source: Source| {
        let same = before.iter().find(|watched| watched.is_of(&source));
        same.cloned().unwrap_or_else(|| Watched::start(source, on_health))
    };
    let upstreams: Vec<_> = setup.sources.into_iter().map(watched).collect();
    let plan =
        Plan { config: Arc::new(setup.config), routes, upstreams: upstreams.iter().map(|watched| Arc::clone(&watched.upstream)).collect() };
    Ok((plan, upstreams))
}

fn start_worker(number: usize, start: Start, running: watch::Sender<()>) -> io::Result<()> {
    thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
        let _running = running;
        let result = LocalRuntime::new().and_then(|runtime| runtime.block_on(worker::run(start)));
        if let Err(error) = result {
            tracing::error!(%error, "a worker ended");
        }
    })?;
    Ok(())
}
