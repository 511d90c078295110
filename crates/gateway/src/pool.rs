//! Idle connections to instances. One pool per worker thread: taking a connection is a lookup and a pop, without a lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::http1::Wire;
use crate::transport::Transport;

/// Shorter than the 5 s after which uvicorn and Node close an idle connection, so that ours is gone before theirs is.
const IDLE_MAX: Duration = Duration::from_secs(4);
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

/// Keyed by the member's slot, a number never used twice.
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, Idle>>,
    per_member_max: usize,
}

impl Pool {
    pub(crate) fn new(per_member_max: usize) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), per_member_max })
    }

    /// The most recently used connection that is still good.
    pub(crate) fn take(&self, slot: u64, reuse: Reuse) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&slot)?;
        while let Some(mut connection) = connections.pop() {
            if connection.idle_since.elapsed() >= reuse.age_max() {
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
        connection.idle_since = Instant::now();
        connection.alarm.off();
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(slot).or_default();
        if connections.len() < self.per_member_max {
            connections.push(connection);
        }
    }

    /// Closes what has been idle for too long, and everything to members that are gone.
    pub(crate) fn sweep(&self, is_member: impl Fn(u64) -> bool) {
        self.idle.borrow_mut().retain(|slot, connections| {
            connections.retain(|connection| connection.idle_since.elapsed() < IDLE_MAX);
            is_member(*slot) && !connections.is_empty()
        });
    }

    /// Closes everything: the gateway is going.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}
