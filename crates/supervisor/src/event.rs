//! What happens to a fleet, told to one listener.
//!
//! The queue is bounded and a slow listener never stops the fleet: lines wait for room for a moment, which slows the child that
//! prints them, then they are dropped and counted. Life-cycle events have room of their own that lines cannot take.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::instance::Address;

const LINES_MAX: usize = 1024;
const LIFE_CYCLE_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Started {
        instance: String,
        generation: u64,
        pid: u32,
        address: Address,
    },
    /// The first time that this process was ready.
    Ready {
        instance: String,
        after: Duration,
    },
    Exited {
        instance: String,
        /// `exit code 1`, `killed by SIGKILL`.
        status: String,
        /// Absent if it is not to come back.
        restart_in: Option<Duration>,
    },
    /// Five deaths in a row without ten seconds of readiness; again at 10, 20, 40, … It goes on trying.
    CrashLooping {
        instance: String,
        times: u32,
        status: String,
        last_lines: Vec<String>,
        hint: Option<String>,
    },
    /// The startup timeout ended before it was ready. It is stopped and tried again.
    NeverReady {
        instance: String,
        after: Duration,
        last_lines: Vec<String>,
        hint: String,
    },
    /// Nothing in this fleet was ever ready, and every instance died three times or was never ready in time. Told once; it goes on
    /// trying, so whoever knows that this is the first start should stop it.
    StartFailed {
        instance: String,
        /// Why the last of them failed, as in [`Event::Exited`], or `not ready after 60s`.
        status: String,
        last_lines: Vec<String>,
        hint: Option<String>,
    },
    /// No process, and none will be started.
    Stopped {
        instance: String,
    },
    /// One line that an instance printed, without its end, at most 8 KiB, safe to print: colours are kept, other controls are not.
    Line {
        instance: String,
        stream: Stream,
        text: String,
    },
    /// The listener was too slow for this instance's lines.
    LinesDropped {
        instance: String,
        count: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The listener's end.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Queued>);

#[derive(Debug)]
struct Queued {
    event: Event,
    _room: Option<OwnedSemaphorePermit>,
}

impl Events {
    /// The next event; `None` once the fleet has ended. Cancelling it loses nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await.map(|queued| queued.event)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    queue: mpsc::Sender<Queued>,
    room_for_lines: Arc<Semaphore>,
}

pub(crate) fn channel() -> (Publisher, Events) {
    let (queue, events) = mpsc::channel(LINES_MAX + LIFE_CYCLE_MAX);
    (Publisher { queue, room_for_lines: Arc::new(Semaphore::new(LINES_MAX)) }, Events(events))
}

impl Publisher {
    /// Tells what happened. If hundreds of these wait already, nobody is listening.
    pub(crate) fn tell(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(queued)) = self.queue.try_send(Queued { event, _room: None }) {
            tracing::warn!(event = ?queued.event, "nobody takes the supervisor's events: dropped one");
        }
    }

    /// Room for one line now, or `None`.
    pub(crate) fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room_for_lines).try_acquire_owned().ok()
    }

    /// Room for one line, as soon as the listener has made some.
    pub(crate) async fn room(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.room_for_lines).acquire_owned().await.expect("the semaphore is never closed")
    }

    pub(crate) fn tell_line(&self, event: Event, room: OwnedSemaphorePermit) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(Queued { event, _room: Some(room) }) {
            tracing::warn!("nobody takes the supervisor's events: dropped a line");
        }
    }
}
