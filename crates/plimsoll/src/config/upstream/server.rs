//! One server of an upstream, and how it is written.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::config::raw::{Fault, Raw, Read};
use crate::config::shape::{Shape, Whole, is_host};
use crate::config::suggest;

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    pub address: ServerAddress,
    /// Its share of the traffic, relative to its neighbours.
    pub weight: u32,
    /// Those with the lowest one that are well get all of it.
    pub priority: u16,
}

impl Server {
    pub const WEIGHTS: RangeInclusive<u32> = 1..=256;

    /// What may be written.
    pub fn accepts() -> String {
        ServerPlace.accepts()
    }
}

/// Where a server listens, or many do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// The host is an address (IPv6 without brackets), or a name that stands for any number of them.
    Tcp {
        scheme: Scheme,
        host: String,
        port: u16,
    },
    /// A service (RFC 2782), such as `_http._tcp.example.com`.
    Service {
        name: String,
    },
    Unix(PathBuf),
}

/// What is spoken with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl ServerAddress {
    /// The name of a service says what is spoken there.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Tcp { scheme, .. } => *scheme,
            Self::Service { name } if name.starts_with("_https.") => Scheme::Https,
            Self::Service { .. } | Self::Unix(_) => Scheme::Http,
        }
    }

    /// An address as it is written, or what is wrong with it and what to write instead.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.len() > SOCKET_PATH_LENGTH_MAX {
                return Err((
                    format!("a socket's path has 1 to {SOCKET_PATH_LENGTH_MAX} bytes"),
                    "write \"unix:/run/app.sock\"".to_owned(),
                ));
            }
            return Ok(Self::Unix(path.into()));
        }
        if let Some(name) = text.strip_prefix("srv:") {
            return parse_service(name);
        }
        if let Some(rest) = text.strip_prefix("https://") {
            return parse_authority(Scheme::Https, rest);
        }
        let Some(rest) = text.strip_prefix("http://") else {
            let slip = ["http", "https"].into_iter().find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?.strip_prefix(':')?)));
            let hint = if let Some((scheme, rest)) = slip {
                format!("write \"{scheme}://{}\"", rest.trim_start_matches('/'))
            } else if text.starts_with('/') {
                format!("write \"unix:{text}\" for a socket")
            } else if text.starts_with('_') {
                format!("write \"srv:{text}\" for a service")
            } else if text.contains("://") {
                "write http://, https://, srv: or unix:".to_owned()
            } else {
                format!("write \"http://{text}\"")
            };
            return Err((format!("`{text}` does not say how it is reached"), hint));
        };
        parse_authority(Scheme::Http, rest)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { scheme, host, port } if host.contains(':') => write!(formatter, "{scheme}://[{host}]:{port}"),
            Self::Tcp { scheme, host, port } => write!(formatter, "{scheme}://{host}:{port}"),
            Self::Service { name } => write!(formatter, "srv:{name}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whether a host is an address, which nobody needs to be asked for.
pub fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// What a Unix socket's path may hold on Linux.
const SOCKET_PATH_LENGTH_MAX: usize = 107;

fn parse_service(name: &str) -> Result<ServerAddress, (String, String)> {
    let hint = "write \"srv:_http._tcp.example.com\": the service, the protocol, and the domain".to_owned();
    let mut labels = name.split('.');
    let begins_well =
        [labels.next(), labels.next()].iter().all(|label| label.is_some_and(|label| label.len() > 1 && label.starts_with('_')));
    if !begins_well || labels.next().is_none_or(str::is_empty) || !is_host(name.strip_suffix('.').unwrap_or(name)) {
        return Err((format!("`{name}` is not the name of a service"), hint));
    }
    Ok(ServerAddress::Service { name: name.to_ascii_lowercase() })
}

fn parse_authority(scheme: Scheme, rest: &str) -> Result<ServerAddress, (String, String)> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() || authority.contains(['?', '#']) {
        return Err((format!("`/{path}` has no place here"), format!("requests keep their own path: write \"{scheme}://{authority}\"")));
    }
    if authority.contains('@') {
        return Err(("a user has no place here".to_owned(), "leave out everything up to the `@`".to_owned()));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port != 0)),
        _ => (authority, Some(scheme.port())),
    };
    let port = port.ok_or_else(|| (format!("`{authority}` has no valid port"), "a port is a number from 1 to 65535".to_owned()))?;
    if !is_host(host.strip_suffix('.').unwrap_or(host)) {
        return Err((
            format!("`{host}` is not a host"),
            "write a name or an address, such as \"http://127.0.0.1:9000\"; IPv6 in brackets".to_owned(),
        ));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if is_nearly_an_address(&host) {
        return Err((
            format!("`{host}` is neither a name nor an address"),
            "write all four numbers of an address: \"127.0.0.1\"".to_owned(),
        ));
    }
    Ok(ServerAddress::Tcp { scheme, host, port })
}

/// No name ends in a number: some systems would take `127.1` for an address, others for a name.
fn is_nearly_an_address(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    !is_address(host) && !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// How a server is written: a URL, or a table with a URL and its rank.
pub(super) struct ServerPlace;

const WEIGHT: Whole<u32> = Whole(Server::WEIGHTS);
const PRIORITY: Whole<u16> = Whole(0..=u16::MAX);
const KEYS: [&str; 3] = ["url", "weight", "priority"];

impl Shape for ServerPlace {
    type Value = Server;

    fn read(&self, raw: &Raw<'_>) -> Read<Server> {
        let Some(table) = raw.as_table() else {
            return read_address(raw).map(|address| Server { address, weight: 1, priority: 0 });
        };
        let mut faults = Vec::new();
        let mut address = None;
        let (mut weight, mut priority) = (1, 0);
        for (key, value) in table {
            let value = Raw::toml(value);
            match key.get_ref().as_ref() {
                "url" => keep(read_address(&value).map(Some), &mut address, &mut faults),
                "weight" => keep(WEIGHT.read(&value), &mut weight, &mut faults),
                "priority" => keep(PRIORITY.read(&value), &mut priority, &mut faults),
                unknown => {
                    let hint = suggest::closest(unknown, KEYS)
                        .map_or_else(|| format!("known here: {}", KEYS.join(", ")), |near| format!("did you mean `{near}`?"));
                    faults.push(Fault { span: key.span(), message: format!("unknown key `{unknown}`"), hint: Some(hint) });
                }
            }
        }
        match address {
            Some(address) if faults.is_empty() => Ok(Server { address, weight, priority }),
            None if faults.is_empty() => Err(raw.fault("the url is missing", "write { url = \"http://127.0.0.1:9000\", weight = 2 }")),
            _ => Err(faults),
        }
    }

    fn print(&self, value: &Server) -> String {
        let mut keys = toml::Value::from(value.address.to_string()).to_string();
        if (value.weight, value.priority) == (1, 0) {
            return keys;
        }
        for (key, number, default) in [("weight", value.weight, 1), ("priority", value.priority.into(), 0)] {
            if number != default {
                let _ = write!(keys, ", {key} = {number}");
            }
        }
        format!("{{ url = {keys} }}")
    }

    fn accepts(&self) -> String {
        "\"http://HOST:PORT\", \"https://HOST:PORT\", \"unix:PATH\", \"srv:_http._tcp.NAME\" or { url = \"…\", weight = 1 to 256, priority = 0 to 65535 }"
            .to_owned()
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
    ServerAddress::parse(text).map_err(|(problem, hint)| raw.fault(problem, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        for (text, shown, scheme) in [
            ("http://10.0.0.1", "http://10.0.0.1:80", Scheme::Http),
            ("https://API.example", "https://api.example:443", Scheme::Https),
            ("https://[::1]:8443", "https://[::1]:8443", Scheme::Https),
            ("http://api.shop.svc.cluster.local.:9000", "http://api.shop.svc.cluster.local.:9000", Scheme::Http),
            ("srv:_http._tcp.api.example", "srv:_http._tcp.api.example", Scheme::Http),
            ("srv:_https._tcp.api.example.", "srv:_https._tcp.api.example.", Scheme::Https),
            ("unix:/run/app.sock", "unix:/run/app.sock", Scheme::Http),
        ] {
            let address = ServerAddress::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.scheme()), (shown, scheme));
            assert_eq!(ServerAddress::parse(&address.to_string()).unwrap(), address, "reading it back");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (text, problem) in [
            ("http://127.1:9000", "`127.1` is neither a name nor an address"),
            ("http://1.2.3.4.5", "`1.2.3.4.5` is neither"),
            ("http://300.0.0.1", "`300.0.0.1` is neither"),
            ("http://api..example", "`api..example` is not a host"),
            ("srv:api.example", "`api.example` is not the name of a service"),
            ("srv:_http._tcp", "`_http._tcp` is not the name of a service"),
            ("srv:_http._tcp.", "`_http._tcp.` is not"),
            ("srv:_._tcp.example", "`_._tcp.example` is not"),
            ("srv:_http._tcp.example:80", "`_http._tcp.example:80` is not"),
            ("_http._tcp.example", "`_http._tcp.example` does not say how it is reached"),
            ("https://example:0", "`example:0` has no valid port"),
        ] {
            let (found, _) = ServerAddress::parse(text).unwrap_err();
            assert!(found.starts_with(problem), "{text}: {found}");
        }
    }
}
