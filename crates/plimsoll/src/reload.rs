//! Reads the settings again and puts them in force: all of them, or none.

mod differences;
mod record;
mod watch;

use std::sync::Arc;

use anyhow::Context;
use plimsoll_gateway::route::Routes;
use plimsoll_gateway::{Gateway, Setup};
use tokio::task::spawn_blocking;

use crate::config::{self, Environment, Flags, Loaded, Settings};
use crate::edge;
use crate::edge::tls::InForce;
use crate::ground::Ground;
use crate::report::Failure;
use crate::verbs::mistaken;
pub use differences::Differences;
pub use record::Record;
pub use watch::Watch;

/// How this process came to its settings: what it takes to do it again.
#[derive(Clone)]
pub struct Reading {
    pub flags: Flags,
    pub environment: Environment,
    /// What the verb adds to the settings, and misses in them.
    pub complete: fn(&mut Settings) -> Result<(), Failure>,
}

impl Reading {
    pub fn read(&self) -> Result<Loaded, Failure> {
        let mut loaded = config::load(&self.flags, &self.environment).map_err(mistaken)?;
        (self.complete)(&mut loaded.settings)?;
        Ok(loaded)
    }

    /// From now on this file and no other, so that one that is gone is a mistake and not a reason to forget everything.
    #[must_use]
    pub fn keep_to(mut self, loaded: &Loaded) -> Self {
        self.flags.config = loaded.file.clone().or(self.flags.config);
        self
    }
}

/// What it takes to change a running edge.
pub struct Reload {
    pub reading: Reading,
    /// The settings at the start.
    pub started: Settings,
    /// The settings that hold now.
    pub in_force: Settings,
    pub ground: Ground,
    pub gateway: Arc<Gateway>,
    pub record: Arc<Record>,
}

impl Reload {
    /// Returns when the new settings are in force, for every request that begins then. An error changes nothing.
    pub async fn run(&mut self) -> Result<Differences, Failure> {
        let outcome = self.try_run().await;
        match &outcome {
            Ok(found) => {
                self.record.succeeded();
                tracing::info!(changed = found.changed.join("; "), waiting = found.waiting.join("; "), "settings reloaded");
            }
            Err(failure) => {
                self.record.failed();
                tracing::error!(reason = %failure, "settings not reloaded: those from before stay in force");
            }
        }
        outcome
    }

    async fn try_run(&mut self) -> Result<Differences, Failure> {
        let reading = self.reading.clone();
        let read_routes = self.ground.routes();
        let before = InForce { settings: self.in_force.clone(), server: self.gateway.tls_server() };
        // Files are read: that may take a while, and probes must not wait for it.
        let read = spawn_blocking(move || {
            let settings = reading.read()?.settings;
            let routes = read_routes(&settings)?;
            Routes::new(routes.clone())?;
            Ok::<_, Failure>((settings, routes))
        });
        let (settings, routes) = read.await.context("reading the settings failed")??;
        let upstreams = self.ground.upstreams(&settings)?;
        // Last of what can fail: certificates that are read again are in force at once.
        let renew = spawn_blocking(move || edge::config_after(&before, &settings).map(|config| (settings, config)));
        let (settings, config) = renew.await.context("reading the certificates failed")??;
        let sources = self.ground.sources(&settings, upstreams).await;
        self.gateway.reload(Setup { config, sources, routes }).await?;
        let found = Differences::between(&self.started, &self.in_force, &settings);
        self.in_force = settings;
        Ok(found)
    }
}
