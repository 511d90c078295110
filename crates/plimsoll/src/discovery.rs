//! Which servers an upstream has: those that are written down, those that names stand for, those in a watched file. The gateway only sees a
//! list that changes.
//!
//! | module | does |
//! |---|---|
//! | `servers` | one upstream: gathers what its names and its file say, and publishes the whole |
//! | `roster` | who is in the list, and who is on the way out of it: pure |
//! | `name` | asks again and again what one name stands for |
//! | `memory` | what an answer, or the lack of one, means for what is known: pure |
//! | `dns` | asks: hosts file, search domains, addresses, services |
//! | `service` | from SRV records to servers: pure |
//! | `file` | reads a file of servers |
//! | `check` | looks every name up once |
//!
//! A server is its address: one that vanishes drains for a while, and if it comes back meanwhile, nothing that is known of it is lost.

mod check;
mod dns;
pub mod file;
mod memory;
mod name;
mod roster;
mod servers;
mod service;

use std::sync::Arc;

use plimsoll_gateway::{Address, Endpoint};
use tokio::sync::watch;

pub use check::{Unresolved, unresolved};

use crate::config::Settings;
use dns::Resolver;
use servers::{Running, Spec};

/// One server that a name, a file or a setting stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    address: Address,
    weight: u32,
    /// Those with the lowest one go first.
    priority: u16,
}

/// The upstreams whose servers are looked after. An upstream keeps its channel, and with it the gateway what it knows, whatever servers
/// come and go.
#[derive(Default)]
pub struct Discovery {
    running: Vec<Running>,
}

impl Discovery {
    /// The lists of endpoints for the upstreams of these settings, in their order, with all that needs no question in them. What the settings
    /// no longer name ends when the gateway has let go of it.
    ///
    /// The runtime does the work from then on.
    pub async fn follow(&mut self, settings: &Settings) -> Vec<watch::Receiver<Vec<Endpoint>>> {
        let discovery = Arc::new(settings.gateway.discovery.clone());
        let mut before = std::mem::take(&mut self.running);
        let mut resolver = None;
        for upstream in &settings.upstreams {
            let spec = Spec::new(settings, upstream, &discovery);
            let known =
                before.iter().position(|running| running.spec.is_of_same_upstream(&spec)).map(|position| before.swap_remove(position));
            let kept = match known {
                Some(mut known) => known.follow(&spec).await.then_some(known),
                None => None,
            };
            self.running.push(if let Some(kept) = kept {
                kept
            } else {
                let resolver = resolver.get_or_insert_with(|| Arc::new(Resolver::new(&discovery)));
                servers::start(spec, Arc::clone(resolver)).await
            });
        }
        self.running.iter().map(|running| running.endpoints.clone()).collect()
    }
}
