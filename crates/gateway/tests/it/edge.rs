//! A gateway before scripted origins, with time limits that a test can wait for.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use plimsoll_gateway::config::{AccessLog, Door, Limits, Lines, Probe, Protocol, Retry, Speaks, Timeouts, UpstreamConfig};
use plimsoll_gateway::disclosure::Removed;
use plimsoll_gateway::route::Route;
use plimsoll_gateway::sender::Sender;
use plimsoll_gateway::{Config, Endpoint, Gateway, Listening, OnHealth, Setup, Source, balance, outlier};
use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_policy::{admission, backoff, breaker, budget};
use plimsoll_telemetry::snapshot::InstanceState;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::origin::Origin;
use crate::peer::{Message, PATIENCE, Peer, until};

pub(crate) struct Edge {
    pub(crate) gateway: Gateway,
    pub(crate) endpoints: watch::Sender<Vec<Endpoint>>,
    /// The endpoints of further upstreams.
    others: Vec<watch::Sender<Vec<Endpoint>>>,
    /// What the probes told, in order.
    pub(crate) news: Arc<Mutex<Vec<(String, bool)>>>,
}

/// What a test may change before the start.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) config: Config,
    pub(crate) upstream: UpstreamConfig,
    pub(crate) routes: Vec<Route>,
    /// Sockets that listen already, in place of new ones.
    pub(crate) sockets: Vec<TcpListener>,
    /// Takes nothing before it is told to.
    pub(crate) is_waiting: bool,
    /// Further upstreams, after the first.
    pub(crate) others: Vec<(UpstreamConfig, Vec<Endpoint>)>,
}

impl Plan {
    fn new() -> Self {
        // Long enough never to ring by accident on a busy machine; a test about one of them sets it.
        let far = PATIENCE * 2;
        let timeouts = Timeouts {
            head: far,
            idle: far,
            body_idle: far,
            write_idle: far,
            pace_window: far,
            connect: far,
            first_byte: far,
            total: far,
            stream_idle: far,
            drain: PATIENCE,
        };
        let limits = Limits {
            connections_max: 100,
            connections_per_client_max: 0,
            head_bytes_max: 32 * 1024,
            headers_max: 100,
            target_bytes_max: 8 * 1024,
            body_bytes_max: 1 << 30,
            body_bytes_per_second_min: 0,
            answer_bytes_per_second_min: 0,
            upstream_idle_per_instance_max: 64,
        };
        Self {
            workers: 1,
            config: Config {
                tls: None,
                trusted_proxies: TrustedProxies::default(),
                proxy_protocol: false,
                timeouts,
                limits,
                retry: Retry {
                    attempts_max: 3,
                    replay_bytes_max: 64 * 1024,
                    backoff: backoff::Config::default(),
                    on_status: vec![502, 503, 504],
                },
                compression: None,
                removed: Removed::default(),
                disclosure: None,
                access_log: AccessLog { lines: Lines::Off, query: false },
            },
            upstream: UpstreamConfig {
                name: "api".to_owned(),
                protocol: Protocol::Http1,
                balance: balance::Policy::RoundRobin,
                hash_on: Sender::ClientIp,
                admission: Some(admission::Config::default()),
                fair_by: Sender::ClientIp,
                probe: Probe { path: None, interval: far, timeout: far, unhealthy_after: 1, healthy_after: 1 },
                tls: None,
                ejection: outlier::Config { failures: 100, ..outlier::Config::default() },
                retry_budget: budget::Config::default(),
                breaker: Some(breaker::Config::default()),
            },
            routes: vec![Route::new(None, "/*", 0).unwrap()],
            sockets: Vec::new(),
            is_waiting: false,
            others: Vec::new(),
        }
    }
}

impl Edge {
    /// Ready when every origin is.
    pub(crate) async fn before(origins: &[&Origin]) -> Self {
        Self::with(|_| {}, origins).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Plan), origins: &[&Origin]) -> Self {
        let endpoints = origins.iter().enumerate().map(|(number, origin)| origin.endpoint(&format!("api-{}", number + 1))).collect();
        let edge = Self::over(change, endpoints);
        // Told only once the balancer knows it too.
        until("every origin to be ready", || edge.news.lock().unwrap().len() == origins.len()).await;
        edge
    }

    /// Does not wait for anybody to be ready.
    pub(crate) fn over(change: impl FnOnce(&mut Plan), endpoints: Vec<Endpoint>) -> Self {
        let mut plan = Plan::new();
        change(&mut plan);
        let (publish, endpoints) = watch::channel(endpoints);
        let news = Arc::new(Mutex::default());
        let told = Arc::clone(&news);
        let on_health: OnHealth = Arc::new(move |endpoint, verdict| {
            let told: &Mutex<Vec<(String, bool)>> = &told;
            told.lock().unwrap().push((endpoint.id.to_string(), verdict.is_ok()));
        });
        let (configs, others): (Vec<_>, Vec<_>) =
            plan.others.into_iter().map(|(config, endpoints)| (config, watch::channel(endpoints).0)).unzip();
        let further = configs.into_iter().zip(&others).map(|(config, endpoints)| Source { config, endpoints: endpoints.subscribe() });
        let sources = std::iter::once(Source { config: plan.upstream, endpoints }).chain(further).collect();
        let door = |speaks| Door { address: SocketAddr::from(([127, 0, 0, 1], 0)), speaks, sockets: Vec::new() };
        let encrypted = plan.config.tls.is_some().then(|| door(Speaks::Https));
        let first = Door { sockets: plan.sockets, ..door(Speaks::Http) };
        let doors = std::iter::once(first).chain(encrypted).collect();
        let listening = Listening { doors, workers: plan.workers, waits: plan.is_waiting };
        let setup = Setup { config: plan.config, sources, routes: plan.routes };
        let gateway = Gateway::start(listening, setup, &on_health).unwrap();
        Self { gateway, endpoints: publish, others, news }
    }

    /// The same instances, and whatever else the change says.
    pub(crate) async fn reload(&self, change: impl FnOnce(&mut Plan)) {
        let mut plan = Plan::new();
        change(&mut plan);
        let upstreams = std::iter::once(plan.upstream).chain(plan.others.into_iter().map(|(config, _)| config));
        let endpoints = std::iter::once(&self.endpoints).chain(&self.others);
        let sources = upstreams.zip(endpoints).map(|(config, endpoints)| Source { config, endpoints: endpoints.subscribe() }).collect();
        self.gateway.reload(Setup { config: plan.config, sources, routes: plan.routes }).await.unwrap();
    }

    /// Where TLS is spoken.
    pub(crate) fn tls_address(&self) -> SocketAddr {
        self.gateway.address_of(Speaks::Https).unwrap()
    }

    pub(crate) fn states(&self) -> Vec<InstanceState> {
        self.gateway.instances().into_iter().map(|instance| instance.state).collect()
    }

    pub(crate) fn refusals(&self, slug: &str) -> u64 {
        self.gateway.edge().refusals_total.into_iter().find(|(each, _)| each == slug).map_or(0, |(_, count)| count)
    }

    pub(crate) async fn connect(&self) -> Peer {
        let stream = TcpStream::connect(self.gateway.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer::new(stream)
    }

    /// A client whose kernel takes little that it does not read.
    pub(crate) async fn connect_narrow(&self) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        Peer::new(socket.connect(self.gateway.address()).await.unwrap())
    }

    /// Asks on a connection of its own.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        self.connect().await.ask(request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Message {
        self.ask(get(target)).await
    }
}

pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\n\r\n")
}

pub(crate) fn with_body(method: &str, target: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
