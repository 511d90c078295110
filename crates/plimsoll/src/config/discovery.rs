//! `[gateway.discovery]`: how names of servers are looked up.
#![allow(clippy::doc_markdown, reason = "doc comments are read on terminals and in TOML too")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::raw::{Raw, Read};
use super::settings::Settings;
use super::shape::{Choice, DAY, HOUR, List, MINUTE, MS, SECOND, Shape, Time, choice};
use super::table::table;

table! {
    /// How the names of servers are looked up, and how long what they said holds. A name with several addresses is several servers.
    struct Discovery at [Settings.gateway.discovery] {
        /// Name servers to ask, each an address with or without a port. Empty means those that this system is set up with, in
        /// /etc/resolv.conf.
        resolvers: Vec<SocketAddr> = Vec::new(), List(NameServer);
        /// Which addresses of a name are used. `auto` takes IPv4 if the name has any and IPv6 otherwise, since a server with both would
        /// count twice.
        family: Family = Family::Auto, Choice::<Family>::new();
        /// Shortest time after which a name is looked up again, however short its records may be kept.
        ttl_min: Duration = SECOND, Time(Duration::from_millis(100)..=HOUR);
        /// Longest time after which a name is looked up again, however long its records may be kept.
        ttl_max: Duration = 5 * MINUTE, Time(Duration::from_millis(100)..=DAY);
        /// How long a name must have had no address before its servers are taken out. A name server that fails, or knows no such name, takes
        /// nobody out.
        empty_after: Duration = 30 * SECOND, Time(MS..=DAY);
        /// How long a server that is no longer listed may finish what it works on before it is gone.
        drain: Duration = 30 * SECOND, Time(MS..=HOUR);
    }
}

choice! {
    /// Which addresses of a name are used.
    Family { Auto = "auto", Ipv4 = "ipv4", Ipv6 = "ipv6", }
}

impl Family {
    pub fn admits(self, ip: IpAddr) -> bool {
        match self {
            Self::Auto => true,
            Self::Ipv4 => ip.is_ipv4(),
            Self::Ipv6 => ip.is_ipv6(),
        }
    }
}

/// Where a name server listens.
struct NameServer;

const DNS_PORT: u16 = 53;

impl Shape for NameServer {
    type Value = SocketAddr;

    fn read(&self, raw: &Raw<'_>) -> Read<SocketAddr> {
        let text = raw.string("an address such as \"10.0.0.53\"")?.trim();
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let address = text.parse().or_else(|_| bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT)));
        let address = address.ok().filter(|address| address.port() != 0);
        address.ok_or_else(|| raw.fault(format!("`{text}` is not the address of a name server"), format!("write {}", self.accepts())))
    }

    fn print(&self, value: &SocketAddr) -> String {
        toml::Value::from(value.to_string()).to_string()
    }

    fn accepts(&self) -> String {
        "an address such as \"10.0.0.53\" or \"127.0.0.1:5353\"".to_owned()
    }
}
