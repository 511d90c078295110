//! One HTTP/1.1 connection from the client's side.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::record::ErrorKind;
use crate::scenario::Jar;
use crate::send::answer::Answer;
use crate::send::sample::Samples;
use crate::send::stream::Stream;
use crate::send::{Answered, Failure};

/// Where all connections of a thread read into, one after the other: only unfinished heads are kept, so that ten thousand connections need
/// no buffer each.
#[derive(Debug)]
pub(crate) struct Scratch(RefCell<Box<[u8]>>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(vec![0; 64 * 1024].into_boxed_slice()))
    }
}

#[derive(Debug)]
pub(crate) struct Http1 {
    stream: Stream,
    is_open: bool,
}

impl Http1 {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, is_open: true }
    }

    /// False once the connection is of no more use.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Sends the request and waits for the whole answer. Dropping the future leaves the connection closed.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        to_head: bool,
        scratch: &Scratch,
        jar: Option<&RefCell<Jar>>,
        samples: &Samples,
    ) -> Result<Answered, Failure> {
        self.is_open = false;
        let mut answer = Answer::new(to_head, Some(samples));
        let mut unsent = request;
        let result = poll_fn(|context| {
            // A server may answer, and close, before it has read all: what it said counts, not that the rest could not be sent.
            let write_failure = match self.poll_send(context, &mut unsent) {
                Poll::Ready(Err(error)) => Some(error),
                _ => None,
            };
            match self.poll_receive(context, &mut answer, scratch, jar) {
                Poll::Pending => write_failure.map_or(Poll::Pending, |error| Poll::Ready(Err(Failure::broken(error)))),
                ready @ Poll::Ready(_) => ready,
            }
        })
        .await;
        self.is_open = result.is_ok() && answer.keeps_alive() && unsent.is_empty();
        result.map_err(|failure| if answer.is_untouched() { failure.before_answer() } else { failure })
    }

    /// Ready when the connection came to its end, or to nonsense, while nobody had asked anything.
    pub(crate) fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        match Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                self.is_open = false;
                Poll::Ready(())
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>, unsent: &mut &[u8]) -> Poll<std::io::Result<()>> {
        if unsent.is_empty() {
            // TLS keeps what the socket did not take.
            return if matches!(self.stream, Stream::Tls(_)) {
                Pin::new(&mut self.stream).poll_flush(context)
            } else {
                Poll::Ready(Ok(()))
            };
        }
        while !unsent.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(context, unsent)? else { return Poll::Pending };
            *unsent = &unsent[written..];
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        answer: &mut Answer<'_>,
        scratch: &Scratch,
        jar: Option<&RefCell<Jar>>,
    ) -> Poll<Result<Answered, Failure>> {
        let mut scratch = scratch.0.borrow_mut();
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::broken(error))),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    answer.end();
                    let closed = || Failure::new(ErrorKind::Closed, "the server closed the connection before the end of its answer");
                    return Poll::Ready(answer.done().ok_or_else(closed));
                }
                Poll::Ready(Ok(())) => {
                    let mut jar = jar.map(RefCell::borrow_mut);
                    if let Err(reason) = answer.feed(buffer.filled(), jar.as_deref_mut()) {
                        return Poll::Ready(Err(Failure::new(ErrorKind::Protocol, reason)));
                    }
                    if let Some(answered) = answer.done() {
                        return Poll::Ready(Ok(answered));
                    }
                }
            }
        }
    }
}
