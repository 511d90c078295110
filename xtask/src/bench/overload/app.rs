//! The apps that are overloaded, and what suits each of them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use tempfile::TempDir;

use super::super::server::{Recipe, Server, built};
use super::http;
use crate::workspace;

/// An app by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum App {
    /// Forty queries a request on a pool of five connections, against a real `PostgreSQL`.
    Fastapi,
    /// Three milliseconds of computing and ten of waiting on Node's one thread.
    Express,
    /// A server of exactly known capacity that computes nothing.
    Synthetic,
}

/// What somebody who knows the app would write into a proxy's configuration.
#[derive(Clone, Copy)]
pub(super) struct Tuning {
    /// Requests at a time at which the app is busy and nobody waits long.
    pub at_once: usize,
    /// How long a queue may hold a request.
    pub queue_ms: u32,
}

/// Places of the synthetic server and the time that a request keeps one: 250 requests per second.
const SYNTHETIC: [&str; 4] = ["--concurrency", "10", "--service-ms", "40"];

impl App {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fastapi => "fastapi",
            Self::Express => "express",
            Self::Synthetic => "synthetic",
        }
    }

    /// The request that costs.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Fastapi => "/feed",
            Self::Express => "/order",
            Self::Synthetic => "/",
        }
    }

    /// One set for each app and every proxy: about as many at once as keep it busy, and a queue as long as a quarter of a client's patience.
    pub(super) fn tuning(self) -> Tuning {
        match self {
            Self::Fastapi => Tuning { at_once: 10, queue_ms: 250 },
            Self::Express => Tuning { at_once: 8, queue_ms: 250 },
            Self::Synthetic => Tuning { at_once: 11, queue_ms: 250 },
        }
    }

    /// Program and arguments, with `{port}` where its port belongs.
    pub(super) fn words(self) -> Result<Vec<String>> {
        let directory = workspace::root().join("bench/apps").join(self.name()).display().to_string();
        let words = match self {
            Self::Fastapi => {
                let quiet = ["--no-access-log", "--log-level", "warning"];
                let mut words = vec![tool("venv/bin/uvicorn")?, "app:app".to_owned(), "--app-dir".to_owned(), directory];
                words.extend(["--port", "{port}"].into_iter().chain(quiet).map(str::to_owned));
                words
            }
            Self::Express => vec![program("node")?, format!("{directory}/server.js")],
            Self::Synthetic => {
                let port = ["capacity", "--port", "{port}"];
                std::iter::once(testbed()).chain(port.into_iter().chain(SYNTHETIC).map(str::to_owned)).collect()
            }
        };
        Ok(words)
    }

    /// What it is told by its environment beside its port.
    pub(super) fn environment(self, database: Option<&Database>) -> Result<Vec<(&'static str, String)>> {
        Ok(match self {
            Self::Fastapi => vec![("DATABASE_URL", database.context("this app needs a database")?.url.clone())],
            Self::Express => vec![("NODE_PATH", tool("node/node_modules")?), ("NODE_ENV", "production".to_owned())],
            Self::Synthetic => Vec::new(),
        })
    }

    /// Starts it on `port` with nothing in front.
    pub(super) fn start(self, port: u16, database: Option<&Database>) -> Result<Server> {
        let words = self.words()?.into_iter().map(|word| word.replace("{port}", &port.to_string())).collect();
        let mut environment = self.environment(database)?;
        environment.push(("PORT", port.to_string()));
        start(self.name(), port, words, environment, &|_| http::expect_success(port, self.path()))
    }
}

/// Starts a program of this benchmark on any core, in a directory of its own.
pub(super) fn start(
    name: &'static str,
    port: u16,
    words: Vec<String>,
    environment: Vec<(&'static str, String)>,
    ready: &dyn Fn(&str) -> Result<()>,
) -> Result<Server> {
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    start_in(directory, name, port, words, environment, ready)
}

/// The same in a directory that holds something already.
pub(super) fn start_in(
    directory: TempDir,
    name: &'static str,
    port: u16,
    words: Vec<String>,
    environment: Vec<(&'static str, String)>,
    ready: &dyn Fn(&str) -> Result<()>,
) -> Result<Server> {
    Server::start(Recipe { name, port, core: None, words, environment, directory, under: &[], ready })
}

/// A real `PostgreSQL`, for as long as this lives.
pub(super) struct Database {
    server: Server,
    url: String,
}

impl Database {
    pub(super) fn start() -> Result<Self> {
        let printed_url = |log: &str| {
            ensure!(log.ends_with('\n'), "it has printed no URL");
            Ok(())
        };
        let server = start("postgres", 0, vec![testbed(), "postgres".to_owned()], Vec::new(), &printed_url)?;
        let url = server.log().trim().to_owned();
        Ok(Self { server, url })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Only a server that is asked cleans up behind itself; one that does not end is killed right after this.
        let _ = self.server.stop();
    }
}

/// The testbed's program, as this benchmark built it.
pub(super) fn testbed() -> String {
    built("plimsoll-testbed")
}

pub(super) fn program(name: &str) -> Result<String> {
    let path = workspace::find_program(name).with_context(|| format!("{name} is missing: run `cargo xtask setup`"))?;
    Ok(path.display().to_string())
}

fn tool(path: &str) -> Result<String> {
    let path: PathBuf = workspace::tools().join(path);
    ensure!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    Ok(path.display().to_string())
}
