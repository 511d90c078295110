//! Accepting connections, and stopping without losing a request.
//!
//! A drain goes in steps, all within one deadline: readiness says 503; connections are told to close after what they are serving; new
//! ones are still taken, for probes must be able to see the drain and a client may not have, but for one request each. Once the
//! connections from before are gone nobody is accepted any more, and what came meanwhile is finished.
//!
//! Not `axum::serve`: it sets no time limit on a request head and no bound on connections. What is not HTTP at all, or has a head
//! beyond the limit, the server library answers itself, with an empty 400 or 431: it never becomes a request.

mod connection;
mod listener;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::app::app;
use crate::config::{Config, Limits, Listen};
use crate::context::Context;
use crate::lifecycle::Phase;
use connection::KeepAlive;
use listener::{Accepted, Listener};

/// For the kernel to have something to give again, file descriptors above all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server could not start or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {listen}")]
    Bind { listen: Listen, source: io::Error },
    #[error("cannot listen on unix:{}: another process does", path.display())]
    SocketInUse { path: PathBuf },
    #[error("cannot listen on unix:{}: something that is not a socket is there; move it away", path.display())]
    NotASocket { path: PathBuf },
    #[error("{connections} connections were cut off when the drain deadline passed")]
    DrainDeadline { connections: usize },
}

/// Serves the API until `shutdown`, then drains.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    Server::bind(&config).await?.run(shutdown).await
}

/// An instance that holds its address and does not serve yet.
pub struct Server {
    listener: Listener,
    context: Context,
    limits: Limits,
    drain_deadline: Duration,
}

impl Server {
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        let listener = Listener::bind(&config.listen).await?;
        Ok(Self { listener, context: Context::new(config), limits: config.limits, drain_deadline: config.drain_deadline })
    }

    /// Where it listens, with the port the kernel chose.
    pub fn listen(&self) -> Listen {
        self.listener.listen()
    }

    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { listener, context, limits, drain_deadline } = self;
        let mut connections = Connections::new(context.clone(), limits);

        tracing::info!(listen = %listener.listen(), version = context.version, "serving");
        context.lifecycle.enter(Phase::Running);
        let serving = Generation::new(KeepAlive::On);
        connections.accept_until(&listener, &serving, shutdown).await;

        context.lifecycle.enter(Phase::Draining);
        let deadline = Instant::now() + drain_deadline;
        tracing::info!(connections = connections.tasks.len(), "draining");
        serving.close();
        let late = Generation::new(KeepAlive::Off);
        let _ = timeout_at(deadline, connections.accept_until(&listener, &late, serving.ended())).await;
        drop(listener);
        late.close();
        connections.finish(deadline).await
    }
}

/// The connections accepted in one phase: told to close together, waited for together. Each holds a receiver while it lives.
struct Generation {
    closing: watch::Sender<bool>,
    keep_alive: KeepAlive,
}

impl Generation {
    fn new(keep_alive: KeepAlive) -> Self {
        Self { closing: watch::Sender::new(false), keep_alive }
    }

    fn close(&self) {
        self.closing.send_replace(true);
    }

    async fn ended(&self) {
        self.closing.closed().await;
    }
}

/// Every open connection, each a task of its own; dropping this cuts them off.
struct Connections {
    tasks: JoinSet<()>,
    permits: Arc<Semaphore>,
    context: Context,
    limits: Limits,
    /// Around everything that is logged about requests: the logs of a fleet end up in one place.
    span: Span,
}

impl Connections {
    fn new(context: Context, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections_max));
        let span = tracing::info_span!("instance", instance.id = context.instance);
        Self { tasks: JoinSet::new(), permits, context, limits, span }
    }

    async fn accept_until(&mut self, listener: &Listener, generation: &Generation, end: impl Future<Output = ()>) {
        let app = app(self.context.clone());
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                Some(ended) = self.tasks.join_next() => note(ended),
                (accepted, permit) = accept(listener, &self.permits) => {
                    let closing = generation.closing.subscribe();
                    let connection = connection::serve(accepted, app.clone(), self.limits, generation.keep_alive, closing);
                    let task = async move {
                        connection.await;
                        drop(permit);
                    };
                    self.tasks.spawn(task.instrument(self.span.clone()));
                }
            }
        }
    }

    async fn finish(&mut self, deadline: Instant) -> Result<(), Error> {
        while let Ok(Some(ended)) = timeout_at(deadline, self.tasks.join_next()).await {
            note(ended);
        }
        match self.tasks.len() {
            0 => Ok(()),
            connections => Err(Error::DrainDeadline { connections }),
        }
    }
}

/// The next connection, once there is room for it. Cancel-safe: a permit without a connection is given back.
async fn accept(listener: &Listener, permits: &Arc<Semaphore>) -> (Accepted, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok(accepted) => return (accepted, permit),
            // The client was gone before we got to it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Handlers' panics are caught further in; one that arrives here broke its connection.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended in a panic");
    }
}
