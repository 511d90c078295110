//! What is decided about requests, as one value: swapped whole by a reload, and the same for a request from beginning to end.

use std::sync::Arc;

use crate::config::Config;
use crate::route::{Route, Routes};
use crate::upstream::Upstream;

#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) config: Arc<Config>,
    pub(crate) routes: Arc<Routes>,
    /// Routes name them by position.
    pub(crate) upstreams: Arc<[Arc<Upstream>]>,
}

impl Plan {
    /// What holds for the requests of a route.
    pub(crate) fn config_of<'a>(&'a self, route: &'a Route) -> &'a Config {
        route.config.as_deref().unwrap_or(&self.config)
    }
}
