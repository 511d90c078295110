//! The beginning of a connection: preface, settings, and a PING whose answer shows that somebody is there who speaks HTTP/2.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::forward::RESPONSE_HEAD_BYTES_MAX;

/// The most requests that share a connection, however many the instance allows.
pub(super) const STREAMS_MAX: usize = 128;
/// What an instance may send on one stream before the client has taken any of it.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// All streams together may hold that much, so that clients who read slowly never stop the answers of others.
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX as u32 * STREAM_WINDOW_BYTES;
/// What one stream holds of a request that the instance does not read.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that this side reset are remembered for so long, and so many of them: an answer on its way to one of them is then no error.
const RESET_REMEMBERED: Duration = Duration::from_secs(10);
const RESETS_REMEMBERED_MAX: usize = 1024;

/// A connection that has been proven, not yet driven by anybody.
pub(crate) struct Opened<T> {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) connection: Connection<T, Bytes>,
    pub(crate) pings: PingPong,
}

/// Speaks first, by prior knowledge or after ALPN, and waits until the instance has answered. Its settings come before that answer, so what it
/// allows is known from the first request on; and what is frozen, or speaks another protocol, fails here, where nothing has been sent.
pub(crate) async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(io: T) -> Result<Opened<T>, h2::Error> {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(RESPONSE_HEAD_BYTES_MAX as u32)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_concurrent_reset_streams(RESETS_REMEMBERED_MAX)
        .reset_stream_duration(RESET_REMEMBERED);
    let (requests, mut connection) = builder.handshake(io).await?;
    let mut pings = connection.ping_pong().expect("nobody else has asked for it");
    pings.send_ping(Ping::opaque())?;
    poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Err(ended.err().unwrap_or_else(|| h2::Reason::NO_ERROR.into())));
        }
        pings.poll_pong(cx).map_ok(drop)
    })
    .await?;
    Ok(Opened { requests, connection, pings })
}
