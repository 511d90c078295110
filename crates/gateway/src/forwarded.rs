//! What an instance is told about the client: `X-Forwarded-*`, `Forwarded` (RFC 7239), `Via`, `X-Request-Id`.
//!
//! Written anew at every hop. What came in is passed on only if the peer is a trusted proxy; otherwise anybody could claim any address.

use std::net::IpAddr;
use std::rc::Rc;

use plimsoll_policy::RequestId;
use plimsoll_policy::forwarded::{TrustedProxies, proto_of_forwarded};

use crate::message::{Headers, Name, Version};
use crate::peer::{Channel, Peer};

/// Who we are in `Via`, instead of a host name, which would tell more than anybody needs to know.
pub(crate) const PSEUDONYM: &str = "plimsoll";

/// One request's way here.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    peer: Rc<Peer>,
    /// Who asked, behind all trusted proxies.
    pub(crate) client: IpAddr,
    pub(crate) request_id: RequestId,
}

impl Hop {
    pub(crate) fn new(peer: Rc<Peer>, headers: &Headers, trusted: &TrustedProxies) -> Self {
        if !peer.is_trusted {
            return Self { client: peer.address, peer, request_id: RequestId::generate() };
        }
        let client = match headers.first(Name::XForwardedFor) {
            Some(_) => trusted.client(peer.address, headers.all(Name::XForwardedFor)),
            None => trusted.client_from_forwarded(peer.address, headers.all(Name::Forwarded)),
        };
        let request_id = headers.first(Name::XRequestId).and_then(RequestId::parse).unwrap_or_else(RequestId::generate);
        Self { peer, client, request_id }
    }

    pub(crate) fn peer_is_trusted(&self) -> bool {
        self.peer.is_trusted
    }

    /// How the request came from the peer.
    pub(crate) fn channel(&self) -> &Channel {
        &self.peer.channel
    }

    /// Whether the client's side of the way here was encrypted, as far as that is known.
    pub(crate) fn was_secure(&self, headers: &Headers) -> bool {
        self.scheme(headers).eq_ignore_ascii_case(b"https")
    }

    fn scheme<'a>(&'a self, headers: &'a Headers) -> &'a [u8] {
        let told = self.given(headers, Name::XForwardedProto).next();
        let told = told.or_else(|| proto_of_forwarded(self.given(headers, Name::Forwarded)));
        told.unwrap_or(self.peer.scheme().as_bytes())
    }

    /// Appends the lines for the next hop.
    pub(crate) fn write(&self, front: &mut Vec<u8>, version: Version, headers: &Headers, host: &[u8]) {
        let given = |name| self.given(headers, name).next();
        let mut put = |bytes: &[u8]| front.extend_from_slice(bytes);
        put(b"x-forwarded-for: ");
        list(&mut put, self.given(headers, Name::XForwardedFor));
        put(self.peer.text());
        put(b"\r\nx-real-ip: ");
        if self.client == self.peer.address {
            put(self.peer.text());
        } else {
            put(self.client.to_string().as_bytes());
        }
        put(b"\r\nx-forwarded-proto: ");
        put(self.scheme(headers));
        put(b"\r\nx-forwarded-host: ");
        put(given(Name::XForwardedHost).unwrap_or(host));
        put(b"\r\nforwarded: ");
        list(&mut put, self.given(headers, Name::Forwarded));
        let (open, close): (&[u8], &[u8]) = if self.peer.address.is_ipv6() { (b"for=\"[", b"]\"") } else { (b"for=", b"") };
        put(open);
        put(self.peer.text());
        put(close);
        put(b";host=\"");
        put(host);
        put(b"\";proto=");
        put(self.peer.scheme().as_bytes());
        put(b"\r\nvia: ");
        list(&mut put, headers.all(Name::Via));
        put(version.number().as_bytes());
        put(b" ");
        put(PSEUDONYM.as_bytes());
        put(b"\r\nx-request-id: ");
        put(self.request_id.as_bytes());
        if let Channel::Tls { client: Some(certificate) } = &self.peer.channel {
            put(b"\r\nclient-cert: ");
            put(&certificate.field);
        }
        put(b"\r\n");
    }

    /// What came in, as far as it is believed.
    fn given<'a>(&self, headers: &'a Headers, name: Name) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let believed = self.peer.is_trusted;
        headers.all(name).filter(move |_| believed)
    }
}

/// Every member of a list field, for one more to follow.
fn list<'a>(put: &mut impl FnMut(&[u8]), values: impl Iterator<Item = &'a [u8]>) {
    for value in values {
        put(value);
        put(b", ");
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
        let mut hop = Hop::new(Peer::new("10.0.0.9".parse().unwrap(), Channel::Plain, &trusted), &headers, &trusted);
        hop.request_id = RequestId::parse(b"id").unwrap();
        let mut front = Vec::new();
        hop.write(&mut front, Version::Http2, &headers, b"shop.example");
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
    fn a_trusted_proxy_may_say_it_the_standard_way_only() {
        let text = written("10.0.0.0/8", &[("Forwarded", "for=198.51.100.7;proto=https")]);
        assert!(text.contains("x-forwarded-proto: https\r\n") && text.contains("x-real-ip: 198.51.100.7\r\n"), "{text}");
    }

    #[test]
    fn every_line_ends() {
        assert!(written("10.0.0.0/8", &[("Via", "1.1 cdn")]).split_terminator("\r\n").all(|line| line.contains(": ")));
    }
}
