//! One connection that requests share: whether it takes another, and the task that drives it.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use plimsoll_policy::clock;
use plimsoll_trust::Fault;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::handshake::{Opened, STREAMS_MAX, handshake};
use super::traffic::{Counted, Traffic};
use crate::failure::Failure;
use crate::transport::Transport;

/// How long an instance has to take the goodbye of a connection that nobody uses any more.
const GOODBYE: Duration = Duration::from_secs(1);
/// After so many streams that this side broke off a connection takes no more: the library counts what still comes for them, and closes in the end.
const BROKEN_OFF_MAX: u32 = 512;

pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    pings: RefCell<PingPong>,
    pub(super) traffic: Rc<Traffic>,
    streams: Cell<usize>,
    broken_off: Cell<u32>,
    used_at: Cell<Instant>,
    /// How much had come when a request on it waited in vain: until more comes it takes none.
    doubted_at: Cell<Option<u64>>,
    pub(super) tasks: TaskTracker,
    /// Gone with the last one who could use it.
    _in_use: oneshot::Sender<()>,
}

impl Connection {
    /// Proven to work, and driven by a task from now on. `ended` is told when it is over.
    pub(super) async fn open(transport: Transport, tasks: &TaskTracker, ended: impl FnOnce() + 'static) -> Result<Rc<Self>, Failure> {
        let traffic = Rc::new(Traffic::default());
        let io = Counted { transport, traffic: Rc::clone(&traffic) };
        let Opened { requests, connection, pings } = handshake(io).await.map_err(|error| match traffic.take_error() {
            Some(refusal) if Fault::is_refusal(&refusal) => Failure::Handshake(refusal),
            _ if error.is_library() => Failure::Malformed("something other than HTTP/2"),
            _ => Failure::Closed,
        })?;
        let (in_use, unused) = oneshot::channel();
        tasks.spawn_local(async move {
            let mut connection = pin!(connection);
            tokio::select! {
                // Whoever waits on a stream hears of an error there.
                _ = &mut connection => {}
                _ = unused => {
                    let _ = timeout(GOODBYE, connection).await;
                }
            }
            ended();
        });
        Ok(Rc::new(Self {
            requests,
            pings: RefCell::new(pings),
            traffic,
            streams: Cell::new(0),
            broken_off: Cell::new(0),
            used_at: Cell::new(clock::now()),
            doubted_at: Cell::new(None),
            tasks: tasks.clone(),
            _in_use: in_use,
        }))
    }

    /// Whether it is for new requests at all: the instance has neither closed it nor said that it will.
    pub(super) fn is_open(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.broken_off.get() < BROKEN_OFF_MAX && matches!(self.requests.clone().poll_ready(&mut cx), Poll::Ready(Ok(())))
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < STREAMS_MAX.min(self.requests.current_max_send_streams())
    }

    /// Whether nobody uses it, and nobody has for so long.
    pub(super) fn has_rested(&self, age: Duration) -> bool {
        self.streams.get() == 0 && clock::since(self.used_at.get()) >= age
    }

    /// Whether its peer has not been heard of since a request waited for it in vain.
    pub(super) fn is_doubtful(&self) -> bool {
        let doubtful = self.doubted_at.get().is_some_and(|read| read == self.traffic.read());
        if !doubtful {
            self.doubted_at.set(None);
        }
        doubtful
    }

    /// A request has waited in vain, and nothing at all has come meanwhile. A peer that is alive answers the PING.
    pub(super) fn doubt(&self) {
        self.doubted_at.set(Some(self.traffic.read()));
        let mut pings = self.pings.borrow_mut();
        let _ = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
        // One that is still under way serves as well.
        let _ = pings.send_ping(Ping::opaque());
    }

    /// Whether a WebSocket can be opened on a stream (RFC 8441).
    pub(super) fn takes_websockets(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    pub(super) fn send(&self, request: http::Request<()>, is_whole: bool) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.requests.clone().send_request(request, is_whole)
    }

    pub(super) fn begin_stream(&self) {
        self.streams.set(self.streams.get() + 1);
    }

    /// `breaks_off`: something may still come for it.
    pub(super) fn end_stream(&self, breaks_off: bool) {
        self.streams.set(self.streams.get() - 1);
        self.broken_off.set(self.broken_off.get() + u32::from(breaks_off));
        self.used_at.set(clock::now());
    }
}
