//! Heads and chunks as they are written. Pure: appends to the output of a wire.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use plimsoll_policy::{clock, deadline};

use super::wire::Out;
use crate::date;
use crate::forwarded::Hop;
use crate::message::{Framing, Name, Request, ResponseHead};

/// About what a hop adds to a head.
const HOP_BYTES: usize = 512;

fn field(front: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    front.extend_from_slice(name);
    front.extend_from_slice(b": ");
    front.extend_from_slice(value);
    front.extend_from_slice(b"\r\n");
}

fn framing_field(front: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => field(front, b"content-length", itoa::Buffer::new().format(length).as_bytes()),
        Framing::Chunked => front.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}

/// A request as an instance sees it.
pub(crate) fn request_head(front: &mut Vec<u8>, request: &Request, hop: &Hop) {
    // One growth at most: the fields, the request line, and what the hop adds.
    front.reserve(request.headers.bytes_written() + request.target.len() + HOP_BYTES);
    front.extend_from_slice(request.method.as_str().as_bytes());
    front.push(b' ');
    front.extend_from_slice(&request.target);
    front.extend_from_slice(b" HTTP/1.1\r\n");
    field(front, b"host", request.host_of_instance());
    request.headers.write(front, |known| {
        let is_spent = known == Name::XRequestTimeoutMs && request.deadline.is_some();
        !known.is_rewritten() && !is_spent && (known != Name::XForwardedOther || hop.peer_is_trusted())
    });
    if request.headers.has_token(Name::Te, "trailers") {
        front.extend_from_slice(b"te: trailers\r\n");
    }
    framing_field(front, request.framing);
    if let Some(deadline) = request.deadline {
        let left_ms = deadline::remaining_ms(deadline, clock::now());
        field(front, deadline::HEADER.as_bytes(), itoa::Buffer::new().format(left_ms).as_bytes());
    }
    if let Some(protocol) = &request.upgrade {
        front.extend_from_slice(b"connection: upgrade\r\n");
        field(front, b"upgrade", protocol);
    }
    hop.write(front, request.version, &request.headers, &request.host);
    front.extend_from_slice(b"\r\n");
}

/// What decides how an answer is written to its client.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) is_http10: bool,
    pub(crate) is_head: bool,
    /// Whether the connection stays open after this answer.
    pub(crate) keep_alive: bool,
}

/// An answer as the client sees it. Returns how its body must be written.
pub(crate) fn response_head(front: &mut Vec<u8>, head: &ResponseHead, request_id: &[u8], client: Client) -> Framing {
    let switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
    front.reserve(head.headers.bytes_written() + HOP_BYTES);
    status_line(front, head.status);
    let keeps_length = client.is_head || head.status == StatusCode::NOT_MODIFIED;
    head.headers.write(front, |known| known != Name::XRequestId && (keeps_length || known != Name::ContentLength));
    let framing = match head.framing {
        Framing::Chunked | Framing::UntilClose if client.is_http10 => Framing::UntilClose,
        Framing::UntilClose => Framing::Chunked,
        framing => framing,
    };
    framing_field(front, framing);
    if head.headers.first(Name::Date).is_none() {
        date::with_now(|now| field(front, b"date", now));
    }
    field(front, b"x-request-id", request_id);
    if switching {
        front.extend_from_slice(b"connection: upgrade\r\n");
        for protocol in head.headers.all(Name::Upgrade) {
            field(front, b"upgrade", protocol);
        }
    } else if !client.keep_alive || framing == Framing::UntilClose {
        front.extend_from_slice(b"connection: close\r\n");
    } else if client.is_http10 {
        front.extend_from_slice(b"connection: keep-alive\r\n");
    }
    front.extend_from_slice(b"\r\n");
    framing
}

/// An answer before the answer, such as 100 or 103.
pub(crate) fn interim_head(front: &mut Vec<u8>, head: &ResponseHead) {
    status_line(front, head.status);
    head.headers.write(front, |known| known != Name::ContentLength);
    front.extend_from_slice(b"\r\n");
}

fn status_line(front: &mut Vec<u8>, status: StatusCode) {
    front.extend_from_slice(b"HTTP/1.1 ");
    front.extend_from_slice(status.as_str().as_bytes());
    front.push(b' ');
    front.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    front.extend_from_slice(b"\r\n");
}

/// Puts one piece of a body into the output.
pub(crate) fn data(out: &mut Out, data: Bytes, framing: Framing) {
    if framing == Framing::Chunked {
        push_hex(&mut out.front, data.len());
        out.front.extend_from_slice(b"\r\n");
        out.back.extend_from_slice(b"\r\n");
    }
    out.data = data;
}

/// Ends a body.
pub(crate) fn end(out: &mut Out, trailers: Option<&HeaderMap>, framing: Framing) {
    if framing != Framing::Chunked {
        return;
    }
    out.back.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        field(&mut out.back, name.as_str().as_bytes(), value.as_bytes());
    }
    out.back.extend_from_slice(b"\r\n");
}

fn push_hex(front: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    front.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(number >> (digit * 4)) & 15]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_are_hexadecimal() {
        for number in [0, 1, 15, 16, 255, 4096, 65_535, usize::MAX] {
            let mut text = Vec::new();
            push_hex(&mut text, number);
            assert_eq!(String::from_utf8(text).unwrap(), format!("{number:x}"));
        }
    }

    #[test]
    fn a_body_of_unknown_length_closes_an_old_client_and_is_chunked_for_a_new_one() {
        let head = ResponseHead::of_the_edge(StatusCode::OK, crate::message::Headers::default(), Framing::Chunked);
        let written = |is_http10| {
            let mut front = Vec::new();
            let framing = response_head(&mut front, &head, b"id", Client { is_http10, is_head: false, keep_alive: true });
            (framing, String::from_utf8(front).unwrap())
        };
        let (framing, text) = written(true);
        assert_eq!(framing, Framing::UntilClose);
        assert!(text.contains("connection: close") && !text.contains("transfer-encoding"));
        let (framing, text) = written(false);
        assert_eq!(framing, Framing::Chunked);
        assert!(text.contains("transfer-encoding: chunked") && !text.contains("connection:"));
    }
}
