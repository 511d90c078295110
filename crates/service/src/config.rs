//! What an instance is told from outside. Reading it from the environment is the binary's part; here every value is already valid.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_state::State;

use crate::session::SessionKeys;

/// The settings of one instance.
pub struct Config {
    /// Its name, such as `api-1`.
    pub instance: String,
    /// The version of the release it runs.
    pub version: String,
    pub listen: Listen,
    pub state: State,
    pub session_keys: SessionKeys,
    /// How long a session lives after its last use.
    pub session_ttl: Duration,
    /// Whose word about the client is taken: scheme, address, request id.
    pub trusted_proxies: TrustedProxies,
    /// After this long a drain cuts off what is still running.
    pub drain_deadline: Duration,
    pub limits: Limits,
}

impl Config {
    /// The defaults around what has none: half an hour of session, trust in this host only, ten seconds of drain.
    pub fn new(instance: impl Into<String>, version: impl Into<String>, listen: Listen, state: State, session_keys: SessionKeys) -> Self {
        Self {
            instance: instance.into(),
            version: version.into(),
            listen,
            state,
            session_keys,
            session_ttl: Duration::from_mins(30),
            trusted_proxies: loopback(),
            drain_deadline: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

fn loopback() -> TrustedProxies {
    let networks = ["127.0.0.0/8", "::1/128"];
    TrustedProxies::new(networks.iter().map(|network| network.parse().expect("loopback networks are valid")).collect())
}

/// Where an instance takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    /// A socket file that only the own user may open.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// The bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More connections wait in the kernel's queue.
    pub connections_max: usize,
    /// The longest request head.
    pub head_bytes_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
    /// A new connection must have sent a whole request head by then.
    pub first_head: Duration,
    /// An idle connection is kept this long. Longer than any gateway keeps one, so that it is the gateway, who knows whether it is about
    /// to send, that closes. The server library has one clock for both: a later head may take as long.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            head_bytes_max: 64 * 1_024,
            streams_max: 128,
            first_head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
        }
    }
}
