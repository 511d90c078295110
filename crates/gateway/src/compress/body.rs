//! An answer's body while it is compressed: pulled like any other, frame by frame.
//!
//! An encoder keeps back what it may yet describe more briefly. Whenever the instance pauses, somebody may be waiting for just that, so it is
//! given out. A few bytes of coding are lost by it; an event that arrives late is worth more.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

use super::encoder::{Encoder, Failed};
use crate::bounded::Counted;
use crate::http1::WireError;
use crate::message::{BodyStream, Frame, RequestBody, ResponseBody};

/// After so much input others get a turn: well under a millisecond at the usual levels.
const TURN_BYTES: usize = 16 * 1024;
/// So much output is passed on without waiting for more.
const PIECE_BYTES: usize = 8 * 1024;

/// Trailers about the bytes that were replaced.
const SPENT_TRAILERS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

pub(super) struct Compressed {
    source: ResponseBody,
    encoder: Encoder,
    /// Received and not yet taken by the encoder.
    input: Bytes,
    output: Vec<u8>,
    /// The encoder may hold something back.
    holds_back: bool,
    /// Input taken in this turn.
    turn: usize,
    trailers: Option<HeaderMap>,
    /// All has been compressed; it, or trailers, may still have to be passed on.
    ended: bool,
    _counted: Counted,
}

impl Compressed {
    pub(super) fn new(source: ResponseBody, encoder: Encoder, counted: Counted) -> Self {
        let (input, output) = (Bytes::new(), Vec::new());
        Self { source, encoder, input, output, holds_back: false, turn: 0, trailers: None, ended: false, _counted: counted }
    }

    /// What can be passed on now.
    fn due(&mut self) -> Option<Frame> {
        if self.output.is_empty() {
            return self.trailers.take().map(Frame::Trailers);
        }
        Some(Frame::Data(std::mem::take(&mut self.output).into()))
    }

    /// Takes the next piece of the source, or compresses some of the last one. Pending: there is nothing to take.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if self.input.is_empty() {
            match std::task::ready!(self.source.poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => self.input = data,
                Some(Ok(Frame::Trailers(trailers))) => {
                    self.trailers = fitting(trailers);
                    return Poll::Ready(self.finish());
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(self.finish()),
            }
        }
        Poll::Ready(self.compress())
    }

    fn compress(&mut self) -> Result<(), WireError> {
        let some = self.input.split_to(self.input.len().min(TURN_BYTES));
        self.turn += some.len();
        self.holds_back = true;
        self.encoder.write(&some, &mut self.output).map_err(failed)?;
        if self.input.is_empty() && self.source.is_over() { self.finish() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), WireError> {
        self.holds_back = false;
        self.encoder.flush(&mut self.output).map_err(failed)
    }

    fn finish(&mut self) -> Result<(), WireError> {
        self.ended = true;
        self.encoder.finish(&mut self.output).map_err(failed)
    }
}

impl BodyStream for Compressed {
    fn is_over(&self) -> bool {
        self.ended && self.output.is_empty() && self.trailers.is_none()
    }

    fn read_at_most(&mut self, bytes: usize) {
        self.source.read_at_most(bytes);
    }

    fn keep_sending(&mut self, cx: &mut Context<'_>) {
        self.source.keep_sending(cx);
    }

    fn into_request_body(self: Box<Self>) -> RequestBody {
        self.source.into_request_body()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        loop {
            if self.output.len() >= PIECE_BYTES || self.ended {
                return Poll::Ready(self.due().map(Ok));
            }
            if self.turn >= TURN_BYTES {
                self.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let stepped = match self.step(cx) {
                Poll::Ready(stepped) => stepped,
                Poll::Pending => {
                    let flushed = if self.holds_back && self.source.may_pause() { self.flush() } else { Ok(()) };
                    if flushed.is_ok() && self.output.is_empty() {
                        return Poll::Pending;
                    }
                    return Poll::Ready(flushed.map(|()| self.due()).transpose());
                }
            };
            if let Err(error) = stepped {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

fn failed(Failed: Failed) -> WireError {
    WireError::Malformed("the answer could not be compressed")
}

/// The trailers that are true of the coded bytes as well.
fn fitting(mut trailers: HeaderMap) -> Option<HeaderMap> {
    for name in SPENT_TRAILERS {
        trailers.remove(name);
    }
    (!trailers.is_empty()).then_some(trailers)
}
