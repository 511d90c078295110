//! Which HTTP a new connection speaks, and a stream that gives back what was read to find out.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};
use tokio_util::io::poll_read_buf;

use crate::transport::Transport;
use crate::worker::Worker;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FIRST_BYTE_GRACE: Duration = Duration::from_millis(200);

pub(crate) enum Sniffed {
    Http1(BytesMut),
    Http2(BytesMut),
    Gone,
}

/// Reads until the first bytes tell the protocol. A connection that stays silent is an idle one.
pub(crate) async fn sniff(transport: &mut Transport, worker: &Worker) -> Sniffed {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let told = timeout(worker.plan().config.timeouts.idle, async {
        loop {
            let read = poll_fn(|cx| poll_read_buf(Pin::new(&mut *transport), cx, &mut buffer)).await;
            match read {
                Ok(0) | Err(_) => return None,
                Ok(_) if buffer.starts_with(PREFACE) => return Some(true),
                Ok(_) if !PREFACE.starts_with(&buffer) => return Some(false),
                Ok(_) => {}
            }
        }
    });
    let told = tokio::select! {
        biased;
        told = told => told.ok().flatten(),
        () = goodbye(worker) => None,
    };
    match told {
        Some(true) => Sniffed::Http2(buffer),
        Some(false) => Sniffed::Http1(buffer),
        None => Sniffed::Gone,
    }
}

/// A connection that is new when the drain begins may have a request on its way.
async fn goodbye(worker: &Worker) {
    worker.drain.clone().wait().await;
    sleep(FIRST_BYTE_GRACE).await;
}

/// A transport whose first bytes were already read.
pub(super) struct Prefixed {
    transport: Transport,
    prefix: BytesMut,
}

impl Prefixed {
    pub(super) fn new(transport: Transport, prefix: BytesMut) -> Self {
        Self { transport, prefix }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.transport).poll_read(cx, buffer);
        }
        let count = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(&self.prefix[..count]);
        self.prefix.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
