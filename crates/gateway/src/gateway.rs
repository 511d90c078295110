//! Starts the edge, changes it while it serves, and stops it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use plimsoll_telemetry::snapshot::{
    AcmeSnapshot, CertificateSnapshot, CircuitSnapshot, EdgeSnapshot, InstanceSnapshot, LoadLineSnapshot, TlsSnapshot,
};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::clients::Clients;
use crate::config::{Config, Door, Listening, Speaks, UpstreamConfig};
use crate::drain::{Life, Order, Phase};
use crate::endpoint::Endpoint;
use crate::kept::Kept;
use crate::listen;
use crate::plan::Plan;
use crate::probe::OnHealth;
use crate::route::{self, Route, Routes};
use crate::stats::EdgeStats;
use crate::tls;
use crate::upstream::{Upstream, Watched};
use crate::worker::{self, Adopt, Socket, Start};

/// Threads of one worker that open and read files. Further requests for files wait for one of them.
const FILE_READERS_MAX: usize = 32;

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
    /// Held while a reload is under way: workers must hear of two in the order in which they began.
    reloading: tokio::sync::Mutex<()>,
    workers: Vec<mpsc::Sender<Adopt>>,
    life: watch::Sender<Life>,
    /// Its senders are the workers: it closes when the last of them has ended.
    ended: watch::Receiver<()>,
}

/// What a reload replaces.
struct Running {
    upstreams: Vec<Watched>,
    tls: Option<tls::Server>,
    drain_time: Duration,
    kept: Kept,
}

/// A door at which we listen.
struct Listened {
    /// As it was asked for; the port may be 0.
    asked: SocketAddr,
    address: SocketAddr,
    speaks: Speaks,
    /// Clones for whoever takes over. They go when the drain begins, or the kernel would keep a queue that nobody takes from.
    sockets: Mutex<Vec<TcpListener>>,
}

impl Gateway {
    /// Listens and serves at once; requests that come before an instance is ready wait a little.
    ///
    /// Needs a tokio runtime for those who watch the upstreams; the workers bring their own.
    pub fn start(listening: Listening, mut setup: Setup, on_health: &OnHealth) -> Result<Self, Error> {
        let workers = listening.workers.max(1);
        let (doors, sockets) = open(listening.doors, workers)?;
        let drain_time = setup.config.timeouts.drain;
        settle_tls(&mut setup.config, None, &doors);
        let mut kept = Kept::default();
        let (plan, upstreams) = plan(setup, &[], &mut kept, on_health)?;
        let (life, order) = Order::new(if listening.waits { Phase::Waiting } else { Phase::Open });
        let edge = Arc::new(EdgeStats::default());
        let clients = Clients::new();
        let (running, ended) = watch::channel(());
        let mut adopters = Vec::new();
        for (number, sockets) in sockets.into_iter().enumerate() {
            let (sender, reloads) = mpsc::channel(1);
            adopters.push(sender);
            let start = Start {
                plan: plan.clone(),
                edge: Arc::clone(&edge),
                clients: Arc::clone(&clients),
                order: order.clone(),
                reloads,
                sockets,
            };
            start_worker(number, start, running.clone()).map_err(Error::Worker)?;
        }
        let running = Mutex::new(Running { upstreams, tls: plan.config.tls.clone(), drain_time, kept });
        let reloading = tokio::sync::Mutex::default();
        Ok(Self { doors, edge, on_health: Arc::clone(on_health), running, reloading, workers: adopters, life, ended })
    }

    /// Changes everything that is decided about requests, at once, for every request that begins after this returns. Requests under way end
    /// as they began. Upstreams that stay as they are keep their instances, their connections and what was learnt about them; what is bounded stays
    /// so together with what is left from before. Of two at a time the one that began later is in force.
    ///
    /// An error changes nothing.
    pub async fn reload(&self, mut setup: Setup) -> Result<(), Error> {
        let _one_at_a_time = self.reloading.lock().await;
        let drain_time = setup.config.timeouts.drain;
        let (plan, before) = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            settle_tls(&mut setup.config, running.tls.as_ref(), &self.doors);
            let Running { upstreams, kept, .. } = &mut *running;
            let (plan, upstreams) = plan(setup, upstreams, kept, &self.on_health)?;
            running.upstreams = upstreams;
            running.drain_time = drain_time;
            let before = std::mem::replace(&mut running.tls, plan.config.tls.clone());
            (plan, before)
        };
        let tls = plan.config.tls.as_ref();
        if let Some(before) = before.filter(|before| tls.is_none_or(|tls| !tls.has_sources_of(before))) {
            // Requests under way may hold the old plan for hours: its certificates have somebody else to look after them now.
            before.retire();
            if let Some(now) = tls {
                now.continue_from(&before);
            }
        }
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

    /// What came of handshakes with clients.
    pub fn tls(&self) -> TlsSnapshot {
        self.edge.handshakes.snapshot()
    }

    /// What speaks TLS.
    pub fn tls_server(&self) -> Option<tls::Server> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).tls.clone()
    }

    /// The certificates that are served, the first one first.
    pub fn certificates(&self) -> Vec<CertificateSnapshot> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.tls.as_ref().map_or_else(Vec::new, tls::Server::certificates)
    }

    /// What became of orders for certificates; `None` while TLS is not spoken.
    pub fn acme(&self) -> Option<AcmeSnapshot> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.tls.as_ref().map(tls::Server::acme)
    }

    /// The members of all upstreams, in order.
    pub fn instances(&self) -> Vec<InstanceSnapshot> {
        self.of_upstreams(Upstream::snapshots)
    }

    /// The load line of every upstream that has one.
    pub fn load_lines(&self) -> Vec<LoadLineSnapshot> {
        self.of_upstreams(Upstream::load_line)
    }

    /// The breaker of every upstream that has one.
    pub fn circuits(&self) -> Vec<CircuitSnapshot> {
        self.of_upstreams(Upstream::circuit)
    }

    fn of_upstreams<T, I: IntoIterator<Item = T>>(&self, of: impl Fn(&Upstream) -> I) -> Vec<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.upstreams.iter().flat_map(|watched| of(&watched.upstream)).collect()
    }

    pub fn is_draining(&self) -> bool {
        self.life.borrow().phase > Phase::Open
    }

    /// Its doors, with clones of the sockets that listen there: for a process that takes over. Without sockets once it drains.
    pub fn sockets(&self) -> io::Result<Vec<Door>> {
        let door = |door: &Listened| {
            let sockets = door.sockets.lock().unwrap_or_else(PoisonError::into_inner);
            let sockets = sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
            Ok(Door { address: door.asked, speaks: door.speaks, sockets })
        };
        self.doors.iter().map(door).collect()
    }

    /// Takes connections from now on, if it has waited.
    pub fn open(&self) {
        self.enter(Phase::Open);
    }

    /// Takes no new connection, lets requests in flight finish, and tells keep-alive connections to close; at most for the drain time.
    pub async fn drain(&self) {
        self.leave(Phase::Stopping).await;
    }

    /// The same when somebody else takes connections from the same sockets. There is no hurry then: a connection that is kept may ask once more
    /// within half of the drain time, so that no client loses a request to a close that crosses it.
    pub async fn hand_over(&self) {
        self.leave(Phase::HandedOver).await;
    }

    fn enter(&self, phase: Phase) {
        self.life.send_if_modified(|life| life.enter(phase));
        if phase > Phase::Open {
            for door in &self.doors {
                door.sockets.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        }
    }

    async fn leave(&self, phase: Phase) {
        let drain_time = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            // Who checks a challenge would find nobody here: a successor orders what is still wanted.
            running.tls.iter().for_each(tls::Server::retire);
            running.drain_time
        };
        self.enter(phase);
        let mut ended = self.ended.clone();
        let all = async { while ended.changed().await.is_ok() {} };
        // Workers keep the time themselves; the extra second only guards against one that hangs.
        let _ = timeout(drain_time + Duration::from_secs(1), all).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.enter(Phase::Stopping);
    }
}

/// Opens every door, and deals its sockets out to the workers. All that were handed over are served, or clients would wait there in vain.
fn open(doors: Vec<Door>, workers: usize) -> Result<(Vec<Listened>, Vec<Vec<Socket>>), Error> {
    let mut dealt: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
    let mut listened = Vec::new();
    for Door { address: asked, speaks, sockets } in doors {
        let failed = |source| Error::Listen { address: asked, source };
        let (address, sockets) = if sockets.is_empty() {
            listen::bind(asked, workers).map_err(failed)?
        } else {
            sockets.iter().try_for_each(listen::adopt).map_err(failed)?;
            (sockets[0].local_addr().map_err(failed)?, sockets)
        };
        // With fewer sockets than workers several of them take from one.
        for number in 0..sockets.len().max(workers) {
            let listener = sockets[number % sockets.len()].try_clone().map_err(failed)?;
            dealt[number % workers].push(Socket { listener, speaks });
        }
        listened.push(Listened { asked, address, speaks, sockets: Mutex::new(sockets) });
    }
    Ok((listened, dealt))
}

/// Tells TLS where its door is, and what was agreed on with clients before.
fn settle_tls(config: &mut Config, before: Option<&tls::Server>, doors: &[Listened]) {
    let door = doors.iter().find(|door| door.speaks == Speaks::Https).map(|door| door.address.port());
    if config.tls.is_some() && door.is_none() {
        tracing::warn!("TLS was off at the start, so it has no port: it is spoken from the next start on");
    }
    config.tls = config.tls.take().map(|tls| tls.after(before).at(door));
}

/// The plan of a setup. Upstreams that are the same as before are the same.
fn plan(mut setup: Setup, before: &[Watched], kept: &mut Kept, on_health: &OnHealth) -> Result<(Plan, Vec<Watched>), Error> {
    let mut routes = setup.routes;
    kept.hand_to(&mut setup.config, &mut routes);
    for route in &mut routes {
        route.settle(&setup.config);
    }
    let routes = Arc::new(Routes::new(routes)?);
    let watched = |source: Source| {
        let same = before.iter().find(|watched| watched.is_of(&source)).inspect(|same| same.catch_up());
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
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(FILE_READERS_MAX).build_local(LocalOptions::default());
        let result = runtime.and_then(|runtime| runtime.block_on(worker::run(start)));
        if let Err(error) = result {
            tracing::error!(%error, "a worker ended");
        }
    })?;
    Ok(())
}
