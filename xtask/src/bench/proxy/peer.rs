//! Who competes, and how each is started: as its maker recommends for speed, with one worker.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::super::event_loop::SMALL_BYTES;
use super::super::server::{MEASURED_CORE, Recipe, Server, free_port, plimsoll, write_config};
use super::super::site::{Site, directory, own_program};
use super::ask;
use super::build;
use super::config::{self, Place};
use super::scene::Scene;
use super::workload::Workload;
use crate::workspace;

/// A server that competes. The first is what the others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Peer {
    Nginx,
    Haproxy,
    Caddy,
    /// The smallest proxy on Cloudflare's framework (`bench/peers/pingora`).
    Pingora,
    /// The smallest proxy on hyper (`bench/peers/hyper`): what plimsoll would cost if it did nothing.
    Hyper,
    Plimsoll,
    /// Copies bytes and looks at none: what no proxy gets under.
    Relay,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Pingora => "pingora",
            Self::Hyper => "hyper",
            Self::Plimsoll => "plimsoll",
            Self::Relay => "relay",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|peer| peer.name() == name)
    }

    /// Whether it does what this workload is about.
    pub(super) fn can(self, workload: Workload) -> bool {
        match workload {
            Workload::Get | Workload::Post | Workload::Download | Workload::Websocket => true,
            // It opens a connection of its own for each, so it would be weighed twice.
            Workload::Idle | Workload::Http2 => self != Self::Relay,
            // With OpenSSL it would be weighed by what nginx has already.
            Workload::Tls | Workload::Handshakes => !matches!(self, Self::Relay | Self::Pingora),
            Workload::Routes | Workload::Upstreams => !matches!(self, Self::Relay | Self::Pingora | Self::Hyper),
        }
    }

    /// Go's runtime and valgrind do not get on.
    pub(super) fn can_be_counted(self) -> bool {
        self != Self::Caddy
    }

    /// Starts it, under another program if words for that are given, and waits until it answers.
    pub(super) fn start(self, scene: Scene, site: &Site, under: &[String]) -> Result<Server> {
        let (directory, port) = (directory()?, free_port()?);
        let place = Place { directory: directory.path(), port, scene, site, is_slowed: !under.is_empty() };
        let (mut words, mut environment) = (self.words(&place)?, Vec::new());
        if self == Self::Caddy {
            environment = vec![("GOMAXPROCS", "1".to_owned()), ("HOME", directory.path().display().to_string())];
        }
        let program = workspace::find_program(&words[0]).with_context(|| format!("{} is missing: run `cargo xtask setup`", words[0]))?;
        words[0] = program.display().to_string();
        let ready = |_: &str| ask::once(scene, port, SMALL_BYTES);
        Server::start(Recipe { name: self.name(), port, core: Some(MEASURED_CORE), words, environment, directory, under, ready: &ready })
    }

    /// Program and arguments.
    fn words(self, place: &Place<'_>) -> Result<Vec<String>> {
        let config = |template: &str, places| write_config(place.directory, template, places);
        let directory = place.directory.display().to_string();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        Ok(match self {
            Self::Nginx => words(&["nginx", "-e", "stderr", "-p", &directory, "-c", &config("nginx.conf", &config::nginx(place))?]),
            Self::Haproxy => words(&["haproxy", "-f", &config("haproxy.cfg", &config::haproxy(place)?)?]),
            Self::Caddy => words(&["caddy", "run", "--adapter", "caddyfile", "--config", &config("Caddyfile", &config::caddy(place))?]),
            Self::Plimsoll => {
                let file = config("plimsoll.toml", &config::plimsoll(place))?;
                let (port, admin) = (place.port.to_string(), free_port()?.to_string());
                let mut all = words(&[&plimsoll(), "gateway", "--config", &file, "--admin-port", &admin]);
                all.extend(words(&["--data-dir", &format!("{directory}/data")]));
                if place.scene.tls {
                    all.extend(words(&["--tls-port", &port, "--port", "0"]));
                } else {
                    all.extend(words(&["--port", &port]));
                }
                all
            }
            Self::Pingora | Self::Hyper => {
                let mut all = vec![build::program(self), place.port.to_string(), place.origin().to_string()];
                if place.scene.http2 {
                    all.push("http2".to_owned());
                }
                if place.scene.tls {
                    ensure!(self == Self::Hyper, "this one speaks no TLS");
                    let certificate = &place.site.certificate;
                    all.extend([certificate.chain(), certificate.key()].map(|path| path.display().to_string()));
                }
                all
            }
            Self::Relay => {
                let (port, origin) = (place.port.to_string(), place.origin().to_string());
                words(&[&own_program()?, "bench", "relay", &port, &origin])
            }
        })
    }

    /// What it says of its version, on one line.
    pub(super) fn version(self) -> Option<String> {
        let (program, argument) = match self {
            Self::Nginx => ("nginx".to_owned(), "-v"),
            Self::Haproxy => ("haproxy".to_owned(), "-v"),
            Self::Caddy => ("caddy".to_owned(), "version"),
            Self::Plimsoll => (plimsoll(), "--version"),
            Self::Pingora | Self::Hyper => (build::program(self), "--version"),
            Self::Relay => return None,
        };
        let output = Command::new(workspace::find_program(&program)?).arg(argument).output().ok()?;
        // nginx tells its version as an error.
        let told = [output.stdout, output.stderr].concat();
        let line = String::from_utf8_lossy(&told).lines().next()?.trim().to_owned();
        Some(if line.to_lowercase().contains(self.name()) { line } else { format!("{} {line}", self.name()) })
    }
}
