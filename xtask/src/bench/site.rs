//! What stands as long as a benchmark runs: the origin, and a certificate.

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::certificate::Certificate;
use super::event_loop::SMALL_BYTES;
use super::load::Exchange;
use super::server::{LOAD_CORE, Recipe, Server, free_ports};

/// The most servers that anything asks for.
const SERVERS_MAX: usize = 100;

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
