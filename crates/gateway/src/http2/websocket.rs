//! WebSocket over HTTP/2 (RFC 8441): an extended CONNECT becomes HTTP/1.1's upgrade at the instance, and the stream a pipe.
//!
//! `END_STREAM` is the end of one direction, as FIN is with TCP; a pipe that is dropped before resets its stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::request::Parts;
use http::{Method, StatusCode};
use plimsoll_policy::{Reason, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::Share;
use crate::journey::Journey;
use crate::message::{Framing, Headers, Response, ResponseHead};
use crate::tunnel::End;

pub(super) const NAME: &str = "websocket";
/// The most that one write copies into a frame.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// Whether a protocol is asked for on this stream, and one that is spoken here.
pub(super) fn is_asked(request: &Parts) -> Result<bool, Refusal> {
    match request.extensions.get::<Protocol>() {
        Some(protocol) if request.method == Method::CONNECT && protocol.as_str() == NAME => Ok(true),
        Some(_) => Err(Refusal::new(Reason::NotImplemented, "the only protocol for extended CONNECT is websocket")),
        None => Ok(false),
    }
}

/// What HTTP/1.1 wants to be asked and HTTP/2 does not: a random key, so that nothing but a WebSocket server answers with 101.
pub(super) fn push_key(fields: &mut Headers) {
    let mut nonce = [0; 16];
    fastrand::fill(&mut nonce);
    fields.push(b"sec-websocket-key", key(nonce).as_bytes());
}

fn key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// The answer by which the client of a stream knows that its WebSocket is open.
pub(super) fn opened(switching: &ResponseHead) -> ResponseHead {
    let mut headers = Headers::default();
    // What only HTTP/1.1 has to prove is proven.
    for (_, name, value) in switching.headers.iter().filter(|(_, name, _)| !name.eq_ignore_ascii_case(b"sec-websocket-accept")) {
        headers.push(name, value);
    }
    ResponseHead { version: switching.version, status: StatusCode::OK, headers, framing: Framing::None }
}

/// An instance that did not switch. A 2xx would tell the client that its WebSocket is open.
pub(super) fn instead(response: Response, journey: &mut Journey) -> Response {
    if !response.head.status.is_success() {
        return response;
    }
    let refusal = Refusal::new(Reason::UpstreamFailed, "the instance does not speak WebSocket at this path");
    journey.refused(&refusal);
    Response::refusal(&refusal, journey.hop.request_id.as_str())
}

/// A stream as bytes both ways.
pub(crate) struct Pipe {
    pub(crate) receive: RecvStream,
    pub(crate) send: SendStream<Bytes>,
    /// Received, and not read yet.
    pub(crate) unread: Bytes,
    /// Of what the connection may hold for its client.
    pub(crate) share: Option<Share>,
}

fn broken(error: h2::Error) -> io::Error {
    error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
}

impl End for Pipe {}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                Some(Ok(data)) => self.unread = data,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        // The window opens again as fast as the instance takes the bytes.
        let _ = self.receive.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if let Some(share) = &mut self.share {
            ready!(share.poll_room(cx));
        }
        self.send.reserve_capacity(bytes.len().min(FRAME_BYTES_MAX));
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = bytes.len().min(self.send.capacity()).min(FRAME_BYTES_MAX);
        self.send.send_data(Bytes::copy_from_slice(&bytes[..count]), false).map_err(broken)?;
        if let Some(share) = &self.share {
            share.queued(count);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task writes whatever was sent.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(broken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert_eq!(key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==", "the example of RFC 6455, section 1.3");
        assert_eq!(key([0xff; 16]), "/////////////////////w==");
    }

    #[test]
    fn every_request_has_a_key_of_its_own() {
        let key = || {
            let mut fields = Headers::default();
            push_key(&mut fields);
            fields.first_named("sec-websocket-key").unwrap().to_vec()
        };
        assert_ne!(key(), key());
    }
}
