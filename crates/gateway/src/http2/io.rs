//! Which HTTP a new connection speaks, and a stream that gives back what was read to find out.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, timeout};
use tokio_util::io::poll_read_buf;

use super::flood::Allowance;
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

/// Where TLS has chosen the protocol, that one; else reads until the first bytes tell. A connection that stays silent is an idle one.
pub(crate) async fn sniff(transport: &mut Transport, worker: &Worker) -> Sniffed {
    match transport.chosen_protocol() {
        Some(b"h2") => return Sniffed::Http2(BytesMut::new()),
        Some(_) => return Sniffed::Http1(BytesMut::new()),
        None => {}
    }
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
    worker.drain.clone().idle_ends().await;
    sleep(FIRST_BYTE_GRACE).await;
}

/// A transport whose first bytes were already read, and all of whose frames are counted.
pub(super) struct Watched {
    transport: Transport,
    prefix: BytesMut,
    allowance: Rc<RefCell<Allowance>>,
}

impl Watched {
    pub(super) fn new(transport: Transport, prefix: BytesMut, allowance: Rc<RefCell<Allowance>>) -> Self {
        Self { transport, prefix, allowance }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.allowance.borrow_mut().wrote(count);
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.allowance.borrow().is_used_up() {
            // Nobody waits for more: whoever has just read looks at the allowance next.
            return Poll::Pending;
        }
        let filled = buffer.filled().len();
        if self.prefix.is_empty() {
            ready!(Pin::new(&mut self.transport).poll_read(cx, buffer))?;
        } else {
            let count = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
        }
        self.allowance.borrow_mut().read(&buffer.filled()[filled..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
        self.wrote(written)
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
