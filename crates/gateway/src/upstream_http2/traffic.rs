//! A transport that counts: only bytes that left can have reached an instance, and only one that is alive sends any.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::Transport;

#[derive(Debug, Default)]
pub(super) struct Traffic {
    read: Cell<u64>,
    written: Cell<u64>,
    is_over: Cell<bool>,
    /// Why nothing more can be read. The library keeps only its kind.
    error: RefCell<Option<io::Error>>,
}

impl Traffic {
    pub(super) fn read(&self) -> u64 {
        self.read.get()
    }

    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Whether the connection is gone, so that nothing that still waits on this side will ever leave.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.error.take()
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.written.set(self.written.get() + count as u64);
        }
        written
    }
}

pub(super) struct Counted {
    pub(super) transport: Transport,
    pub(super) traffic: Rc<Traffic>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.traffic.is_over.set(true);
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.transport).poll_read(cx, buffer));
        self.traffic.read.set(self.traffic.read.get() + (buffer.filled().len() - before) as u64);
        Poll::Ready(result.map_err(|error| {
            let kind = error.kind();
            self.traffic.error.replace(Some(error));
            kind.into()
        }))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(cx, bytes);
        self.traffic.wrote(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(cx, slices);
        self.traffic.wrote(written)
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
