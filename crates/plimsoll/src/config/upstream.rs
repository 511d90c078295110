//! `[[upstream]]`: a named group of servers that somebody else runs.

use std::fmt;
use std::path::PathBuf;

use super::raw::{Fault, Raw, Read};
use super::settings::Balance;
use super::shape::{Choice, List, Maybe, Name, Shape, UrlPath, Whole, is_host};
use super::suggest;
use super::table::table;

table! {
    /// A group of servers that `plimsoll gateway` forwards to. Repeat the table for each group.
    struct Upstream at [Upstream as "upstream"] {
        /// Name that routes, metrics and logs use.
        name: String = String::new(), Name;
        /// Where the servers are: `"http://HOST:PORT"`, `"unix:PATH"`, or `{ url = "…", weight = 2 }` for one that gets twice its share.
        servers: Vec<Server> = Vec::new(), List(ServerPlace);
        /// How a server is picked, if not as `gateway.balance` says.
        balance: Option<Balance> = None, Maybe(Choice::<Balance>::new());
        /// Path that answers 2xx when a server can take traffic, if not `gateway.health.path`.
        health_path: Option<String> = None, Maybe(UrlPath { may_be_empty: true });
    }
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub address: ServerAddress,
    /// Its share of the traffic, relative to its neighbours.
    pub weight: u32,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// The host is a name or an address (IPv6 without brackets); names are resolved when the gateway starts.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "http://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "http://{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// How a server is written: a URL, or a table with a URL and a weight.
struct ServerPlace;

const WEIGHT: Whole<u32> = Whole(1..=256);

impl Shape for ServerPlace {
    type Value = Server;

    fn read(&self, raw: &Raw<'_>) -> Read<Server> {
        let Some(table) = raw.as_table() else {
            return read_address(raw).map(|address| Server { address, weight: 1 });
        };
        let mut faults = Vec::new();
        let mut address = None;
        let mut weight = 1;
        for (key, value) in table {
            let value = Raw::toml(value);
            match key.get_ref().as_ref() {
                "url" => keep(read_address(&value).map(Some), &mut address, &mut faults),
                "weight" => keep(WEIGHT.read(&value), &mut weight, &mut faults),
                unknown => {
                    let hint = suggest::closest(unknown, ["url", "weight"])
                        .map_or("known here: url, weight".to_owned(), |near| format!("did you mean `{near}`?"));
                    faults.push(Fault { span: key.span(), message: format!("unknown key `{unknown}`"), hint: Some(hint) });
                }
            }
        }
        match address {
            Some(address) if faults.is_empty() => Ok(Server { address, weight }),
            None if faults.is_empty() => Err(raw.fault("the url is missing", "write { url = \"http://127.0.0.1:9000\", weight = 2 }")),
            _ => Err(faults),
        }
    }

    fn print(&self, value: &Server) -> String {
        let url = toml::Value::from(value.address.to_string());
        if value.weight == 1 { url.to_string() } else { format!("{{ url = {url}, weight = {} }}", value.weight) }
    }

    fn accepts(&self) -> String {
        "\"http://HOST:PORT\", \"unix:PATH\" or { url = \"…\", weight = 1 to 256 }".to_owned()
    }
}

fn keep<T>(read: Read<T>, place: &mut T, faults: &mut Vec<Fault>) {
    match read {
        Ok(value) => *place = value,
        Err(more) => faults.extend(more),
    }
}

fn read_address(raw: &Raw<'_>) -> Read<ServerAddress> {
    let text = raw.string("a URL such as \"http://127.0.0.1:9000\"")?;
    parse_address(text).map_err(|(problem, hint)| raw.fault(problem, hint))
}

/// What a Unix socket's path may hold on Linux.
const SOCKET_PATH_LENGTH_MAX: usize = 107;

fn parse_address(text: &str) -> Result<ServerAddress, (String, String)> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.len() > SOCKET_PATH_LENGTH_MAX {
            return Err((format!("a socket's path has 1 to {SOCKET_PATH_LENGTH_MAX} bytes"), "write \"unix:/run/app.sock\"".to_owned()));
        }
        return Ok(ServerAddress::Unix(path.into()));
    }
    if text.starts_with("https://") {
        return Err((
            "https upstreams are not spoken yet".to_owned(),
            "use http:// inside a trusted network, or put a TLS tunnel in between".to_owned(),
        ));
    }
    let Some(rest) = text.strip_prefix("http://") else {
        let hint = if text.starts_with('/') {
            format!("write \"unix:{text}\" for a socket")
        } else if text.contains("://") {
            "write http:// or unix:".to_owned()
        } else {
            format!("write \"http://{text}\"")
        };
        return Err((format!("`{text}` does not say how it is reached"), hint));
    };
    parse_authority(rest)
}

fn parse_authority(rest: &str) -> Result<ServerAddress, (String, String)> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() || authority.contains(['?', '#']) {
        return Err((format!("`/{path}` has no place here"), format!("requests keep their own path: write \"http://{authority}\"")));
    }
    if authority.contains('@') {
        return Err(("a user has no place here".to_owned(), "leave out everything up to the `@`".to_owned()));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "80"),
    };
    let port = port.parse().ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| (format!("`{authority}` has no valid port"), "a port is a number from 1 to 65535".to_owned()))?;
    if !is_host(host) {
        return Err((
            format!("`{host}` is not a host"),
            "write a name or an address, such as \"http://127.0.0.1:9000\"; IPv6 in brackets".to_owned(),
        ));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Ok(ServerAddress::Tcp { host, port })
}
