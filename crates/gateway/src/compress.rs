//! Answers are compressed on their way out, where the client takes it, the instance has not done it, and it is worth it.
//!
//! The coding is chosen by [`plimsoll_policy::content_coding`]. Short answers are compressed in one piece and keep a `Content-Length`; others
//! are compressed as they come, and what has come is passed on whenever the instance pauses, so an event arrives when it is sent.
//!
//! What changes with the bytes changes with them: a strong `ETag` becomes weak, `Vary` names `Accept-Encoding` (also where the client took no
//! coding: a cache must know), lengths and digests go, and ranges are not offered.

mod body;
mod encoder;
mod media_types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{Method, StatusCode};
use plimsoll_policy::conditional::Preconditions;
use plimsoll_policy::content_coding::{Accepted, Coding};

use body::Compressed;
use encoder::Encoder;
pub use encoder::Levels;
pub use media_types::MediaTypes;

use crate::bounded::{Count, Counted};
use crate::message::{Framing, Headers, Name, Request, Response, ResponseBody, ResponseHead, tokens};

/// What is compressed, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is offered; among codings that a client likes equally, the first.
    pub codings: Vec<Coding>,
    pub levels: Levels,
    pub types: MediaTypes,
    /// Answers that announce less are sent as they are.
    pub length_min: u64,
    /// Each holds a window of what went past, for as long as its answer lasts: without a bound, clients that do not read, or that listen for
    /// hours, would take memory by the gigabyte.
    encoders: Arc<Count>,
    encoders_max: usize,
}

impl Config {
    /// `streams_max`: how many answers may be compressed at a time while they are on their way. Each takes about a megabyte; further ones are
    /// sent as they are. Event streams, which last, are no more than half of them.
    pub fn new(codings: Vec<Coding>, levels: Levels, types: MediaTypes, length_min: u64, streams_max: usize) -> Self {
        Self { codings, levels, types, length_min, encoders: Arc::default(), encoders_max: streams_max }
    }

    /// Counts what is being compressed on where another plan is.
    pub(crate) fn count_with(&mut self, count: &Arc<Count>) {
        self.encoders = Arc::clone(count);
    }

    /// Leave for one encoder. What lasts leaves half of them to others.
    fn admit(&self, lasts: bool) -> Option<Counted> {
        self.encoders.enter(if lasts { self.encoders_max / 2 } else { self.encoders_max })
    }
}

/// Fields about the very bytes that are replaced (RFC 9530; RFC 3230 and RFC 2616 before it), and the offer to send parts of them.
const SPENT: [&str; 6] = ["content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"];

/// How much is to be compressed, as far as that is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(u64),
    Unknown,
}

/// Compresses an answer if all agree to it. `accepted`: what the client takes, if its request says something else by now.
pub(crate) fn apply(config: &Config, accepted: Option<Accepted>, request: &Request, response: &mut Response) {
    let head = &mut response.head;
    if head.status == StatusCode::NOT_MODIFIED {
        return not_modified(request, head);
    }
    let Some(length) = compressible(config, request, head) else { return };
    vary(&mut head.headers);
    let accepted = accepted.unwrap_or_else(|| Accepted::read(request.headers.all(Name::AcceptEncoding)));
    let Some(coding) = accepted.choose(&config.codings) else { return };
    response.body = match std::mem::replace(&mut response.body, ResponseBody::Empty) {
        ResponseBody::Full(bytes) => {
            let bytes = Encoder::new(coding, config.levels, Length::Known(bytes.len() as u64)).whole(&bytes);
            head.framing = Framing::Length(bytes.len() as u64);
            ResponseBody::Full(bytes)
        }
        // The answer to HEAD has the fields of the answer to GET, as far as they can be known without making it.
        ResponseBody::Empty => {
            head.framing = Framing::None;
            ResponseBody::Empty
        }
        source @ ResponseBody::Stream(_) => {
            let Some(admitted) = config.admit(head.is_event_stream()) else {
                response.body = source;
                return;
            };
            head.framing = Framing::Chunked;
            let encoder = Encoder::new(coding, config.levels, length);
            ResponseBody::Stream(Box::new(Compressed::new(source, encoder, admitted)))
        }
    };
    encoded(&mut head.headers, coding);
}

/// How long an answer is that some client could get compressed; `None`: nobody could.
fn compressible(config: &Config, request: &Request, head: &ResponseHead) -> Option<Length> {
    let kind = head.headers.first(Name::ContentType)?;
    let length = match head.framing {
        Framing::Length(length) => Length::Known(length),
        Framing::Chunked | Framing::UntilClose => Length::Unknown,
        Framing::None if request.method == Method::HEAD => {
            head.headers.first(Name::ContentLength).and_then(number).map_or(Length::Unknown, Length::Known)
        }
        Framing::None => return None,
    };
    let is_whole = (head.status.is_success() || head.status.is_client_error() || head.status.is_server_error())
        && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT);
    let is_worth_it = !matches!(length, Length::Known(length) if length < config.length_min.max(1));
    let agreed = is_whole
        && is_worth_it
        && head.headers.first(Name::ContentEncoding).is_none()
        && config.types.contain(kind)
        && head.headers.first_named("content-range").is_none()
        && !forbids_transforming(&head.headers)
        && !forbids_transforming(&request.headers);
    agreed.then_some(length)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// RFC 9111, sections 5.2.1.6 and 5.2.2.6.
fn forbids_transforming(headers: &Headers) -> bool {
    headers.all_named("cache-control").flat_map(tokens).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Makes the fields fit the coded bytes.
fn encoded(headers: &mut Headers, coding: Coding) {
    let etag = headers.first_named("etag").filter(|etag| etag.starts_with(b"\"")).map(weakened);
    headers.retain(|_, name| !SPENT.iter().any(|spent| name.eq_ignore_ascii_case(spent.as_bytes())));
    if let Some(etag) = etag {
        headers.set("etag", &etag);
    }
    headers.push(b"content-encoding", coding.token().as_bytes());
}

/// Two representations of one answer are as good as the same, but not the same (RFC 9110, section 8.8.1).
fn weakened(etag: &[u8]) -> Vec<u8> {
    [b"W/", etag].concat()
}

/// Tells caches that the answer depends on `Accept-Encoding`, together with what it depends on already.
fn vary(headers: &mut Headers) {
    let said = |token: &[u8]| token == b"*" || token.eq_ignore_ascii_case(b"accept-encoding");
    if headers.all_named("vary").flat_map(tokens).any(said) {
        return;
    }
    let mut names: Vec<&[u8]> = headers.all_named("vary").collect();
    if names.is_empty() {
        return headers.push(b"vary", b"accept-encoding");
    }
    names.push(b"accept-encoding");
    let names = names.join(&b", "[..]);
    headers.set("vary", &names);
}

/// A client that was given the weakened tag hears it again: to a strong one that it has never seen it could not relate what it has.
fn not_modified(request: &Request, head: &mut ResponseHead) {
    let Some(etag) = head.headers.first_named("etag") else { return };
    if Preconditions::read(request.headers.iter().map(|(_, name, value)| (name, value))).knows_weakened(etag) {
        let etag = weakened(etag);
        head.headers.set("etag", &etag);
        vary(&mut head.headers);
    }
}
