//! One look at the fleet per second, shared: a hundred dashboards cost what one costs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use plimsoll_telemetry::{Snapshot, Status, Window};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::history::History;
use crate::stream;

/// Where snapshots come from: called at least once a second, from any thread; it must not block.
pub type Source = Arc<dyn Fn() -> Snapshot + Send + Sync>;

pub(crate) struct Sampler {
    source: Source,
    past: Mutex<Past>,
    ticks: watch::Sender<Tick>,
}

#[derive(Default)]
struct Past {
    window: Window,
    history: History,
}

/// The newest look, ready to be sent.
#[derive(Clone, Default)]
pub(crate) struct Tick {
    /// A `status` event. Empty before the first look.
    pub(crate) frame: Bytes,
    /// The number of the newest change.
    pub(crate) changes_total: u64,
}

impl Sampler {
    /// Has looked once already: no reader ever finds nothing.
    pub(crate) fn new(source: Source) -> Self {
        let sampler = Self { source, past: Mutex::default(), ticks: watch::Sender::default() };
        sampler.sample();
        sampler
    }

    pub(crate) async fn run(self: Arc<Self>, interval: Duration, stop: CancellationToken) {
        let mut clock = tokio::time::interval(interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.reset();
        loop {
            tokio::select! {
                _ = clock.tick() => self.sample(),
                () = stop.cancelled() => return,
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        (self.source)()
    }

    /// The fleet at this moment, not at the last look: an operator's script must see what it just did.
    pub(crate) fn status(&self) -> Status {
        let snapshot = self.snapshot();
        self.past().window.status_at(&snapshot)
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Tick> {
        self.ticks.subscribe()
    }

    /// The `recap` event, and the number of the newest change in it.
    pub(crate) fn recap(&self) -> (Bytes, u64) {
        let past = self.past();
        (stream::event("recap", &past.history.recap()), past.history.changes_total())
    }

    /// A `changes` event with what happened after change `number`.
    pub(crate) fn changes_after(&self, number: u64) -> Bytes {
        stream::event("changes", &self.past().history.changes_after(number))
    }

    fn sample(&self) {
        let snapshot = self.snapshot();
        let at_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
        let tick = {
            let mut past = self.past();
            past.window.push(snapshot);
            let status = past.window.status();
            past.history.record(&status, at_unix_ms);
            Tick { frame: stream::event("status", &status), changes_total: past.history.changes_total() }
        };
        self.ticks.send_replace(tick);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        // Whoever panicked while holding it left at worst one look out.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
