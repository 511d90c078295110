//! After a 101: bytes both ways until both sides are done, or nothing has moved for too long.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::alarm::Alarm;

/// What one direction may hold.
const BUFFER_BYTES: usize = 16 * 1024;

/// A stream and what was already read from it.
pub(crate) type Side<S> = (S, BytesMut);

/// Bytes moved: from the client, to the client.
pub(crate) async fn run<C, I>(client: Side<C>, instance: Side<I>, idle: Duration) -> (u64, u64)
where
    C: AsyncRead + AsyncWrite + Unpin,
    I: AsyncRead + AsyncWrite + Unpin,
{
    let ((mut client, from_client), (mut instance, from_instance)) = (client, instance);
    let (mut up, mut down) = (Direction::new(from_client), Direction::new(from_instance));
    let mut alarm = Alarm::new();
    alarm.set_after(idle);
    poll_fn(|cx| {
        let before = up.bytes + down.bytes;
        let ups = up.poll(cx, &mut client, &mut instance);
        let downs = down.poll(cx, &mut instance, &mut client);
        if up.bytes + down.bytes > before {
            alarm.set_after(idle);
        }
        match (ups, downs) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) | (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
            _ => alarm.poll(cx),
        }
    })
    .await;
    (up.bytes, down.bytes)
}

struct Direction {
    buffer: BytesMut,
    bytes: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closing,
    Closed,
}

impl Direction {
    fn new(buffer: BytesMut) -> Self {
        Self { buffer, bytes: 0, state: State::Open }
    }

    /// Ready once this direction is closed. The other one may go on: a side that has said all may still listen.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.buffer.is_empty() {
                let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.buffer.advance(count);
                self.bytes += count as u64;
            }
            match self.state {
                State::Open => {
                    self.buffer.reserve(BUFFER_BYTES);
                    match poll_read_buf(Pin::new(&mut *from), cx, &mut self.buffer)? {
                        Poll::Ready(0) => self.state = State::Closing,
                        Poll::Ready(_) => {}
                        Poll::Pending => {
                            ready!(Pin::new(&mut *to).poll_flush(cx))?;
                            return Poll::Pending;
                        }
                    }
                }
                State::Closing => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}
