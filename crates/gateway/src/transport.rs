//! A connected byte stream: TCP, TLS over it, or a Unix socket.

mod counted;
mod direct;

use std::io::{self, IoSlice};
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;
use tokio_rustls::rustls::ConnectionCommon;

use crate::tunnel::{End, poll_read};
use counted::{Counted, send_unasked};

#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed: it holds keys and records, and most connections have none.
    Tls(Box<TlsStream<Counted>>),
}

impl Transport {
    /// Whether what was written may still wait on this side until it is flushed.
    pub(crate) fn holds_back(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether nothing has come: no bytes, no end, no error. What has is lost. Costs no system call while the peer is silent, and leaves nobody
    /// to be woken.
    pub(crate) fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            Self::Tls(stream) => {
                let mut buffer = ReadBuf::new(&mut byte);
                return Pin::new(&mut **stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_pending();
            }
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Bytes that have left this process, where that is not what was written: records are kept until the kernel takes them.
    pub(crate) fn sent(&self) -> Option<u64> {
        match self {
            Self::Tls(stream) => Some(stream.get_ref().0.sent),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// Offers bytes to a kernel that has not said that it has room, and passes on what TLS has kept; how much of `bytes` was taken.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Tcp(stream) => send_unasked(stream, bytes).unwrap_or(0),
            Self::Unix(_) => 0,
            Self::Tls(stream) => {
                match &mut **stream {
                    TlsStream::Server(stream) => push_records(stream.get_mut()),
                    TlsStream::Client(stream) => push_records(stream.get_mut()),
                }
                0
            }
        }
    }

    /// From now on a close throws away what has not been sent. A client that does not read would otherwise keep it in the kernel for as long
    /// as it likes.
    pub(crate) fn reset_on_close(&self) {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => &stream.get_ref().0.stream,
            Self::Unix(_) => return,
        };
        // One that has no peer any more needs none.
        let _ = stream.set_zero_linger();
    }

    /// What ALPN agreed on (RFC 7301); empty if the client did not ask. Without TLS nothing is agreed on.
    pub(crate) fn chosen_protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(stream) => Some(stream.get_ref().1.alpn_protocol().unwrap_or_default()),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }
}

fn push_records<S>((counted, session): (&mut Counted, &mut impl DerefMut<Target = ConnectionCommon<S>>)) {
    while session.wants_write() && session.write_tls(counted).is_ok() {}
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Transport {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Transport::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Transport::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Transport::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl End for Transport {
    fn poll_take(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], waits: &mut bool) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => direct::poll_take(stream, cx, buffer, waits),
            _ => poll_read(self, cx, buffer),
        }
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => direct::poll_give(stream, cx, bytes),
            _ => Pin::new(self).poll_write(cx, bytes),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_shutdown(cx))
    }
}
