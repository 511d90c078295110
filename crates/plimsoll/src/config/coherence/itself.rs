//! Whether a connection to some address would arrive at one of our own listeners: an edge that forwards to itself drowns in its own requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::config::settings::Settings;

/// A listener that this process is about to have, and what to change if an upstream leads to it.
#[derive(Clone, PartialEq)]
pub struct Listener {
    address: SocketAddr,
    name: &'static str,
    /// The settings that say where it is, its port first.
    pub paths: [&'static str; 2],
}

impl Listener {
    /// The gateway's own, and the operator's.
    pub fn all(settings: &Settings) -> impl Iterator<Item = Self> {
        let (gateway, admin) = (&settings.gateway, &settings.admin);
        let listener = |ip, port, name, paths| Self { address: SocketAddr::new(ip, port), name, paths };
        let plain = listener(gateway.bind, gateway.port, "this gateway's own listener", ["gateway.port", "gateway.bind"]);
        let dashboard = listener(admin.bind, admin.port, "this gateway's own dashboard", ["admin.port", "admin.bind"]);
        let encrypted = listener(gateway.bind, gateway.tls.port, "this gateway's own TLS listener", ["gateway.tls.port", "gateway.bind"]);
        [plain, dashboard].into_iter().chain(gateway.tls.is_on().then_some(encrypted))
    }

    /// What is wrong with a server at this address, and what to do about it.
    pub fn refusal(&self, server: &str) -> (String, String) {
        let port = self.address.port();
        let message = format!("{server} is {}: no request would ever reach your server", self.name);
        let hint = format!("name the port on which your server listens; if that is {port}, set {} to another one", self.paths[0]);
        (message, hint)
    }

    /// Whether a connection to `target` would arrive here.
    pub fn is_reached_at(&self, target: SocketAddr) -> bool {
        let (listens, ip) = (self.address.ip().to_canonical(), target.ip().to_canonical());
        let reached = match listens {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => ip.is_ipv4() && is_of_this_machine(ip),
            // Both families: the sockets are opened that way.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => is_of_this_machine(ip),
            // The system takes "any address" as the way to its own loopback.
            _ => listens == ip || (ip.is_unspecified() && listens.is_loopback() && listens.is_ipv4() == ip.is_ipv4()),
        };
        reached && target.port() == self.address.port()
    }
}

/// The addresses that a host stands for without asking anybody.
pub fn known_addresses(host: &str) -> Vec<IpAddr> {
    match host {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        _ => host.parse().into_iter().collect(),
    }
}

/// The system answers to a machine's own address from that address; to choose the sender, no packet is sent.
fn is_of_this_machine(ip: IpAddr) -> bool {
    let sender = || {
        let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((ip, 9))?;
        socket.local_addr()
    };
    ip.is_loopback() || ip.is_unspecified() || sender().is_ok_and(|sender| sender.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listens: &str, target: &str, reached: bool) {
        let listener = Listener { address: listens.parse().unwrap(), name: "", paths: [""; 2] };
        assert_eq!(listener.is_reached_at(target.parse().unwrap()), reached, "{target} at {listens}");
    }

    #[test]
    fn every_way_to_a_listener_is_known_and_no_other() {
        for target in ["127.0.0.1:80", "127.0.0.9:80", "0.0.0.0:80", "[::ffff:127.0.0.1]:80"] {
            check("0.0.0.0:80", target, true);
            check("[::]:80", target, true);
        }
        check("[::]:80", "[::1]:80", true);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("[::1]:80", "[::1]:80", true);
        check("192.0.2.1:80", "192.0.2.1:80", true);

        check("0.0.0.0:80", "127.0.0.1:81", false);
        check("0.0.0.0:80", "[::1]:80", false);
        check("0.0.0.0:80", "192.0.2.1:80", false);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("192.0.2.1:80", "127.0.0.1:80", false);
    }
}
