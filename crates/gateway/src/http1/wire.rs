//! Bytes in, bytes out: one connection's buffers, the same for the client's side and the instance's.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use plimsoll_trust::Fault;
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::decode::{Decoder, Step};
use super::head;
use crate::message::{Frame, Framing};
use crate::transport::Transport;

/// Enough for the head of nearly every message and a small body: one read.
const READ_BYTES: usize = 8 * 1024;
/// More per read when a large body is known to come; also the most that one body keeps in memory.
const READ_BYTES_LARGE: usize = 64 * 1024;

pub(crate) struct Wire {
    transport: Transport,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no end of a head.
    scanned: usize,
    decoder: Decoder,
    /// What may be read of a large body at a time.
    read_bytes_max: usize,
    pub(crate) out: Out,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("closed in the middle of a message")]
    Closed,
    #[error(transparent)]
    Io(io::Error),
    #[error("{0}")]
    Malformed(&'static str),
}

#[derive(Debug)]
pub(crate) enum HeadError {
    /// The peer closed or reset the connection.
    Closed,
    /// The peer does not accept the certificate of this side, and says so after the handshake.
    NotAccepted(io::Error),
    /// The limit was reached; `true` if not even the first line was complete.
    TooLarge(bool),
    BareNewline,
}

impl Wire {
    /// A wire of which `buffer` has already been read.
    pub(crate) fn new(transport: Transport, buffer: BytesMut) -> Self {
        Self { transport, buffer, scanned: 0, decoder: Decoder::Done, read_bytes_max: READ_BYTES_LARGE, out: Out::default() }
    }

    /// The bytes of the next head with its empty line, once complete.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<Result<Bytes, HeadError>> {
        loop {
            match head::find_end(&self.buffer, self.scanned) {
                head::End::At(end) if end <= bytes_max => {
                    self.scanned = 0;
                    return Poll::Ready(Ok(self.buffer.split_to(end).freeze()));
                }
                head::End::BareNewline => return Poll::Ready(Err(HeadError::BareNewline)),
                head::End::At(_) => return Poll::Ready(Err(HeadError::TooLarge(false))),
                head::End::Missing { scanned } => self.scanned = scanned,
            }
            if self.buffer.len() >= bytes_max {
                let in_first_line = memchr::memchr(b'\n', &self.buffer).is_none();
                return Poll::Ready(Err(HeadError::TooLarge(in_first_line)));
            }
            match ready!(self.poll_fill(cx, READ_BYTES)) {
                Err(error) if Fault::is_refusal(&error) => return Poll::Ready(Err(HeadError::NotAccepted(error))),
                Ok(0) | Err(_) => return Poll::Ready(Err(HeadError::Closed)),
                Ok(_) => {}
            }
        }
    }

    /// RFC 9112, section 2.2: an empty line before a request is skipped.
    pub(crate) fn skip_empty_lines(&mut self) {
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            self.scanned = 0;
        }
    }

    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Ready when at least one byte of the next message has arrived; the error is the peer's leaving.
    pub(crate) fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        loop {
            self.skip_empty_lines();
            // A lone CR may yet be the first half of an empty line.
            if self.has_buffered() && self.buffer[..] != *b"\r" {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_fill(cx, READ_BYTES)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(())),
                Ok(_) => {}
            }
        }
    }

    pub(crate) fn begin_body(&mut self, framing: Framing) {
        self.read_bytes_max = READ_BYTES_LARGE;
        self.decoder = Decoder::new(framing);
    }

    /// Of this body, at a time.
    pub(crate) fn read_at_most(&mut self, bytes: usize) {
        self.read_bytes_max = bytes.clamp(READ_BYTES, READ_BYTES_LARGE);
        if bytes < READ_BYTES_LARGE && self.buffer.capacity() > bytes && self.buffer.is_empty() {
            // Its room would be used, however much may be read.
            self.buffer = BytesMut::new();
        }
    }

    pub(crate) fn body_is_done(&self) -> bool {
        self.decoder.is_done()
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, WireError>>> {
        loop {
            match self.decoder.step(&mut self.buffer) {
                Ok(Step::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(what) => return Poll::Ready(Some(Err(WireError::Malformed(what)))),
            }
            let wanted = if self.decoder.bytes_expected() > READ_BYTES as u64 { self.read_bytes_max } else { READ_BYTES };
            match ready!(self.poll_fill(cx, wanted)) {
                Ok(0) if self.decoder.close() => return Poll::Ready(None),
                Ok(0) => return Poll::Ready(Some(Err(WireError::Closed))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(WireError::Io(error)))),
            }
        }
    }

    /// Ready when the peer leaves while it is its turn to wait. What it sends meanwhile (pipelining) is kept, up to `bytes_max`.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<()> {
        while self.decoder.is_done() && self.buffer.len() < bytes_max {
            match ready!(self.poll_fill(cx, READ_BYTES)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Whether nothing has come on a connection where nothing is due; if something has, the wire is of no more use.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.buffer.is_empty() && self.transport.is_silent()
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out.poll_flush(&mut self.transport, cx)
    }

    /// Bytes that have left: what waits in TLS for a peer that does not read has not.
    pub(crate) fn sent(&self) -> u64 {
        self.transport.sent().unwrap_or(self.out.bytes_total)
    }

    /// Offers what waits to a kernel that does not say that it has room. It says so only once half of what it may hold has left, which for a
    /// slow reader is minutes.
    pub(crate) fn push(&mut self) {
        self.out.push(&mut self.transport);
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }

    /// Says that this is the end, not an attacker's cut, where the transport has a way to say so. Nobody waits for it.
    pub(crate) fn say_goodbye(&mut self) {
        if self.transport.holds_back() {
            let _ = self.poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// The peer does not read what it is sent: closing forgets it.
    pub(crate) fn reset_on_close(&self) {
        self.transport.reset_on_close();
    }

    /// Gives back the memory of a connection on which nothing is under way.
    pub(crate) fn rest(&mut self) {
        if self.buffer.is_empty() && self.out.is_empty() {
            self.buffer = BytesMut::new();
            self.out.abandon();
        }
    }

    /// Reads and forgets; used to let a client that is still sending see the answer it was given.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.clear();
        self.scanned = 0;
        self.poll_fill(cx, READ_BYTES_LARGE)
    }

    /// The stream and what was read of it too early.
    pub(crate) fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.buffer)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < wanted / 4 {
            self.buffer.reserve(wanted);
        }
        poll_read_buf(Pin::new(&mut self.transport), cx, &mut self.buffer)
    }
}

/// What waits to be written: bytes of our own before and after one piece of a body, sent together.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) front: Vec<u8>,
    pub(crate) data: Bytes,
    pub(crate) back: Vec<u8>,
    front_written: usize,
    back_written: usize,
    /// All of it was written, but may wait in the transport.
    held_back: bool,
    /// Bytes that ever left: zero means the peer cannot have seen anything.
    pub(crate) bytes_total: u64,
}

impl Out {
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty() && self.data.is_empty() && self.back.is_empty() && !self.held_back
    }

    /// Forgets what waits: the peer does not read any more.
    pub(crate) fn abandon(&mut self) {
        *self = Self { bytes_total: self.bytes_total, ..Self::default() };
    }

    /// Whether a further frame may be added before the next flush.
    pub(crate) fn has_room(&self) -> bool {
        self.data.is_empty() && self.back.is_empty()
    }

    fn poll_flush(&mut self, transport: &mut Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !(self.front.is_empty() && self.data.is_empty() && self.back.is_empty()) {
            let slices =
                [IoSlice::new(&self.front[self.front_written..]), IoSlice::new(&self.data), IoSlice::new(&self.back[self.back_written..])];
            let count = ready!(Pin::new(&mut *transport).poll_write_vectored(cx, &slices))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
            self.held_back = transport.holds_back();
        }
        if self.held_back {
            ready!(Pin::new(transport).poll_flush(cx))?;
            self.held_back = false;
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, transport: &mut Transport) {
        loop {
            let parts = [&self.front[self.front_written..], &self.data, &self.back[self.back_written..]];
            let next = parts.into_iter().find(|part| !part.is_empty()).unwrap_or_default();
            match transport.push(next) {
                0 => return,
                count => self.advance(count),
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.bytes_total += count as u64;
        let of_front = count.min(self.front.len() - self.front_written);
        self.front_written += of_front;
        let of_data = (count - of_front).min(self.data.len());
        self.data.advance(of_data);
        self.back_written += count - of_front - of_data;
        if self.front_written == self.front.len() && self.data.is_empty() && self.back_written == self.back.len() {
            self.front.clear();
            self.back.clear();
            (self.front_written, self.back_written) = (0, 0);
            self.data = Bytes::new();
        }
    }
}
