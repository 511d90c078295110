//! Who the client really is. `X-Forwarded-*` and `Forwarded` (RFC 7239) are believed only as far as trusted proxies vouch for them.

use std::net::IpAddr;

use ipnet::IpNet;

mod element;

pub use element::proto_of_forwarded;

/// The proxies whose word is taken about the hop before them.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is not a trusted proxy, reading `X-Forwarded-For` values from the last hop to the first.
    ///
    /// Stops at the first entry that is not an address: whatever stands before it was written by somebody unknown.
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>) -> IpAddr {
        let hops = forwarded_for.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        self.walk(peer, hops.map(parse_hop))
    }

    /// The same from `Forwarded` (RFC 7239), for proxies that write it instead of `X-Forwarded-For`.
    ///
    /// `unknown`, obfuscated names such as `_hidden`, elements without `for` and malformed ones end the walk.
    pub fn client_from_forwarded<'a>(&self, peer: IpAddr, lines: impl DoubleEndedIterator<Item = &'a [u8]>) -> IpAddr {
        let elements = lines.rev().flat_map(element::from_last);
        self.walk(peer, elements.map(element::address))
    }

    /// From the peer towards the client, one vouched-for hop at a time.
    fn walk(&self, peer: IpAddr, mut hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer.to_canonical();
        while self.contains(client) {
            let Some(Some(address)) = hops.next() else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// One element of `X-Forwarded-For`: an address, perhaps with a port, perhaps in brackets.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let trusted = TrustedProxies::new(trusted.iter().map(|network| network.parse().unwrap()).collect());
        trusted.client(peer.parse().unwrap(), lines.iter().map(|line| line.as_bytes())).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(client(&[], "203.0.113.9", &["1.2.3.4"]), "203.0.113.9");
    }

    #[test]
    fn trusted_hops_are_walked_from_the_right() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "10.0.0.1", &["6.6.6.6, 198.51.100.7", "10.0.0.2"]), "198.51.100.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client(&trusted, "::ffff:10.0.0.1", &["198.51.100.7:1234"]), "198.51.100.7");
    }

    #[test]
    fn garbage_ends_the_walk() {
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4, unknown"]), "10.0.0.1");
    }
}
