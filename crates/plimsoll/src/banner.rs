//! What is printed once everything is up: where it is, what is on, and a line to paste.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_gateway::Gateway;
use plimsoll_gateway::config::Speaks;

use crate::config::{Limit, Named, Settings};
use crate::edge::tls::authority_in;

pub struct Banner<'a> {
    pub gateway: SocketAddr,
    /// Where TLS is spoken, if it is.
    pub encrypted: Option<Encrypted>,
    pub operator: SocketAddr,
    pub behind: Behind,
    /// Where shared state lives, if this process gives instances one.
    pub state: Option<String>,
    /// A path worth asking for.
    pub path: &'a str,
    pub settings: &'a Settings,
}

/// Who answers.
pub enum Behind {
    /// Instances that this process has started, all of them ready.
    Fleet { names: Vec<String>, ready_after: Duration },
    /// Servers that somebody else runs, as they are written. Nothing is promised about them: their names may yet stand for nobody.
    Servers(Vec<String>),
}

impl fmt::Display for Behind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet { names, ready_after } => {
                writeln!(formatter, "  instances  {}   ready in {:.2} s", names.join(" "), ready_after.as_secs_f64())
            }
            Self::Servers(listed) if listed.is_empty() => Ok(()),
            Self::Servers(listed) => writeln!(formatter, "  servers    {}", listed.join(" ")),
        }
    }
}

/// The way in for those who come by https.
pub struct Encrypted {
    address: SocketAddr,
    /// A host that a certificate is for.
    name: Option<String>,
    /// What vouches for a development certificate.
    authority: Option<PathBuf>,
}

impl Encrypted {
    pub fn of(gateway: &Gateway, settings: &Settings) -> Option<Self> {
        let address = gateway.address_of(Speaks::Https)?;
        let certificates = gateway.certificates();
        let name = certificates.iter().flat_map(|certificate| &certificate.names).find(|name| !name.starts_with('*')).cloned();
        let authority = (!settings.gateway.tls.development.is_empty()).then(|| authority_in(&settings.data_dir));
        Some(Self { address, name, authority })
    }

    /// What curl needs to be told to believe it, and the start of a URL.
    fn for_curl(&self) -> Option<String> {
        let port = self.address.port();
        match (&self.authority, &self.name) {
            (Some(authority), _) => Some(format!("--cacert {} https://localhost:{port}", authority.display())),
            (None, Some(name)) => Some(format!("--connect-to ::localhost: https://{name}:{port}")),
            (None, None) => None,
        }
    }
}

/// How a person on this machine reaches a listener.
pub fn url(address: SocketAddr) -> String {
    at("http", address)
}

/// Where clients are sent.
pub fn public_url(plain: SocketAddr, encrypted: Option<&Encrypted>) -> String {
    encrypted.map_or_else(|| url(plain), |encrypted| at("https", encrypted.address))
}

fn at(scheme: &str, address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_loopback() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = &self.settings.gateway;
        writeln!(formatter, "\nplimsoll {} is up\n", env!("CARGO_PKG_VERSION"))?;
        writeln!(formatter, "  gateway    {}", url(self.gateway))?;
        if let Some(encrypted) = &self.encrypted {
            writeln!(formatter, "  https      {}", at("https", encrypted.address))?;
            if let Some(authority) = &encrypted.authority {
                writeln!(formatter, "  authority  {}", authority.display())?;
            }
        }
        writeln!(formatter, "  dashboard  {}", url(self.operator))?;
        write!(formatter, "{}", self.behind)?;
        if let Some(state) = &self.state {
            writeln!(formatter, "  state      {state}")?;
        }
        let failover = match gateway.retry.attempts_max {
            1 => String::new(),
            attempts => format!(", failover ({attempts} attempts)"),
        };
        let admission = match gateway.admission.limit {
            Limit::Measured => "the load line (limit found by measurement), ".to_owned(),
            Limit::Fixed(limit) => format!("the load line (limit {limit}), "),
            Limit::Off => String::new(),
        };
        writeln!(
            formatter,
            "\n  on   {admission}balancing ({}), health probes, ejection{failover}\n       circuit breaker, time and size limits, graceful drain",
            gateway.balance.as_str()
        )?;
        let tls = if self.encrypted.is_some() { "" } else { "tls (--tls localhost makes a certificate), " };
        writeln!(formatter, "  off  {tls}cache, rate limits (not built yet)")?;
        writeln!(formatter, "       every value and where it comes from: plimsoll explain")?;
        let target = self.encrypted.as_ref().and_then(Encrypted::for_curl).unwrap_or_else(|| format!("localhost:{}", self.gateway.port()));
        write!(formatter, "\ntry    curl -i {target}{}\n", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_ready_whom_nobody_has_asked() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let servers = Behind::Servers(names(&["http://127.0.0.1:9000", "http://nowhere.example:80"]));
        assert_eq!(servers.to_string(), "  servers    http://127.0.0.1:9000 http://nowhere.example:80\n");
        assert_eq!(Behind::Servers(Vec::new()).to_string(), "", "an edge that answers by itself");
        let fleet = Behind::Fleet { names: names(&["api-1", "api-2"]), ready_after: Duration::from_millis(120) };
        assert_eq!(fleet.to_string(), "  instances  api-1 api-2   ready in 0.12 s\n");
    }
}
