//! The order to stop: given once to all workers, and by each worker to its own connections, so that no request touches what cores share.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, watch};

/// The order as workers hear it.
#[derive(Clone)]
pub(crate) struct Order(watch::Receiver<bool>);

impl Order {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Returns when the order has been given, or whoever could give it is gone.
    pub(crate) async fn wait(mut self) {
        let _ = self.0.wait_for(|draining| *draining).await;
    }
}

/// The order as the connections of one worker hear it.
#[derive(Clone, Default)]
pub(crate) struct Drain(Rc<Local>);

#[derive(Default)]
struct Local {
    set: Cell<bool>,
    notify: Notify,
}

impl Drain {
    pub(crate) fn set(&self) {
        self.0.set.set(true);
        self.0.notify.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.set.get()
    }

    pub(crate) async fn wait(self) {
        // One thread: the order cannot come between the look and the wait.
        if !self.is_set() {
            self.0.notify.notified().await;
        }
    }
}
