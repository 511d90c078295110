//! What becomes of requests that come without TLS where it is spoken, and how browsers are told not to try that again.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use plimsoll_policy::{Reason, Refusal};

use super::Server;
use crate::forwarded::Hop;
use crate::message::{Framing, Headers, Request, Response, ResponseBody, ResponseHead};
use crate::peer::Channel;

/// The port of https that URLs need not name.
const HTTPS: u16 = 443;
const HSTS: &str = "strict-transport-security";

/// What a plain HTTP door does while there is one for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    Off,
    /// To the port of the TLS door.
    ToDoor,
    /// To the port under which clients reach that door.
    ToPort(u16),
}

/// Where whoever checks an HTTP-01 challenge looks for the answer to its token (RFC 8555, section 8.3).
const CHALLENGES: &[u8] = b"/.well-known/acme-challenge/";

/// The answer to a challenge that is under way; any other request goes on, one for a token that nobody knows too.
pub(crate) fn answer_to_challenge(server: &Server, hop: &Hop, request: &Request) -> Option<Response> {
    if !matches!(hop.channel(), Channel::Plain) || !(request.method == Method::GET || request.method == Method::HEAD) {
        return None;
    }
    let answer = server.store.answer(request.target.strip_prefix(CHALLENGES)?)?;
    let mut headers = Headers::default();
    headers.push(b"content-type", b"application/octet-stream");
    let head = ResponseHead::of_the_edge(StatusCode::OK, headers, Framing::Length(answer.len() as u64));
    Some(Response { head, body: ResponseBody::Full(Bytes::copy_from_slice(answer.as_bytes())) })
}

/// The redirect that a request gets instead of an answer, because it should have come encrypted. With `None` it goes on.
pub(crate) fn instead(server: &Server, hop: &Hop, request: &Request) -> Result<Option<Response>, Refusal> {
    match hop.channel() {
        Channel::Tls { .. } => Ok(None),
        Channel::Misdirected if request.method == Method::GET || request.method == Method::HEAD => {
            // The client knows the port: it has just come that way.
            redirect(&request.host, &request.target).map(Some)
        }
        Channel::Misdirected => Err(Refusal::new(Reason::TlsRequired, "this port speaks TLS: the request must come by https")),
        Channel::Plain => {
            let Some(port) = server.redirect_port().filter(|_| !hop.was_secure(&request.headers)) else { return Ok(None) };
            redirect(&with_port(&request.host, port), &request.target).map(Some)
        }
    }
}

/// The method stays as it is: a form is not lost on the way (308, RFC 9110, section 15.4.9).
fn redirect(host: &[u8], target: &[u8]) -> Result<Response, Refusal> {
    if host.is_empty() {
        return Err(Refusal::new(Reason::TlsRequired, "the request must come by https, and says no host to be sent to"));
    }
    let path: &[u8] = if target == b"*" { b"/" } else { target };
    let mut headers = Headers::default();
    headers.push(b"location", &[b"https://", host, path].concat());
    let head = ResponseHead::of_the_edge(StatusCode::PERMANENT_REDIRECT, headers, Framing::Length(0));
    Ok(Response { head, body: ResponseBody::Empty })
}

/// A host with this port instead of the one it names.
fn with_port(host: &[u8], port: u16) -> Vec<u8> {
    let end = match memchr::memrchr(b':', host) {
        // A colon within brackets belongs to an IPv6 address.
        Some(colon) if !host[colon..].contains(&b']') => colon,
        _ => host.len(),
    };
    let mut named = host[..end].to_vec();
    if port != HTTPS && !named.is_empty() {
        named.push(b':');
        named.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
    }
    named
}

/// What browsers are told about connections to come.
pub(super) fn hsts(max_age: Duration) -> String {
    format!("max-age={}", max_age.as_secs())
}

/// Adds it to an answer that goes out encrypted, unless the instance has said something itself (RFC 6797, section 7.2: never in plain text).
pub(crate) fn harden(server: &Server, hop: &Hop, head: &mut ResponseHead) {
    if let Some(hsts) = server.hsts()
        && matches!(hop.channel(), Channel::Tls { .. })
        && head.headers.first_named(HSTS).is_none()
    {
        head.headers.push(HSTS.as_bytes(), hsts.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_replaced_and_left_out_where_it_goes_without_saying() {
        for (host, port, expected) in [
            ("a.example", 443, "a.example"),
            ("a.example:8080", 443, "a.example"),
            ("a.example", 8443, "a.example:8443"),
            ("a.example:8080", 8443, "a.example:8443"),
            ("[::1]:8080", 443, "[::1]"),
            ("[::1]", 8443, "[::1]:8443"),
            (":8080", 8443, ""),
        ] {
            assert_eq!(String::from_utf8(with_port(host.as_bytes(), port)).unwrap(), expected, "{host} {port}");
        }
    }

    #[test]
    fn a_redirect_keeps_path_and_query() {
        let answer = redirect(b"a.example:8443", b"/a?b=c%20d&https://evil").unwrap();
        assert_eq!(answer.head.status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(answer.head.headers.first_named("location"), Some(&b"https://a.example:8443/a?b=c%20d&https://evil"[..]));
        let whole_server = redirect(b"a.example", b"*").unwrap();
        assert_eq!(whole_server.head.headers.first_named("location"), Some(&b"https://a.example/"[..]));
        assert_eq!(redirect(b"", b"/").err().unwrap().reason, Reason::TlsRequired);
    }
}
