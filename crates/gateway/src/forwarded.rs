//! What an instance is told about the client: `X-Forwarded-*`, `Forwarded` (RFC 7239), `Via`, `X-Request-Id`.
//!
//! Written anew at every hop. What came in is passed on only if the peer is a trusted proxy; otherwise anybody could claim any address.

use std::fmt::Write as _;
use std::net::IpAddr;

use plimsoll_policy::RequestId;
use plimsoll_policy::forwarded::TrustedProxies;

use crate::message::Headers;

/// One request's way here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    /// Who opened the connection.
    pub(crate) peer: IpAddr,
    /// Who asked, behind all trusted proxies.
    pub(crate) client: IpAddr,
    pub(crate) peer_is_trusted: bool,
    pub(crate) request_id: RequestId,
}

impl Hop {
    pub(crate) fn new(peer: IpAddr, headers: &Headers, trusted: &TrustedProxies) -> Self {
        let peer = peer.to_canonical();
        let peer_is_trusted = trusted.contains(peer);
        if !peer_is_trusted {
            return Self { peer, client: peer, peer_is_trusted, request_id: RequestId::generate() };
        }
        let client = trusted.client(peer, headers.all("x-forwarded-for"));
        let request_id = headers.first("x-request-id").and_then(RequestId::parse).unwrap_or_else(RequestId::generate);
        Self { peer, client, peer_is_trusted, request_id }
    }

    pub(crate) fn write(&self, front: &mut Vec<u8>, headers: &Headers, host: &[u8]) {
        let given = |name| self.peer_is_trusted.then(|| headers.first(name)).flatten();
        let mut line = Line(front);
        line.start("x-forwarded-for");
        line.list(self.given_all(headers, "x-forwarded-for"));
        line.display(self.peer);
        line.start("x-forwarded-proto");
        line.bytes(given("x-forwarded-proto").unwrap_or(b"http"));
        line.start("x-forwarded-host");
        line.bytes(given("x-forwarded-host").unwrap_or(host));
        line.start("forwarded");
        line.list(self.given_all(headers, "forwarded"));
        match self.peer {
            IpAddr::V4(peer) => line.display(format_args!("for={peer}")),
            IpAddr::V6(peer) => line.display(format_args!("for=\"[{peer}]\"")),
        }
        line.bytes(b";host=\"");
        line.bytes(host);
        line.bytes(b"\";proto=http");
        line.start("via");
        line.list(headers.all("via"));
        line.bytes(b"1.1 plimsoll");
        line.start("x-request-id");
        line.bytes(self.request_id.as_str().as_bytes());
        line.end();
    }

    fn given_all<'a>(&self, headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let believed = self.peer_is_trusted;
        headers.all(name).filter(move |_| believed)
    }
}

/// Header lines being written; each `start` ends the one before.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    fn start(&mut self, name: &str) {
        if !self.0.is_empty() && !self.0.ends_with(b"\r\n") {
            self.end();
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn list<'a>(&mut self, values: impl Iterator<Item = &'a [u8]>) {
        for value in values {
            self.bytes(value);
            self.bytes(b", ");
        }
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        struct Utf8<'a>(&'a mut Vec<u8>);
        impl std::fmt::Write for Utf8<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        write!(Utf8(self.0), "{value}").expect("a vector takes any text");
    }

    fn end(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(trusted: &str, fields: &[(&str, &str)]) -> String {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let trusted = TrustedProxies::new(vec![trusted.parse().unwrap()]);
        let mut hop = Hop::new("10.0.0.9".parse().unwrap(), &headers, &trusted);
        hop.request_id = RequestId::parse(b"id").unwrap();
        let mut front = Vec::new();
        hop.write(&mut front, &headers, b"shop.example");
        String::from_utf8(front).unwrap()
    }

    const CLAIMS: &[(&str, &str)] =
        &[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=6.6.6.6"), ("X-Forwarded-Host", "evil")];

    #[test]
    fn an_untrusted_peer_is_not_believed() {
        let text = written("192.0.2.0/24", CLAIMS);
        assert!(!text.contains("6.6.6.6") && !text.contains("https") && !text.contains("evil"), "{text}");
        assert!(text.contains("x-forwarded-for: 10.0.0.9\r\n"), "{text}");
        assert!(text.contains("forwarded: for=10.0.0.9;host=\"shop.example\";proto=http\r\n"), "{text}");
    }

    #[test]
    fn a_trusted_proxy_is_added_to() {
        let text = written("10.0.0.0/8", CLAIMS);
        assert!(text.contains("x-forwarded-for: 6.6.6.6, 10.0.0.9\r\n"), "{text}");
        assert!(text.contains("x-forwarded-proto: https\r\n"), "{text}");
        assert!(text.contains("forwarded: for=6.6.6.6, for=10.0.0.9;host=\"shop.example\";proto=http\r\n"), "{text}");
    }

    #[test]
    fn every_line_ends() {
        assert!(written("10.0.0.0/8", &[("Via", "1.1 cdn")]).split_terminator("\r\n").all(|line| line.contains(": ")));
    }
}
