//! Who sends a request, as far as it can prove: the sessions it presents, and whether its way to the edge is encrypted.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use plimsoll_policy::Peer;
use plimsoll_policy::forwarded::{TrustedProxies, proto_of_forwarded};

use crate::context::Context;
use crate::session::SessionId;

pub(crate) struct Visitor {
    /// From cookies whose signature holds, in the client's order. Usually one; whether it still lives, only the store knows.
    pub(crate) sessions: Vec<SessionId>,
    /// The client speaks https, so its cookies must never travel otherwise.
    pub(crate) secure: bool,
}

impl FromRequestParts<Context> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().copied();
        Ok(Self { sessions: context.cookies.open(&parts.headers), secure: is_secure(peer, &parts.headers, &context.trusted) })
    }
}

/// This server speaks no TLS itself: https is what a trusted proxy says it is.
fn is_secure(peer: Option<Peer>, headers: &HeaderMap, trusted: &TrustedProxies) -> bool {
    let believed = peer.is_some_and(|peer| peer.is_trusted(trusted));
    let forwarded = || proto_of_forwarded(headers.get_all("forwarded").iter().map(HeaderValue::as_bytes));
    let scheme = || last_element(headers, "x-forwarded-proto").or_else(forwarded);
    believed && scheme().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
}

/// What the nearest proxy wrote: everything before it came from further away.
fn last_element<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let line = headers.get_all(name).iter().next_back()?.as_bytes();
    line.rsplit(|byte| *byte == b',').next().map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, headers: &[(&'static str, &'static str)], expected: bool) {
        let trusted = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let headers: HeaderMap = headers.collect();
        let peer = (!peer.is_empty()).then(|| Peer::Tcp(peer.parse().unwrap()));
        assert_eq!(is_secure(peer, &headers, &trusted), expected, "{peer:?} {headers:?}");
    }

    #[test]
    fn https_is_what_a_trusted_proxy_says() {
        check("127.0.0.1:1", &[("x-forwarded-proto", "https")], true);
        check("127.0.0.1:1", &[("x-forwarded-proto", "HTTPS")], true);
        check("127.0.0.1:1", &[("forwarded", "for=192.0.2.1;proto=http, for=192.0.2.2;Proto=\"https\"")], true);
        check("127.0.0.1:1", &[("forwarded", "proto=http;host=\", for=1.2.3.4;proto=https\"")], false);
        check("127.0.0.1:1", &[], false);
        check("127.0.0.1:1", &[("x-forwarded-proto", "https, http")], false);
        check("127.0.0.1:1", &[("x-forwarded-proto", "http"), ("forwarded", "proto=https")], false);
    }

    #[test]
    fn a_stranger_is_not_believed() {
        check("203.0.113.9:1", &[("x-forwarded-proto", "https")], false);
        check("", &[("x-forwarded-proto", "https")], false);
    }
}
