//! What the operator may set, and which of it would be dangerous together.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::control::Order;

/// Shorter tokens could be found by trying.
const TOKEN_CHARS_MIN: usize = 16;

#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Whoever shows it may read everything here. Needed to listen anywhere but on the loopback interface.
    pub token: Option<String>,
    /// Names accepted in `Host` besides `localhost`, `127.0.0.1` and `[::1]`. With a token every name is: what it protects is not public.
    pub hosts: Vec<String>,
    pub limits: Limits,
    /// Who carries out orders. Without anybody there are no paths for them.
    pub orders: Option<mpsc::Sender<Order>>,
}

/// How much the listener holds, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections_max: usize,
    /// Dashboards open at the same time.
    pub streams_max: usize,
    /// For a request's head to arrive, and for the next one on a connection kept alive.
    pub head_time_max: Duration,
    /// How long a TCP client may take none of the bytes that wait for it.
    pub stall_time_max: Duration,
    /// For answers under way when the listener is told to stop.
    pub drain_time_max: Duration,
    /// Between two looks at the fleet.
    pub sample_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            streams_max: 64,
            head_time_max: Duration::from_secs(10),
            stall_time_max: Duration::from_secs(30),
            drain_time_max: Duration::from_secs(2),
            sample_interval: Duration::from_secs(1),
        }
    }
}

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot listen on the socket that was handed over")]
    Inherited { source: io::Error },
    #[error("cannot listen on the socket {}", path.display())]
    BindSocket { path: PathBuf, source: io::Error },
    #[error("{address} can be reached from other machines: set `admin.token`, or listen on 127.0.0.1")]
    TokenNeeded { address: SocketAddr },
    #[error("`admin.token` has fewer than {TOKEN_CHARS_MIN} characters and could be guessed: make one with `openssl rand -hex 24`")]
    TokenShort,
}

impl Config {
    /// Whether it is safe to listen here with these settings.
    pub fn permits(&self, address: SocketAddr) -> Result<(), Error> {
        match &self.token {
            Some(token) if token.chars().count() < TOKEN_CHARS_MIN => Err(Error::TokenShort),
            None if !address.ip().to_canonical().is_loopback() => Err(Error::TokenNeeded { address }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(token: Option<&str>, address: &str) -> String {
        let config = Config { token: token.map(Into::into), ..Config::default() };
        config.permits(address.parse().unwrap()).map_or_else(|error| error.to_string(), |()| "permitted".into())
    }

    #[test]
    fn only_loopback_goes_without_a_token() {
        for address in ["127.0.0.1:8081", "127.8.8.8:1", "[::1]:8081", "[::ffff:127.0.0.1]:8081"] {
            assert_eq!(verdict(None, address), "permitted");
        }
        for address in ["0.0.0.0:8081", "[::]:8081", "192.168.1.4:8081", "[fe80::1]:8081"] {
            assert!(verdict(None, address).contains("set `admin.token`"), "{address}");
            assert_eq!(verdict(Some("0123456789abcdef"), address), "permitted");
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_is_no_token() {
        assert!(verdict(Some(""), "127.0.0.1:1").contains("could be guessed"));
        assert!(verdict(Some("secret"), "0.0.0.0:1").contains("could be guessed"));
    }
}
