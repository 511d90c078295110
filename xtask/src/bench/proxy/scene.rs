//! Where a workload is played: how many routes, how many servers, which protocol; and what all scenes share: the origin and a certificate.

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::super::event_loop::SMALL_BYTES;
use super::super::load::Exchange;
use super::super::server::{LOAD_CORE, Recipe, Server, free_ports};
use super::certificate::Certificate;

/// The most servers that any scene has.
const SERVERS_MAX: usize = 100;

#[derive(Clone, Copy)]
pub(super) struct Scene {
    /// Prefixes `/r0/`, `/r1/` … that lead to the origin; without any, every path does.
    pub routes: usize,
    pub servers: usize,
    pub tls: bool,
    pub http2: bool,
}

impl Scene {
    pub(super) const PLAIN: Self = Self { routes: 0, servers: 1, tls: false, http2: false };

    /// A path that leads to the origin; the last of many routes, for the sake of those that go through them one by one.
    pub(super) fn path(self) -> String {
        self.routes.checked_sub(1).map_or_else(|| "/".to_owned(), |last| format!("/r{last}/"))
    }

    /// Where a client asks a server on this port.
    pub(super) fn url(self, port: u16, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{port}{path}")
    }
}

/// What stands as long as the benchmark runs.
pub(super) struct Site {
    /// Ends with this.
    _origin: Server,
    /// All of them the origin's.
    pub origins: Vec<u16>,
    pub certificate: Certificate,
}

impl Site {
    pub(super) fn prepare() -> Result<Self> {
        let origins = free_ports(SERVERS_MAX)?;
        let words = [own_program()?, "bench".to_owned(), "origin".to_owned()].into_iter().chain(origins.iter().map(u16::to_string));
        let last = *origins.last().context("there are servers")?;
        let recipe = Recipe {
            name: "origin",
            port: last,
            core: Some(LOAD_CORE),
            words: words.collect(),
            environment: Vec::new(),
            directory: directory()?,
            under: &[],
            ready: &|_| Exchange::get(last, SMALL_BYTES).client().map(|_| ()),
        };
        Ok(Self { _origin: Server::start(recipe)?, origins, certificate: Certificate::make()? })
    }
}

pub(super) fn directory() -> Result<TempDir> {
    tempfile::tempdir().context("cannot make a directory")
}

pub(super) fn own_program() -> Result<String> {
    Ok(std::env::current_exe().context("cannot find this program")?.display().to_string())
}
