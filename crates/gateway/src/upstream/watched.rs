//! An upstream with those who look after it, for as long as anybody's plan names it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Upstream;
use crate::endpoint::Endpoint;
use crate::gateway::Source;
use crate::overload;
use crate::probe::{self, OnHealth};

#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) upstream: Arc<Upstream>,
    endpoints: watch::Receiver<Vec<Endpoint>>,
    /// They end with the last clone.
    _watchers: Arc<JoinSet<()>>,
}

impl Watched {
    pub(crate) fn start(source: Source, on_health: &OnHealth) -> Self {
        let Source { config, endpoints } = source;
        let upstream = Arc::new(Upstream::new(config));
        let mut watchers = JoinSet::new();
        watchers.spawn(probe::run(Arc::clone(&upstream), endpoints.clone(), Arc::clone(on_health)));
        watchers.spawn(overload::announce(Arc::clone(&upstream)));
        if let Some(tls) = upstream.config.tls.clone() {
            watchers.spawn(tls.watch());
        }
        Self { upstream, endpoints, _watchers: Arc::new(watchers) }
    }

    /// Takes over what the list of endpoints says by now, without waiting for whoever looks after it.
    pub(crate) fn catch_up(&self) {
        let endpoints = self.endpoints.borrow().clone();
        self.upstream.update(&endpoints);
    }

    /// Whether a source is the one that this was started from, as far as anybody could tell.
    pub(crate) fn is_of(&self, source: &Source) -> bool {
        self.upstream.config == source.config && self.endpoints.same_channel(&source.endpoints)
    }
}
