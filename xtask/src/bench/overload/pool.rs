//! Servers behind `plimsoll gateway` with a written configuration: what takes more than one instance, or something to be told.

use anyhow::{Context, Result};

use super::super::server::{Server, free_port, plimsoll, write_config};
use super::app;
use super::http;
use super::peer;

/// Synthetic servers with the edge in front; ended with it.
pub(super) struct Pool {
    gateway: Server,
    servers: Vec<Server>,
}

/// A synthetic server: how long a request takes there, and further flags.
#[derive(Clone, Copy)]
pub(super) struct Synthetic {
    pub service_ms: u32,
    pub flags: &'static [&'static str],
}

/// Requests that each synthetic server works on at a time.
const CONCURRENCY: &str = "10";

impl Pool {
    /// Starts the servers, and the edge with this configuration from `bench/peers/overload` and these values in its places.
    pub(super) fn start(servers: &[Synthetic], config: &str, places: &[(&str, String)]) -> Result<Self> {
        let servers: Vec<Server> = servers.iter().map(Synthetic::start).collect::<Result<_>>()?;
        let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
        let gateway = start_gateway(&ports, config, places)?;
        Ok(Self { gateway, servers })
    }

    /// Where the load goes.
    pub(super) fn port(&self) -> u16 {
        self.gateway.port
    }

    pub(super) fn process_id(&self) -> u32 {
        self.gateway.process_id()
    }

    /// Requests that have arrived at the servers so far.
    pub(super) fn arrived(&self) -> Result<u64> {
        let count = |server: &Server| http::get(server.port, "/_count")?.parse::<u64>().context("a count is a number");
        self.servers.iter().map(count).sum()
    }

    /// Ends the servers and leaves the edge alone.
    pub(super) fn kill_servers(&mut self) {
        self.servers.clear();
    }
}

impl Synthetic {
    pub(super) fn healthy(service_ms: u32) -> Self {
        Self { service_ms, flags: &[] }
    }

    fn start(&self) -> Result<Server> {
        let port = free_port()?;
        let words = [&app::testbed(), "capacity", "--port", &port.to_string(), "--concurrency", CONCURRENCY, "--service-ms"];
        let words = words.map(str::to_owned).into_iter().chain([self.service_ms.to_string()]);
        let words = words.chain(self.flags.iter().map(|flag| (*flag).to_owned())).collect();
        app::start("synthetic", port, words, Vec::new(), &|_| http::expect_success(port, "/_count"))
    }
}

/// The edge in front of whatever listens on these ports.
pub(super) fn start_gateway(servers: &[u16], config: &str, places: &[(&str, String)]) -> Result<Server> {
    let (port, directory) = (free_port()?, tempfile::tempdir()?);
    let servers: Vec<String> = servers.iter().map(|port| format!("\"http://127.0.0.1:{port}\"")).collect();
    let places = [places, &[("servers", servers.join(", "))]].concat();
    let config = write_config(directory.path(), &format!("overload/{config}"), &places)?;
    let mut words = vec![plimsoll(), "gateway".to_owned(), "--config".to_owned(), config];
    words.extend(peer::addresses(port)?);
    // Any answer will do: some of these servers are broken on purpose.
    let ready = |_: &str| http::expect_answer(port);
    app::start_in(directory, "plimsoll", port, words, peer::loopback_only(), &ready)
}
