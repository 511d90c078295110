//! Starts and stops the edge.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use plimsoll_policy::admission::LoadLine;
use plimsoll_policy::breaker::{Breaker, Standing};
use plimsoll_policy::clock::now_ns;
use plimsoll_telemetry::snapshot::{CircuitSnapshot, CircuitState, EdgeSnapshot, InstanceSnapshot, InstanceState, LoadLineSnapshot};
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{Config, UpstreamConfig};
use crate::drain::Order;
use crate::endpoint::Endpoint;
use crate::listen;
use crate::overload;
use crate::probe::{self, OnHealth};
use crate::route::{self, Route, Routes};
use crate::stats::EdgeStats;
use crate::upstream::{Health, Member, Upstream};
use crate::worker::{self, Shared};

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

/// A running edge. Dropping it begins a drain that nobody waits for; [`Gateway::drain`] waits.
pub struct Gateway {
    address: SocketAddr,
    edge: Arc<EdgeStats>,
    upstreams: Arc<[Arc<Upstream>]>,
    drain: watch::Sender<bool>,
    drain_time: Duration,
    /// Its senders are the workers: it closes when the last of them has ended.
    ended: watch::Receiver<()>,
    _watchers: JoinSet<()>,
}

impl Gateway {
    /// Listens and serves at once; requests that come before an instance is ready wait a little. Routes name upstreams by position.
    ///
    /// Needs a tokio runtime for those who watch the upstreams; the workers bring their own.
    pub fn start(config: Config, sources: Vec<Source>, routes: Vec<Route>, on_health: &OnHealth) -> Result<Self, Error> {
        let routes = Arc::new(Routes::new(routes)?);
        let listening = listen::bind(config.listen, config.workers.max(1));
        let (address, listeners) = listening.map_err(|source| Error::Listen { address: config.listen, source })?;
        let mut watchers = JoinSet::new();
        let upstreams: Arc<[_]> = sources
            .into_iter()
            .map(|Source { config, endpoints }| {
                let upstream = Arc::new(Upstream::new(config));
                watchers.spawn(probe::run(Arc::clone(&upstream), endpoints, Arc::clone(on_health)));
                watchers.spawn(overload::announce(Arc::clone(&upstream)));
                upstream
            })
            .collect();
        let (drain, order) = Order::new();
        let edge = Arc::new(EdgeStats::default());
        let drain_time = config.timeouts.drain;
        let shared = Shared { config: Arc::new(config), routes, upstreams: Arc::clone(&upstreams), edge: Arc::clone(&edge), order };
        let (running, ended) = watch::channel(());
        for (number, listener) in listeners.into_iter().enumerate() {
            start_worker(number, shared.clone(), listener, running.clone()).map_err(Error::Worker)?;
        }
        Ok(Self { address, edge, upstreams, drain, drain_time, ended, _watchers: watchers })
    }

    /// Where it listens, with the port that was picked if any would do.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn edge(&self) -> EdgeSnapshot {
        self.edge.snapshot()
    }

    /// The members of all upstreams, in order.
    pub fn instances(&self) -> Vec<InstanceSnapshot> {
        let of =
            |upstream: &Arc<Upstream>| upstream.members().iter().map(|member| snapshot(&upstream.config.name, member)).collect::<Vec<_>>();
        self.upstreams.iter().flat_map(of).collect()
    }

    /// The load line of every upstream that has one.
    pub fn load_lines(&self) -> Vec<LoadLineSnapshot> {
        let of = |upstream: &Arc<Upstream>| Some(load_line(&upstream.config.name, &upstream.admission.as_ref()?.load()));
        self.upstreams.iter().filter_map(of).collect()
    }

    /// The breaker of every upstream that has one.
    pub fn circuits(&self) -> Vec<CircuitSnapshot> {
        let now_ns = now_ns();
        let of = |upstream: &Arc<Upstream>| Some(circuit(&upstream.config.name, upstream.resilience.breaker.as_ref()?, now_ns));
        self.upstreams.iter().filter_map(of).collect()
    }

    pub fn is_draining(&self) -> bool {
        *self.drain.borrow()
    }

    /// Takes no new connection, lets requests in flight finish, and tells keep-alive connections to close; at most for the drain time.
    pub async fn drain(&self) {
        self.drain.send_replace(true);
        let mut ended = self.ended.clone();
        let all = async { while ended.changed().await.is_ok() {} };
        // Workers keep the time themselves; the extra second only guards against one that hangs.
        let _ = timeout(self.drain_time + Duration::from_secs(1), all).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.drain.send_replace(true);
    }
}

fn start_worker(number: usize, shared: Shared, listener: std::net::TcpListener, running: watch::Sender<()>) -> io::Result<()> {
    thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
        let _running = running;
        let result = LocalRuntime::new().and_then(|runtime| runtime.block_on(worker::run(shared, listener)));
        if let Err(error) = result {
            tracing::error!(%error, "a worker ended");
        }
    })?;
    Ok(())
}

fn snapshot(upstream: &str, member: &Member) -> InstanceSnapshot {
    let state = match member.health() {
        _ if member.is_draining() => InstanceState::Draining,
        Health::Unknown => InstanceState::Starting,
        Health::Down => InstanceState::Unhealthy,
        Health::Up if member.is_ejected() => InstanceState::Ejected,
        Health::Up => InstanceState::Ready,
    };
    InstanceSnapshot {
        id: member.endpoint.id.to_string(),
        upstream: upstream.to_owned(),
        address: member.endpoint.address.to_string(),
        state,
        in_flight: u64::from(member.in_flight()),
        responses_total: member.stats.responses.totals(),
        failures_total: member.stats.failures.load(std::sync::atomic::Ordering::Relaxed),
        ejections_total: member.stats.ejections.load(std::sync::atomic::Ordering::Relaxed),
        latency: member.stats.latency.counts(),
        ..InstanceSnapshot::default()
    }
}

fn circuit(upstream: &str, breaker: &Breaker, now_ns: u64) -> CircuitSnapshot {
    let state = match breaker.standing(now_ns) {
        Standing::Closed => CircuitState::Closed,
        Standing::Open { .. } => CircuitState::Open,
        Standing::HalfOpen => CircuitState::HalfOpen,
    };
    CircuitSnapshot { upstream: upstream.to_owned(), state, openings_total: breaker.openings() }
}

fn load_line(upstream: &str, line: &LoadLine) -> LoadLineSnapshot {
    LoadLineSnapshot {
        upstream: upstream.to_owned(),
        limit: line.limit as u64,
        in_flight: line.in_flight as u64,
        lingering: line.lingering as u64,
        waiting: line.waiting.map(|count| count as u64),
        drain_per_second: line.drain_per_second,
        overloaded: line.is_overloaded,
        admitted_total: line.admitted,
        waited_total: line.waited,
        shed_total: line.refused.map(|refused| [refused.overloaded, refused.waited_too_long, refused.displaced, refused.deadline]),
    }
}
