//! Server-sent events: first a `recap` of the last minutes, then a `status` each second and `changes` when something happened.
//!
//! A reader that is too slow skips looks, never changes: it is handed the newest tick when it is ready for one, so it costs no memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::sampler::{Sampler, Tick};

/// A comment after this long without an event: proxies on the way cut connections that look idle.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event in the wire format; JSON has no line breaks of its own, so one `data:` line holds it.
pub(crate) fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_slice(format!("event: {name}\ndata: ").as_bytes());
    serde_json::to_writer((&mut frame).writer(), data).expect("statuses and changes hold only strings and numbers");
    frame.put_slice(b"\n\n");
    frame.freeze()
}

/// The answer to one reader. The permit is its place among `streams_max`.
pub(crate) fn response(sampler: Arc<Sampler>, permit: OwnedSemaphorePermit, stop: CancellationToken) -> Response {
    let mut response = Response::new(Body::from_stream(frames(sampler, permit, stop)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Tells reverse proxies on the way not to hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Reader {
    sampler: Arc<Sampler>,
    ticks: watch::Receiver<Tick>,
    /// The newest change this reader knows.
    change_seen: u64,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

fn frames(sampler: Arc<Sampler>, permit: OwnedSemaphorePermit, stop: CancellationToken) -> impl Stream<Item = Result<Bytes, Infallible>> {
    // Subscribed before the recap is taken, so that nothing falls between the two.
    let ticks = sampler.subscribe();
    let (recap, change_seen) = sampler.recap();
    let mut reader = Reader { sampler, ticks, change_seen, stop, _permit: permit };
    let status = reader.ticks.borrow_and_update().frame.clone();
    let opening = stream::iter([Bytes::from_static(b"retry: 1000\n\n"), recap, status].map(Ok));
    let live = stream::unfold(reader, async |mut reader| Some((Ok(reader.next().await?), reader)));
    futures_util::StreamExt::chain(opening, live)
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        let changed = tokio::select! {
            changed = timeout(HEARTBEAT, self.ticks.changed()) => changed,
            () = self.stop.cancelled() => return None,
        };
        match changed {
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
            Ok(Err(_)) => None,
            Ok(Ok(())) => Some(self.tick()),
        }
    }

    fn tick(&mut self) -> Bytes {
        let tick = self.ticks.borrow_and_update().clone();
        if tick.changes_total <= self.change_seen {
            return tick.frame;
        }
        let changes = self.sampler.changes_after(self.change_seen);
        self.change_seen = tick.changes_total;
        [tick.frame, changes].concat().into()
    }
}
