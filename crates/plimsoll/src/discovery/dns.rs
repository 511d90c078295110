//! Asks what a name stands for: the hosts file first, then the name servers, with the search domains that this system is set up with.
//!
//! Nothing is kept here: whoever asks decides by the time to live when to ask again. An address comes from one family: IPv4 if the name has
//! any, else IPv6, since a server with both would count twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::task::spawn_blocking;

use super::Found;
use super::service::{Record, Target};
use crate::config::{self, Family};
use plimsoll_gateway::FileStamp;

/// What one name may stand for; the rest is left out.
const ADDRESSES_MAX: usize = 256;

/// The hosts file has no times to live.
const HOSTS_TTL: Duration = Duration::from_secs(5);

/// How long one name server has for one try, at most: a question may have been lost on the way.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a change of these is noticed by.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// At least one, always in the same order.
    pub(super) found: Vec<Found>,
    pub(super) ttl: Duration,
}

/// Why a name stands for nothing just now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("no such name")]
    NoSuchName,
    #[error("the name has no address")]
    Empty,
    #[error("no answer: {0}")]
    Failed(String),
}

impl Trouble {
    /// Whether it is of the same kind, in other words perhaps.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The addresses of a host.
#[derive(Debug)]
pub struct Addresses {
    pub(super) ips: Vec<IpAddr>,
    pub(super) ttl: Duration,
}

/// The hosts that offer a service.
#[derive(Debug)]
pub struct Service {
    pub(super) records: Vec<Record>,
    pub(super) ttl: Duration,
}

/// Whom to ask, read anew when the system's files change.
pub struct Resolver {
    settings: config::Discovery,
    /// What was read last.
    system: Arc<Mutex<Option<Stamped>>>,
}

type Stamps = [Option<FileStamp>; 2];
type Stamped = (Stamps, Arc<System>);

struct System {
    client: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    /// A name with fewer dots is tried below the search domains first.
    dots_min: usize,
}

impl Resolver {
    pub fn new(settings: &config::Discovery) -> Self {
        Self { settings: settings.clone(), system: Arc::default() }
    }

    /// The addresses of a host, sorted.
    pub async fn addresses(&self, host: &str) -> Result<Addresses, Trouble> {
        let system = self.system().await;
        let name = parse(host)?;
        if let Some(ips) = system.local(&name, self.settings.family) {
            return Ok(Addresses { ips, ttl: HOSTS_TTL });
        }
        let kinds: &[RecordType] = match self.settings.family {
            Family::Auto => &[RecordType::A, RecordType::AAAA],
            Family::Ipv4 => &[RecordType::A],
            Family::Ipv6 => &[RecordType::AAAA],
        };
        let lookup = system.search(&name, kinds).await?;
        let ips: Vec<_> = lookup.answers().iter().filter_map(|record| ip(&record.data)).collect();
        let ips = presentable(host, ips);
        if ips.is_empty() { Err(Trouble::Empty) } else { Ok(Addresses { ips, ttl: ttl(&lookup) }) }
    }

    /// The hosts that offer a service, such as `_http._tcp.example.com` (RFC 2782), with their addresses as far as they came along.
    pub async fn service(&self, name: &str) -> Result<Service, Trouble> {
        let lookup = self.system().await.search(&parse(name)?, &[RecordType::SRV]).await?;
        let addresses = |target: &Name| {
            let of_target = lookup.additionals().iter().filter(|record| record.name == *target);
            of_target.filter_map(|record| ip(&record.data)).filter(|ip| self.settings.family.admits(*ip)).collect::<Vec<_>>()
        };
        let mut records = Vec::new();
        for record in lookup.answers() {
            let RData::SRV(service) = &record.data else { continue };
            // The root as a target says that there is no such service here.
            if service.target.is_root() {
                continue;
            }
            let target = Target { host: service.target.to_ascii(), port: service.port };
            let (priority, weight) = (service.priority, service.weight);
            records.push(Record { priority, weight, addresses: addresses(&service.target), target });
        }
        records.sort();
        if records.len() > ADDRESSES_MAX {
            tracing::warn!(name, records = records.len(), "a service has too many records: those beyond {ADDRESSES_MAX} are left out");
            records.truncate(ADDRESSES_MAX);
        }
        if records.is_empty() { Err(Trouble::Empty) } else { Ok(Service { records, ttl: ttl(&lookup) }) }
    }

    async fn system(&self) -> Arc<System> {
        let (known, settings) = (Arc::clone(&self.system), self.settings.clone());
        let look = move || {
            let now = stamps();
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            match &*known {
                Some((stamps, system)) if *stamps == now => Arc::clone(system),
                _ => Arc::clone(&known.insert((now, Arc::new(System::read(&settings)))).1),
            }
        };
        spawn_blocking(look).await.expect("reading the system's files does not panic")
    }
}

impl System {
    fn read(settings: &config::Discovery) -> Self {
        let (system, mut options) = system_conf::read_system_conf().unwrap_or_else(|_| {
            // As the C library does where nothing is said.
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            (ResolverConfig::from_parts(None, Vec::new(), vec![local]), ResolverOpts::default())
        });
        let (_, search, mut servers) = system.into_parts();
        if !settings.resolvers.is_empty() {
            servers = settings.resolvers.iter().map(name_server).collect();
        }
        options.timeout = options.timeout.min(TIMEOUT);
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let dots_min = options.ndots;
        // Search domains are ours to try: an answer without addresses must be told from a name that is not there.
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let client = builder.build().expect("without TLS nothing of it can fail");
        Self { client, hosts: Hosts::from_system().unwrap_or_default(), search, dots_min }
    }

    /// What is known without asking anybody. What somebody wrote into the hosts file is taken as it is, of both families.
    fn local(&self, name: &Name, family: Family) -> Option<Vec<IpAddr>> {
        let of_kind = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of_kind);
        let mut ips: Vec<_> =
            found.flat_map(|lookup| lookup.answers().iter().filter_map(|record| ip(&record.data)).collect::<Vec<_>>()).collect();
        if ips.is_empty() && name.is_localhost() {
            ips = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        ips.retain(|ip| family.admits(*ip));
        ips.sort_unstable();
        ips.dedup();
        (!ips.is_empty()).then_some(ips)
    }

    /// The first candidate that has an answer. A name server that fails must not make another name be taken.
    async fn search(&self, name: &Name, kinds: &[RecordType]) -> Result<Lookup, Trouble> {
        let mut worst = Trouble::NoSuchName;
        for candidate in candidates(name, &self.search, self.dots_min) {
            match self.ask(&candidate, kinds).await {
                Ok(lookup) => return Ok(lookup),
                Err(failed @ Trouble::Failed(_)) => return Err(failed),
                Err(Trouble::Empty) => worst = Trouble::Empty,
                Err(Trouble::NoSuchName) => {}
            }
        }
        Err(worst)
    }

    /// Kind after kind, until there is an answer.
    async fn ask(&self, name: &Name, kinds: &[RecordType]) -> Result<Lookup, Trouble> {
        for kind in kinds {
            match self.client.lookup(name.clone(), *kind).await {
                Ok(lookup) if lookup.answers().iter().any(|record| record.record_type() == *kind) => return Ok(lookup),
                Ok(_) => {}
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                    ResponseCode::NoError => {}
                    ResponseCode::NXDomain => return Err(Trouble::NoSuchName),
                    other => return Err(Trouble::Failed(other.to_string())),
                },
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
        Err(Trouble::Empty)
    }
}

/// The names that one may stand for, in the order in which they are tried (resolv.conf(5)).
fn candidates(name: &Name, search: &[Name], dots_min: usize) -> Vec<Name> {
    let mut whole = name.clone();
    whole.set_fqdn(true);
    if name.is_fqdn() {
        return vec![whole];
    }
    let dots = name.iter().count().saturating_sub(1);
    let below: Vec<_> = search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    if dots >= dots_min { [vec![whole], below].concat() } else { [below, vec![whole]].concat() }
}

fn parse(name: &str) -> Result<Name, Trouble> {
    Name::from_ascii(name).map_err(|error| Trouble::Failed(error.to_string()))
}

fn ip(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(ip) => Some(ip.0.into()),
        RData::AAAA(ip) => Some(ip.0.into()),
        _ => None,
    }
}

/// Those that a connection can be opened to, in order, and not too many.
fn presentable(host: &str, mut ips: Vec<IpAddr>) -> Vec<IpAddr> {
    ips.retain(|ip| !ip.is_unspecified() && !ip.is_multicast());
    ips.sort_unstable();
    ips.dedup();
    if ips.len() > ADDRESSES_MAX {
        tracing::warn!(host, addresses = ips.len(), "a name has too many addresses: those beyond {ADDRESSES_MAX} are left out");
        ips.truncate(ADDRESSES_MAX);
    }
    ips
}

/// The shortest of all that had a part in the answer, aliases included.
fn ttl(lookup: &Lookup) -> Duration {
    let shortest = lookup.answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(shortest.unwrap_or_default().into())
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn stamps() -> Stamps {
    FILES.map(|file| FileStamp::of(file.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(name: &str, search: &[&str], dots_min: usize) -> Vec<String> {
        let search: Vec<_> = search.iter().map(|domain| Name::from_ascii(domain).unwrap()).collect();
        candidates(&Name::from_ascii(name).unwrap(), &search, dots_min).iter().map(Name::to_ascii).collect()
    }

    #[test]
    fn search_domains_come_before_or_after_the_name_itself() {
        let cluster = ["shop.svc.cluster.local", "svc.cluster.local"];
        assert_eq!(tried("api", &cluster, 1), ["api.shop.svc.cluster.local.", "api.svc.cluster.local.", "api."]);
        assert_eq!(tried("api.example.com", &cluster[1..], 1), ["api.example.com.", "api.example.com.svc.cluster.local."]);
        assert_eq!(tried("api.other", &cluster[1..], 5), ["api.other.svc.cluster.local.", "api.other."]);
        assert_eq!(tried("api.example.com.", &cluster, 5), ["api.example.com."], "a dot at the end says that this is all");
        assert_eq!(tried("api", &[], 1), ["api."]);
    }

    #[test]
    fn what_nobody_can_connect_to_and_what_is_too_much_is_left_out() {
        let ips = ["10.0.0.2", "0.0.0.0", "224.0.0.1", "10.0.0.1", "::", "10.0.0.2"].map(|ip| ip.parse().unwrap()).to_vec();
        assert_eq!(presentable("api", ips), ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        let many = (0..1_000_u32).map(|number| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number))).collect();
        assert_eq!(presentable("api", many).len(), ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn this_machine_is_known_without_asking_anybody() {
        let nobody = config::Discovery { resolvers: vec![SocketAddr::from(([127, 0, 0, 1], 1))], ..config::Discovery::default() };
        let addresses = Resolver::new(&nobody).addresses("localhost").await.unwrap();
        assert!(addresses.ips.contains(&Ipv4Addr::LOCALHOST.into()), "{addresses:?}");
        assert!(addresses.ips.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }
}
