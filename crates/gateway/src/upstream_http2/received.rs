//! An answer's body. The window opens as fast as the client takes it.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream};

use crate::http1::WireError;
use crate::http1::decode::remove_forbidden_trailers;
use crate::message::{Frame, Framing};

/// Frames shorter than this are put together while the client takes nothing.
const SHORT_BYTES: usize = 4 * 1024;

pub(super) struct Received {
    stream: RecvStream,
    /// What was announced and is still to come.
    bytes_left: Option<u64>,
    /// Taken from the library before the client wanted it: no more than the window, since that stays as it was.
    gathered: VecDeque<Bytes>,
    /// The short frames behind that, in one piece.
    short: BytesMut,
}

impl Received {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, bytes_left: None, gathered: VecDeque::new(), short: BytesMut::new() }
    }

    pub(super) fn is_announced_as(&mut self, framing: Framing) {
        self.bytes_left = if let Framing::Length(length) = framing { Some(length) } else { None };
    }

    /// Whether the instance has said all, and all of it was given out.
    pub(super) fn is_over(&self) -> bool {
        self.gathered.is_empty() && self.short.is_empty() && self.stream.is_end_stream()
    }

    pub(super) fn into_stream(self) -> RecvStream {
        self.stream
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        if let Some(data) = self.in_hand() {
            return Poll::Ready(Some(Ok(self.give(data))));
        }
        loop {
            match ready!(self.stream.poll_data(cx)) {
                // An empty frame says nothing, and in HTTP/1.1's chunked coding it would even end the body.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Poll::Ready(Some(Ok(self.give(data)))),
                Some(Err(error)) => return Poll::Ready(self.ended_by(&error)),
                None => break,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(mut trailers)) => {
                remove_forbidden_trailers(&mut trailers);
                Poll::Ready(Some(Ok(Frame::Trailers(trailers))))
            }
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(self.ended_by(&error)),
        }
    }

    /// The client takes nothing. The library keeps a frame for each few bytes, and closes a connection that holds too many of them: one client
    /// that does not read would end the answers of all. What was gathered still counts against the window.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(Ok(data))) = self.stream.poll_data(cx) {
            if data.len() < SHORT_BYTES {
                self.short.extend_from_slice(&data);
            } else {
                let short = self.take_short();
                self.gathered.extend(short);
                self.gathered.push_back(data);
            }
        }
    }

    fn in_hand(&mut self) -> Option<Bytes> {
        self.gathered.pop_front().or_else(|| self.take_short())
    }

    fn take_short(&mut self) -> Option<Bytes> {
        if self.short.is_empty() { None } else { Some(self.short.split().freeze()) }
    }

    fn give(&mut self, data: Bytes) -> Frame {
        // It fails only on a stream that is over, where no window matters any more.
        let _ = self.stream.flow_control().release_capacity(data.len());
        self.bytes_left = self.bytes_left.map(|left| left.saturating_sub(data.len() as u64));
        Frame::Data(data)
    }

    /// An instance that has answered may ask for no more of the request by a reset without an error (RFC 9113, section 8.1). That is the end
    /// of an answer, unless some of what it announced is missing.
    fn ended_by(&self, error: &h2::Error) -> Option<Result<Frame, WireError>> {
        let is_whole = error.is_remote() && error.is_reset() && error.reason() == Some(Reason::NO_ERROR);
        match error.reason() {
            _ if is_whole && self.bytes_left.unwrap_or(0) == 0 => None,
            Some(_) if error.is_library() => Some(Err(WireError::Malformed("the instance sent what HTTP/2 does not allow"))),
            Some(_) => Some(Err(WireError::Malformed("the instance reset the stream"))),
            None => Some(Err(WireError::Closed)),
        }
    }
}
