//! Requests and answers as the pipeline sees them, whichever version of HTTP they came in.

mod headers;
mod name;
mod request_body;
mod response_body;
mod version;

pub(crate) use headers::{Composer, FIELD_EXTRA_BYTES, Headers, tokens};
pub(crate) use name::Name;
pub(crate) use request_body::{BodyError, RequestBody};
pub(crate) use response_body::{BodyStream, ResponseBody};
pub(crate) use version::Version;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use plimsoll_policy::Refusal;
use tokio::time::Instant;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    /// Unknown until it ends; trailers may follow.
    Chunked,
    /// Ends with the connection: HTTP/1.0 answers only.
    UntilClose,
}

impl Framing {
    /// Whether nothing follows the head.
    pub(crate) fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// A piece of a body.
pub(crate) enum Frame {
    Data(Bytes),
    Trailers(HeaderMap),
}

pub(crate) struct Request {
    /// What its client speaks.
    pub(crate) version: Version,
    pub(crate) method: Method,
    /// Origin form: path and query, as received.
    pub(crate) target: Bytes,
    /// What the client calls this server: Host or `:authority`.
    pub(crate) host: Bytes,
    /// What instances are told instead, where a route says so.
    pub(crate) host_rewritten: Option<Bytes>,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
    pub(crate) body: RequestBody,
    /// The protocol that the client wants to switch to on this connection.
    pub(crate) upgrade: Option<Bytes>,
    /// Until when the answer is of use, where the caller or the route says so. Covers everything, the answer's body too.
    pub(crate) deadline: Option<Instant>,
}

impl Request {
    /// What routes are matched against. `OPTIONS *` asks about the server as a whole: the root.
    pub(crate) fn routed_path(&self) -> &[u8] {
        if &self.target[..] == b"*" {
            return b"/";
        }
        let end = memchr::memchr(b'?', &self.target).unwrap_or(self.target.len());
        &self.target[..end]
    }

    /// What follows the path and its `?`; empty if there is none.
    pub(crate) fn query(&self) -> &[u8] {
        memchr::memchr(b'?', &self.target).map_or(&[], |mark| &self.target[mark + 1..])
    }

    /// The `Host` of the next hop.
    pub(crate) fn host_of_instance(&self) -> &[u8] {
        self.host_rewritten.as_ref().unwrap_or(&self.host)
    }

    /// Whether doing it twice is the same as doing it once (RFC 9110, section 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent() && self.upgrade.is_none()
    }
}

pub(crate) struct ResponseHead {
    /// What the instance spoke that said this; `None`: these are the edge's own words.
    pub(crate) version: Option<Version>,
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
}

impl ResponseHead {
    /// The head of an answer that is the edge's own.
    pub(crate) fn of_the_edge(status: StatusCode, headers: Headers, framing: Framing) -> Self {
        Self { version: None, status, headers, framing }
    }

    /// Server-sent events: open for as long as the client listens.
    pub(crate) fn is_event_stream(&self) -> bool {
        const KIND: &[u8] = b"text/event-stream";
        let kind = self.headers.first_named("content-type").and_then(|value| value.get(..KIND.len()));
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(KIND))
    }
}

pub(crate) struct Response {
    pub(crate) head: ResponseHead,
    pub(crate) body: ResponseBody,
}

impl Response {
    pub(crate) fn refusal(refusal: &Refusal, request_id: &str) -> Self {
        let body = refusal.to_json(request_id);
        let mut headers = Headers::default();
        headers.push(b"content-type", plimsoll_policy::refusal::CONTENT_TYPE.as_bytes());
        headers.push(b"cache-control", b"no-store");
        if let Some(allow) = &refusal.allow {
            headers.push(b"allow", allow.as_bytes());
        }
        if let Some(length) = refusal.length {
            headers.push(b"content-range", format!("bytes */{length}").as_bytes());
        }
        if let Some(seconds) = refusal.retry_after_seconds() {
            headers.push(b"retry-after", itoa::Buffer::new().format(seconds).as_bytes());
        }
        let head = ResponseHead::of_the_edge(refusal.status(), headers, Framing::Length(body.len() as u64));
        Self { head, body: ResponseBody::Full(body) }
    }
}
