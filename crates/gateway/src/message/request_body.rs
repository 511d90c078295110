//! What a client sends, kept as far as it may have to be sent again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::failure::Failure;
use crate::http1::decode::remove_forbidden_trailers;
use crate::http1::{Wire, WireError};
use crate::message::Frame;
use crate::pace::Meter;

/// Why the client's body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    Gone,
    TooLarge,
    Malformed(&'static str),
    /// The client sent nothing for too long.
    Idle,
    /// It sends too little for the time it takes.
    TooSlow,
}

/// What the client sends, with what is needed to send it again to another instance. Most requests have none, and pass through many hands: so it
/// is one word.
pub(crate) struct RequestBody(Option<Box<Content>>);

struct Content {
    source: Source,
    bytes_left: u64,
    bytes_seen: u64,
    /// The pace at which it must come; none once the answer has begun.
    pace: Option<Meter>,
    replay: Option<Replay>,
}

enum Source {
    Empty,
    Http1(Rc<RefCell<Wire>>),
    Http2(h2::RecvStream),
}

/// What was taken so far, kept while it fits: the request may have to be sent again.
struct Replay {
    taken: Taken,
    bytes_max: usize,
    /// What is to be given out again before the source is asked.
    again: Option<Bytes>,
}

/// Most bodies that are short enough come in one piece, which is kept as it came. Many pieces are copied: each may be a small part of what
/// was read with it, and would keep all of that.
enum Taken {
    Piece(Bytes),
    Copied(BytesMut),
}

impl Taken {
    fn nothing() -> Self {
        Self::Piece(Bytes::new())
    }

    fn len(&self) -> usize {
        match self {
            Self::Piece(piece) => piece.len(),
            Self::Copied(bytes) => bytes.len(),
        }
    }

    fn add(&mut self, bytes: &Bytes) {
        match self {
            Self::Piece(piece) if piece.is_empty() => *piece = bytes.clone(),
            Self::Piece(piece) => *self = Self::Copied([&piece[..], bytes].concat()[..].into()),
            Self::Copied(copied) => copied.extend_from_slice(bytes),
        }
    }

    fn share(&self) -> Bytes {
        match self {
            Self::Piece(piece) => piece.clone(),
            Self::Copied(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

impl RequestBody {
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    pub(crate) fn http1(wire: Rc<RefCell<Wire>>, config: &Config) -> Self {
        Self::new(Source::Http1(wire), config)
    }

    pub(crate) fn http2(stream: h2::RecvStream, config: &Config) -> Self {
        Self::new(Source::Http2(stream), config)
    }

    fn new(source: Source, config: &Config) -> Self {
        let (bytes_left, pace) = (config.limits.body_bytes_max, Some(Meter::new(config.body_pace())));
        Self(Some(Box::new(Content { source, bytes_left, bytes_seen: 0, pace, replay: None })))
    }

    /// Of the client's, the bytes taken so far.
    pub(crate) fn bytes_seen(&self) -> u64 {
        self.0.as_ref().map_or(0, |content| content.bytes_seen)
    }

    /// The answer has begun: from now on the two may talk at whatever pace they like.
    pub(crate) fn take_your_time(&mut self) {
        if let Some(content) = &mut self.0 {
            content.pace = None;
        }
    }

    /// Whether there never was one.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// All of it is here.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        let replay = Some(Replay { taken: Taken::nothing(), bytes_max: 0, again: Some(bytes) });
        Self(Some(Box::new(Content { source: Source::Empty, bytes_left: 0, bytes_seen: 0, pace: None, replay })))
    }

    /// The same once more, as far as it is kept.
    pub(crate) fn copy(&self) -> Self {
        let replay = self.0.as_ref().and_then(|content| content.replay.as_ref());
        Self::whole(replay.map(|replay| replay.taken.share()).unwrap_or_default())
    }

    /// Sets another limit than it began with. Nothing has been taken yet.
    pub(crate) fn limit(&mut self, bytes_max: u64) {
        if let Some(content) = &mut self.0 {
            content.bytes_left = bytes_max;
        }
    }

    /// From now on keeps what is taken, up to `bytes_max`, so that [`Self::rewind`] can succeed.
    pub(crate) fn keep_for_replay(&mut self, bytes_max: usize) {
        if let Some(content) = &mut self.0 {
            // What is kept already must not be lost: another upstream may be asked after this one.
            content.replay.get_or_insert_with(|| Replay { taken: Taken::nothing(), bytes_max, again: None });
        }
    }

    /// It will not be sent again.
    pub(crate) fn forget(&mut self) {
        if let Some(content) = &mut self.0 {
            content.replay = None;
        }
    }

    /// Waits for the first `length` bytes, each piece at most for `idle`, and starts over; they must fit into what is kept.
    pub(crate) async fn receive(&mut self, length: u64, idle: Duration, deadline: Option<Instant>) -> Result<(), Failure> {
        while self.bytes_seen() < length {
            let idle_ends = Instant::now() + idle;
            let ends = deadline.map_or(idle_ends, |deadline| deadline.min(idle_ends));
            match timeout_at(ends, poll_fn(|cx| self.poll_frame(cx))).await {
                Ok(Some(frame)) => drop(frame.map_err(Failure::Client)?),
                Ok(None) => break,
                Err(_) if ends < idle_ends => return Err(Failure::DeadlinePassed),
                Err(_) => return Err(Failure::Client(BodyError::Idle)),
            }
        }
        self.rewind();
        Ok(())
    }

    /// Takes what still comes and forgets it, up to so much.
    pub(crate) async fn discard(&mut self, bytes_max: usize) {
        let Some(content) = &mut self.0 else { return };
        let mut total = 0;
        while let Some(Ok(Frame::Data(data))) = poll_fn(|cx| content.source.poll_frame(cx)).await {
            total += data.len();
            if total > bytes_max {
                return;
            }
        }
    }

    /// Starts over from the first frame; false if more was taken than could be kept.
    pub(crate) fn rewind(&mut self) -> bool {
        let Some(content) = &mut self.0 else { return true };
        match &mut content.replay {
            Some(replay) => {
                replay.again = Some(replay.taken.share()).filter(|bytes| !bytes.is_empty());
                true
            }
            None => content.bytes_seen == 0,
        }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |content| content.poll_frame(cx))
    }
}

impl Content {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Some(replay) = &mut self.replay
            && let Some(bytes) = replay.again.take()
        {
            return Poll::Ready(Some(Ok(Frame::Data(bytes))));
        }
        let Poll::Ready(frame) = self.source.poll_frame(cx) else {
            let is_too_slow = self.pace.as_mut().is_some_and(|pace| pace.waits().is_err());
            return if is_too_slow { Poll::Ready(Some(Err(BodyError::TooSlow))) } else { Poll::Pending };
        };
        if let Some(Ok(Frame::Data(bytes))) = &frame {
            let length = bytes.len() as u64;
            if let Some(pace) = &mut self.pace {
                pace.moved(length);
            }
            if length > self.bytes_left {
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            }
            self.bytes_left -= length;
            self.bytes_seen += length;
            self.remember(bytes);
        }
        Poll::Ready(frame)
    }

    fn remember(&mut self, bytes: &Bytes) {
        let Some(replay) = &mut self.replay else { return };
        if replay.taken.len() + bytes.len() > replay.bytes_max {
            self.replay = None;
            return;
        }
        replay.taken.add(bytes);
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Http1(wire) => wire.borrow_mut().poll_frame(cx).map_err(|error| match error {
                WireError::Malformed(what) => BodyError::Malformed(what),
                WireError::Closed | WireError::Io(_) => BodyError::Gone,
            }),
            Self::Http2(stream) => poll_http2(stream, cx),
        }
    }
}

fn poll_http2(stream: &mut h2::RecvStream, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
    loop {
        match ready!(stream.poll_data(cx)) {
            // An empty frame says nothing, and in HTTP/1.1's chunked coding it would even end the body.
            Some(Ok(bytes)) if bytes.is_empty() => {}
            Some(Ok(bytes)) => {
                // The window opens again as fast as the instance accepts the bytes.
                let _ = stream.flow_control().release_capacity(bytes.len());
                return Poll::Ready(Some(Ok(Frame::Data(bytes))));
            }
            Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Gone))),
            None => break,
        }
    }
    match ready!(stream.poll_trailers(cx)) {
        Ok(Some(mut trailers)) => {
            remove_forbidden_trailers(&mut trailers);
            Poll::Ready(Some(Ok(Frame::Trailers(trailers))))
        }
        Ok(None) => Poll::Ready(None),
        Err(_) => Poll::Ready(Some(Err(BodyError::Gone))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_can_be_given_again_in_however_many_pieces_it_came() {
        for pieces in [&[][..], &["a"], &["a", "b"], &["", "a", "", "bc", "d"]] {
            let mut taken = Taken::nothing();
            for piece in pieces {
                taken.add(&Bytes::from_static(piece.as_bytes()));
            }
            let all = pieces.concat();
            assert_eq!((taken.len(), &taken.share()[..]), (all.len(), all.as_bytes()));
        }
    }
}
