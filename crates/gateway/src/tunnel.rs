//! After a 101: bytes both ways until both sides are done, or nothing has moved for too long.
//!
//! Most tunnels carry short messages with long pauses. So a tunnel holds no buffer of its own: what is read lies in one that all tunnels of a
//! worker share, and is copied only if the other side does not take it at once. Nor does it read the clock for every message.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::either::Either;

use crate::alarm::Alarm;

/// The most that one direction may hold.
const BUFFER_BYTES: usize = 16 * 1024;
/// Reads before others get a turn.
const MOVES_MAX: u32 = 16;
/// How often in the time of silence that ends a tunnel it looks whether something has moved: it ends a quarter later at most.
const LOOKS: u32 = 4;

thread_local! {
    /// Holds what was read until it is written or copied, both before anybody else gets a turn.
    static SPARE: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_BYTES].into());
}

/// One end of a tunnel.
pub(crate) trait End: AsyncRead + AsyncWrite + Unpin {
    /// Reads once. `waits` is kept by the caller: whether the last read had to wait, and the task that it was to wake has not changed.
    fn poll_take(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], _waits: &mut bool) -> Poll<io::Result<usize>> {
        poll_read(self, cx, buffer)
    }

    /// Writes once.
    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }
}

impl<A: End, B: End> End for Either<A, B> {
    fn poll_take(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], waits: &mut bool) -> Poll<io::Result<usize>> {
        match self {
            Self::Left(end) => end.poll_take(cx, buffer, waits),
            Self::Right(end) => end.poll_take(cx, buffer, waits),
        }
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Left(end) => end.poll_give(cx, bytes),
            Self::Right(end) => end.poll_give(cx, bytes),
        }
    }
}

pub(crate) fn poll_read(from: &mut (impl AsyncRead + Unpin + ?Sized), cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// An end and what was already read from it.
pub(crate) type Side<S> = (S, BytesMut);

/// Bytes moved: from the client, to the client. It must be waited for by one task from beginning to end.
pub(crate) async fn run<C: End, I: End>(client: Side<C>, instance: Side<I>, idle: Duration) -> (u64, u64) {
    let ((mut client, from_client), (mut instance, from_instance)) = (client, instance);
    let (mut up, mut down) = (Direction::new(from_client), Direction::new(from_instance));
    let mut silence = Silence::new(idle);
    poll_fn(|cx| {
        let ups = up.poll(cx, &mut client, &mut instance);
        let downs = down.poll(cx, &mut instance, &mut client);
        match (ups, downs) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) | (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
            _ => silence.poll(cx, up.bytes + down.bytes),
        }
    })
    .await;
    (up.bytes, down.bytes)
}

/// Ready once nothing has moved for long enough.
struct Silence {
    alarm: Alarm,
    step: Duration,
    /// Bytes that had moved at the last look, and looks since they did.
    seen: u64,
    looks: u32,
}

impl Silence {
    fn new(idle: Duration) -> Self {
        let mut silence = Self { alarm: Alarm::new(), step: idle / LOOKS, seen: 0, looks: 0 };
        silence.alarm.set_after(silence.step);
        silence
    }

    fn poll(&mut self, cx: &mut Context<'_>, bytes: u64) -> Poll<()> {
        loop {
            ready!(self.alarm.poll(cx));
            if bytes > std::mem::replace(&mut self.seen, bytes) {
                self.looks = 0;
            } else {
                self.looks += 1;
            }
            if self.looks == LOOKS {
                return Poll::Ready(());
            }
            self.alarm.set_after(self.step);
        }
    }
}

struct Direction {
    /// Read, and not taken yet.
    left: BytesMut,
    bytes: u64,
    state: State,
    /// The last read had to wait.
    waits: bool,
    /// Something was written since the last flush.
    unflushed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

impl Direction {
    fn new(left: BytesMut) -> Self {
        Self { left, bytes: 0, state: State::Open, waits: false, unflushed: false }
    }

    /// Ready once this direction is closed. The other one may go on: a side that has said all may still listen.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut impl End, to: &mut impl End) -> Poll<io::Result<()>> {
        for _ in 0..MOVES_MAX {
            if !self.left.is_empty() {
                ready!(self.poll_write_left(cx, to))?;
            }
            match self.state {
                State::Open => match SPARE.with_borrow_mut(|spare| self.poll_move(cx, from, to, spare))? {
                    Poll::Ready(0) => self.state = State::Closing,
                    Poll::Ready(_) => {}
                    Poll::Pending => {
                        if std::mem::take(&mut self.unflushed) && Pin::new(to).poll_flush(cx)?.is_pending() {
                            self.unflushed = true;
                        }
                        return Poll::Pending;
                    }
                },
                State::Closing => {
                    ready!(Pin::new(to).poll_shutdown(cx))?;
                    self.state = State::Closed;
                    return Poll::Ready(Ok(()));
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
        // It is others' turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, and writes as much of it as is taken at once. Pending: there was nothing to read.
    fn poll_move(&mut self, cx: &mut Context<'_>, from: &mut impl End, to: &mut impl End, spare: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = ready!(from.poll_take(cx, spare, &mut self.waits))?;
        let bytes = &spare[..count];
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = match to.poll_give(cx, bytes)? {
            Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(written) => written,
            Poll::Pending => 0,
        };
        self.wrote(written);
        if written < bytes.len() {
            self.left.extend_from_slice(&bytes[written..]);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_left(&mut self, cx: &mut Context<'_>, to: &mut impl End) -> Poll<io::Result<()>> {
        while !self.left.is_empty() {
            let count = ready!(to.poll_give(cx, &self.left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left.advance(count);
            self.wrote(count);
        }
        self.left = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        self.bytes += count as u64;
        self.unflushed = true;
    }
}
