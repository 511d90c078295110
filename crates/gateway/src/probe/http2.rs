//! The same question in HTTP/2, on a connection of its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::uri::{Parts, PathAndQuery};
use http::{Request, Uri, Version};

use super::{NotReady, RESPONSE_BODY_BYTES_MAX, Why};
use crate::endpoint::Address;
use crate::transport::Transport;
use crate::upstream_http2::{Opened, handshake};

/// Without a path it is enough that HTTP/2 is spoken.
pub(super) async fn ask(transport: Transport, address: &Address, path: Option<&str>) -> Result<(), NotReady> {
    let Opened { requests, connection, .. } = handshake(transport).await.map_err(|error| {
        let is_other = error.is_library();
        NotReady::from(if is_other { "it does not speak HTTP/2" } else { "it ended the connection at once" })
    })?;
    let Some(path) = path else { return Ok(()) };
    let mut connection = pin!(connection);
    let mut answer = pin!(exchange(requests, address, path));
    poll_fn(|cx| {
        let is_over = connection.as_mut().poll(cx).is_ready();
        match answer.as_mut().poll(cx) {
            // What has come before the end counts.
            Poll::Pending if is_over => Poll::Ready(Err("no answer".into())),
            polled => polled,
        }
    })
    .await
}

async fn exchange(mut requests: SendRequest<Bytes>, address: &Address, path: &str) -> Result<(), NotReady> {
    let (response, _nothing_to_send) = send(&mut requests, address, path).ok_or("the probe cannot be asked in HTTP/2")?;
    let (head, mut body) = response.await.map_err(|_| "no answer")?.into_parts();
    let mut bytes_left = RESPONSE_BODY_BYTES_MAX;
    // Read to its end, or the instance would take us for a client that left.
    while let Some(Ok(data)) = body.data().await {
        bytes_left = bytes_left.checked_sub(data.len()).ok_or("its answer does not end")?;
        let _ = body.flow_control().release_capacity(data.len());
    }
    if head.status.is_success() { Ok(()) } else { Err(NotReady::Because(Why::Status(head.status))) }
}

fn send(requests: &mut SendRequest<Bytes>, address: &Address, path: &str) -> Option<(ResponseFuture, SendStream<Bytes>)> {
    let mut parts = Parts::default();
    parts.scheme = Some(address.scheme());
    parts.authority = "localhost".parse().ok();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    let uri = Uri::from_parts(parts).ok()?;
    let request = Request::get(uri).version(Version::HTTP_2).header("user-agent", "plimsoll-probe").body(()).ok()?;
    requests.send_request(request, true).ok()
}
