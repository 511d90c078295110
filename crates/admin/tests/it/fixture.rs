//! The listener over a fleet whose numbers the test sets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plimsoll_admin::{Config, Error, Limits, Listener, Source, serve};
use plimsoll_telemetry::snapshot::{InstanceSnapshot, InstanceState, Snapshot};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The numbers, as the gateway would keep them.
#[derive(Clone)]
pub(crate) struct Fleet {
    snapshot: Arc<Mutex<Snapshot>>,
    started: Instant,
}

impl Fleet {
    /// Instances `api-1` to `api-COUNT`, all ready.
    pub(crate) fn new(count: usize) -> Self {
        let snapshot = Snapshot {
            version: "0.1.0".into(),
            pid: 77,
            public_url: "http://localhost:8080".into(),
            instances: (1..=count).map(|number| ready(&format!("api-{number}"))).collect(),
            ..Snapshot::default()
        };
        Self { snapshot: Arc::new(Mutex::new(snapshot)), started: Instant::now() }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot.lock().unwrap());
    }

    pub(crate) fn look(&self) -> Snapshot {
        let uptime_ms = self.started.elapsed().as_millis() as u64;
        Snapshot { uptime_ms, ..self.snapshot.lock().unwrap().clone() }
    }

    pub(crate) fn source(&self) -> Source {
        let fleet = self.clone();
        Arc::new(move || fleet.look())
    }
}

pub(crate) fn ready(id: &str) -> InstanceSnapshot {
    InstanceSnapshot {
        id: id.into(),
        upstream: "app".into(),
        address: "http://127.0.0.1:40001".into(),
        state: InstanceState::Ready,
        pid: Some(4_711),
        uptime_ms: Some(1_000),
        ..InstanceSnapshot::default()
    }
}

/// Looks at the fleet so often that no test has to wait a second for the next look.
pub(crate) fn quick() -> Config {
    Config { limits: Limits { sample_interval: Duration::from_millis(20), ..Limits::default() }, ..Config::default() }
}

/// A running listener, stopped on drop.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Admin {
    pub(crate) async fn start(fleet: &Fleet, config: Config) -> Self {
        Self::start_on("127.0.0.1:0", fleet, config).await
    }

    pub(crate) async fn start_on(address: &str, fleet: &Fleet, config: Config) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or(()) };
        let task = tokio::spawn(serve(vec![Listener::Tcp(listener)], fleet.source(), config, shutdown));
        Self { address, stop: Some(stop), task }
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        (&mut self.task).await.unwrap()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}
