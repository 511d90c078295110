//! Reading and writing a socket whose readiness tokio knows, without asking tokio's driver and the task's budget each time, and without the
//! C library between. For those who move messages and do nothing else with them, that is half of the work.
//!
//! As in tokio, a read that does not fill its buffer, and a write that is not taken whole, have emptied and filled the socket: its next event
//! tells when there is more, and nobody need ask before.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::coop::has_budget_remaining;

/// Reads once. `waits` is the caller's to keep: whether the last read had to wait, so that its task is still the one to be woken.
pub(super) fn poll_take(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut [u8], waits: &mut bool) -> Poll<io::Result<usize>> {
    loop {
        let room = buffer.len();
        let read = || {
            // tokio was told of something to read, and has taken the waker to pass it on: there may be nothing for all that.
            *waits = false;
            recv(stream, &mut *buffer, RecvFlags::empty()).map(|(count, _)| count)
        };
        match attempt(stream, Interest::READABLE, room, read) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            taken => {
                *waits = false;
                return Poll::Ready(taken);
            }
        }
        if *waits {
            return Poll::Pending;
        }
        // A task that has used up its turn is sent away without being registered.
        *waits = has_budget_remaining();
        ready!(stream.poll_read_ready(cx))?;
        *waits = false;
    }
}

/// Writes once.
pub(super) fn poll_give(stream: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        match attempt(stream, Interest::WRITABLE, bytes.len(), || send(stream, bytes, SendFlags::NOSIGNAL)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
            given => return Poll::Ready(given),
        }
    }
}

/// One system call, if the socket is ready as far as is known. Moving less than there was room for ends its readiness.
fn attempt(stream: &TcpStream, interest: Interest, room: usize, call: impl FnOnce() -> Result<usize, Errno>) -> io::Result<usize> {
    let partial = Cell::new(None);
    let whole = stream.try_io(interest, || match call()? {
        count if 0 < count && count < room => {
            partial.set(Some(count));
            Err(io::ErrorKind::WouldBlock.into())
        }
        count => Ok(count),
    });
    partial.get().map_or(whole, Ok)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::woken::Woken;

    /// Events may be spurious (epoll(7)); tokio takes the waker with each.
    #[tokio::test]
    async fn whoever_was_woken_for_nothing_is_woken_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (peer, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut peer, stream) = (peer.unwrap(), accepted.unwrap().0);
        let other = stream.as_fd().try_clone_to_owned().unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let (mut cx, mut byte, mut waits) = (Context::from_waker(&waker), [0], false);
        for times in 1..4 {
            assert!(poll_take(&stream, &mut cx, &mut byte, &mut waits).is_pending());
            peer.write_all(b"x").await.unwrap();
            let rings = async {
                while woken.times() < times {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(Duration::from_secs(5), rings).await.expect("it is woken");
            // Somebody else is faster.
            assert_eq!(recv(&other, &mut byte, RecvFlags::empty()).unwrap().0, 1);
        }
    }
}
