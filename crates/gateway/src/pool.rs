//! Connections to instances: idle ones, and those that requests share. One pool per worker thread: taking a connection is a lookup and a pop,
//! without a lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use plimsoll_policy::clock;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::alarm::Alarm;
use crate::http1::Wire;
use crate::transport::Transport;
use crate::upstream_http2::Group;

/// Shorter than the 5 s after which uvicorn and Node close an idle connection, so that ours is gone before theirs is.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(4);
const FRESH: Duration = Duration::from_secs(1);

/// Which idle connections an attempt may take: one that the instance is just closing would lose it.
#[derive(Clone, Copy)]
pub(crate) enum Reuse {
    /// A request that can be sent again takes any.
    Any,
    /// A request that must not be sent twice takes one only if it was used a moment ago.
    Fresh,
    /// A request that was lost once takes none: what ended one connection may have ended them all.
    Nothing,
}

impl Reuse {
    fn age_max(self) -> Duration {
        match self {
            Self::Any => IDLE_MAX,
            Self::Fresh => FRESH,
            Self::Nothing => Duration::ZERO,
        }
    }

    /// A shared connection has been proven when it was opened, and its end is announced: nothing is gained by a new one each time.
    pub(crate) fn age_max_shared(self) -> Duration {
        self.age_max().max(FRESH)
    }
}

/// A connection to an instance between two requests.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) alarm: Alarm,
    idle_since: Instant,
}

impl Connection {
    /// Boxed: it moves between pool and exchange with every request.
    pub(crate) fn new(transport: Transport) -> Box<Self> {
        Box::new(Self { wire: Wire::new(transport, BytesMut::new()), alarm: Alarm::new(), idle_since: Instant::now() })
    }
}

#[allow(clippy::vec_box, reason = "what is popped moves on as a pointer")]
type Idle = Vec<Box<Connection>>;

/// Slots are small numbers that nobody outside chooses: they need no hash that withstands an attack, which costs more than the rest of a look-up.
#[derive(Default)]
struct Slot(u64);

impl Hasher for Slot {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a slot is one number");
    }

    fn write_u64(&mut self, slot: u64) {
        // The table looks at the highest bits and at the lowest.
        self.0 = slot.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Keyed by the member's slot, a number never used twice.
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, Idle, BuildHasherDefault<Slot>>>,
    shared: RefCell<HashMap<u64, Rc<Group>, BuildHasherDefault<Slot>>>,
    /// What drives shared connections.
    tasks: TaskTracker,
    per_member_max: Cell<usize>,
}

impl Pool {
    pub(crate) fn new(per_member_max: usize) -> Rc<Self> {
        let (idle, shared, tasks) = (RefCell::default(), RefCell::default(), TaskTracker::new());
        Rc::new(Self { idle, shared, tasks, per_member_max: Cell::new(per_member_max) })
    }

    /// For connections that come back from now on.
    pub(crate) fn keep_at_most(&self, per_member_max: usize) {
        self.per_member_max.set(per_member_max);
    }

    /// The most recently used connection that is still good.
    pub(crate) fn take(&self, slot: u64, reuse: Reuse) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&slot)?;
        while let Some(mut connection) = connections.pop() {
            if clock::since(connection.idle_since) >= reuse.age_max() {
                // The rest is older still; what is too old for this attempt may not be for others.
                connections.push(connection);
                return None;
            }
            if connection.wire.is_silent() {
                return Some(connection);
            }
        }
        None
    }

    pub(crate) fn put(&self, slot: u64, mut connection: Box<Connection>) {
        connection.idle_since = clock::now();
        connection.alarm.off();
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(slot).or_default();
        connections.push(connection);
        if connections.len() > self.per_member_max.get() {
            // The one that rests for the longest goes. Kept, it would soon be too old for anybody, and keep out those that are not.
            connections.remove(0);
        }
    }

    /// The connections to one member that requests share.
    pub(crate) fn group(&self, slot: u64) -> Rc<Group> {
        Rc::clone(self.shared.borrow_mut().entry(slot).or_insert_with(|| Group::new(&self.tasks)))
    }

    /// Closes what has been idle for too long, and everything to members that are gone.
    pub(crate) fn sweep(&self, is_member: impl Fn(u64) -> bool) {
        self.idle.borrow_mut().retain(|slot, connections| {
            connections.retain(|connection| connection.idle_since.elapsed() < IDLE_MAX);
            is_member(*slot) && !connections.is_empty()
        });
        // Streams that are under way keep their connection.
        self.shared.borrow_mut().retain(|slot, group| is_member(*slot) && !group.sweep());
    }

    /// Closes everything: the gateway is going.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn a_full_pool_gives_up_what_has_rested_for_the_longest() {
        let pool = Pool::new(2);
        let mut others = Vec::new();
        let mut connections: Vec<_> = (0..3)
            .map(|_| {
                let (ours, other) = UnixStream::pair().unwrap();
                others.push(other);
                Connection::new(ours.into())
            })
            .collect();
        let places: Vec<*const Connection> = connections.iter().map(|connection| &raw const **connection).collect();
        for connection in connections.drain(..) {
            pool.put(7, connection);
        }
        let taken = std::iter::from_fn(|| pool.take(7, Reuse::Any)).map(|connection| &raw const *connection);
        assert_eq!(taken.collect::<Vec<_>>(), [places[2], places[1]]);
        assert!(pool.take(8, Reuse::Any).is_none());
    }
}
