//! What an exchange speaks on: a connection of its own, or a stream of one that others use too. Both look alike from here on.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use tokio_util::either::Either;

use crate::alarm::Alarm;
use crate::failure::Failure;
use crate::http1::WireError;
use crate::message::{Frame, Framing, ResponseHead};
use crate::pool::{Connection, Pool};
use crate::transport::Transport;
use crate::upstream_http2::{Stream, Tunnel};

pub(super) enum Line {
    Http1(Box<Connection>),
    Http2(Box<Stream>),
}

/// The instance's end of a tunnel.
pub(crate) type FarEnd = Either<Transport, Tunnel>;

impl Line {
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        match self {
            Self::Http1(connection) => &mut connection.alarm,
            Self::Http2(stream) => &mut stream.alarm,
        }
    }

    /// Bytes that it has taken in its life. The difference tells whether anything has moved.
    pub(super) fn bytes_total(&self) -> u64 {
        match self {
            Self::Http1(connection) => connection.wire.out.bytes_total,
            Self::Http2(stream) => stream.bytes_total,
        }
    }

    /// Whether what has left cannot be taken back: an instance that speaks HTTP/2 may yet say that it has not looked at it.
    pub(super) fn is_beyond_recall(&self, bytes_before: u64) -> bool {
        match self {
            Self::Http1(connection) => connection.wire.out.bytes_total > bytes_before,
            Self::Http2(_) => false,
        }
    }

    /// Whether the instance may have seen any of the request, which ended like that.
    pub(super) fn was_sent(&self, bytes_before: u64, failure: &Failure) -> bool {
        match self {
            Self::Http1(connection) => connection.wire.out.bytes_total > bytes_before,
            Self::Http2(stream) => stream.was_sent(failure),
        }
    }

    /// Whether a further frame may be put before the next flush.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.wire.out.has_room(),
            Self::Http2(stream) => stream.has_room(),
        }
    }

    pub(super) fn put_data(&mut self, data: Bytes, framing: Framing) {
        match self {
            Self::Http1(connection) => connection.put_data(data, framing),
            Self::Http2(stream) => stream.put_data(data),
        }
    }

    pub(super) fn put_end(&mut self, trailers: Option<HeaderMap>, framing: Framing) {
        match self {
            Self::Http1(connection) => connection.put_end(trailers.as_ref(), framing),
            Self::Http2(stream) => stream.put_end(trailers, framing.is_empty()),
        }
    }

    /// Whether nothing of the request waits on this side.
    pub(super) fn is_flushed(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.wire.out.is_empty(),
            Self::Http2(stream) => stream.is_flushed(),
        }
    }

    /// An error is the instance's: it takes nothing more.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        match self {
            Self::Http1(connection) => connection.wire.poll_flush(cx).map_err(drop),
            Self::Http2(stream) => stream.poll_flush(cx).map_err(drop),
        }
    }

    pub(super) fn abandon(&mut self) {
        match self {
            Self::Http1(connection) => connection.wire.out.abandon(),
            Self::Http2(stream) => stream.abandon(),
        }
    }

    /// The next head; `true` if the line can be kept after its message.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, method: &Method) -> Poll<Result<(ResponseHead, bool), Failure>> {
        match self {
            Self::Http1(connection) => connection.poll_head(cx, method),
            Self::Http2(stream) => stream.poll_head(cx).map_ok(|head| (head, true)),
        }
    }

    /// What follows is the body of this answer.
    pub(super) fn begin_body(&mut self, framing: Framing) {
        if let Self::Http1(connection) = self {
            connection.wire.begin_body(framing);
        }
    }

    /// Of the answer's body, at a time. What several requests share has a bound of its own.
    pub(super) fn read_at_most(&mut self, bytes: usize) {
        if let Self::Http1(connection) = self {
            connection.wire.read_at_most(bytes);
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        match self {
            Self::Http1(connection) => connection.wire.poll_frame(cx),
            Self::Http2(stream) => stream.poll_frame(cx),
        }
    }

    pub(super) fn body_is_done(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.wire.body_is_done(),
            Self::Http2(stream) => stream.body_is_done(),
        }
    }

    /// The client takes nothing just now.
    pub(super) fn rest(&mut self, cx: &mut Context<'_>) {
        if let Self::Http2(stream) = self {
            stream.rest(cx);
        }
    }

    /// A time limit has passed.
    pub(super) fn waited_in_vain(&self) {
        if let Self::Http2(stream) = self {
            stream.waited_in_vain();
        }
    }

    /// Whether nothing is left to be written, and nothing has come that nobody asked for.
    pub(super) fn is_at_boundary(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.wire.out.is_empty() && !connection.wire.has_buffered(),
            Self::Http2(_) => true,
        }
    }

    /// Both sides are at the end of a message: whoever comes next may use the connection.
    pub(super) fn release(self, pool: &Pool, slot: u64) {
        match self {
            Self::Http1(connection) => pool.put(slot, connection),
            Self::Http2(stream) => stream.finish(),
        }
    }

    /// After a 101: the instance's end, and what was read from it too early.
    pub(super) fn into_far_end(self) -> Option<(FarEnd, BytesMut)> {
        match self {
            Self::Http1(connection) => {
                let (transport, buffer) = connection.wire.into_parts();
                Some((Either::Left(transport), buffer))
            }
            Self::Http2(stream) => Some((Either::Right(stream.into_tunnel()?), BytesMut::new())),
        }
    }
}
