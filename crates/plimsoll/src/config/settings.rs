//! Every setting: its name, type, default, bounds and documentation, once.
#![allow(clippy::doc_markdown, reason = "doc comments are read on terminals and in TOML too")]
#![allow(clippy::struct_field_names, reason = "fields are keys of the file, where units come last")]

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::acme::Acme;
use super::compression::Compression;
use super::discovery::Discovery;
use super::response_headers::ResponseHeaders;
use super::route::{Route, Switch};
use super::shape::{
    Address, Choice, DAY, Directory, HOUR, HashKey, HashOn, HostName, KIB, Limit, LimitUpTo, List, MIB, MINUTE, MS, Network, SECOND,
    Secret, SecretText, Share, Size, StateUrl, TIB, Time, UrlPath, Whole, choice,
};
use super::table::{Table, table};
use super::tls::Tls;
use super::upstream::Upstream;

/// Every table, in the order in which people read them.
pub const TABLES: &[Table<Settings>] = &[
    Settings::TABLE,
    Gateway::TABLE,
    Tls::TABLE,
    Acme::TABLE,
    Timeouts::TABLE,
    Limits::TABLE,
    Admission::TABLE,
    Retry::TABLE,
    Breaker::TABLE,
    Hedge::TABLE,
    Health::TABLE,
    Ejection::TABLE,
    Discovery::TABLE,
    Compression::TABLE,
    ResponseHeaders::TABLE,
    Admin::TABLE,
    Fleet::TABLE,
    State::TABLE,
    Service::TABLE,
    Load::TABLE,
    Log::TABLE,
];

/// How long anything that waits for a peer may be told to wait.
const WAIT: RangeInclusive<Duration> = MS..=HOUR;

table! {
    /// What every part shares.
    struct Settings at [Settings] {
        /// Directory for the control socket, the state and generated keys. It is made if it is missing.
        /// A relative path starts at the working directory. Two fleets need two directories.
        data_dir: PathBuf = ".plimsoll".into(), Directory, flag "data-dir", at restart;
        /// Whether saving the file puts it in force, as `plimsoll reload` does. `auto` is `on` on a terminal, where what is wrong with it is seen,
        /// and `off` elsewhere.
        watch: Watch = Watch::Auto, Choice::<Watch>::new(), at restart;
    }
    parts {
        gateway: Gateway,
        admin: Admin,
        fleet: Fleet,
        state: State,
        service: Service,
        load: Load,
        log: Log,
        /// From `[[upstream]]`, in the order of the file.
        upstreams: Vec<Upstream>,
        /// From `[[route]]`, in the order of the file; the most specific one wins, wherever it stands.
        routes: Vec<Route>,
    }
}

table! {
    /// The edge: where clients come in, and how their requests are spread over the instances.
    struct Gateway at [Settings.gateway] {
        /// Address the public listener binds to.
        bind: IpAddr = Ipv4Addr::UNSPECIFIED.into(), Address, at restart;
        /// Port of the public listener. 0 takes any free one and prints it.
        port: u16 = 8080, Whole(0..=u16::MAX), flag "port", at restart;
        /// Threads that serve connections. 0 means one per core.
        workers: usize = 0, Whole(0..=1_024), at restart;
        /// Networks of the proxies in front of this one. Only what they say about the client in `Forwarded` and `X-Forwarded-*` is
        /// believed.
        trusted_proxies: Vec<IpNet> = Vec::new(), List(Network);
        /// Whether every connection begins with a PROXY header (version 1 or 2), by which a load balancer says whose it is. `on` closes
        /// connections that do not come from one of `trusted_proxies`.
        proxy_protocol: Switch = Switch::Off, Choice::<Switch>::new();
        /// How an instance is picked. `p2c_ewma` takes two at random and then the one with less latency and load; `consistent_hash` keeps a
        /// client on one instance as long as that lives; `round_robin` and `least_connections` are what they say.
        balance: Balance = Balance::P2cEwma, Choice::<Balance>::new();
        /// What `consistent_hash` looks at: the client's address, a header or a cookie.
        hash_on: HashOn = HashOn::ClientIp, HashKey;
        /// What is spoken with instances: `http2` without TLS by prior knowledge and with TLS by ALPN, `auto` whichever of the two ALPN agrees
        /// on (HTTP/1.1 without TLS). Requests share connections in HTTP/2, and gRPC needs it.
        upstream_protocol: Protocol = Protocol::Http1, Choice::<Protocol>::new();
    }
    parts { tls: Tls, timeouts: Timeouts, limits: Limits, admission: Admission, retry: Retry, breaker: Breaker, hedge: Hedge, health: Health, ejection: Ejection, discovery: Discovery, compression: Compression, response_headers: ResponseHeaders, }
}

table! {
    /// Time limits of the edge. None can be switched off: whatever may wait for ever, one day does.
    struct Timeouts at [Settings.gateway.timeouts] {
        /// Time to receive a request head, from its first byte, and for a TLS handshake. Slower clients are answered 408, or cut off.
        head: Duration = 10 * SECOND, Time(WAIT);
        /// Time a keep-alive connection may rest between two requests.
        idle: Duration = 75 * SECOND, Time(MS..=DAY);
        /// Time a client may send nothing while a request body is due.
        body_idle: Duration = 30 * SECOND, Time(WAIT);
        /// Time a client may accept nothing of its answer.
        write_idle: Duration = 60 * SECOND, Time(WAIT);
        /// Over how much time of waiting for a client its pace is judged; see `body_bytes_per_second_min`.
        pace_window: Duration = 10 * SECOND, Time(WAIT);
        /// Time to connect to an instance, for each attempt.
        connect: Duration = 2 * SECOND, Time(WAIT);
        /// Time from the request fully sent to the head of the answer, for each attempt.
        first_byte: Duration = 30 * SECOND, Time(WAIT);
        /// Time for all attempts together, from the end of the request to the head of the answer. Streaming bodies are exempt.
        total: Duration = MINUTE, Time(WAIT);
        /// Time in which nothing moves in either direction of a response body or a WebSocket.
        stream_idle: Duration = 5 * MINUTE, Time(MS..=DAY);
        /// Time for requests in flight to finish once a stop was asked for. What is left then is cut off.
        drain: Duration = 30 * SECOND, Time(WAIT);
    }
}

table! {
    /// What one client, and all of them together, may ask for.
    struct Limits at [Settings.gateway.limits] {
        /// Client connections at a time. Further ones are answered 503 and closed.
        connections_max: usize = 8_192, Whole(1..=1_000_000);
        /// Connections of one client at a time: of an address, or of an IPv6 /64. Further ones are answered 503 and closed. 0 sets no cap;
        /// trusted proxies have none.
        connections_per_client_max: usize = 1_024, Whole(0..=1_000_000);
        /// Size of a request head: the request line and all headers. Larger ones are answered 431.
        head_bytes_max: u64 = 32 * KIB, Size(KIB..=MIB);
        /// Number of headers in a request. More are answered 431.
        headers_max: usize = 100, Whole(1..=512);
        /// Length of a request target: path and query. Longer ones are answered 414.
        target_bytes_max: u64 = 8 * KIB, Size(64..=MIB);
        /// Size of a request body. A larger one is answered 413, before it is read where its length is announced.
        body_bytes_max: u64 = 2 * 1_024 * MIB, Size(0..=TIB);
        /// How many bytes of a request body must come in a second of waiting for it, until the answer begins. Slower ones are answered 408.
        /// 0 takes any pace.
        body_bytes_per_second_min: u64 = 256, Size(0..=MIB);
        /// How many bytes of an answer a client must take in a second of waiting for it. An answer that is taken more slowly is broken off.
        /// 0 takes any pace.
        answer_bytes_per_second_min: u64 = 256, Size(0..=MIB);
        /// Idle connections that each worker keeps open to each instance.
        upstream_idle_per_instance_max: usize = 64, Whole(0..=10_000);
    }
}

table! {
    /// The load line: how many requests the instances of an upstream work on at once. It is found by measurement; what is beyond it waits
    /// for a moment, and what could not be served in time is refused at once.
    struct Admission at [Settings.gateway.admission] {
        /// Requests at a time for each upstream, over all its instances. `measured` follows what they can do; `off` lets everything through.
        limit: Limit = Limit::Measured, LimitUpTo(65_536);
        /// Time a request may wait for a place while the load is ordinary. Nobody waits longer.
        queue_wait_max: Duration = 750 * MS, Time(MS..=MINUTE);
        /// Time for which work is kept waiting once it is clear that not everybody can be served. What comes on top is refused at once.
        queue_wait_overloaded: Duration = 50 * MS, Time(MS..=MINUTE);
        /// Requests that may wait for a place, for each upstream.
        queue_max: usize = 8_192, Whole(1..=65_536);
        /// Whose requests take turns while they wait, so that nobody's flood delays the others.
        fair_by: HashOn = HashOn::ClientIp, HashKey;
    }
}

table! {
    /// Failover: another instance gets the request when that is safe. Idempotent methods may be sent again until a byte of an answer
    /// has been forwarded; others only if no byte of them was sent.
    struct Retry at [Settings.gateway.retry] {
        /// Attempts for one request, the first included. 1 switches failover off.
        attempts_max: u32 = 3, Whole(1..=10);
        /// How much of a request body is kept to be sent again. A request with a larger body gets one attempt once the body has begun to
        /// move.
        replay_bytes_max: u64 = 64 * KIB, Size(0..=64 * MIB);
        /// Attempts after failed ones, as a share of an upstream's requests. Beyond it a failed request is answered as it is, so that
        /// trouble is not multiplied. A reserve of a hundred attempts, which comes back at one a second, is on top.
        budget: f64 = 0.1, Share;
        /// Longest wait before the second attempt; each further one may be twice as long. The wait is random, and there is none when nothing
        /// was sent.
        backoff_base: Duration = 25 * MS, Time(MS..=MINUTE);
        /// Longest wait before any attempt.
        backoff_max: Duration = SECOND, Time(MS..=MINUTE);
        /// Answers with these statuses to idempotent requests say that the instance could not: another one is asked, if there is one. An
        /// empty list passes them on.
        on_status: Vec<u16> = vec![502, 503, 504], List(Whole(500..=599));
    }
}

table! {
    /// The breaker before each upstream: when for longer than a restart takes its requests get no answer, or 502, 503 and 504, further ones
    /// are refused at once, until a few have shown that it is well again.
    struct Breaker at [Settings.gateway.breaker] {
        /// Whether there is one.
        mode: Switch = Switch::On, Choice::<Switch>::new();
        /// Share of the requests of ten seconds that must fail, in both halves of that time.
        failure_share: f64 = 0.5, Share;
        /// An answer that takes longer than this is slow. Nothing is that slow by default.
        slow_after: Duration = HOUR, Time(WAIT);
        /// Share of the requests of ten seconds that must be slow.
        slow_share: f64 = 0.5, Share;
        /// Fewer requests in ten seconds prove nothing.
        requests_min: u32 = 20, Whole(2..=100_000);
        /// How long it refuses at first. Each further time is twice as long.
        open_base: Duration = SECOND, Time(MS..=HOUR);
        /// How long it refuses at most before it lets a few requests through.
        open_max: Duration = 5 * SECOND, Time(MS..=HOUR);
    }
}

table! {
    /// Hedging, for routes with `hedge = "on"`: when most answers would have come, a second instance is asked too, and whoever answers first
    /// is passed on. Only for idempotent requests without a body.
    struct Hedge at [Settings.gateway.hedge] {
        /// Second attempts, as a share of the requests.
        share: f64 = 0.02, Share;
        /// Share of recent answers that would have come when a second attempt is made, at the earliest; never earlier than the share above
        /// allows.
        quantile: f64 = 0.95, Share;
        /// Shortest wait for the first answer.
        delay_min: Duration = MS, Time(MS..=MINUTE);
    }
}

table! {
    /// Active probes: the one answer to whether an instance is up.
    struct Health at [Settings.gateway.health] {
        /// Path that answers 2xx when an instance can take traffic. Empty means that a TCP connect is enough; with HTTP/2, that the instance says so
        /// and answers a PING.
        path: String = String::new(), UrlPath { may_be_empty: true }, flag "ready-path";
        /// Time between two probes of one instance.
        interval: Duration = SECOND, Time(Duration::from_millis(10)..=HOUR);
        /// Time for one probe to succeed.
        timeout: Duration = SECOND, Time(WAIT);
        /// Probes that fail in a row before an instance gets no more traffic.
        unhealthy_after: u32 = 2, Whole(1..=100);
        /// Probes that succeed in a row before it gets traffic again.
        healthy_after: u32 = 1, Whole(1..=100);
    }
}

table! {
    /// Passive ejection: an instance whose attempts fail sits out for a while, longer each time.
    struct Ejection at [Settings.gateway.ejection] {
        /// Attempts that fail in a row before an instance is ejected.
        failures: u8 = 5, Whole(1..=u8::MAX);
        /// Share of the attempts of ten seconds that eject it, however they lie.
        failure_share: f64 = 0.5, Share;
        /// An answer that takes longer than this is slow; an instance of which half the answers are slow is ejected too. Nothing is that
        /// slow by default.
        slow_after: Duration = HOUR, Time(WAIT);
        /// How long the first ejection lasts. Each further one lasts twice as long as the one before.
        base: Duration = 500 * MS, Time(WAIT);
        /// How long an ejection may last.
        max: Duration = 30 * SECOND, Time(WAIT);
        /// Share of the instances that must stay in. Below it ejections are ignored: a bad instance beats none.
        panic_threshold: f64 = 0.25, Share;
    }
}

table! {
    /// The operator's listener: dashboard, metrics, status.
    struct Admin at [Settings.admin] {
        /// Address the operator's listener binds to. Beyond loopback it needs a token.
        bind: IpAddr = Ipv4Addr::LOCALHOST.into(), Address, at restart;
        /// Port of the operator's listener. 0 takes any free one and prints it.
        port: u16 = 8081, Whole(0..=u16::MAX), flag "admin-port", at restart;
        /// Token that operators send as `Authorization: Bearer …`. Empty means none is needed, which is allowed on loopback only.
        token: Secret = Secret::default(), SecretText { length_min: 16, may_be_empty: true }, at restart;
        /// Host names the operator's listener answers to, besides loopback addresses and `localhost`. This keeps web pages from reaching it
        /// through a name of their own.
        hosts: Vec<String> = Vec::new(), List(HostName), at restart;
    }
}

table! {
    /// The processes that `plimsoll up` and `plimsoll run` start.
    struct Fleet at [Settings.fleet] {
        /// Number of instances; 0 is three for `up`, and for `run` one per core but at least two.
        instances: u32 = 0, Whole(0..=256), flag "instances", at restart;
        /// Time for an instance to become ready. One that needs longer is stopped and started again.
        startup_timeout: Duration = 60 * SECOND, Time(WAIT), at restart;
        /// Time between SIGTERM and SIGKILL.
        stop_timeout: Duration = 10 * SECOND, Time(WAIT), at restart;
        /// Wait before the first restart of an instance that died. Each further one waits twice as long, with jitter.
        backoff_initial: Duration = 100 * MS, Time(WAIT), at restart;
        /// Longest wait before a restart.
        backoff_max: Duration = 10 * SECOND, Time(WAIT), at restart;
    }
}

table! {
    /// What instances share.
    struct State at [Settings.state] {
        /// Where shared state lives: `sqlite:PATH` for one host, `redis://HOST:6379/0` for many. Empty means SQLite in `data_dir`.
        url: String = String::new(), StateUrl, at restart;
    }
}

table! {
    /// The reference API.
    struct Service at [Settings.service] {
        /// Keys that sign session cookies: the first signs, all are accepted. Empty means that one is generated and kept in `data_dir`.
        session_keys: Vec<Secret> = Vec::new(), List(SecretText { length_min: 32, may_be_empty: false }), at restart;
        /// How long a session lives after its last use.
        session_ttl: Duration = 30 * MINUTE, Time(SECOND..=Duration::from_hours(365 * 24)), at restart;
    }
}

table! {
    /// Load tests.
    struct Load at [Settings.load] {
        /// Hosts beyond this machine that `plimsoll load` may ask without `--i-own-this-target`: those that are yours.
        targets: Vec<String> = Vec::new(), List(HostName);
    }
}

table! {
    /// What is written to the terminal.
    struct Log at [Settings.log] {
        /// How log lines look. `auto` is `pretty` on a terminal and `json` elsewhere.
        format: LogFormat = LogFormat::Auto, Choice::<LogFormat>::new(), at restart;
        /// The least important lines that are written.
        level: LogLevel = LogLevel::Info, Choice::<LogLevel>::new(), at restart;
        /// Which requests get a line: those that failed, all, or none.
        access: AccessLog = AccessLog::Errors, Choice::<AccessLog>::new();
        /// Whether those lines have the query, in which secrets may stand.
        query: Switch = Switch::Off, Choice::<Switch>::new();
    }
}

choice! {
    /// Whether saving the file puts it in force.
    Watch { Auto = "auto", On = "on", Off = "off", }
}

choice! {
    /// How an instance is picked.
    Balance {
        RoundRobin = "round_robin",
        LeastConnections = "least_connections",
        P2cEwma = "p2c_ewma",
        ConsistentHash = "consistent_hash",
    }
}

choice! {
    /// What is spoken with instances.
    Protocol { Http1 = "http1", Http2 = "http2", Auto = "auto", }
}

choice! {
    /// How log lines look.
    LogFormat { Auto = "auto", Pretty = "pretty", Json = "json", }
}

choice! {
    /// The least important lines that are written.
    LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace", }
}

choice! {
    /// Which requests get a line.
    AccessLog { Errors = "errors", All = "all", Off = "off", }
}
