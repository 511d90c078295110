//! What belongs to a slot and is not planned with: the name, the address, the process.

use std::future::Future;
use std::io;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::attendant::{self, Ended, Start};
use crate::event::{Event, Publisher};
use crate::guard::Guard;
use crate::instance::{Address, Instance};
use crate::launch::Launcher;
use crate::output::{LastLines, Output};
use crate::process::{self, Spawned};
use crate::slot::Slot;

#[derive(Debug)]
pub(super) struct Seat {
    pub id: String,
    /// Of the process; without one, of the last or the next.
    pub address: Address,
    pub last_lines: LastLines,
    pub running: Option<Running>,
}

#[derive(Debug)]
pub(super) struct Running {
    pid: u32,
    since: Instant,
    signals: mpsc::Sender<Signal>,
    /// The leader is dead; others of its group may not be.
    fallen: bool,
}

impl Seat {
    pub(super) fn new(id: String, address: Address) -> Self {
        Self { id, address, last_lines: LastLines::default(), running: None }
    }

    /// Starts a process and returns its attendant, which must be run.
    pub(super) async fn start(
        &mut self,
        start: Start,
        promised: &[Address],
        launcher: &Launcher,
        guard: &mut Guard,
        publisher: &Publisher,
        fallen: mpsc::Sender<Start>,
    ) -> io::Result<impl Future<Output = Ended> + use<>> {
        let generation = start.generation;
        self.last_lines = LastLines::default();
        self.address = launcher.address(&self.id, generation, promised)?;
        let spec = launcher.spec();
        let launch = launcher.launch(&self.id, &self.address);
        let Spawned { process, gate, stdout, stderr } = process::spawn_instance(spec, &launch)?;
        let pid = process.pid();
        let output = Output::read(stdout, stderr, &self.id, &self.last_lines, publisher)?;
        let socket = match &self.address {
            Address::Unix(path) => Some(path.clone()),
            Address::Tcp(_) => None,
        };
        let guarded = guard.add(pid, socket).await;
        if let Err(error) = guarded.and_then(|()| gate.open()) {
            drop(process);
            guard.remove(pid).await;
            return Err(error);
        }
        let (signals, received) = mpsc::channel(attendant::SIGNALS_MAX);
        self.running = Some(Running { pid, since: Instant::now(), signals, fallen: false });
        publisher.tell(Event::Started { instance: self.id.clone(), generation, pid, address: self.address.clone() });
        Ok(attendant::attend(start, process, output, received, fallen))
    }

    /// Asks the attendant to send it, who knows whether the process can still be signalled.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            // There is room for every signal a process is ever sent; an attendant that is gone has nobody left to signal.
            let _ = running.signals.try_send(signal);
        }
    }

    pub(super) fn fell(&mut self) {
        if let Some(running) = &mut self.running {
            running.fallen = true;
        }
    }

    pub(super) fn remove_socket(&self) {
        if let Address::Unix(path) = &self.address
            && let Err(error) = crate::address::remove_socket(path)
        {
            tracing::warn!(%error, path = %path.display(), "could not remove a socket");
        }
    }

    pub(super) fn instance(&self, slot: &Slot) -> Instance {
        let alive = self.running.as_ref().filter(|running| !running.fallen);
        Instance {
            id: self.id.clone(),
            address: self.address.clone(),
            pid: alive.map(|running| running.pid),
            generation: slot.generation,
            state: slot.state(),
            restarts_total: slot.generation.saturating_sub(1),
            started_at: alive.map(|running| running.since),
        }
    }
}
