//! Asks again and again what one name stands for, and passes on what has changed.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use plimsoll_gateway::Address;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Found;
use super::dns::{Addresses, Answer, Resolver, Trouble};
use super::memory::{Memory, News, Next, Pace};
use super::service::{self, Record, Target};
use crate::config::{Scheme, Server, ServerAddress};

/// Targets of a service that are asked for at a time.
const QUESTIONS_MAX: usize = 16;

/// What is asked, on behalf of whom.
pub(super) struct Question {
    pub(super) upstream: Arc<str>,
    pub(super) server: Server,
    /// Whom certificates must be for, if not the host that is connected to.
    pub(super) server_name: Option<Arc<str>>,
    pub(super) resolver: Arc<Resolver>,
    pub(super) pace: Pace,
}

/// What a server from a list stands for now.
pub(super) type Told = (Server, Vec<Found>);

/// Goes on until nobody listens.
pub(super) async fn follow(question: Question, tell: mpsc::Sender<Told>) {
    let mut memory = Memory::new(question.pace);
    let mut targets = Targets::default();
    loop {
        let answer = question.ask(&mut targets).await;
        let Next { found, news, wait } = memory.take(answer, Instant::now());
        if let Some(news) = news {
            question.say(&news);
        }
        if let Some(found) = found
            && tell.send((question.server.clone(), found)).await.is_err()
        {
            return;
        }
        sleep(wait).await;
    }
}

/// The last known addresses of a service's targets: one of them that cannot be asked for takes nobody out.
#[derive(Default)]
struct Targets(HashMap<Target, Vec<IpAddr>>);

impl Question {
    async fn ask(&self, targets: &mut Targets) -> Result<Answer, Trouble> {
        match &self.server.address {
            ServerAddress::Tcp { host, port, .. } => {
                let Addresses { ips, ttl } = self.resolver.addresses(host).await?;
                let found = |ip| self.found(host, SocketAddr::new(ip, *port), self.server.weight, self.server.priority);
                Ok(Answer { found: ips.into_iter().map(found).collect(), ttl })
            }
            ServerAddress::Service { name } => self.ask_service(name, targets).await,
            ServerAddress::Unix(_) => Err(Trouble::Empty),
        }
    }

    async fn ask_service(&self, name: &str, targets: &mut Targets) -> Result<Answer, Trouble> {
        let mut service = self.resolver.service(name).await?;
        let lacking = service.records.iter().filter(|record| record.addresses.is_empty());
        let asked = self.ask_targets(lacking.map(|record| record.target.clone()).collect()).await;
        targets.0.retain(|target, _| service.records.iter().any(|record| record.target == *target));
        let mut trouble = None;
        for (target, answer) in asked {
            match answer {
                Ok(addresses) => {
                    service.ttl = service.ttl.min(addresses.ttl);
                    targets.0.insert(target, addresses.ips);
                }
                Err(failed) => trouble = Some(failed),
            }
        }
        let weights = service::weights(&service.records);
        let mut found = Vec::new();
        for (Record { priority, target, addresses, .. }, weight) in service.records.iter().zip(weights) {
            let known = targets.0.get(target).map_or(&[][..], Vec::as_slice);
            let ips = if addresses.is_empty() { known } else { addresses };
            found.extend(ips.iter().map(|ip| self.found(&target.host, SocketAddr::new(*ip, target.port), weight, *priority)));
        }
        match trouble {
            Some(trouble) if found.is_empty() => Err(trouble),
            _ => Ok(Answer { found, ttl: service.ttl }),
        }
    }

    async fn ask_targets(&self, targets: Vec<Target>) -> Vec<(Target, Result<Addresses, Trouble>)> {
        let mut answers = Vec::with_capacity(targets.len());
        for some in targets.chunks(QUESTIONS_MAX) {
            let mut questions = JoinSet::new();
            for target in some.iter().cloned() {
                let resolver = Arc::clone(&self.resolver);
                questions.spawn(async move {
                    let answer = resolver.addresses(&target.host).await;
                    (target, answer)
                });
            }
            answers.extend(questions.join_all().await);
        }
        answers
    }

    fn found(&self, host: &str, address: SocketAddr, weight: u32, priority: u16) -> Found {
        let scheme = self.server.address.scheme();
        Found { address: reached(scheme, host, address, self.server_name.as_ref()), weight, priority }
    }

    fn say(&self, news: &News) {
        let (upstream, name) = (&*self.upstream, self.server.address.to_string());
        match news {
            News::Changed { came, went } => tracing::info!(upstream, name, came, went, "servers of a name changed"),
            News::Troubled(trouble) => {
                tracing::warn!(upstream, name, %trouble, "a name does not resolve: the servers known of it stay, and it is asked again");
            }
            News::Emptied => tracing::warn!(upstream, name, "a name has had no address for a while: its servers are taken out"),
            News::Recovered => tracing::info!(upstream, name, "a name resolves again"),
        }
    }
}

/// How a server at this address is reached. Its certificate must be for the host that was asked for.
pub(super) fn reached(scheme: Scheme, host: &str, address: SocketAddr, server_name: Option<&Arc<str>>) -> Address {
    match scheme {
        Scheme::Http => Address::Tcp(address),
        Scheme::Https => {
            let name = server_name.cloned().unwrap_or_else(|| host.trim_end_matches('.').into());
            Address::Tls { address, name }
        }
    }
}
