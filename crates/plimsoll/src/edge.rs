//! From settings to the gateway's own configuration.

mod compression;
mod disclosure;
mod fallback;
mod route;
pub mod secure;
pub mod tls;

use std::net::SocketAddr;
use std::thread;

use plimsoll_gateway::config::{AccessLog, Door, Limits, Lines, Probe, Protocol, Retry, Speaks, Timeouts, UpstreamConfig};
use plimsoll_gateway::disclosure::Removed;
use plimsoll_gateway::sender::Sender;
use plimsoll_gateway::{Gateway, Listening, OnHealth, Setup, Source, balance, outlier};
use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_policy::{admission, backoff, breaker, budget};

use crate::config::{self, Limit, Settings};
use crate::discovery::Discovery;
use crate::handover::Inherited;
use crate::listening;
use crate::report::Failure;
pub use route::{Written, fleet_routes, plain, routes, written, written_for_fleet};

/// Where clients come in.
fn listening(settings: &Settings) -> Listening {
    let config::Gateway { bind, port, workers, .. } = settings.gateway;
    let workers = if workers == 0 { thread::available_parallelism().map_or(1, usize::from) } else { workers };
    let door = |port, speaks| Door { address: SocketAddr::new(bind, port), speaks, sockets: Vec::new() };
    let tls = &settings.gateway.tls;
    let encrypted = tls.is_on().then(|| door(tls.port, Speaks::Https));
    let doors = std::iter::once(door(port, Speaks::Http)).chain(encrypted).collect();
    Listening { doors, workers, waits: false }
}

/// What is decided about requests, whatever their route and upstream. Needs a tokio runtime if TLS is spoken.
pub fn config(settings: &Settings) -> Result<plimsoll_gateway::Config, Failure> {
    Ok(config_with(settings, tls::server(settings)?))
}

/// The same, for an edge that runs: what speaks TLS goes on if it may.
pub fn config_after(before: &tls::InForce, settings: &Settings) -> Result<plimsoll_gateway::Config, Failure> {
    Ok(config_with(settings, tls::server_after(before, settings)?))
}

fn config_with(settings: &Settings, tls: Option<plimsoll_gateway::tls::Server>) -> plimsoll_gateway::Config {
    let config::Gateway { timeouts, limits, retry, .. } = &settings.gateway;
    plimsoll_gateway::Config {
        tls,
        trusted_proxies: TrustedProxies::new(settings.gateway.trusted_proxies.clone()),
        proxy_protocol: settings.gateway.proxy_protocol == config::Switch::On,
        timeouts: Timeouts {
            head: timeouts.head,
            idle: timeouts.idle,
            body_idle: timeouts.body_idle,
            write_idle: timeouts.write_idle,
            pace_window: timeouts.pace_window,
            connect: timeouts.connect,
            first_byte: timeouts.first_byte,
            total: timeouts.total,
            stream_idle: timeouts.stream_idle,
            drain: timeouts.drain,
        },
        limits: Limits {
            connections_max: limits.connections_max,
            connections_per_client_max: limits.connections_per_client_max,
            head_bytes_max: limits.head_bytes_max as usize,
            headers_max: limits.headers_max,
            target_bytes_max: limits.target_bytes_max as usize,
            body_bytes_max: limits.body_bytes_max,
            body_bytes_per_second_min: limits.body_bytes_per_second_min,
            answer_bytes_per_second_min: limits.answer_bytes_per_second_min,
            upstream_idle_per_instance_max: limits.upstream_idle_per_instance_max,
        },
        retry: Retry {
            attempts_max: retry.attempts_max,
            replay_bytes_max: retry.replay_bytes_max as usize,
            backoff: backoff::Config { base: retry.backoff_base, max: retry.backoff_max },
            on_status: retry.on_status.clone(),
        },
        compression: compression::of(&settings.gateway.compression),
        removed: Removed::new(settings.gateway.response_headers.remove.clone()),
        disclosure: disclosure::of(&settings.gateway.response_headers),
        access_log: AccessLog { lines: lines(settings.log.access), query: settings.log.query == config::Switch::On },
    }
}

fn lines(written: config::AccessLog) -> Lines {
    match written {
        config::AccessLog::Errors => Lines::Errors,
        config::AccessLog::All => Lines::All,
        config::AccessLog::Off => Lines::Off,
    }
}

/// How the instances that this process runs are balanced and judged.
pub fn fleet(settings: &Settings, name: &str) -> UpstreamConfig {
    upstream(settings, name, settings.gateway.balance, &settings.gateway.health.path)
}

/// How an upstream from the file is balanced and judged.
fn listed(settings: &Settings, listed: &config::Upstream) -> Result<UpstreamConfig, Failure> {
    let balance = listed.balance.unwrap_or(settings.gateway.balance);
    let config = upstream(settings, &listed.name, balance, listed.health_path.as_ref().unwrap_or(&settings.gateway.health.path));
    let protocol = protocol(listed.protocol.unwrap_or(settings.gateway.upstream_protocol));
    Ok(UpstreamConfig { protocol, tls: secure::client(listed)?, ..config })
}

fn protocol(written: config::Protocol) -> Protocol {
    match written {
        config::Protocol::Http1 => Protocol::Http1,
        config::Protocol::Http2 => Protocol::Http2,
        config::Protocol::Auto => Protocol::Auto,
    }
}

fn upstream(settings: &Settings, name: &str, balance: config::Balance, health_path: &str) -> UpstreamConfig {
    let config::Gateway { health, ejection, admission, retry, breaker, .. } = &settings.gateway;
    UpstreamConfig {
        name: name.to_owned(),
        protocol: protocol(settings.gateway.upstream_protocol),
        balance: match balance {
            config::Balance::RoundRobin => balance::Policy::RoundRobin,
            config::Balance::LeastConnections => balance::Policy::LeastConnections,
            config::Balance::P2cEwma => balance::Policy::P2cEwma,
            config::Balance::ConsistentHash => balance::Policy::ConsistentHash,
        },
        hash_on: sender(&settings.gateway.hash_on),
        admission: load_line(admission),
        fair_by: sender(&admission.fair_by),
        probe: Probe {
            path: (!health_path.is_empty()).then(|| health_path.to_owned()),
            interval: health.interval,
            timeout: health.timeout,
            unhealthy_after: health.unhealthy_after,
            healthy_after: health.healthy_after,
        },
        tls: None,
        ejection: outlier::Config {
            failures: ejection.failures,
            failure_share: ejection.failure_share as f32,
            slow_after: Some(ejection.slow_after),
            ejection_base: ejection.base,
            ejection_max: ejection.max,
            panic_threshold: ejection.panic_threshold as f32,
            ..outlier::Config::default()
        },
        retry_budget: budget::Config { share: retry.budget as f32, ..budget::Config::RETRY },
        breaker: (breaker.mode == config::Switch::On).then(|| breaker::Config {
            failure_share: breaker.failure_share as f32,
            slow_after: Some(breaker.slow_after),
            slow_share: breaker.slow_share as f32,
            calls_min: breaker.requests_min,
            open_base: breaker.open_base,
            open_max: breaker.open_max,
            ..breaker::Config::default()
        }),
    }
}

fn load_line(settings: &config::Admission) -> Option<admission::Config> {
    let config::Admission { limit, queue_wait_max, queue_wait_overloaded, queue_max, .. } = *settings;
    let measured = admission::Config { queue_wait_max, queue_wait_overloaded, waiters_max: queue_max, ..admission::Config::default() };
    match limit {
        Limit::Measured => Some(measured),
        Limit::Off => None,
        Limit::Fixed(limit) => Some(measured.fixed_at(limit)),
    }
}

fn sender(named: &config::HashOn) -> Sender {
    match named {
        config::HashOn::ClientIp => Sender::ClientIp,
        config::HashOn::Header(name) => Sender::Header(name.to_string()),
        config::HashOn::Cookie(name) => Sender::Cookie(name.clone()),
    }
}

/// Starts the edge, on sockets that were handed over where there are some. A port in use is the most common reason why not, but not the only one.
pub fn start(settings: &Settings, setup: Setup, inherited: &mut Inherited, on_health: &OnHealth) -> Result<Gateway, Failure> {
    let mut listening = listening(settings);
    inherited.furnish(&mut listening.doors)?;
    listening.waits = inherited.predecessor.is_some();
    Gateway::start(listening, setup, on_health).map_err(|error| match error {
        plimsoll_gateway::Error::Listen { address, ref source } => {
            let gateway = &settings.gateway;
            let is_tls = address.port() == gateway.tls.port && address.port() != gateway.port;
            let asked = if is_tls { listening::TLS } else { listening::GATEWAY };
            let hint = listening::hint(source.kind(), address, asked);
            Failure::failed(error).hint_if(hint)
        }
        error => Failure::failed(error),
    })
}

/// The upstreams of the file.
pub fn upstreams(settings: &Settings) -> Result<Vec<UpstreamConfig>, Failure> {
    settings.upstreams.iter().map(|upstream| listed(settings, upstream)).collect()
}

/// The same, with their servers as they come and go.
pub async fn sources(settings: &Settings, upstreams: Vec<UpstreamConfig>, discovery: &mut Discovery) -> Vec<Source> {
    upstreams.into_iter().zip(discovery.follow(settings).await).map(|(config, endpoints)| Source { config, endpoints }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plimsoll_policy::hedge;

    use super::*;

    #[test]
    fn without_a_file_policies_run_with_the_values_they_are_proven_with() {
        let settings = Settings::default();
        let upstream = fleet(&settings, "api");
        assert_eq!(upstream.admission, Some(admission::Config::default()));
        // No answer is slow by default; in a setting that is an hour, longer than any attempt may take.
        let slow_after = Some(Duration::from_hours(1));
        assert_eq!(upstream.ejection, outlier::Config { slow_after, ..outlier::Config::default() });
        assert_eq!(upstream.retry_budget, budget::Config::default());
        assert_eq!(upstream.breaker, Some(breaker::Config { slow_after, ..breaker::Config::default() }));
        assert_eq!(config(&settings).unwrap().retry.backoff, backoff::Config::default());
        let settings = &settings.gateway.hedge;
        let hedge = hedge::Config { share: settings.share as f32, quantile: settings.quantile as f32, delay_min: settings.delay_min };
        assert_eq!(hedge, hedge::Config::default());
    }
}
