//! How a gateway opens and ends: told once to all workers, and by each worker to its own connections, so that no request touches what cores
//! share.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, watch};

/// Where a gateway is in its life. It only ever goes on to a later phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Listens, and takes nothing yet.
    Waiting,
    Open,
    /// Another one takes new connections. Those that are here may ask once more.
    HandedOver,
    /// Nobody takes new connections.
    Stopping,
}

/// Its life so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) phase: Phase,
    /// Whether connections could ever be taken.
    pub(crate) was_open: bool,
}

impl Life {
    /// Goes on to a phase; false if it is there already, or further.
    pub(crate) fn enter(&mut self, phase: Phase) -> bool {
        let is_later = phase > self.phase;
        if is_later {
            self.phase = phase;
            self.was_open |= phase == Phase::Open;
        }
        is_later
    }
}

/// The phase as workers hear it.
#[derive(Clone)]
pub(crate) struct Order(watch::Receiver<Life>);

impl Order {
    pub(crate) fn new(phase: Phase) -> (watch::Sender<Life>, Self) {
        let (sender, receiver) = watch::channel(Life { phase, was_open: phase == Phase::Open });
        (sender, Self(receiver))
    }

    /// Returns when connections may be taken.
    pub(crate) async fn opened(mut self) {
        let _ = self.0.wait_for(|life| life.phase >= Phase::Open).await;
    }

    /// Returns when no more connections may be taken. If whoever could say so is gone, it is time to stop.
    pub(crate) async fn ended(mut self) -> Life {
        let ended = self.0.wait_for(|life| life.phase > Phase::Open).await.map(|life| *life);
        ended.unwrap_or_else(|_| Life { phase: Phase::Stopping, ..*self.0.borrow() })
    }
}

/// The end as the connections of one worker hear it.
#[derive(Clone, Default)]
pub(crate) struct Drain(Rc<Local>);

#[derive(Default)]
struct Local {
    begun: Cell<bool>,
    idle_ends: Cell<bool>,
    notify: Notify,
}

impl Drain {
    /// Answers say from now on that the connection ends with them.
    pub(crate) fn begin(&self) {
        self.0.begun.set(true);
        self.0.notify.notify_waiters();
    }

    /// Connections between two requests end.
    pub(crate) fn end_idle(&self) {
        self.begin();
        self.0.idle_ends.set(true);
        self.0.notify.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.begun.get()
    }

    /// Until it begins.
    pub(crate) async fn begun(self) {
        self.wait(|local| local.begun.get()).await;
    }

    /// Until idle connections end.
    pub(crate) async fn idle_ends(self) {
        self.wait(|local| local.idle_ends.get()).await;
    }

    async fn wait(&self, is_so: impl Fn(&Local) -> bool) {
        // One thread: the word cannot come between the look and the wait.
        while !is_so(&self.0) {
            self.0.notify.notified().await;
        }
    }
}
