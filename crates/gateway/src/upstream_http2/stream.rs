//! One request on a connection that it shares, and its answer. Dropping it before its end resets the stream, and nothing else.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::group::Place;
use super::received::Received;
use super::translate;
use crate::alarm::Alarm;
use crate::failure::Failure;
use crate::http1::WireError;
use crate::http2::Pipe;
use crate::message::{Frame, ResponseHead};

/// How long the end of a stream may come after an answer that has no body.
const END_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Stream {
    send: SendStream<Bytes>,
    answer: Answer,
    pending: Bytes,
    end: End,
    is_head: bool,
    /// Of a WebSocket: what its client will be told when it is open.
    accept: Option<String>,
    pub(crate) alarm: Alarm,
    /// Of the request's body, all that was handed over.
    pub(crate) bytes_total: u64,
    read_before: u64,
    written_before: u64,
    place: Place,
}

/// Of the request.
enum End {
    /// More of its body may come.
    Open,
    /// What is pending is the last of it.
    Next(Option<HeaderMap>),
    Said,
}

enum Answer {
    Awaited(ResponseFuture),
    Body(Received),
}

/// What a stream is made of.
pub(super) struct Opening {
    pub(super) response: ResponseFuture,
    pub(super) send: SendStream<Bytes>,
    pub(super) is_head: bool,
    pub(super) accept: Option<String>,
    /// Of its connection, before the request was put there.
    pub(super) read_before: u64,
    pub(super) written_before: u64,
}

impl Stream {
    pub(super) fn new(opening: Opening, place: Place) -> Self {
        let Opening { response, send, is_head, accept, read_before, written_before } = opening;
        Self {
            send,
            answer: Answer::Awaited(response),
            pending: Bytes::new(),
            end: End::Open,
            is_head,
            accept,
            alarm: Alarm::new(),
            bytes_total: 0,
            read_before,
            written_before,
            place,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.pending.is_empty() && !matches!(self.end, End::Next(_))
    }

    pub(crate) fn put_data(&mut self, data: Bytes) {
        self.pending = data;
    }

    /// `was_whole`: the request's head said already that nothing follows it.
    pub(crate) fn put_end(&mut self, trailers: Option<HeaderMap>, was_whole: bool) {
        self.end = if was_whole { End::Said } else { End::Next(trailers) };
    }

    /// Whether the library has all that was put here.
    pub(crate) fn is_flushed(&self) -> bool {
        self.has_room()
    }

    /// Hands over as much as the instance's window allows.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        while !self.pending.is_empty() {
            self.send.reserve_capacity(self.pending.len());
            while self.send.capacity() == 0 {
                match ready!(self.send.poll_capacity(cx)) {
                    Some(grown) => drop(grown?),
                    None => return Poll::Ready(Err(Reason::STREAM_CLOSED.into())),
                }
            }
            let data = self.pending.split_to(self.pending.len().min(self.send.capacity()));
            self.bytes_total += data.len() as u64;
            self.send.send_data(data, false)?;
        }
        match std::mem::replace(&mut self.end, End::Said) {
            End::Next(Some(trailers)) => self.send.send_trailers(trailers)?,
            End::Next(None) => self.send.send_data(Bytes::new(), true)?,
            unchanged => self.end = unchanged,
        }
        Poll::Ready(Ok(()))
    }

    /// The instance takes no more.
    pub(crate) fn abandon(&mut self) {
        self.pending = Bytes::new();
        self.end = End::Open;
    }

    /// Whether the instance can see any of the request, now or later. `failure`: how it ended. The library takes back nothing that it was
    /// given: while the connection lives, even one that takes nothing just now, what waits there may still leave.
    pub(crate) fn was_sent(&self, failure: &Failure) -> bool {
        let traffic = &self.place.connection.traffic;
        let never_leaves = traffic.is_over() && traffic.written() == self.written_before;
        !never_leaves && !matches!(failure, Failure::Unprocessed { .. })
    }

    /// A time limit has passed: if nothing at all came on the connection meanwhile, its peer may be gone.
    pub(crate) fn waited_in_vain(&self) {
        if self.place.connection.traffic.read() == self.read_before {
            self.place.connection.doubt();
        }
    }

    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        let Answer::Awaited(response) = &mut self.answer else { return Poll::Ready(Err(Failure::Closed)) };
        match response.poll_informational(cx) {
            Poll::Ready(Some(Ok(interim))) if interim.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Poll::Ready(Err(Failure::Malformed("101, which HTTP/2 does not have")));
            }
            Poll::Ready(Some(Ok(interim))) => {
                let head = translate::response(interim.status(), interim.headers(), false, false);
                return Poll::Ready(head.map_err(Failure::Malformed));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(translate::failure(&error))),
            Poll::Ready(None) | Poll::Pending => {}
        }
        let (parts, body) = ready!(Pin::new(response).poll(cx)).map_err(|error| translate::failure(&error))?.into_parts();
        let head = match &self.accept {
            Some(accept) if parts.status.is_success() => translate::switching(&parts.headers, accept),
            _ => translate::response(parts.status, &parts.headers, self.is_head, body.is_end_stream()).map_err(Failure::Malformed)?,
        };
        let mut received = Received::new(body);
        received.is_announced_as(head.framing);
        self.answer = Answer::Body(received);
        Poll::Ready(Ok(head))
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        match &mut self.answer {
            Answer::Body(received) => received.poll_frame(cx),
            Answer::Awaited(_) => Poll::Ready(Some(Err(WireError::Closed))),
        }
    }

    pub(crate) fn body_is_done(&self) -> bool {
        matches!(&self.answer, Answer::Body(received) if received.is_over())
    }

    /// The client takes nothing just now.
    pub(crate) fn rest(&mut self, cx: &mut Context<'_>) {
        if let Answer::Body(received) = &mut self.answer {
            received.gather(cx);
        }
    }

    /// Nothing more is wanted of an answer that is complete. An instance may say its end only after a head that had no body to follow.
    pub(crate) fn finish(self: Box<Self>) {
        let Self { send, answer: Answer::Body(received), end: End::Said, mut place, .. } = *self else { return };
        let mut stream = received.into_stream();
        place.is_done();
        if stream.is_end_stream() {
            return;
        }
        let tasks = place.connection.tasks.clone();
        tasks.spawn_local(async move {
            let end = poll_fn(|cx| stream.poll_data(cx));
            let _ = timeout(END_WAIT, end).await;
            drop((stream, send, place));
        });
    }

    /// After the answer that opens a WebSocket.
    pub(crate) fn into_tunnel(self) -> Option<Tunnel> {
        let Answer::Body(received) = self.answer else { return None };
        let pipe = Pipe { receive: received.into_stream(), send: self.send, unread: Bytes::new(), share: None };
        Some(Tunnel { pipe, place: self.place, has_heard_all: false, has_said_all: false })
    }
}

/// A WebSocket's bytes on a stream.
pub(crate) struct Tunnel {
    pipe: Pipe,
    place: Place,
    has_heard_all: bool,
    has_said_all: bool,
}

impl Tunnel {
    fn note_end(&mut self) {
        if self.has_heard_all && self.has_said_all {
            self.place.is_done();
        }
    }
}

impl crate::tunnel::End for Tunnel {}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.remaining();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buffer))?;
        if buffer.remaining() == before && before > 0 {
            self.has_heard_all = true;
            self.note_end();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.pipe).poll_shutdown(cx))?;
        self.has_said_all = true;
        self.note_end();
        Poll::Ready(Ok(()))
    }
}
