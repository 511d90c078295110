//! What a client receives: nothing, a piece that is here, or a stream, whoever gives it.

use std::any::Any;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Frame, RequestBody};
use crate::http1::WireError;

pub(crate) enum ResponseBody {
    Empty,
    Full(Bytes),
    Stream(Box<dyn BodyStream>),
}

/// A body that comes piece by piece: straight from an instance, from a file, or through something that changes it.
///
/// It is pulled, frame by frame, so that a slow reader slows the writer and nothing piles up between them.
pub(crate) trait BodyStream: Any {
    /// The next frame. An error means that the answer cannot be completed: the client must see it break off, not end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>>;

    /// Whether it is already known that no frame will follow.
    fn is_over(&self) -> bool;

    /// Whether a frame that does not come may be long in coming.
    fn may_pause(&self) -> bool {
        false
    }

    /// Takes smaller pieces than it might: there is no room for more.
    fn read_at_most(&mut self, bytes: usize);

    /// Keeps the request's body moving while the client does not take the answer.
    fn keep_sending(&mut self, _: &mut Context<'_>) {}

    /// What has not been taken of the request that this answers.
    fn into_request_body(self: Box<Self>) -> RequestBody {
        RequestBody::empty()
    }
}

impl ResponseBody {
    /// Whether it is already known that no frame will follow.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Stream(stream) => stream.is_over(),
        }
    }

    /// What has not been taken of the request that this answers.
    pub(crate) fn into_request_body(self) -> RequestBody {
        match self {
            Self::Stream(stream) => stream.into_request_body(),
            Self::Empty | Self::Full(_) => RequestBody::empty(),
        }
    }

    /// Whether a frame that does not come may be long in coming.
    pub(crate) fn may_pause(&self) -> bool {
        matches!(self, Self::Stream(stream) if stream.may_pause())
    }

    /// Keeps the request's body moving while the client does not take the answer.
    pub(crate) fn keep_sending(&mut self, cx: &mut Context<'_>) {
        if let Self::Stream(stream) = self {
            stream.keep_sending(cx);
        }
    }

    /// Takes smaller pieces than it might: there is no room for more.
    pub(crate) fn read_at_most(&mut self, bytes: usize) {
        if let Self::Stream(stream) = self {
            stream.read_at_most(bytes);
        }
    }

    /// The next frame, as [`BodyStream::poll_frame`].
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::Data(bytes))))
            }
            Self::Stream(stream) => stream.poll_frame(cx),
        }
    }

    /// The stream itself, if it is one of these. A 101 carries the exchange that has switched: nothing that wraps bodies may wrap that one.
    pub(crate) fn downcast<T: BodyStream>(self) -> Option<Box<T>> {
        let Self::Stream(stream) = self else { return None };
        let stream: Box<dyn Any> = stream;
        stream.downcast().ok()
    }
}
