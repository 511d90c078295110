//! Which HTTP a new connection speaks.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{sleep, timeout};
use tokio_util::io::poll_read_buf;

use crate::transport::Transport;
use crate::worker::Worker;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Enough for the head of nearly every first request.
const FIRST_READ_BYTES: usize = 8 * 1024;

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
    let mut buffer = BytesMut::new();
    let told = timeout(worker.plan().config.timeouts.idle, async {
        loop {
            match poll_fn(|cx| poll_first(transport, cx, &mut buffer)).await {
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

/// Reads the first bytes. Whoever is silent holds no buffer.
fn poll_first(transport: &mut Transport, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
    buffer.reserve(FIRST_READ_BYTES);
    let read = poll_read_buf(Pin::new(transport), cx, buffer);
    if buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    read
}

/// A connection that is new when the drain begins may have a request on its way.
async fn goodbye(worker: &Worker) {
    worker.drain.clone().idle_ends().await;
    sleep(FIRST_BYTE_GRACE).await;
}
