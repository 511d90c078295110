//! The loop that owns everything: it asks the plan what to do, does it, and waits for the next thing to happen.

mod seat;

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::seat::Seat;
use crate::attendant::{Ended, Start};
use crate::error::Error;
use crate::event::{Event, Publisher};
use crate::guard::Guard;
use crate::hint;
use crate::instance::{Address, Instance};
use crate::launch::Launcher;
use crate::plan::{self, Action, Limits, Want};
use crate::process::listening;
use crate::slot::{Phase, Restart, Slot, StopCause};
use crate::spec::Spec;

/// So many deaths of every instance before any of them was ever ready, and the fleet's start has failed.
const START_DEATHS_MAX: u32 = 3;

/// What the handle wants and says; the fleet looks at the latest.
#[derive(Debug)]
pub(crate) struct Control {
    pub wants: Vec<Want>,
    pub reports: Vec<Option<Report>>,
    /// The handle is gone: kill everything.
    pub abandoned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub generation: u64,
    pub ready: bool,
}

#[derive(Debug)]
pub(crate) struct Fleet {
    launcher: Launcher,
    limits: Limits,
    slots: Vec<Slot>,
    /// One per slot.
    seats: Vec<Seat>,
    attendants: JoinSet<Ended>,
    /// Leaders that have died; their attendants clear away the rest and end later.
    fallen: (mpsc::Sender<Start>, mpsc::Receiver<Start>),
    guard: Guard,
    random: fastrand::Rng,
    start_failure_told: bool,
    control: watch::Receiver<Control>,
    publish: watch::Sender<Arc<Vec<Instance>>>,
    publisher: Publisher,
}

impl Fleet {
    /// Starts the guard and the first processes.
    pub(crate) async fn start(
        spec: Spec,
        control: watch::Receiver<Control>,
        publish: watch::Sender<Arc<Vec<Instance>>>,
        publisher: Publisher,
    ) -> Result<Self, Error> {
        let launcher = Launcher::new(spec)?;
        let spec = launcher.spec();
        let limits = Limits { startup_timeout: spec.startup_timeout, stop_timeout: spec.stop_timeout };
        let random = spec.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let guard = Guard::start(spec.self_exe.clone()).await.map_err(|source| Error::Guard { self_exe: spec.self_exe.clone(), source })?;
        let now = Instant::now();
        let slots: Vec<Slot> = (0..spec.instances).map(|_| Slot::new(now)).collect();
        let mut seats: Vec<Seat> = Vec::with_capacity(slots.len());
        for slot in 0..slots.len() {
            let id = spec.instance_id(slot);
            let address = launcher.address(&id, 1, &promised(&seats, None)).map_err(Error::NoPort)?;
            seats.push(Seat::new(id, address));
        }
        let (attendants, fallen) = (JoinSet::new(), mpsc::channel(slots.len()));
        let start_failure_told = false;
        let mut fleet =
            Self { launcher, limits, slots, seats, attendants, fallen, guard, random, start_failure_told, control, publish, publisher };
        fleet.act().await;
        Ok(fleet)
    }

    /// Until everything is stopped, or the handle is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let wake_at = self.act().await;
            if self.is_over() {
                break;
            }
            tokio::select! {
                changed = self.control.changed() => if changed.is_err() { break },
                Some(start) = self.fallen.1.recv() => self.fell(start),
                Some(ended) = self.attendants.join_next() => match ended {
                    Ok(ended) => self.ended(ended).await,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                () = self.guard.missing() => self.guard.restart().await,
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
            }
            self.take_reports();
        }
        // Whatever still runs is killed by its attendant's end; the guard goes last.
        self.attendants.shutdown().await;
        self.seats.iter().for_each(Seat::remove_socket);
        self.guard.finish().await;
    }

    fn is_over(&self) -> bool {
        let control = self.control.borrow();
        let unwanted = control.wants.iter().all(|want| *want == Want::Stop);
        control.abandoned || (unwanted && self.slots.iter().all(|slot| slot.phase == Phase::Stopped))
    }

    /// Carries out plans until there is nothing more to do now; returns when there will be.
    async fn act(&mut self) -> Option<Instant> {
        loop {
            let wants = self.control.borrow().wants.clone();
            let plan = plan::plan(&self.limits, &wants, &self.slots, Instant::now());
            for (slot, action) in &plan.actions {
                self.carry_out(*slot, *action).await;
            }
            self.publish();
            if plan.actions.is_empty() {
                return plan.wake_at;
            }
        }
    }

    async fn carry_out(&mut self, slot: usize, action: Action) {
        match action {
            Action::Start => self.start_process(slot).await,
            Action::Terminate { cause, kill_at } => {
                // Asked while it still listens.
                let never_ready = (cause == StopCause::NeverReady).then(|| self.why_never_ready(slot));
                self.seats[slot].signal(Signal::TERM);
                self.slots[slot].stopping(cause, kill_at);
                if let Some(hint) = never_ready {
                    self.tell_never_ready(slot, hint);
                }
            }
            Action::Kill => {
                self.seats[slot].signal(Signal::KILL);
                self.slots[slot].killed();
            }
            Action::Retire => {
                self.slots[slot].retired();
                self.publisher.tell(Event::Stopped { instance: self.seats[slot].id.clone() });
            }
        }
    }

    async fn start_process(&mut self, slot: usize) {
        self.slots[slot].starting(Instant::now());
        let start = Start { slot, generation: self.slots[slot].generation };
        let promised = promised(&self.seats, Some(slot));
        let seat = &mut self.seats[slot];
        match seat.start(start, &promised, &self.launcher, &mut self.guard, &self.publisher, self.fallen.0.clone()).await {
            Ok(attendant) => {
                self.attendants.spawn(attendant);
            }
            Err(error) => {
                let restart = self.slots[slot].died(Instant::now(), &self.launcher.spec().backoff, &mut self.random);
                self.tell_end(slot, format!("could not be started: {error}"), restart);
            }
        }
    }

    /// Whoever sends requests must know at once; reports and the next start wait until everything is cleared away.
    fn fell(&mut self, start: Start) {
        let Start { slot, generation } = start;
        if self.slots[slot].generation == generation {
            self.slots[slot].fell(Instant::now(), &self.launcher.spec().backoff, &mut self.random);
            self.seats[slot].fell();
        }
    }

    async fn ended(&mut self, ended: Ended) {
        self.guard.remove(ended.group).await;
        self.seats[ended.slot].remove_socket();
        self.seats[ended.slot].running = None;
        let restart = self.slots[ended.slot].cleared(Instant::now(), &self.launcher.spec().backoff, &mut self.random);
        self.tell_end(ended.slot, ended.status, restart);
    }

    fn tell_end(&mut self, slot: usize, status: String, Restart { delay, crash_loop }: Restart) {
        let comes_back = self.control.borrow().wants[slot] == Want::Run;
        let seat = &self.seats[slot];
        let restart_in = comes_back.then_some(delay);
        self.publisher.tell(Event::Exited { instance: seat.id.clone(), status: status.clone(), restart_in });
        if !comes_back {
            return;
        }
        let last_lines = seat.last_lines.get();
        let hint = hint::died(&seat.address, &status, &last_lines);
        if let Some(times) = crash_loop {
            let (instance, status, last_lines, hint) = (seat.id.clone(), status.clone(), last_lines.clone(), hint.clone());
            self.publisher.tell(Event::CrashLooping { instance, times, status, last_lines, hint });
        }
        self.tell_start_failed(slot, status, last_lines, hint);
    }

    fn why_never_ready(&self, slot: usize) -> String {
        let seat = &self.seats[slot];
        let listens = seat.instance(&self.slots[slot]).pid.map(listening::addresses).unwrap_or_default();
        hint::never_ready(&seat.address, &listens, &seat.last_lines.get())
    }

    fn tell_never_ready(&mut self, slot: usize, hint: String) {
        let seat = &self.seats[slot];
        let after = self.limits.startup_timeout;
        let last_lines = seat.last_lines.get();
        let instance = seat.id.clone();
        self.publisher.tell(Event::NeverReady { instance, after, last_lines: last_lines.clone(), hint: hint.clone() });
        self.tell_start_failed(slot, format!("not ready after {after:?}"), last_lines, Some(hint));
    }

    /// Tells, once, that this fleet never got anywhere.
    fn tell_start_failed(&mut self, slot: usize, status: String, last_lines: Vec<String>, hint: Option<String>) {
        let hopeless = |slot: &Slot| !slot.ever_ready && (slot.never_ready || slot.deaths_in_a_row >= START_DEATHS_MAX);
        if !self.start_failure_told && self.slots.iter().all(hopeless) {
            self.start_failure_told = true;
            self.publisher.tell(Event::StartFailed { instance: self.seats[slot].id.clone(), status, last_lines, hint });
        }
    }

    /// Believes what was said about the processes that run now.
    fn take_reports(&mut self) {
        let reports = self.control.borrow().reports.clone();
        for ((slot, seat), report) in self.slots.iter_mut().zip(&self.seats).zip(reports) {
            let Some(report) = report.filter(|report| report.generation == slot.generation) else { continue };
            if let Some(after) = slot.report(report.ready, Instant::now()) {
                self.publisher.tell(Event::Ready { instance: seat.id.clone(), after });
            }
        }
    }

    fn publish(&self) {
        let instances: Vec<Instance> = self.seats.iter().zip(&self.slots).map(|(seat, slot)| seat.instance(slot)).collect();
        self.publish.send_if_modified(|published| {
            let changed = **published != instances;
            if changed {
                *published = Arc::new(instances);
            }
            changed
        });
    }
}

/// The addresses of everyone else: they may not be listening on them yet.
fn promised(seats: &[Seat], except: Option<usize>) -> Vec<Address> {
    let others = seats.iter().enumerate().filter(|(slot, _)| Some(*slot) != except);
    others.map(|(_, seat)| seat.address.clone()).collect()
}
