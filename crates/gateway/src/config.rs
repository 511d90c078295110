//! What an operator can set at the edge. Defaults live in `plimsoll/src/config`; units are in the types.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_policy::{admission, backoff, breaker, budget};

use crate::pace::Pace;
use crate::sender::Sender;
use crate::{balance, compress, disclosure, outlier, secure, tls};

/// Where the edge listens, and with how many hands: what a reload cannot change.
#[derive(Debug)]
pub struct Listening {
    pub doors: Vec<Door>,
    /// Threads, each with its own runtime, sockets and upstream connections.
    pub workers: usize,
    /// Take no connection before [`crate::Gateway::open`]: somebody else still serves on these sockets.
    pub waits: bool,
}

/// An address that clients connect to.
#[derive(Debug)]
pub struct Door {
    pub address: SocketAddr,
    pub speaks: Speaks,
    /// Sockets that listen there already and do not block, handed over by another process. None: they are opened.
    pub sockets: Vec<TcpListener>,
}

/// What is spoken at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1, and HTTP/2 by prior knowledge.
    Http,
    /// The same over TLS, chosen by ALPN.
    Https,
}

/// What a reload may change.
#[derive(Clone, Debug)]
pub struct Config {
    /// Certificates and rules for `Https` doors.
    pub tls: Option<tls::Server>,
    pub trusted_proxies: TrustedProxies,
    /// Connections come from trusted proxies only, and each begins with a PROXY header.
    pub proxy_protocol: bool,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub retry: Retry,
    /// Which answers are compressed on their way out; `None`: none.
    pub compression: Option<compress::Config>,
    /// Fields that no client gets.
    pub removed: disclosure::Removed,
    /// What answers tell about their way here; `None`: nothing.
    pub disclosure: Option<disclosure::Config>,
    pub access_log: AccessLog,
}

#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// A keep-alive connection between requests.
    pub idle: Duration,
    /// The client sends nothing while its body is due.
    pub body_idle: Duration,
    /// The client accepts nothing while an answer is due.
    pub write_idle: Duration,
    /// Over how much waiting for a client its pace is judged.
    pub pace_window: Duration,
    /// To reach an instance.
    pub connect: Duration,
    /// One attempt: from the request fully sent to the first byte of the answer.
    pub first_byte: Duration,
    /// All attempts: from the request fully received to the head of the answer.
    pub total: Duration,
    /// Nothing moves in an answer's body or an upgraded connection.
    pub stream_idle: Duration,
    /// How long requests in flight may take to finish when the gateway stops.
    pub drain: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections_max: usize,
    /// For each client address, or IPv6 /64; trusted proxies are exempt.
    pub connections_per_client_max: usize,
    pub head_bytes_max: usize,
    pub headers_max: usize,
    pub target_bytes_max: usize,
    pub body_bytes_max: u64,
    /// How fast a request's body must come while it is waited for, until the answer begins; 0: as slowly as it likes.
    pub body_bytes_per_second_min: u64,
    /// How fast an answer must be taken while there is something to take; 0: as slowly as the client likes.
    pub answer_bytes_per_second_min: u64,
    /// Idle connections kept to each instance, per worker.
    pub upstream_idle_per_instance_max: usize,
}

impl Config {
    pub(crate) fn body_pace(&self) -> Pace {
        Pace { bytes_per_second_min: self.limits.body_bytes_per_second_min, window: self.timeouts.pace_window }
    }

    pub(crate) fn answer_pace(&self) -> Pace {
        Pace { bytes_per_second_min: self.limits.answer_bytes_per_second_min, window: self.timeouts.pace_window }
    }
}

#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts for one request, the first included.
    pub attempts_max: u32,
    /// Bodies of idempotent requests up to this size are kept to be sent again.
    pub replay_bytes_max: usize,
    /// How long before a further attempt.
    pub backoff: backoff::Config,
    /// Answers with these statuses say that the instance could not: another one is asked.
    pub on_status: Vec<u16>,
}

/// What the log says of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub lines: Lines,
    /// Whether lines have the query, in which secrets may stand.
    pub query: bool,
}

/// Which requests get a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    Errors,
    All,
    Off,
}

/// What is spoken with the members of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// Over TLS by ALPN, without it by prior knowledge (RFC 9113, section 3).
    Http2,
    /// Over TLS whichever ALPN agrees on, without it HTTP/1.1.
    Auto,
}

/// How the members of one upstream are chosen and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamConfig {
    pub name: String,
    pub protocol: Protocol,
    pub balance: balance::Policy,
    /// What consistent hashing keeps together.
    pub hash_on: Sender,
    /// The load line; `None` lets everything through.
    pub admission: Option<admission::Config>,
    /// Whose requests take turns while they wait for a place.
    pub fair_by: Sender,
    pub probe: Probe,
    /// How TLS is spoken with members that are reached by it.
    pub tls: Option<secure::Client>,
    pub ejection: outlier::Config,
    /// What attempts after failed ones may cost.
    pub retry_budget: budget::Config,
    /// When its requests are refused at once; `None`: never.
    pub breaker: Option<breaker::Config>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Asked with GET, 2xx is ready; without a path a TCP connect is enough, in HTTP/2 the handshake and a PING.
    pub path: Option<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub unhealthy_after: u32,
    pub healthy_after: u32,
}
