//! Between the versions of HTTP: what passes in one is the same message in the other.

use http::header::{HOST, TE};
use http::uri::Scheme;
use http::{HeaderMap, Method};
use plimsoll_policy::RequestId;

use super::{LIMITS, head_at_front, hop, received};
use crate::http1::encode;
use crate::http1::head::{End, find_end, parse_request, parse_response};
use crate::message::{Framing, Name, Request};
use crate::{http2, upstream_http2};

const FALLBACK: &str = "instance.example";

/// A head that came in HTTP/1.1 goes out in HTTP/2 and comes back from there.
pub fn versions(data: &[u8]) {
    let Some(block) = head_at_front(data, data.len().max(1)) else { return };
    if let Ok(head) = parse_request(&block, &LIMITS) {
        request(received(head));
    }
    if let Ok((head, _)) = parse_response(&block, &Method::GET) {
        let said = http2::response(&head, false, &RequestId::parse(b"id").expect("an id"));
        assert_fit_for_http2(said.headers());
        // Another library counts how many fields there may be, and what it cannot say is left out.
        let Ok(back) = upstream_http2::response(said.status(), said.headers(), false, false) else { return };
        assert_eq!(back.status, head.status);
        if let Framing::Length(length) = head.framing
            && back.framing != Framing::None
        {
            assert_eq!(back.framing, Framing::Length(length));
        }
    }
}

fn request(mut asked: Request) {
    let Ok(said) = upstream_http2::request(&asked, &hop(&asked.headers), FALLBACK, Scheme::HTTP) else { return };
    assert_fit_for_http2(said.headers());
    assert!(!said.headers().contains_key(HOST), "what `:authority` says is not said twice");
    let uri = said.uri();
    assert_eq!(uri.path_and_query().expect("a target").as_str().as_bytes(), &asked.target[..]);
    let authority = uri.authority().expect("an authority").as_str().as_bytes();
    assert!(authority == &asked.host[..] || asked.host.is_empty() && authority == FALLBACK.as_bytes(), "{authority:?}");
    if asked.upgrade.is_some() {
        return assert_eq!(said.method(), Method::CONNECT);
    }
    assert_eq!(said.method(), asked.method);
    // Written out again it is one head.
    asked.headers = http2::fields(said.headers(), 0);
    let mut written = Vec::new();
    encode::request_head(&mut written, &asked, &hop(&asked.headers));
    assert!(matches!(find_end(&written, 0), End::At(end) if end == written.len()), "one head goes out for one that came in");
}

/// RFC 9113, section 8.2.2.
fn assert_fit_for_http2(fields: &HeaderMap) {
    for (name, value) in fields {
        let known = Name::of(name.as_str().as_bytes());
        assert!(name == TE && value == "trailers" || !known.is_hop_by_hop(), "{name}");
    }
    assert!(fields.get_all("content-length").iter().count() <= 1);
}
