//! Who sends a request, as far as it can prove: the sessions it presents, and whether its way to the edge is encrypted.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use plimsoll_policy::Peer;
use plimsoll_policy::forwarded::TrustedProxies;

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
    let scheme = || last_element(headers, "x-forwarded-proto").map(str::to_owned).or_else(|| forwarded_proto(headers));
    believed && scheme().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// What the nearest proxy wrote: everything before it came from further away.
fn last_element<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back().and_then(|value: &HeaderValue| value.to_str().ok())?;
    line.rsplit(',').next().map(str::trim)
}

/// The `proto` parameter of the last hop in `Forwarded` (RFC 7239).
fn forwarded_proto(headers: &HeaderMap) -> Option<String> {
    let hop = last_element(headers, "forwarded")?;
    let parameters = hop.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut protos = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
    protos.next().map(|(_, value)| value.trim().trim_matches('"').to_owned())
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
