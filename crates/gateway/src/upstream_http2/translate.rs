//! Between the pipeline's messages and HTTP/2's, on the instance's side. Pure.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::ext::Protocol;
use http::header::CONTENT_LENGTH;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::failure::Failure;
use crate::forwarded::Hop;
use crate::http1::encode;
use crate::message::{Framing, Headers, Request, ResponseHead, Version};

/// What every WebSocket server appends to a key (RFC 6455, section 1.3).
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request as an instance sees it, or what HTTP/2 cannot say of it. `fallback`: its authority, if the client named none.
pub(crate) fn request(request: &Request, hop: &Hop, fallback: &str, scheme: Scheme) -> Result<http::Request<()>, &'static str> {
    let mut said = http::Request::new(());
    *said.version_mut() = http::Version::HTTP_2;
    *said.headers_mut() = fields(request, hop).ok_or("the header holds fields that HTTP/2 cannot carry")?;
    *said.method_mut() = request.method.clone();
    if request.upgrade.is_some() {
        *said.method_mut() = Method::CONNECT;
        said.extensions_mut().insert(Protocol::from_static("websocket"));
    }
    let host = request.host_of_instance();
    let mut parts = Parts::default();
    parts.scheme = Some(scheme);
    let authority = if host.is_empty() { Authority::try_from(fallback) } else { Authority::try_from(host) };
    parts.authority = Some(authority.map_err(|_| "the host holds characters that HTTP/2 cannot carry")?);
    let target = "the target holds characters that HTTP/2 cannot carry";
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(request.target.clone()).map_err(|_| target)?);
    *said.uri_mut() = Uri::from_parts(parts).map_err(|_| target)?;
    Ok(said)
}

/// What an instance is told is decided in one place, which writes HTTP/1.1. Its lines are taken apart without copying them.
fn fields(request: &Request, hop: &Hop) -> Option<HeaderMap> {
    let mut block = Vec::new();
    encode::request_head(&mut block, request, hop);
    let block = Bytes::from(block);
    let mut fields = HeaderMap::new();
    let mut begins = memchr::memchr(b'\n', &block)? + 1;
    while let Some(length) = memchr::memchr(b'\r', &block[begins..]).filter(|length| *length > 0) {
        let line = block.slice(begins..begins + length);
        begins += length + 2;
        let colon = memchr::memchr(b':', &line)?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        if !is_http1_only(&name, request.upgrade.is_some()) {
            fields.try_append(name, HeaderValue::from_maybe_shared(line.slice(colon + 2..)).ok()?).ok()?;
        }
    }
    Some(fields)
}

/// What HTTP/2 says in other ways, or not at all (RFC 9113, section 8.2.2; RFC 8441, section 5).
fn is_http1_only(name: &HeaderName, is_websocket: bool) -> bool {
    match name.as_str() {
        "host" | "connection" | "transfer-encoding" | "upgrade" => true,
        "sec-websocket-key" => is_websocket,
        _ => false,
    }
}

/// By which a client that asked in HTTP/1.1 knows that its WebSocket is open.
pub(super) fn accept(asked: &Headers) -> String {
    let key = asked.first_named("sec-websocket-key").unwrap_or_default();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, WEBSOCKET_GUID].concat()))
}

/// An answer's head. `ends`: nothing follows it.
pub(crate) fn response(status: StatusCode, fields: &HeaderMap, is_head: bool, ends: bool) -> Result<ResponseHead, &'static str> {
    let framing = framing(status, fields, is_head, ends)?;
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name.as_str().as_bytes(), value.as_bytes());
    }
    Ok(ResponseHead { version: Some(Version::Http2), status, headers, framing })
}

/// The answer that opens a WebSocket, as HTTP/1.1 has it.
pub(super) fn switching(fields: &HeaderMap, accept: &str) -> ResponseHead {
    let mut headers = Headers::default();
    for (name, value) in fields.iter().filter(|(name, _)| **name != CONTENT_LENGTH) {
        headers.push(name.as_str().as_bytes(), value.as_bytes());
    }
    headers.push(b"upgrade", b"websocket");
    headers.push(b"sec-websocket-accept", accept.as_bytes());
    ResponseHead { version: Some(Version::Http2), status: StatusCode::SWITCHING_PROTOCOLS, headers, framing: Framing::None }
}

fn framing(status: StatusCode, fields: &HeaderMap, is_head: bool, ends: bool) -> Result<Framing, &'static str> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(|length| digits(length.as_bytes()).ok_or("a Content-Length that is no number")).transpose()?;
    if lengths.next().is_some() {
        return Err("more than one Content-Length");
    }
    let has_none = is_head || status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    Ok(match length {
        _ if has_none => Framing::None,
        _ if ends => Framing::Length(0),
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    })
}

fn digits(value: &[u8]) -> Option<u64> {
    let is_number = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// What the end of a stream without an answer means. Refused, or beyond the last stream that a leaving instance has looked at: nobody has
/// worked on it (RFC 9113, sections 6.8 and 8.7).
pub(super) fn failure(error: &h2::Error) -> Failure {
    match error.reason() {
        Some(_) if error.is_go_away() && error.is_remote() => Failure::Unprocessed { leaves: true },
        Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => Failure::Unprocessed { leaves: false },
        Some(_) if error.is_library() => Failure::Malformed("what HTTP/2 does not allow, or a head of more than 256 KiB"),
        Some(reason) if error.is_remote() => Failure::Reset(reason),
        _ => Failure::Closed,
    }
}

#[cfg(test)]
mod tests;
