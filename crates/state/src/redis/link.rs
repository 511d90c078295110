//! The connection to Redis: made when first needed, shared by all calls, replaced when it breaks. Every call ends in bounded time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::fault;
use super::scripts::{Argument, Script};
use super::topology::{CONNECT_TIME_MAX, Connection, RESPONSE_TIME_MAX, Topology};
use crate::backend::{Error, Result};

/// Connecting, then waiting for an answer.
pub(super) const CALL_TIME_MAX: Duration =
    Duration::from_millis(CONNECT_TIME_MAX.as_millis() as u64 + RESPONSE_TIME_MAX.as_millis() as u64);
/// After a failed connect, calls fail at once for so long: an outage must not cost every caller the full wait.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Sent to the wrong node: the map of the cluster is being read again meanwhile.
const MISDIRECTED_PAUSE: Duration = Duration::from_millis(20);
const MISDIRECTED_MAX: u32 = 10;

pub(super) struct Link {
    topology: std::sync::Arc<Topology>,
    /// Connections live on the runtime that opened the store, whichever runtime calls.
    runtime: Handle,
    current: Mutex<Current>,
    /// Held by the one caller that connects.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Counts connections, so that a late failure of an old one does not drop its successor.
    generation: u64,
    last_failure: Option<(Instant, Error)>,
}

impl Link {
    pub(super) fn new(topology: std::sync::Arc<Topology>, runtime: Handle) -> Self {
        Self { topology, runtime, current: Mutex::default(), connecting: tokio::sync::Mutex::default() }
    }

    pub(super) async fn call(&self, command: &Cmd) -> Result<Value> {
        self.within_time(async { self.send(command).await?.map_err(|error| fault::explain(&error)) }).await
    }

    pub(super) async fn run(&self, script: &Script, keys: &[String], arguments: &[&dyn Argument]) -> Result<Value> {
        let call = async {
            let answer = match self.send(&script.by_hash(keys, arguments)).await? {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.send(&script.by_source(keys, arguments)).await?
                }
                answer => answer,
            };
            answer.map_err(|error| fault::explain(&error))
        };
        self.within_time(call).await
    }

    async fn within_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let late = || Error::Unavailable(format!("redis did not answer within {} ms", CALL_TIME_MAX.as_millis()));
        timeout(CALL_TIME_MAX, call).await.unwrap_or_else(|_| Err(late()))
    }

    /// The outer error: there is no connection. The inner one: what came of the command.
    async fn send(&self, command: &Cmd) -> Result<RedisResult<Value>> {
        let mut attempt = 0;
        loop {
            let (mut connection, generation) = self.connection().await?;
            let answer = connection.send(command).await;
            match &answer {
                Err(error) if fault::is_misdirected(error) && attempt < MISDIRECTED_MAX => {
                    attempt += 1;
                    sleep(MISDIRECTED_PAUSE).await;
                    continue;
                }
                Err(error) => self.note_failure(error, generation),
                Ok(_) => {}
            }
            return Ok(answer);
        }
    }

    async fn connection(&self) -> Result<(Connection, u64)> {
        if let Some(ready) = self.ready()? {
            return Ok(ready);
        }
        let _turn = self.connecting.lock().await;
        // Whoever had the turn before may have settled it.
        if let Some(ready) = self.ready()? {
            return Ok(ready);
        }
        let connected = self.connect().await;
        let mut current = self.current();
        match connected {
            Ok(connection) => {
                current.generation += 1;
                current.last_failure = None;
                current.connection = Some(connection.clone());
                Ok((connection, current.generation))
            }
            Err(error) => {
                current.last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The present connection, or why there is none; `None` if it is time to connect.
    fn ready(&self) -> Result<Option<(Connection, u64)>> {
        let current = self.current();
        if let Some(connection) = &current.connection {
            return Ok(Some((connection.clone(), current.generation)));
        }
        match &current.last_failure {
            Some((at, error)) if at.elapsed() < CONNECT_PAUSE => Err(error.clone()),
            _ => Ok(None),
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let topology = std::sync::Arc::clone(&self.topology);
        // The set ends the attempt if the caller leaves.
        let mut attempt = JoinSet::new();
        attempt.spawn_on(async move { topology.connect().await }, &self.runtime);
        match timeout(CONNECT_TIME_MAX, attempt.join_next()).await {
            Ok(Some(Ok(connected))) => connected.map_err(|error| fault::explain(&error)),
            Ok(_) => Err(Error::Unavailable("the runtime that opened the shared state has ended".into())),
            Err(_) => Err(Error::Unavailable(format!("redis did not let us connect within {} ms", CONNECT_TIME_MAX.as_millis()))),
        }
    }

    /// A cluster connection replaces the connections in it by itself.
    fn note_failure(&self, error: &RedisError, generation: u64) {
        let mut current = self.current();
        if fault::wants_new_connection(error) && !self.topology.is_cluster() && current.generation == generation {
            current.connection = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
