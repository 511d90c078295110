//! Who is at the other end of a connection, as far as the network itself tells. The accept loop puts it into every request's extensions.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderValue};

use crate::forwarded::TrustedProxies;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A process of this host that the permissions of the socket file let in. It counts as `127.0.0.1`.
    Unix,
}

impl Peer {
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Tcp(address) => address.ip().to_canonical(),
            Self::Unix => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Whether this peer's word about the hop before it counts.
    pub fn is_trusted(self, trusted: &TrustedProxies) -> bool {
        trusted.contains(self.ip())
    }

    /// The client behind this peer, read from `X-Forwarded-For` as far as trusted hops vouch for it.
    pub fn client_ip(self, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
        trusted.client(self.ip(), headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_peer_is_trusted_exactly_when_loopback_is() {
        let loopback = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static("203.0.113.9"))]);
        assert!(Peer::Unix.is_trusted(&loopback));
        assert_eq!(Peer::Unix.client_ip(&headers, &loopback).to_string(), "203.0.113.9");
        assert!(!Peer::Unix.is_trusted(&TrustedProxies::default()));
        assert_eq!(Peer::Unix.client_ip(&headers, &TrustedProxies::default()).to_string(), "127.0.0.1");
    }
}
