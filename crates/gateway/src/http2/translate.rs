//! Between HTTP/2's fields and the pipeline's. Pure.

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, COOKIE, DATE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use plimsoll_policy::request_id::{self, RequestId};
use plimsoll_policy::{Reason, Refusal};

use super::websocket;
use crate::config::{Config, Limits};
use crate::date;
use crate::http1::authority::is_authority;
use crate::http1::head::{expectation, is_origin_form};
use crate::message::{Composer, FIELD_EXTRA_BYTES, Framing, Headers, Name, Request, RequestBody, ResponseHead, Version};
use crate::peer::Peer;

const X_REQUEST_ID: HeaderName = HeaderName::from_static(request_id::HEADER);
/// Beside those of an answer: its length, the date and the id.
const FIELDS_ADDED_MAX: usize = 3;

/// A request, and what its client will say once it is a pipe.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) receive: Option<RecvStream>,
}

pub(super) fn request(parts: &Parts, stream: RecvStream, peer: &Peer, config: &Config) -> Result<Asked, Refusal> {
    let is_websocket = websocket::is_asked(parts)?;
    let malformed = |detail| Refusal::new(Reason::MalformedRequest, detail);
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let named = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    let host = match (authority, named) {
        (Some(authority), Some(named)) if !authority.as_bytes().eq_ignore_ascii_case(named) => {
            return Err(malformed(":authority and Host name different hosts"));
        }
        (Some(authority), _) => Bytes::copy_from_slice(authority.as_bytes()),
        (None, Some(named)) => Bytes::copy_from_slice(named),
        (None, None) => return Err(malformed(":authority is missing")),
    };
    if !is_authority(&host) {
        return Err(malformed(":authority names no valid host"));
    }
    // A proxy that ended the TLS of its client may speak without it here, and says what it was asked.
    if parts.uri.scheme_str().is_some_and(|scheme| scheme != peer.scheme()) && !peer.is_trusted {
        return Err(malformed(":scheme is not that of this connection"));
    }
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let bytes = within(&config.limits, target, &parts.headers)?;
    let is_tunnel = parts.method == Method::CONNECT && !is_websocket;
    if !is_tunnel && !is_origin_form(&parts.method, target.as_bytes()) {
        return Err(malformed(":path must be a path from the root"));
    }
    let target = Bytes::copy_from_slice(target.as_bytes());
    let headers = fields(&parts.headers, bytes);
    expectation(&headers)?;
    let (method, framing, body) = (parts.method.clone(), Framing::None, RequestBody::empty());
    let version = Version::Http2;
    let mut request =
        Request { version, method, target, host, host_rewritten: None, headers, framing, body, upgrade: None, deadline: None };
    if is_websocket {
        request.method = Method::GET;
        request.upgrade = Some(Bytes::from_static(websocket::NAME.as_bytes()));
        websocket::push_key(&mut request.headers);
        return Ok(Asked { request, receive: Some(stream) });
    }
    request.framing =
        framing_of(&parts.method, &parts.headers, &stream).ok_or_else(|| malformed("Content-Length is not a number of bytes"))?;
    if !matches!(request.framing, Framing::None | Framing::Length(0)) {
        request.body = RequestBody::http2(stream, config);
    }
    Ok(Asked { request, receive: None })
}

/// The limits that HTTP/1.1 enforces while it parses. Returns the bytes that the fields take when they are written.
fn within(limits: &Limits, target: &str, headers: &HeaderMap) -> Result<usize, Refusal> {
    if target.len() > limits.target_bytes_max {
        let detail = format!("a request target may have {} bytes", limits.target_bytes_max);
        return Err(Refusal::new(Reason::TargetTooLong, detail));
    }
    let bytes = headers.iter().fold(0, |sum, (name, value)| sum + name.as_str().len() + value.len() + FIELD_EXTRA_BYTES);
    if target.len() + bytes > limits.head_bytes_max {
        let detail = format!("a request head may have {} bytes", limits.head_bytes_max);
        return Err(Refusal::new(Reason::HeadTooLarge, detail));
    }
    if headers.len() > limits.headers_max {
        let detail = format!("a request may have {} header fields", limits.headers_max);
        return Err(Refusal::new(Reason::TooManyHeaders, detail));
    }
    Ok(bytes)
}

fn framing_of(method: &Method, headers: &HeaderMap, stream: &RecvStream) -> Option<Framing> {
    if stream.is_end_stream() {
        // Said aloud where a body is usual: some servers answer 411 otherwise.
        let usual = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        return Some(if usual { Framing::Length(0) } else { Framing::None });
    }
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok().map(Framing::Length),
        None => Some(Framing::Chunked),
    }
}

pub(crate) fn fields(headers: &HeaderMap, bytes: usize) -> Headers {
    let mut fields = Composer::with_room(bytes, headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| *name != COOKIE) {
        fields.push(name.as_str().as_bytes(), value.as_bytes());
    }
    // HTTP/2 may split cookies into many fields; HTTP/1.1 has one (RFC 9113, section 8.2.3).
    let mut cookies = headers.get_all(COOKIE).iter();
    match (cookies.next(), cookies.next()) {
        (None, _) => {}
        (Some(only), None) => fields.push(COOKIE.as_str().as_bytes(), only.as_bytes()),
        (Some(first), Some(second)) => {
            let mut joined = [first.as_bytes(), second.as_bytes()].join(&b"; "[..]);
            for cookie in cookies {
                joined.extend_from_slice(b"; ");
                joined.extend_from_slice(cookie.as_bytes());
            }
            fields.push(COOKIE.as_str().as_bytes(), &joined);
        }
    }
    fields.into_headers()
}

pub(crate) fn response(head: &ResponseHead, is_head: bool, request_id: &RequestId) -> http::Response<()> {
    let mut headers = HeaderMap::with_capacity(head.headers.len() + FIELDS_ADDED_MAX);
    let keeps_length = is_head || head.status == StatusCode::NOT_MODIFIED;
    for (known, name, value) in head.headers.end_to_end() {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(head.headers.share(value))) else {
            continue;
        };
        if known != Name::XRequestId && (keeps_length || known != Name::ContentLength) {
            headers.append(name, value);
        }
    }
    if let Framing::Length(length) = head.framing {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    if !headers.contains_key(DATE) {
        headers.insert(DATE, date::with_now(HeaderValue::from_bytes).expect("a date is ASCII"));
    }
    if let Ok(mut id) = HeaderValue::from_bytes(request_id.as_bytes()) {
        // No secret, but never said twice: kept in the connection's table of fields, ids would push out all that is worth keeping, and each
        // new one would be compared with all of them.
        id.set_sensitive(true);
        headers.insert(X_REQUEST_ID, id);
    }
    let mut response = http::Response::new(());
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    response
}
