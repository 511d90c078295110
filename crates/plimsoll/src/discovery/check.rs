//! Looks up every name once, for whoever wants to know beforehand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::dns::{Resolver, Trouble};
use crate::config::{ServerAddress, Settings, is_address};

/// A name server that needs longer is one to be told of.
const LIMIT: Duration = Duration::from_secs(3);
const QUESTIONS_MAX: usize = 16;

/// A server that no address is known of.
pub struct Unresolved {
    /// The position of its upstream.
    pub upstream: usize,
    pub server: ServerAddress,
    pub trouble: Trouble,
}

/// The servers in the settings whose names stand for nothing just now, in their order.
pub async fn unresolved(settings: &Settings) -> Vec<Unresolved> {
    let (resolver, places) = (Arc::new(Resolver::new(&settings.gateway.discovery)), Arc::new(Semaphore::new(QUESTIONS_MAX)));
    let mut questions = JoinSet::new();
    let servers = settings
        .upstreams
        .iter()
        .enumerate()
        .flat_map(|(position, upstream)| upstream.servers.iter().map(move |server| (position, server)));
    for (number, (upstream, server)) in servers.enumerate() {
        let (resolver, places, server) = (Arc::clone(&resolver), Arc::clone(&places), server.address.clone());
        questions.spawn(async move {
            let _place = places.acquire().await;
            let answer = timeout(LIMIT, ask(&resolver, &server)).await;
            let trouble = answer.unwrap_or_else(|_| Err(Trouble::Failed(format!("none within {LIMIT:?}")))).err()?;
            Some((number, Unresolved { upstream, server, trouble }))
        });
    }
    let mut found: Vec<_> = questions.join_all().await.into_iter().flatten().collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, unresolved)| unresolved).collect()
}

async fn ask(resolver: &Resolver, server: &ServerAddress) -> Result<(), Trouble> {
    match server {
        ServerAddress::Tcp { host, .. } if !is_address(host) => resolver.addresses(host).await.map(drop),
        ServerAddress::Service { name } => resolver.service(name).await.map(drop),
        ServerAddress::Tcp { .. } | ServerAddress::Unix(_) => Ok(()),
    }
}
