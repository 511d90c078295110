//! Whom requests go to, and how that changes: the instances of this process, or servers from the file.

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

    /// The upstreams, in the order in which routes name them. Those that stay as they are keep their channels.
    pub async fn sources(&mut self, settings: &Settings) -> Result<Vec<Source>, Failure> {
        match self {
            Self::Fleet { name, endpoints } => Ok(vec![Source { config: edge::fleet(settings, name), endpoints: endpoints.clone() }]),
            Self::Listed(discovery) => edge::sources(settings, discovery).await,
        }
    }
}
