//! Where requests go, and whose that is.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// A server and the path that requests without one of their own ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub scheme: Scheme,
    pub place: Place,
    /// Begins with a slash; with the query, without the fragment.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name or an address (IPv6 without brackets), and a port.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl Target {
    /// True when the traffic cannot leave this machine.
    pub fn is_local(&self) -> bool {
        match &self.place {
            Place::Unix(_) => true,
            Place::Tcp { host, .. } => {
                let name = host.trim_end_matches('.');
                let is_local_name = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
                is_local_name || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }

    /// True when the target is local, or its host is one of those that the user listed as theirs. An entry is a host, which may begin
    /// with `*.` to mean every name below it, or `host:port`.
    pub fn is_allowed<S: AsRef<str>>(&self, allow: &[S]) -> bool {
        let Place::Tcp { host, port } = &self.place else { return true };
        self.is_local() || allow.iter().any(|entry| matches_host(entry.as_ref(), host, *port))
    }

    /// What the `Host` field or `:authority` says: the port only when it is not the scheme's own.
    pub fn authority(&self) -> String {
        match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp { host, port } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                if *port == self.scheme.default_port() { host } else { format!("{host}:{port}") }
            }
        }
    }

    fn parse(url: &str) -> Result<Self, &'static str> {
        if let Some(rest) = url.strip_prefix("http+unix:").or_else(|| url.strip_prefix("unix:")) {
            return parse_unix(rest);
        }
        let (scheme, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return Err("only http, https and unix are spoken here"),
            None => (Scheme::Http, url),
        };
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = parse_path(path)?;
        if authority.contains('@') {
            return Err("a name and password do not belong there; send an Authorization header");
        }
        let (host, port) = parse_authority(authority, scheme)?;
        Ok(Self { scheme, place: Place::Tcp { host, port }, path })
    }
}

impl Scheme {
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        Self::parse(url.trim()).map_err(|reason| Error::BadTarget { url: url.to_owned(), reason })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(socket) => write!(formatter, "unix:{}:{}", socket.display(), self.path),
            Place::Tcp { .. } => write!(formatter, "{}://{}{}", self.scheme.as_str(), self.authority(), self.path),
        }
    }
}

/// `/run/app.sock`, or with the path to ask for behind a colon: `/run/app.sock:/health`.
fn parse_unix(rest: &str) -> Result<Target, &'static str> {
    let rest = rest.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(rest);
    let (socket, path) = rest.split_once(":/").map_or((rest, "/".to_owned()), |(socket, path)| (socket, format!("/{path}")));
    if socket.is_empty() {
        return Err("the path of the socket is missing: write unix:/run/app.sock:/path");
    }
    Ok(Target { scheme: Scheme::Http, place: Place::Unix(socket.into()), path: parse_path(&path)? })
}

fn parse_path(path: &str) -> Result<String, &'static str> {
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("the path holds a space or a control character; write it as %20 or the like");
    }
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

fn parse_authority(authority: &str, scheme: Scheme) -> Result<(String, u16), &'static str> {
    const BAD_PORT: &str = "the port must be a number from 1 to 65535";
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "there is no IPv6 address between the brackets")?;
            (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")).ok_or(BAD_PORT)?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = match port {
        "" => scheme.default_port(),
        text => text.parse().ok().filter(|port| *port != 0).ok_or(BAD_PORT)?,
    };
    // `:8080/path` means this machine.
    let host = match host {
        "" if authority.is_empty() => return Err("the host is missing"),
        "" => "localhost",
        host => host,
    };
    let is_part_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !host.bytes().all(is_part_of_name) {
        return Err("the host holds a character that no name of a host may hold");
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn matches_host(entry: &str, host: &str, port: u16) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    let (name, wanted_port) = match entry.rsplit_once(':') {
        // More than one colon is an IPv6 address.
        Some((name, text)) if !name.contains(':') => (name, text.parse::<u16>().ok()),
        _ => (entry.as_str(), None),
    };
    let is_name = match name.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => name == host,
    };
    is_name && wanted_port.is_none_or(|wanted| wanted == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        url.parse().unwrap()
    }

    #[test]
    fn reads_every_form() {
        for (url, printed, authority) in [
            ("http://example.test", "http://example.test/", "example.test"),
            ("https://Example.test:443/a?b=c#d", "https://example.test/a?b=c", "example.test"),
            ("https://example.test:8443?b", "https://example.test:8443/?b", "example.test:8443"),
            (":8080/feed", "http://localhost:8080/feed", "localhost:8080"),
            ("localhost:3000", "http://localhost:3000/", "localhost:3000"),
            ("http://[::1]:9/x", "http://[::1]:9/x", "[::1]:9"),
            ("http+unix:/run/a.sock:/x?y", "unix:/run/a.sock:/x?y", "localhost"),
            ("unix:///run/a.sock", "unix:/run/a.sock:/", "localhost"),
            ("unix:a.sock", "unix:a.sock:/", "localhost"),
        ] {
            let target = target(url);
            assert_eq!((target.to_string().as_str(), target.authority().as_str()), (printed, authority), "{url}");
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for url in [
            "",
            "http://",
            "ftp://a",
            "http://a:0",
            "http://a:70000",
            "http://a:b",
            "http://a b/",
            "http://a/b c",
            "http://u:p@a/",
            "http://[::1",
            "http://[x]/",
            "unix:",
            "unix::/x",
        ] {
            url.parse::<Target>().unwrap_err();
        }
    }

    #[test]
    fn knows_what_stays_on_this_machine() {
        for url in
            ["http://localhost", "http://127.9.9.9:1", "http://[::1]", "http://[::ffff:127.0.0.1]", "unix:/a", "http://app.localhost"]
        {
            assert!(target(url).is_local(), "{url}");
        }
        for url in ["http://localhost.example", "http://10.0.0.1", "http://0.0.0.0", "http://mylocalhost"] {
            assert!(!target(url).is_local(), "{url}");
        }
    }

    #[test]
    fn the_list_of_what_is_allowed_names_hosts() {
        let url = target("https://api.example.test:8443/");
        for entry in ["api.example.test", "API.example.test:8443", "*.example.test"] {
            assert!(url.is_allowed(&[entry]), "{entry}");
        }
        for entry in ["example.test", "api.example.test:443", "*.api.example.test", "*.ample.test", "*", ""] {
            assert!(!url.is_allowed(&[entry]), "{entry}");
        }
        assert!(target("http://localhost").is_allowed::<&str>(&[]));
    }
}
