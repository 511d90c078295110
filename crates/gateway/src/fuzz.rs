//! Doors for fuzzers: each parser of what strangers send, with what must hold for whatever it accepts.
//!
//! Not for use by programs, and not there without the feature `fuzzing`. Unit tests replay every seed and every case that was ever found.

mod certificate;
mod frames;
mod routing;
mod versions;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::Method;
use plimsoll_policy::byte_range::{Requested, requested};
use plimsoll_policy::conditional::{Judgement, Preconditions, Validators};
use plimsoll_policy::content_coding::{Accepted, Coding};
use plimsoll_policy::forwarded::{TrustedProxies, proto_of_forwarded};
use plimsoll_policy::priority::Priority;
use plimsoll_policy::{RequestId, deadline};

use crate::config::Limits;
use crate::forwarded::Hop;
use crate::http1::authority::is_authority;
use crate::http1::decode::{Decoder, Step};
use crate::http1::encode::{self, Client};
use crate::http1::head::{End, RequestHead, find_end, parse_request, parse_response};
use crate::message::{Frame, Framing, Headers, Name, Request, RequestBody, Version};
use crate::peer::{Channel, Peer};
use crate::proxy_protocol::{self, Progress};
use crate::sender::Sender;

pub use certificate::certificate;
pub use frames::frames;
pub use routing::{file_path, path, query, redirect, rewrite};
pub use versions::versions;

const LIMITS: Limits = Limits {
    connections_max: 1,
    connections_per_client_max: 1,
    head_bytes_max: 32 * 1024,
    headers_max: 100,
    target_bytes_max: 8 * 1024,
    body_bytes_max: 1 << 30,
    body_bytes_per_second_min: 0,
    answer_bytes_per_second_min: 0,
    upstream_idle_per_instance_max: 1,
};

fn trusted() -> TrustedProxies {
    TrustedProxies::new(vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")])
}

fn hop(headers: &Headers) -> Hop {
    let trusted = trusted();
    Hop::new(Peer::new(Ipv4Addr::new(10, 0, 0, 1).into(), Channel::Plain, &trusted), headers, &trusted)
}

/// The head at the front of `data`, looked for in pieces of `step` bytes.
fn head_at_front(data: &[u8], step: usize) -> Option<Bytes> {
    let mut scanned = 0;
    for end in (step..data.len()).step_by(step).chain([data.len()]) {
        match find_end(&data[..end], scanned) {
            End::At(length) => return Some(Bytes::copy_from_slice(&data[..length])),
            End::BareNewline => return None,
            End::Missing { scanned: so_far } => scanned = so_far,
        }
    }
    None
}

/// A request without a body, as it goes on.
fn received(head: RequestHead) -> Request {
    let RequestHead { method, target, host, headers, framing, is_http10, upgrade, .. } = head;
    let (version, body) = (Version::http1(is_http10), RequestBody::empty());
    Request { version, method, target, host, host_rewritten: None, headers, framing, body, upgrade, deadline: None }
}

/// A request's head: what passes is written in one way, and that way is read as the same request.
pub fn request_head(data: &[u8]) {
    let parsed = |step| head_at_front(data, step).and_then(|block| Some((parse_request(&block, &LIMITS).ok()?, block)));
    let whole = parsed(data.len().max(1));
    let block = |parsed: &Option<(RequestHead, Bytes)>| parsed.as_ref().map(|(_, block)| block.clone());
    assert_eq!(block(&whole), block(&parsed(3)), "what passes, and where it ends, does not depend on how it arrives");
    let Some((head, _)) = whole else { return };
    let is_http10 = head.is_http10;
    let asked = received(head);
    let Request { host, target, .. } = &asked;
    assert!(host.is_empty() || is_authority(host), "{host:?}");
    assert!(target.starts_with(b"/") || &target[..] == b"*");
    assert!(!target.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()), "{target:?}");
    let mut written = Vec::new();
    encode::request_head(&mut written, &asked, &hop(&asked.headers));
    let written = Bytes::from(written);
    assert!(matches!(find_end(&written, 0), End::At(end) if end == written.len()), "one head goes out for one that came in");
    // What this hop adds must not make it too large for the same limits.
    let limits = Limits { headers_max: 512, ..LIMITS };
    // HTTP/1.0 may leave out the host; the next hop is spoken to in HTTP/1.1 all the same, and says so.
    if is_http10 && asked.host.is_empty() {
        return;
    }
    let read = parse_request(&written, &limits).expect("what is written can be read");
    assert_eq!((&read.method, &read.target, &read.host, read.framing), (&asked.method, &asked.target, &asked.host, asked.framing));
    assert_eq!(read.upgrade, asked.upgrade);
    assert!(!read.is_http10 && read.headers.all(Name::Host).count() == 1);
}

/// An instance's head: whatever passes goes to the client as one head.
pub fn response_head(data: &[u8]) {
    for method in [Method::GET, Method::HEAD] {
        let Some(block) = head_at_front(data, data.len().max(1)) else { return };
        let Ok((head, _)) = parse_response(&block, &method) else { continue };
        // A hop adds a few fields, and an instance may send so many that one more would be too many.
        if head.headers.iter().count() > 200 {
            return;
        }
        for is_http10 in [false, true] {
            let mut written = Vec::new();
            let client = Client { is_http10, is_head: method == Method::HEAD, keep_alive: true };
            let framing = encode::response_head(&mut written, &head, b"id", client);
            let written = Bytes::from(written);
            assert!(matches!(find_end(&written, 0), End::At(end) if end == written.len()), "one head goes out for one that came in");
            let (read, _) = parse_response(&written, &method).expect("what is written can be read");
            assert_eq!((read.status, read.framing), (head.status, framing));
        }
    }
}

/// What a chunked body was found to hold, and how many bytes it took; an error stays one.
type Body = Result<(Vec<u8>, Vec<(String, Vec<u8>)>, usize), &'static str>;

fn chunked_in_pieces(data: &[u8], step: usize) -> Option<Body> {
    let mut decoder = Decoder::new(Framing::Chunked);
    let (mut buffer, mut fed) = (BytesMut::new(), 0);
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    loop {
        match decoder.step(&mut buffer) {
            Ok(Step::Frame(Frame::Data(bytes))) => {
                assert!(!bytes.is_empty(), "an empty piece would end a chunked body");
                body.extend_from_slice(&bytes);
            }
            Ok(Step::Frame(Frame::Trailers(fields))) => {
                trailers.extend(fields.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())));
            }
            Ok(Step::End) => return Some(Ok((body, trailers, fed - buffer.len()))),
            Ok(Step::More) if fed == data.len() => return None,
            Ok(Step::More) => {
                let end = (fed + step).min(data.len());
                buffer.extend_from_slice(&data[fed..end]);
                fed = end;
            }
            Err(what) => return Some(Err(what)),
        }
    }
}

/// A chunked body: the same in one piece and in many, and written anew it is the same body.
pub fn chunked(data: &[u8]) {
    let whole = chunked_in_pieces(data, data.len().max(1));
    let piecemeal = chunked_in_pieces(data, 1);
    match (&whole, &piecemeal) {
        (Some(Ok(whole)), Some(Ok(piecemeal))) => assert_eq!(whole, piecemeal),
        // Which of two faults is seen first may depend on what is there to see.
        (Some(Err(_)), Some(Err(_))) | (None, None) => {}
        _ => panic!("{whole:?} in one piece, {piecemeal:?} byte by byte"),
    }
    let Some(Ok((body, trailers, length))) = whole else { return };
    assert!(body.len() < length && length <= data.len());
    for (name, _) in trailers {
        let known = Name::of(name.as_bytes());
        assert!(!known.is_hop_by_hop() && !known.is_rewritten(), "{name}");
    }
}

/// A host, as it stands in Host and in an absolute target.
pub fn host(data: &[u8]) {
    if is_authority(data) {
        let text = std::str::from_utf8(data).expect("a host is ASCII");
        let authority: http::uri::Authority = text.parse().expect("what passes is an authority everywhere");
        assert!(!authority.as_str().contains('@') && !text.contains(['/', '?', '#', ',', ' ', '\\']));
        assert!(authority.port().is_none_or(|port| port.as_u16() > 0 || port.as_str().trim_start_matches('0').is_empty()));
    }
}

/// What proxies say about whom they speak for: nobody's word is taken beyond what trusted ones vouch for.
pub fn forwarded(data: &[u8]) {
    let trusted = trusted();
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let stranger = IpAddr::from([203, 0, 113, 9]);
    assert_eq!(trusted.client(stranger, lines.iter().copied()), stranger);
    assert_eq!(trusted.client_from_forwarded(stranger, lines.iter().copied()), stranger);
    let proxy = IpAddr::from([10, 0, 0, 1]);
    for client in [trusted.client(proxy, lines.iter().copied()), trusted.client_from_forwarded(proxy, lines.iter().copied())] {
        assert_eq!(client, client.to_canonical());
    }
    if let Some(scheme) = proto_of_forwarded(lines.iter().copied()) {
        assert!(scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)));
    }
}

/// A PROXY header: nothing behind it is asked for, and what it says does not depend on how it arrives.
pub fn proxy_header(data: &[u8]) {
    let mut wanted = 0;
    let mut whole = None;
    for length in 0..=data.len() {
        match proxy_protocol::parse(&data[..length]) {
            Ok(Progress::Whole(header)) => {
                assert!(length >= wanted && whole.is_none_or(|whole| whole == header), "{length} bytes");
                whole = Some(header);
            }
            Ok(Progress::AtLeast(more) | Progress::Line(more)) => {
                assert!(whole.is_none() && more > length && more <= proxy_protocol::HEADER_BYTES_MAX, "{more} after {length}");
                wanted = wanted.max(length);
            }
            Err(_) => return assert!(whole.is_none(), "a header that was whole cannot be wrong"),
        }
    }
}

/// What a client says about the answer it would like: nothing is given that it refuses, and no part that is not there.
pub fn negotiation(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let accepted = Accepted::read(lines.iter().copied());
    let ranked = accepted.ranked(&Coding::ALL);
    assert_eq!(accepted.choose(&Coding::ALL), ranked.first().copied());
    for length in [0, 1, 1_000, u64::MAX] {
        if let Requested::Part { first, last } = requested(lines[0], length) {
            assert!(first <= last && last < length, "{first} to {last} of {length}");
        }
    }
    let names: [&[u8]; 5] = [b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"];
    let preconditions = Preconditions::read(names.into_iter().zip(lines.iter().copied()));
    let now = Validators { etag: Some(b"\"a\""), last_modified: Some(SystemTime::UNIX_EPOCH) };
    assert_ne!(preconditions.judge(&Method::POST, &now), Judgement::NotModified, "only reads have an answer already");
    let _ = (preconditions.judge(&Method::GET, &now), preconditions.grants_range(&now), preconditions.knows_weakened(b"\"a\""));
}

/// Short fields with a meaning of ours.
pub fn fields(data: &[u8]) {
    if let Some(wait) = deadline::parse(data) {
        assert!(wait <= deadline::MAX && wait >= Duration::ZERO);
    }
    if let Some(id) = RequestId::parse(data) {
        assert_eq!(id.as_str().as_bytes(), data, "an id is taken as it is or not at all");
    }
    let _ = Priority::parse(data);
    let plain = Bytes::from_static(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut request = received(parse_request(&plain, &LIMITS).expect("a plain request"));
    request.headers.push(b"cookie", data);
    let has_pair = data.split(|byte| *byte == b';').any(|pair| pair.trim_ascii().starts_with(b"a="));
    let key = Sender::Cookie("a".to_owned()).key(&request, Ipv4Addr::LOCALHOST.into());
    assert_eq!(key.is_some(), has_pair);
}

#[cfg(test)]
mod tests;
