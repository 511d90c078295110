//! Between HTTP/2's fields and the pipeline's. Pure.

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, COOKIE, DATE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use plimsoll_policy::{Reason, Refusal};

use crate::config::Limits;
use crate::date;
use crate::http1::head::{is_host, is_origin_form};
use crate::message::{Framing, Headers, Name, Request, RequestBody, ResponseHead};

pub(super) fn request(request: http::Request<RecvStream>, limits: &Limits) -> Result<Request, Refusal> {
    let (parts, stream) = request.into_parts();
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
    if host.is_empty() || !is_host(&host) {
        return Err(malformed(":authority names no valid host"));
    }
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    within(limits, target, &parts.headers)?;
    if parts.method != Method::CONNECT && !is_origin_form(&parts.method, target.as_bytes()) {
        return Err(malformed(":path must be a path from the root"));
    }
    let framing = framing(&parts.method, &parts.headers, &stream).ok_or_else(|| malformed("Content-Length is not a number of bytes"))?;
    let body = if matches!(framing, Framing::None | Framing::Length(0)) {
        RequestBody::empty()
    } else {
        RequestBody::http2(stream, limits.body_bytes_max)
    };
    Ok(Request {
        method: parts.method,
        target: Bytes::copy_from_slice(target.as_bytes()),
        host,
        headers: fields(&parts.headers),
        framing,
        body,
        upgrade: None,
        deadline: None,
    })
}

/// The limits that HTTP/1.1 enforces while it parses.
fn within(limits: &Limits, target: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    if target.len() > limits.target_bytes_max {
        let detail = format!("a request target may have {} bytes", limits.target_bytes_max);
        return Err(Refusal::new(Reason::TargetTooLong, detail));
    }
    let bytes = headers.iter().fold(target.len(), |sum, (name, value)| sum + name.as_str().len() + value.len() + 4);
    if bytes > limits.head_bytes_max {
        let detail = format!("a request head may have {} bytes", limits.head_bytes_max);
        return Err(Refusal::new(Reason::HeadTooLarge, detail));
    }
    if headers.len() > limits.headers_max {
        let detail = format!("a request may have {} header fields", limits.headers_max);
        return Err(Refusal::new(Reason::TooManyHeaders, detail));
    }
    Ok(())
}

fn framing(method: &Method, headers: &HeaderMap, stream: &RecvStream) -> Option<Framing> {
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

fn fields(headers: &HeaderMap) -> Headers {
    let mut fields = Headers::default();
    for (name, value) in headers.iter().filter(|(name, _)| *name != COOKIE) {
        fields.push(name.as_str().as_bytes(), value.as_bytes());
    }
    // HTTP/2 may split cookies into many fields; HTTP/1.1 has one (RFC 9113, section 8.2.3).
    let mut cookies = headers.get_all(COOKIE).iter();
    if let Some(first) = cookies.next() {
        let mut joined = BytesMut::from(first.as_bytes());
        for cookie in cookies {
            joined.extend_from_slice(b"; ");
            joined.extend_from_slice(cookie.as_bytes());
        }
        fields.push(b"cookie", &joined);
    }
    fields
}

pub(super) fn response(head: &ResponseHead, is_head: bool, request_id: &str) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    let keeps_length = is_head || head.status == StatusCode::NOT_MODIFIED;
    for (known, name, value) in head.headers.end_to_end() {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else { continue };
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
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    response
}
