//! Where Redis is: one server, whatever server the sentinels name, or a cluster.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, Value};

/// A server that needs longer for one command is as good as away: its clients have gone by then.
pub(super) const RESPONSE_TIME_MAX: Duration = Duration::from_millis(500);
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);
const SENTINEL_PORT: u16 = 26_379;

/// What the state URL says.
pub(super) enum Topology {
    Server(Client),
    Sentinels { addresses: Vec<ConnectionAddr>, master: String, login: Box<ConnectionInfo> },
    Cluster { nodes: Vec<Client>, client: Box<ClusterClient> },
}

impl Topology {
    /// Reads a URL. Nothing is connected yet.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("a host is missing")?;
        match scheme {
            "redis" | "valkey" => Ok(Self::Server(client(format!("redis://{rest}"))?)),
            "redis+unix" => Ok(Self::Server(client(url.to_owned())?)),
            "redis+sentinel" => Self::parse_sentinels(rest),
            "redis+cluster" => Self::parse_cluster(rest),
            _ => Err(format!("`{scheme}` is unknown: use redis, redis+unix, redis+sentinel or redis+cluster")),
        }
    }

    /// `[user:password@]host[:port],…/master[/database]`
    fn parse_sentinels(rest: &str) -> Result<Self, String> {
        let places = Places::parse(rest);
        let (master, database) = places.path.split_once('/').unwrap_or((places.path, ""));
        if master.is_empty() {
            return Err("name the master after the sentinels: `redis+sentinel://host:26379/NAME`".into());
        }
        let addresses = places.hosts.iter().map(|host| {
            let port = if has_port(host) { String::new() } else { format!(":{SENTINEL_PORT}") };
            Ok(info(format!("redis://{host}{port}"))?.addr().clone())
        });
        let login = info(format!("redis://{}localhost/{database}", places.login))?;
        Ok(Self::Sentinels { addresses: addresses.collect::<Result<_, String>>()?, master: master.into(), login: Box::new(login) })
    }

    /// `[user:password@]host[:port],…`
    fn parse_cluster(rest: &str) -> Result<Self, String> {
        let places = Places::parse(rest);
        let nodes = places.hosts.iter().map(|host| info(format!("redis://{}{host}", places.login)));
        let nodes: Vec<ConnectionInfo> = nodes.collect::<Result<_, String>>()?;
        let builder = ClusterClientBuilder::new(nodes.clone());
        // The library would repeat a command whose connection broke, and count twice. `link` repeats what surely did not happen.
        let builder = builder.retries(0).connection_timeout(CONNECT_TIME_MAX).response_timeout(RESPONSE_TIME_MAX);
        let client = builder.build().map_err(|error| error.to_string())?;
        let nodes = nodes.into_iter().map(|node| Client::open(node).map_err(|error| error.to_string()));
        Ok(Self::Cluster { nodes: nodes.collect::<Result<_, String>>()?, client: Box::new(client) })
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        if let Self::Cluster { client, .. } = self {
            return client.get_async_connection().await.map(Connection::Cluster);
        }
        let limits =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIME_MAX)).set_response_timeout(Some(RESPONSE_TIME_MAX));
        let server = self.server().await?;
        server.get_multiplexed_async_connection_with_config(&limits).await.map(Connection::Server)
    }

    /// One server to talk to directly: messages travel on a connection of their own, and a cluster passes them between its nodes.
    pub(super) async fn server(&self) -> RedisResult<Client> {
        match self {
            Self::Server(client) => Ok(client.clone()),
            Self::Cluster { nodes, .. } => Ok(nodes[fastrand::usize(..nodes.len())].clone()),
            Self::Sentinels { addresses, master, login } => {
                // Asked in turn, so a dead one delays those after it: a new order each time.
                let mut addresses = addresses.clone();
                fastrand::shuffle(&mut addresses);
                let login = login.redis_settings();
                let mut builder =
                    SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?.set_client_to_redis_db(login.db());
                if let Some(user) = login.username() {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = login.password() {
                    builder = builder.set_client_to_redis_password(password);
                }
                builder.build()?.async_get_client().await
            }
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }
}

/// A connection that any number of calls share.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// `login@host,host/path`, where `login` keeps its `@`.
struct Places<'a> {
    login: &'a str,
    hosts: Vec<&'a str>,
    path: &'a str,
}

impl<'a> Places<'a> {
    fn parse(rest: &'a str) -> Self {
        let (login, rest) = rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self { login, hosts: hosts.split(',').collect(), path }
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

fn info(url: String) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| error.to_string())
}

fn client(url: String) -> Result<Client, String> {
    Client::open(url).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        Topology::parse(url).err().unwrap_or_else(|| panic!("{url} should not be accepted"))
    }

    #[test]
    fn sentinels_and_their_master_are_read() {
        let topology = Topology::parse("redis+sentinel://ada:se%40cret@a,b:1,[::1],[::1]:2/main/3").unwrap();
        let Topology::Sentinels { addresses, master, login } = topology else { panic!("not sentinels") };
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["a:26379", "b:1", "::1:26379", "::1:2"]);
        let login = login.redis_settings();
        assert_eq!((master.as_str(), login.db()), ("main", 3));
        assert_eq!((login.username(), login.password()), (Some("ada"), Some("se@cret")));
    }

    #[test]
    fn urls_that_cannot_work_are_refused_with_a_reason() {
        assert!(problem("redis+sentinel://localhost:26379").contains("name the master"));
        assert!(problem("redis+cluster://").contains("host"), "{}", problem("redis+cluster://"));
        assert!(problem("redis:localhost").contains("host is missing"));
        assert!(problem("rediss://localhost").contains("unknown"));
    }
}
