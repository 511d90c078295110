//! Whom requests go to, and how that changes: the instances of this process, or servers from the file.

use plimsoll_gateway::route::Route;
use plimsoll_gateway::{Endpoint, Source};
use tokio::sync::watch;

use crate::config::Settings;
use crate::discovery::Discovery;
use crate::edge;
use crate::report::Failure;

/// A clone can be changed without changing what runs.
#[derive(Clone)]
pub enum Ground {
    /// The instances that this process runs, under one name.
    Fleet { name: String, endpoints: watch::Receiver<Vec<Endpoint>> },
    /// Servers that somebody else runs.
    Listed(Discovery),
}

impl Ground {
    /// The routes to it, and the files that they name.
    pub fn routes(&self, settings: &Settings) -> Result<Vec<Route>, Failure> {
        match self {
            Self::Fleet { .. } => edge::fleet_routes(settings),
            Self::Listed(_) => edge::routes(settings),
        }
    }

    /// The upstreams, in the order in which routes name them. Those that stay as they are keep their channels.
    pub fn sources(&mut self, settings: &Settings) -> Result<Vec<Source>, Failure> {
        match self {
            Self::Fleet { name, endpoints } => Ok(vec![Source { config: edge::fleet(settings, name), endpoints: endpoints.clone() }]),
            Self::Listed(discovery) => edge::sources(settings, discovery),
        }
    }
}
