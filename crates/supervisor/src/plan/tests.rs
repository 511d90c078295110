//! The plan against a simulated world: random deaths, readiness, clocks and orders to stop.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::spec::Backoff;

const LIMITS: Limits = Limits { startup_timeout: Duration::from_mins(1), stop_timeout: Duration::from_secs(10) };

/// A fleet without processes: it carries out plans by counting.
struct World {
    now: Instant,
    random: fastrand::Rng,
    wants: Vec<Want>,
    slots: Vec<Slot>,
    processes: Vec<u32>,
    starts: u32,
}

#[derive(Clone, Debug)]
enum Happening {
    Pass(Duration),
    /// The leader dies.
    Fall(usize),
    /// All of it is gone, whether the leader's death was heard of before or not.
    Die(usize),
    Report(usize, bool),
    Want(usize, bool),
}

impl World {
    fn new(slots: usize) -> Self {
        let now = Instant::now();
        Self {
            now,
            random: fastrand::Rng::with_seed(1),
            wants: vec![Want::Run; slots],
            slots: (0..slots).map(|_| Slot::new(now)).collect(),
            processes: vec![0; slots],
            starts: 0,
        }
    }

    /// Carries out plans until one has nothing to do; every one must lead somewhere.
    fn settle(&mut self) -> Option<Instant> {
        for _ in 0..3 {
            let plan = plan(&LIMITS, &self.wants, &self.slots, self.now);
            if plan.actions.is_empty() {
                return plan.wake_at;
            }
            for (index, action) in plan.actions {
                self.carry_out(index, action);
            }
        }
        panic!("the plan does not come to rest: {:?}", self.slots);
    }

    fn carry_out(&mut self, index: usize, action: Action) {
        let slot = &mut self.slots[index];
        match action {
            Action::Start => {
                slot.starting(self.now);
                self.processes[index] += 1;
                self.starts += 1;
                assert_eq!(self.wants[index], Want::Run, "started what is not wanted");
            }
            Action::Terminate { cause, kill_at } => {
                assert_eq!(self.processes[index], 1, "terminated nothing");
                slot.stopping(cause, kill_at);
            }
            Action::Kill => {
                assert_eq!(self.processes[index], 1, "killed nothing");
                slot.killed();
            }
            Action::Retire => {
                assert_eq!(self.processes[index], 0, "retired a slot that runs");
                slot.retired();
            }
        }
        assert!(self.processes[index] <= 1, "two processes in one slot");
    }

    fn die(&mut self, index: usize) {
        if self.processes[index] == 1 {
            self.processes[index] = 0;
            let restart = self.slots[index].cleared(self.now, &Backoff::default(), &mut self.random);
            assert!(restart.delay <= Backoff::default().max);
        }
    }

    fn happen(&mut self, happening: &Happening) {
        let count = self.slots.len();
        match *happening {
            Happening::Pass(duration) => self.now += duration,
            Happening::Fall(index) if self.processes[index % count] == 1 => {
                self.slots[index % count].fell(self.now, &Backoff::default(), &mut self.random);
            }
            Happening::Fall(_) => {}
            Happening::Die(index) => self.die(index % count),
            Happening::Report(index, ready) => drop(self.slots[index % count].report(ready, self.now)),
            Happening::Want(index, run) => self.wants[index % count] = if run { Want::Run } else { Want::Stop },
        }
    }

    /// Lets starts succeed from now on, the killed die, and the dead be cleared away.
    fn calm(&mut self) {
        for _ in 0..1000 {
            let Some(wake_at) = self.settle_and_obey() else { return };
            self.now = self.now.max(wake_at);
        }
        panic!("never comes to rest: {:?}", self.slots);
    }

    fn settle_and_obey(&mut self) -> Option<Instant> {
        let wake_at = self.settle();
        for index in 0..self.slots.len() {
            self.slots[index].report(true, self.now);
            if matches!(self.slots[index].phase, Phase::Killed { .. } | Phase::Clearing { .. }) {
                self.die(index);
            }
        }
        wake_at.or_else(|| self.settle())
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0u64..30_000).prop_map(|ms| Happening::Pass(Duration::from_millis(ms))),
        2 => (0usize..4).prop_map(Happening::Fall),
        3 => (0usize..4).prop_map(Happening::Die),
        3 => (0usize..4, any::<bool>()).prop_map(|(index, ready)| Happening::Report(index, ready)),
        1 => (0usize..4, any::<bool>()).prop_map(|(index, run)| Happening::Want(index, run)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_there_is_one_process_per_slot_and_the_fleet_converges(
        slots in 1usize..4,
        happenings in vec(happening(), 0..80),
    ) {
        let mut world = World::new(slots);
        for happening in &happenings {
            world.happen(happening);
            world.settle();
        }
        world.wants.fill(Want::Run);
        world.calm();
        prop_assert!(world.slots.iter().all(|slot| matches!(slot.phase, Phase::Ready { .. })), "{:?}", world.slots);
        prop_assert_eq!(world.processes, vec![1; slots]);
    }

    #[test]
    fn nothing_starts_after_stop_and_everything_ends(slots in 1usize..4, happenings in vec(happening(), 0..80), after in vec(happening(), 0..80)) {
        let mut world = World::new(slots);
        for happening in &happenings {
            world.happen(happening);
            world.settle();
        }
        world.wants.fill(Want::Stop);
        let starts = world.starts;
        for happening in after.iter().filter(|happening| !matches!(happening, Happening::Want(..))) {
            world.happen(happening);
            world.settle();
        }
        world.calm();
        prop_assert_eq!(world.starts, starts);
        prop_assert_eq!(world.processes, vec![0; slots]);
        prop_assert!(world.slots.iter().all(|slot| slot.phase == Phase::Stopped), "{:?}", world.slots);
    }
}

#[test]
fn a_new_fleet_starts_everywhere_at_once_and_waits_for_readiness() {
    let mut world = World::new(3);
    assert_eq!(world.settle(), Some(world.now + LIMITS.startup_timeout));
    assert_eq!(world.processes, [1, 1, 1]);
}

#[test]
fn who_is_not_ready_in_time_is_terminated_then_killed() {
    let mut world = World::new(1);
    world.settle();
    world.now += LIMITS.startup_timeout;
    let kill_at = world.now + LIMITS.stop_timeout;
    let terminate = Action::Terminate { cause: StopCause::NeverReady, kill_at };
    assert_eq!(plan(&LIMITS, &world.wants, &world.slots, world.now).actions, [(0, terminate)]);
    assert_eq!(world.settle(), Some(kill_at));
    world.now = kill_at;
    assert_eq!(plan(&LIMITS, &world.wants, &world.slots, world.now).actions, [(0, Action::Kill)]);
}

#[test]
fn one_instance_is_stopped_while_the_others_run() {
    let mut world = World::new(2);
    world.settle();
    world.wants[0] = Want::Stop;
    world.settle();
    assert!(matches!(world.slots[0].phase, Phase::Stopping { .. }));
    assert!(matches!(world.slots[1].phase, Phase::Starting { .. }));
    world.die(0);
    world.settle();
    assert_eq!(world.slots[0].phase, Phase::Stopped);
    world.wants[0] = Want::Run;
    world.settle();
    assert_eq!(world.processes, [1, 1]);
}

#[test]
fn a_fleet_at_rest_needs_no_timer() {
    let mut world = World::new(2);
    world.calm();
    assert_eq!(world.settle(), None);
}
