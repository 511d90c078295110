//! `[[upstream]]`: a named group of servers that somebody else runs.

mod server;

use std::path::PathBuf;

use super::raw::{Raw, Read};
use super::route::Switch;
use super::settings::{Balance, Protocol};
use super::shape::{Choice, File, HostName, List, Maybe, Name, Shape, UrlPath};
use super::table::table;
use server::ServerPlace;
pub use server::{Scheme, Server, ServerAddress, is_address};

table! {
    /// A group of servers that `plimsoll gateway` forwards to. Repeat the table for each group. Names among them are looked up again and
    /// again, as `[gateway.discovery]` says.
    struct Upstream at [Upstream as "upstream"] {
        /// Name that routes, metrics and logs use.
        name: String = String::new(), Name;
        /// Where the servers are: `"http://HOST:PORT"`, `"https://HOST:PORT"`, `"unix:PATH"`, `"srv:_http._tcp.NAME"`, or
        /// `{ url = "…", weight = 2, priority = 1 }`. A server with weight 2 gets twice its share; one with priority 1 is used when none with
        /// priority 0 is well.
        servers: Vec<Server> = Vec::new(), Servers;
        /// A file of further servers, which is watched: `.toml` and `.json` hold `servers` as above, any other one has a server a line. One
        /// that cannot be read changes nothing.
        servers_file: Option<PathBuf> = None, Maybe(File);
        /// How a server is picked, if not as `gateway.balance` says.
        balance: Option<Balance> = None, Maybe(Choice::<Balance>::new());
        /// What is spoken with its servers, if not what `gateway.upstream_protocol` says: `http1`, `http2` or `auto`.
        protocol: Option<Protocol> = None, Maybe(Choice::<Protocol>::new());
        /// Path that answers 2xx when a server can take traffic, if not `gateway.health.path`.
        health_path: Option<String> = None, Maybe(UrlPath { may_be_empty: true });
        /// Name that the certificates of https servers must be for, if not the host of their URL. It is also what they are asked for (SNI).
        server_name: Option<String> = None, Maybe(HostName);
        /// PEM file with the authorities that vouch for https servers, instead of those that this system trusts.
        ca: Option<PathBuf> = None, Maybe(File);
        /// PEM file with a certificate to show to https servers that ask for one. It is read again when it changes.
        client_certificate: Option<PathBuf> = None, Maybe(File);
        /// PEM file with the key of that certificate.
        client_key: Option<PathBuf> = None, Maybe(File);
        /// Whether certificates of https servers are checked. `off` believes anybody who answers, and is for tests only.
        tls_verify: Option<Switch> = None, Maybe(Choice::<Switch>::new());
    }
}

impl Upstream {
    /// Whether TLS may have to be spoken with any of its servers. What a file holds is not known beforehand.
    pub fn may_speak_tls(&self) -> bool {
        self.servers_file.is_some() || self.servers.iter().any(|server| server.address.scheme() == Scheme::Https)
    }
}

/// Servers may come from a file alone.
struct Servers;

impl Shape for Servers {
    type Value = Vec<Server>;
    const OPTIONAL: bool = true;

    fn read(&self, raw: &Raw<'_>) -> Read<Vec<Server>> {
        List(ServerPlace).read(raw)
    }

    fn print(&self, value: &Vec<Server>) -> String {
        if value.is_empty() { String::new() } else { List(ServerPlace).print(value) }
    }

    fn accepts(&self) -> String {
        List(ServerPlace).accepts()
    }
}
