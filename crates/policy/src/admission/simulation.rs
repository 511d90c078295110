//! A deterministic simulator around the real gate: clients, an application, and a clock that jumps from event to event.
//!
//! `app` models what is protected, `load` who asks, `record` what came of it, `baselines` other limiters,
//! `orders` other orders of the queue, `seeds` what chance does. `claims` are the promises of `docs/admission.md` as tests; `table` prints
//! its figures.

mod app;
mod baselines;
mod claims;
mod load;
mod orders;
mod record;
mod seeds;
mod table;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use self::app::App;
use self::load::Load;
use self::record::{Fate, Record, Run};
use super::Outcome;
use super::config::Config;
use super::gate::{Gate, Verdict};
use super::limiter::{Limit, Limiter};
use super::queue::{Arrival, Ticket};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    /// A visit of a request to a station of the application ends.
    Visit(usize),
    /// A waiter's own timer.
    Timer(usize),
    ClientLeaves(usize),
    /// The limit is written down.
    Look,
}

/// What the simulator knows about a request under way.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Waiting(Ticket),
    Inside { began_ns: u64 },
    Over,
}

struct Simulation<L> {
    gate: Gate<usize, L>,
    app: App,
    load: Load,
    rng: Rng,
    now_ns: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    stages: Vec<Stage>,
    run: Run,
    /// Verdicts that have not been acted on.
    verdicts: Vec<(usize, Verdict)>,
}

/// Runs a load against an application behind a gate with our limiter.
fn simulate(config: Config, app: App, load: Load, seed: u64) -> Run {
    let limits = super::gate::limits(&config, 1);
    simulate_with(config, Limiter::new(limits), app, load, seed)
}

fn simulate_with<L: Limit>(config: Config, limiter: L, app: App, load: Load, seed: u64) -> Run {
    simulate_gate(Gate::with(config, limiter, 0), app, load, seed)
}

fn simulate_gate<L: Limit>(gate: Gate<usize, L>, app: App, load: Load, seed: u64) -> Run {
    fastrand::seed(seed);
    let mut simulation = Simulation {
        gate,
        app,
        load,
        rng: Rng::with_seed(seed),
        now_ns: 0,
        events: BinaryHeap::new(),
        sequence: 0,
        stages: Vec::new(),
        run: Run::default(),
        verdicts: Vec::new(),
    };
    simulation.go();
    simulation.run
}

impl<L: Limit> Simulation<L> {
    fn go(&mut self) {
        self.at(0, Event::Look);
        if let Some(first) = self.load.next_arrival_ns(0, &mut self.rng) {
            self.at(first, Event::Arrival);
        }
        while let Some(Reverse((now_ns, _, event))) = self.events.pop() {
            // What is still under way five seconds after the last arrival never ends.
            if now_ns > self.load.duration_ns() + 5 * SECOND {
                break;
            }
            self.now_ns = now_ns;
            self.happen(event);
            while let Some((request, verdict)) = self.verdicts.pop() {
                self.hear(request, verdict);
            }
        }
    }

    fn at(&mut self, when_ns: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((when_ns, self.sequence, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::Visit(request) => self.visit(request),
            Event::Timer(request) => {
                if let Stage::Waiting(ticket) = self.stages[request] {
                    self.gate.tick(self.now_ns, &mut |waiter, verdict| self.verdicts.push((waiter, verdict)));
                    if let Some(denial) = self.gate.expire(ticket, self.now_ns) {
                        self.verdicts.push((request, Err(denial)));
                    }
                }
            }
            Event::ClientLeaves(request) => self.client_leaves(request),
            Event::Look => {
                let line = self.gate.load(self.now_ns);
                self.run.limits.push((self.now_ns, line.limit, line.in_flight));
                self.at(self.now_ns + 10 * MS, Event::Look);
            }
        }
    }

    fn arrive(&mut self) {
        if let Some(next) = self.load.next_arrival_ns(self.now_ns, &mut self.rng) {
            self.at(next, Event::Arrival);
        }
        let request = self.stages.len();
        let (who, route) = self.load.request(self.now_ns, &mut self.rng);
        self.app.announce(request, route);
        self.run.records.push(Record {
            arrived_ns: self.now_ns,
            priority: who.priority,
            tenant: who.tenant,
            fate: Fate::Under,
            ended_ns: 0,
            waited_ns: 0,
        });
        self.stages.push(Stage::Over);
        if let Some(patience_ns) = self.load.client_patience_ns {
            self.at(self.now_ns + patience_ns, Event::ClientLeaves(request));
        }
        let arrival =
            Arrival { now_ns: self.now_ns, priority: who.priority, tenant: who.tenant, deadline_ns: u64::MAX, start_by_ns: u64::MAX };
        let verdicts = &mut self.verdicts;
        let mut deliver = |waiter, verdict| verdicts.push((waiter, verdict));
        if self.gate.try_enter(self.now_ns, &mut deliver) {
            self.enter(request);
            return;
        }
        match self.gate.join(arrival, request, &mut deliver) {
            Ok(None) => self.enter(request),
            Ok(Some(ticket)) => {
                self.stages[request] = Stage::Waiting(ticket);
                self.at(self.now_ns + self.gate.wait_max_ns(), Event::Timer(request));
            }
            Err(denial) => self.over(request, Fate::Refused(denial)),
        }
    }

    fn hear(&mut self, request: usize, verdict: Verdict) {
        match verdict {
            Ok(()) => self.enter(request),
            Err(denial) => self.over(request, Fate::Refused(denial)),
        }
    }

    fn enter(&mut self, request: usize) {
        self.run.records[request].waited_ns = self.now_ns - self.run.records[request].arrived_ns;
        self.stages[request] = Stage::Inside { began_ns: self.now_ns };
        self.app.begin(request, self.now_ns, &mut self.rng);
        self.schedule_visits();
    }

    fn schedule_visits(&mut self) {
        while let Some((when_ns, request)) = self.app.take_started() {
            self.at(when_ns, Event::Visit(request));
        }
    }

    fn visit(&mut self, request: usize) {
        if let Some(later_ns) = self.app.postponed(request, self.now_ns) {
            self.at(later_ns, Event::Visit(request));
            return;
        }
        let is_done = self.app.end_visit(request, self.now_ns, &mut self.rng);
        self.schedule_visits();
        if is_done && let Stage::Inside { began_ns } = self.stages[request] {
            self.gate.complete(0, began_ns, self.now_ns, Outcome::Served, &mut |waiter, verdict| self.verdicts.push((waiter, verdict)));
            self.over(request, Fate::Served);
        }
    }

    fn client_leaves(&mut self, request: usize) {
        match self.stages[request] {
            Stage::Waiting(ticket) => {
                self.gate.leave(ticket);
                self.over(request, Fate::Left);
            }
            Stage::Inside { began_ns } => {
                self.gate.abandon(began_ns, self.now_ns, &mut |waiter, verdict| self.verdicts.push((waiter, verdict)));
                self.over(request, Fate::Left);
            }
            Stage::Over => {}
        }
    }

    fn over(&mut self, request: usize, fate: Fate) {
        self.stages[request] = Stage::Over;
        let record = &mut self.run.records[request];
        record.fate = fate;
        record.ended_ns = self.now_ns;
    }
}
