//! The connections to one instance: a request takes a place on the first that has one, and one request at a time opens a further connection
//! while the others wait for it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use http::Method;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::stream::{Opening, Stream};
use super::translate;
use crate::config::Protocol;
use crate::failure::Failure;
use crate::forwarded::Hop;
use crate::message::{BodyError, Request};
use crate::pool::{IDLE_MAX, Reuse};
use crate::secure::Offer;
use crate::transport::Transport;
use crate::upstream::Member;

/// To one instance, for each worker.
const CONNECTIONS_MAX: usize = 32;
/// A request that meets a connection at its very end asks for another. More than a few in a row is no coincidence.
const TRIES_MAX: usize = 3;

pub(crate) struct Group {
    connections: RefCell<Vec<Rc<Connection>>>,
    is_opening: Cell<bool>,
    /// By ALPN it chose HTTP/1.1 the last time: there is nothing to share, so nobody waits for anybody.
    speaks_http1: Cell<bool>,
    /// A place has become free, or another connection may be opened.
    changed: Notify,
    tasks: TaskTracker,
}

/// A request, and what it needs to know to get a stream.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) request: &'a Request,
    pub(crate) hop: &'a Hop,
    pub(crate) member: &'a Member,
    pub(crate) reuse: Reuse,
    /// When it must have one.
    pub(crate) ends: Instant,
}

/// How a request goes to its instance.
pub(crate) enum Way {
    /// Its head is on its way already.
    Stream(Box<Stream>),
    /// The instance chose HTTP/1.1 on this connection.
    Http1(Transport),
}

impl Group {
    pub(crate) fn new(tasks: &TaskTracker) -> Rc<Self> {
        Rc::new(Self {
            connections: RefCell::default(),
            is_opening: Cell::new(false),
            speaks_http1: Cell::new(false),
            changed: Notify::new(),
            tasks: tasks.clone(),
        })
    }

    /// Sends a request's head on a stream, as soon as there is a place for one. `None`: this instance does not take it in HTTP/2.
    pub(crate) async fn begin(self: &Rc<Self>, wish: Wish<'_>) -> Result<Option<Way>, Failure> {
        for _ in 0..TRIES_MAX {
            let mut place = match self.place(wish).await? {
                Found::Place(place) => place,
                Found::Http1(transport) => return Ok(Some(Way::Http1(transport))),
            };
            let is_websocket = wish.request.upgrade.is_some();
            if is_websocket && !place.connection.takes_websockets() {
                return Ok(None);
            }
            let authority = wish.member.endpoint.address.authority();
            let said = translate::request(wish.request, wish.hop, &authority, wish.member.endpoint.address.scheme())
                .map_err(|what| Failure::Client(BodyError::Malformed(what)))?;
            let is_whole = wish.request.framing.is_empty() && !is_websocket;
            let (read_before, written_before) = (place.connection.traffic.read(), place.connection.traffic.written());
            match place.connection.send(said, is_whole) {
                Ok((response, send)) => {
                    place.is_used();
                    let accept = if is_websocket { Some(translate::accept(&wish.request.headers)) } else { None };
                    let is_head = wish.request.method == Method::HEAD;
                    let opening = Opening { response, send, is_head, accept, read_before, written_before };
                    return Ok(Some(Way::Stream(Box::new(Stream::new(opening, place)))));
                }
                // Its end came a moment ago: nothing has been sent.
                Err(error) if error.is_go_away() || error.is_io() => {}
                Err(_) => return Err(Failure::Client(BodyError::Malformed("HTTP/2 cannot carry this request"))),
            }
        }
        Err(Failure::Unprocessed { leaves: true })
    }

    /// A place for a stream, or a connection on which HTTP/1.1 is spoken.
    async fn place(self: &Rc<Self>, wish: Wish<'_>) -> Result<Found, Failure> {
        loop {
            let changed = self.changed.notified();
            if let Some(place) = self.free_place(wish.reuse) {
                return Ok(Found::Place(place));
            }
            if self.speaks_http1.get() || self.may_open() {
                return self.open(wish).await;
            }
            if timeout_at(wish.ends, changed).await.is_err() {
                return Err(if self.is_full() { Failure::Full } else { Failure::ConnectTimeout });
            }
        }
    }

    fn free_place(self: &Rc<Self>, reuse: Reuse) -> Option<Place> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.is_open() && !connection.has_rested(IDLE_MAX));
        let age_max = reuse.age_max_shared();
        let is_free = |connection: &&Rc<Connection>| connection.has_room() && !connection.has_rested(age_max) && !connection.is_doubtful();
        let found = connections.iter().find(is_free).map(|connection| Place::on(connection, self));
        if found.is_none() && connections.len() >= CONNECTIONS_MAX {
            connections.retain(|connection| !connection.has_rested(age_max));
        }
        found
    }

    fn may_open(&self) -> bool {
        !self.is_opening.get() && self.connections.borrow().len() < CONNECTIONS_MAX
    }

    /// Whether it is only other requests that keep one from getting a place, and not the instance.
    fn is_full(&self) -> bool {
        !self.is_opening.get() && !self.connections.borrow().iter().any(|connection| connection.is_doubtful())
    }

    async fn open(self: &Rc<Self>, wish: Wish<'_>) -> Result<Found, Failure> {
        let _opening = Turn::of(self);
        let opened = async {
            let offer = if wish.member.protocol == Protocol::Auto { Offer::Either } else { Offer::Http2 };
            let transport = wish.member.connect(offer).await?;
            let speaks_http1 = transport.chosen_protocol().is_some_and(|chosen| chosen != b"h2");
            self.speaks_http1.set(speaks_http1);
            if speaks_http1 && offer == Offer::Either {
                return Ok(Found::Http1(transport));
            }
            if speaks_http1 {
                return Err(Failure::Handshake(std::io::Error::other(rustls::Error::NoApplicationProtocol)));
            }
            let group = Rc::downgrade(self);
            let ended = move || {
                if let Some(group) = group.upgrade() {
                    group.changed.notify_waiters();
                }
            };
            let connection = Connection::open(transport, &self.tasks, ended).await?;
            let place = Place::on(&connection, self);
            self.connections.borrow_mut().push(connection);
            Ok(Found::Place(place))
        };
        timeout_at(wish.ends, opened).await.unwrap_or(Err(Failure::ConnectTimeout))
    }

    /// Drops what nobody has used for too long. True if nothing is left, not even knowledge.
    pub(crate) fn sweep(&self) -> bool {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.is_open() && !connection.has_rested(IDLE_MAX));
        connections.is_empty() && !self.is_opening.get() && !self.speaks_http1.get()
    }
}

enum Found {
    Place(Place),
    Http1(Transport),
}

/// The right to open a connection. Who gives it up, with a connection or without, lets the others look again.
struct Turn<'a>(&'a Group);

impl<'a> Turn<'a> {
    fn of(group: &'a Group) -> Self {
        group.is_opening.set(true);
        Self(group)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_opening.set(false);
        self.0.changed.notify_waiters();
    }
}

/// One stream's place on a connection, which lives for as long as there is one.
pub(crate) struct Place {
    pub(super) connection: Rc<Connection>,
    group: Rc<Group>,
    /// A request is on it, and its end has not come.
    is_used: bool,
}

impl Place {
    fn on(connection: &Rc<Connection>, group: &Rc<Group>) -> Self {
        connection.begin_stream();
        Self { connection: Rc::clone(connection), group: Rc::clone(group), is_used: false }
    }

    fn is_used(&mut self) {
        self.is_used = true;
    }

    /// Both sides have said all: nothing more will come.
    pub(super) fn is_done(&mut self) {
        self.is_used = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.end_stream(self.is_used);
        self.group.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_instance_that_chose_http1_is_remembered_so_that_nobody_waits_for_another_ones_connection() {
        let group = Group::new(&TaskTracker::new());
        assert!(group.sweep(), "nothing is known");
        group.speaks_http1.set(true);
        assert!(!group.sweep());
    }
}
