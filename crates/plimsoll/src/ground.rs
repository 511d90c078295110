//! Whom requests go to, and how that changes: the instances of this process, or servers from the file.

use plimsoll_gateway::config::UpstreamConfig;
use plimsoll_gateway::route::Route;
use plimsoll_gateway::{Endpoint, Source};
use tokio::sync::watch;

use crate::config::Settings;
use crate::discovery::Discovery;
use crate::edge;
use crate::report::Failure;

pub enum Ground {
    /// The instances that this process runs, under one name.
    Fleet { name: String, endpoints: watch::Receiver<Vec<Endpoint>> },
    /// Servers that somebody else runs.
    Listed(Discovery),
}

/// Reads the routes to it, and the files that they name.
pub type ReadRoutes = fn(&Settings) -> Result<Vec<Route>, Failure>;

impl Ground {
    pub fn routes(&self) -> ReadRoutes {
        match self {
            Self::Fleet { .. } => edge::fleet_routes,
            Self::Listed(_) => edge::routes,
        }
    }

    /// The upstreams, in the order in which routes name them. Reads the files that they name, and changes nothing.
    pub fn upstreams(&self, settings: &Settings) -> Result<Vec<UpstreamConfig>, Failure> {
        match self {
            Self::Fleet { name, .. } => Ok(vec![edge::fleet(settings, name)]),
            Self::Listed(_) => edge::upstreams(settings),
        }
    }

    /// The same, with whom requests go to from now on. Those that stay as they are keep their channels.
    pub async fn sources(&mut self, settings: &Settings, upstreams: Vec<UpstreamConfig>) -> Vec<Source> {
        match self {
            Self::Fleet { endpoints, .. } => upstreams.into_iter().map(|config| Source { config, endpoints: endpoints.clone() }).collect(),
            Self::Listed(discovery) => edge::sources(settings, upstreams, discovery).await,
        }
    }
}
