//! What is printed once everything is up: where it is, what is on, and a line to paste.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{Limit, Named, Settings};

pub struct Banner<'a> {
    pub gateway: SocketAddr,
    pub operator: SocketAddr,
    /// Names of the instances, or of the upstreams.
    pub instances: Vec<String>,
    pub ready_after: Duration,
    /// Where shared state lives, if this process gives instances one.
    pub state: Option<String>,
    /// A path worth asking for.
    pub path: &'a str,
    pub settings: &'a Settings,
}

/// How a person on this machine reaches a listener.
pub fn url(address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_loopback() { format!("http://localhost:{}", address.port()) } else { format!("http://{address}") }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = &self.settings.gateway;
        writeln!(formatter, "\nplimsoll {} is up\n", env!("CARGO_PKG_VERSION"))?;
        writeln!(formatter, "  gateway    {}", url(self.gateway))?;
        writeln!(formatter, "  dashboard  {}", url(self.operator))?;
        writeln!(formatter, "  instances  {}   ready in {:.2} s", self.instances.join(" "), self.ready_after.as_secs_f64())?;
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
        writeln!(formatter, "  off  tls, cache, rate limits: not built yet")?;
        writeln!(formatter, "       every value and where it comes from: plimsoll explain")?;
        write!(formatter, "\ntry    curl -i localhost:{}{}\n", self.gateway.port(), self.path)
    }
}
