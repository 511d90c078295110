//! A connection's bytes on their way to and from the library.
//!
//! The library writes to its stream after every frame with data, so each short answer would be a system call of its own, and with TLS a record
//! and a seal. Here frames are gathered, and leave together once the library has nothing more to say for now.

use std::cell::{RefCell, RefMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flood::Allowance;
use crate::transport::Transport;

/// As much is gathered before it is written.
const GATHERED_BYTES_MAX: usize = 32 * 1024;
/// A larger piece is written from where it lies: copying it would cost more than the call that is saved.
const COPIED_BYTES_MAX: usize = 4 * 1024;
/// A frame's head and its data, and what was gathered before them.
const SLICES_MAX: usize = 4;

/// What the library reads from and writes to. Whoever drives the library keeps a clone, to flush what was gathered.
#[derive(Clone)]
pub(super) struct Io(Rc<RefCell<Watched>>);

/// A transport whose first bytes were already read, and all of whose frames are counted.
struct Watched {
    transport: Transport,
    prefix: BytesMut,
    gathered: BytesMut,
    /// The library has more to write than was taken.
    has_refused: bool,
    allowance: Allowance,
}

impl Io {
    pub(super) fn new(transport: Transport, prefix: BytesMut) -> Self {
        Self(Rc::new(RefCell::new(Watched {
            transport,
            prefix,
            gathered: BytesMut::new(),
            has_refused: false,
            allowance: Allowance::new(),
        })))
    }

    pub(super) fn allowance(&self) -> RefMut<'_, Allowance> {
        RefMut::map(self.0.borrow_mut(), |watched| &mut watched.allowance)
    }

    /// Whether the library still has to write what it tried to write last.
    pub(super) fn has_refused(&self) -> bool {
        self.0.borrow().has_refused
    }

    /// Writes what was gathered.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut watched = self.0.borrow_mut();
        ready!(watched.poll_write_gathered(cx))?;
        // A connection that rests needs no room.
        watched.gathered = BytesMut::new();
        Pin::new(&mut watched.transport).poll_flush(cx)
    }
}

impl Watched {
    fn poll_take(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let count: usize = slices.iter().map(|slice| slice.len()).sum();
        if count > COPIED_BYTES_MAX {
            return self.poll_write_through(cx, slices);
        }
        if self.gathered.len() + count > GATHERED_BYTES_MAX {
            ready!(self.poll_write_gathered(cx))?;
        }
        for slice in slices {
            self.gathered.extend_from_slice(slice);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.gathered))?;
            self.wrote(written)?;
            self.gathered.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what was gathered, and the slices after it; how much of the slices was written.
    fn poll_write_through(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut all = [IoSlice::new(&[]); SLICES_MAX];
            all[0] = IoSlice::new(&self.gathered);
            let count = slices.len().min(SLICES_MAX - 1);
            all[1..=count].copy_from_slice(&slices[..count]);
            // An empty slice at the front would be all that a transport without vectored writes looks at.
            let from = usize::from(self.gathered.is_empty());
            let written = ready!(Pin::new(&mut self.transport).poll_write_vectored(cx, &all[from..=count]))?;
            self.wrote(written)?;
            let before = self.gathered.len();
            self.gathered.advance(written.min(before));
            if written > before {
                return Poll::Ready(Ok(written - before));
            }
        }
    }

    fn wrote(&mut self, count: usize) -> io::Result<()> {
        self.allowance.wrote(count);
        if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let watched = &mut *self.0.borrow_mut();
        if watched.allowance.is_used_up() {
            // Nobody waits for more: whoever has just read looks at the allowance next.
            return Poll::Pending;
        }
        let filled = buffer.filled().len();
        if watched.prefix.is_empty() {
            ready!(Pin::new(&mut watched.transport).poll_read(cx, buffer))?;
        } else {
            let count = watched.prefix.len().min(buffer.remaining());
            buffer.put_slice(&watched.prefix[..count]);
            watched.prefix.advance(count);
            if watched.prefix.is_empty() {
                watched.prefix = BytesMut::new();
            }
        }
        watched.allowance.read(&buffer.filled()[filled..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let watched = &mut *self.0.borrow_mut();
        let taken = watched.poll_take(cx, slices);
        watched.has_refused = taken.is_pending();
        taken
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The library asks for it after every frame: [`Io::poll_flush`] is what flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Io::poll_flush(&self, cx))?;
        Pin::new(&mut self.0.borrow_mut().transport).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    fn pair() -> (Io, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Io::new(ours.into(), BytesMut::new()), theirs)
    }

    #[tokio::test]
    async fn small_pieces_leave_together_and_when_told() {
        let (mut io, client) = pair();
        for piece in [&b"one "[..], b"two ", b"three"] {
            io.write_all(piece).await.unwrap();
            io.flush().await.unwrap();
        }
        let mut read = [0; 64];
        assert_eq!(client.try_read(&mut read).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        poll_fn(|cx| io.poll_flush(cx)).await.unwrap();
        client.readable().await.unwrap();
        assert_eq!(client.try_read(&mut read).unwrap(), b"one two three".len());
        assert_eq!(io.0.borrow().gathered.capacity(), 0, "a connection that rests keeps no room");
    }

    #[tokio::test]
    async fn what_was_gathered_leaves_before_the_end() {
        let (mut io, mut client) = pair();
        io.write_all(b"goodbye").await.unwrap();
        io.shutdown().await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"goodbye");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_not_gathered_for_without_end() {
        let (mut io, _client) = pair();
        let mut taken = 0;
        while let Poll::Ready(count) = futures_util::poll!(poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &[7; 1_000]))) {
            taken += count.unwrap();
            assert!(taken < 4 * 1024 * 1024, "{taken} bytes are somewhere");
        }
        assert!(io.0.borrow().gathered.len() <= GATHERED_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn every_byte_arrives_once_and_in_order(pieces in prop::collection::vec((0_usize..3 * COPIED_BYTES_MAX, any::<bool>()), 1..40)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (sent, read) = runtime.block_on(async {
                let (mut io, mut client) = pair();
                let mut sent = Vec::new();
                let write = async {
                    for (number, (length, flushes)) in pieces.iter().enumerate() {
                        let piece = vec![number as u8; *length];
                        // In two slices, as a frame's head and its data.
                        let (front, mut back) = piece.split_at(length / 3);
                        let slices = [IoSlice::new(front), IoSlice::new(back)];
                        let written = poll_fn(|cx| Pin::new(&mut io).poll_write_vectored(cx, &slices)).await.unwrap();
                        if written < front.len() {
                            io.write_all(&front[written..]).await.unwrap();
                        } else {
                            back = &back[written - front.len()..];
                        }
                        io.write_all(back).await.unwrap();
                        if *flushes {
                            poll_fn(|cx| io.poll_flush(cx)).await.unwrap();
                        }
                        sent.extend_from_slice(&piece);
                    }
                    io.shutdown().await.unwrap();
                };
                let mut read = Vec::new();
                tokio::join!(write, client.read_to_end(&mut read)).1.unwrap();
                (sent, read)
            });
            prop_assert_eq!(sent, read);
        }
    }
}
