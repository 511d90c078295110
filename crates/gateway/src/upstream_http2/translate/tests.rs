use super::*;
use crate::peer::{Channel, Peer};
use crate::route::tests::request as asked;
use plimsoll_policy::forwarded::TrustedProxies;

fn said(method: &str, target: &str, fields: &[(&str, &str)]) -> Result<http::Request<()>, &'static str> {
    said_to("shop.example", method, target, fields)
}

fn said_to(host: &str, method: &str, target: &str, fields: &[(&str, &str)]) -> Result<http::Request<()>, &'static str> {
    let asked = asked(method, host, target, fields);
    let trusted = TrustedProxies::default();
    let peer = Peer::new("192.0.2.7".parse().unwrap(), Channel::Plain, &trusted);
    let hop = Hop::new(peer, &asked.headers, &trusted);
    request(&asked, &hop, "127.0.0.1:9000", Scheme::HTTP)
}

#[test]
fn a_request_says_in_http2_what_it_would_in_http1() {
    let fields = [("X-Kept", "1"), ("x-kept", "2"), ("Cookie", "a=b"), ("TE", "trailers, gzip"), ("Connection", "X-Hop"), ("X-Hop", "no")];
    let request = said("GET", "/a%20b?c=d", &fields).unwrap();
    assert_eq!(request.uri(), "http://shop.example/a%20b?c=d");
    let headers = request.headers();
    assert_eq!(headers.get_all("x-kept").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((&headers["cookie"], &headers["te"]), (&HeaderValue::from_static("a=b"), &HeaderValue::from_static("trailers")));
    assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
    assert!(headers.contains_key("x-request-id") && headers.contains_key("via"));
    for gone in ["host", "connection", "x-hop", "transfer-encoding", "upgrade"] {
        assert!(!headers.contains_key(gone), "{gone}: {headers:?}");
    }
}

#[test]
fn what_http2_cannot_hold_is_not_sent_and_is_named() {
    assert_eq!(said("GET", "/a<b", &[]).unwrap_err(), "the target holds characters that HTTP/2 cannot carry");
    assert_eq!(said_to("a b", "GET", "/", &[]).unwrap_err(), "the host holds characters that HTTP/2 cannot carry");
    assert_eq!(said("GET", "/", &[("x y", "1")]).unwrap_err(), "the header holds fields that HTTP/2 cannot carry");
    assert_eq!(said("OPTIONS", "*", &[]).unwrap().uri().path(), "*");
}

#[test]
fn the_end_of_a_body_is_known_from_its_head() {
    let of = |status: u16, lengths: &[&str], is_head: bool, ends: bool| {
        let mut fields = HeaderMap::new();
        for length in lengths {
            fields.append(CONTENT_LENGTH, HeaderValue::from_str(length).unwrap());
        }
        framing(StatusCode::from_u16(status).unwrap(), &fields, is_head, ends)
    };
    assert_eq!(of(200, &["5"], false, false), Ok(Framing::Length(5)));
    assert_eq!(of(200, &[], false, false), Ok(Framing::Chunked));
    assert_eq!(of(200, &[], false, true), Ok(Framing::Length(0)));
    assert_eq!(of(200, &["5"], true, true), Ok(Framing::None));
    assert_eq!(of(304, &["5"], false, true), Ok(Framing::None));
    assert_eq!(of(204, &[], false, false), Ok(Framing::None));
    for lengths in [&["5", "5"][..], &["+5"], &[""], &["5, 5"], &["0x5"], &["9999999999999999999"]] {
        assert!(of(200, lengths, false, false).is_err(), "{lengths:?}");
    }
}

#[test]
fn a_key_is_answered_as_http1_wants_it() {
    let mut headers = Headers::default();
    headers.push(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept(&headers), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, section 1.3");
}
