//! One instance's place in the fleet: what happened to it so far. No process, no clock of its own: the fleet tells it.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Death;
use crate::instance::State;
use crate::spec::Backoff;

/// Ready for this long without a break, an instance is stable: earlier deaths no longer count.
pub(crate) const STABLE_AFTER: Duration = Duration::from_secs(10);
/// So many deaths in a row make a crash loop. It is reported again each time the number has doubled.
pub(crate) const CRASH_LOOP_DEATHS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No process; one may be started from this moment on.
    Waiting {
        until: Instant,
    },
    /// A process that was not ready yet.
    Starting {
        since: Instant,
    },
    Ready {
        since: Instant,
    },
    /// A process that was ready and no longer is.
    Unhealthy,
    /// A process that got SIGTERM and gets SIGKILL at `kill_at`.
    Stopping {
        kill_at: Instant,
        cause: StopCause,
    },
    /// A process that got SIGKILL.
    Killed {
        cause: StopCause,
    },
    /// A dead process whose group is being cleared away: nothing may take its place before.
    Clearing {
        until: Instant,
        restart: Restart,
    },
    /// No process, and none wanted.
    Stopped,
}

/// Why a process was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// It is no longer wanted.
    Unwanted,
    /// It did not get ready in time.
    NeverReady,
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub phase: Phase,
    /// Of the current or the last process; 0 before the first.
    pub generation: u64,
    /// Deaths since the last stable run.
    pub deaths_in_a_row: u32,
    /// Whether any of its processes was ever ready.
    pub ever_ready: bool,
    /// Whether one of its processes ran into the startup timeout.
    pub never_ready: bool,
    served: bool,
}

/// What a death leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    pub delay: Duration,
    /// How many deaths in a row, when that is worth a report.
    pub crash_loop: Option<u32>,
}

impl Slot {
    pub(crate) fn new(now: Instant) -> Self {
        let phase = Phase::Waiting { until: now };
        Self { phase, generation: 0, deaths_in_a_row: 0, ever_ready: false, never_ready: false, served: false }
    }

    pub(crate) fn starting(&mut self, now: Instant) {
        debug_assert!(matches!(self.phase, Phase::Waiting { .. } | Phase::Stopped), "a slot holds one process");
        self.phase = Phase::Starting { since: now };
        self.generation += 1;
        self.served = false;
    }

    /// Takes the word of the probe. Returns the time from start to readiness if this is the first time.
    pub(crate) fn report(&mut self, ready: bool, now: Instant) -> Option<Duration> {
        match (self.phase, ready) {
            (Phase::Starting { since }, true) => {
                self.phase = Phase::Ready { since: now };
                self.ever_ready = true;
                self.served = true;
                Some(now.saturating_duration_since(since))
            }
            (Phase::Unhealthy, true) => {
                self.phase = Phase::Ready { since: now };
                None
            }
            (Phase::Ready { since }, false) => {
                self.settle(since, now);
                self.phase = Phase::Unhealthy;
                None
            }
            _ => None,
        }
    }

    pub(crate) fn stopping(&mut self, cause: StopCause, kill_at: Instant) {
        self.never_ready |= cause == StopCause::NeverReady;
        self.phase = Phase::Stopping { kill_at, cause };
    }

    pub(crate) fn killed(&mut self) {
        if let Phase::Stopping { cause, .. } = self.phase {
            self.phase = Phase::Killed { cause };
        }
    }

    pub(crate) fn retired(&mut self) {
        self.phase = Phase::Stopped;
        self.deaths_in_a_row = 0;
    }

    /// The process is dead, but perhaps not all that it has started. One that was told to stop may do so at leisure: that is no death.
    pub(crate) fn fell(&mut self, now: Instant, backoff: &Backoff, random: &mut fastrand::Rng) {
        if matches!(self.phase, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy) {
            let restart = self.died(now, backoff, random);
            self.phase = Phase::Clearing { until: now + restart.delay, restart };
        }
    }

    /// Nothing is left of the process.
    pub(crate) fn cleared(&mut self, now: Instant, backoff: &Backoff, random: &mut fastrand::Rng) -> Restart {
        match self.phase {
            Phase::Clearing { until, restart } => {
                self.phase = Phase::Waiting { until };
                restart
            }
            _ => self.died(now, backoff, random),
        }
    }

    /// The process is gone, or could not be started. A death that was asked for does not count.
    pub(crate) fn died(&mut self, now: Instant, backoff: &Backoff, random: &mut fastrand::Rng) -> Restart {
        let unwanted =
            matches!(self.phase, Phase::Stopping { cause: StopCause::Unwanted, .. } | Phase::Killed { cause: StopCause::Unwanted });
        if unwanted {
            self.phase = Phase::Waiting { until: now };
            return Restart { delay: Duration::ZERO, crash_loop: None };
        }
        if let Phase::Ready { since } = self.phase {
            self.settle(since, now);
        }
        self.deaths_in_a_row = self.deaths_in_a_row.saturating_add(1);
        let death = Death { in_a_row: self.deaths_in_a_row, served: self.served };
        let delay = backoff.delay(death, random);
        self.phase = Phase::Waiting { until: now + delay };
        Restart { delay, crash_loop: is_reportable(self.deaths_in_a_row).then_some(self.deaths_in_a_row) }
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Waiting { until } | Phase::Clearing { until, .. } => State::Backoff { until },
            Phase::Starting { .. } => State::Starting,
            Phase::Ready { .. } => State::Ready,
            Phase::Unhealthy => State::Unhealthy,
            Phase::Stopping { .. } | Phase::Killed { .. } => State::Draining,
            Phase::Stopped => State::Stopped,
        }
    }

    /// Forgets earlier deaths if the run of readiness that ends now was long enough.
    fn settle(&mut self, ready_since: Instant, now: Instant) {
        if now.saturating_duration_since(ready_since) >= STABLE_AFTER {
            self.deaths_in_a_row = 0;
        }
    }
}

/// At 5, 10, 20, 40, … deaths: a loop that lasts all night fills no log.
fn is_reportable(deaths_in_a_row: u32) -> bool {
    deaths_in_a_row.is_multiple_of(CRASH_LOOP_DEATHS) && (deaths_in_a_row / CRASH_LOOP_DEATHS).is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn die(slot: &mut Slot, now: Instant) -> Restart {
        slot.died(now, &Backoff::default(), &mut fastrand::Rng::with_seed(1))
    }

    #[test]
    fn readiness_for_ten_seconds_forgives_earlier_deaths() {
        let start = Instant::now();
        let mut slot = Slot::new(start);
        for deaths in 1..=4 {
            slot.starting(start);
            die(&mut slot, start);
            assert_eq!(slot.deaths_in_a_row, deaths);
        }
        slot.starting(start);
        assert_eq!(slot.report(true, start + Duration::from_secs(2)), Some(Duration::from_secs(2)));
        die(&mut slot, start + Duration::from_secs(11));
        assert_eq!(slot.deaths_in_a_row, 5, "nine seconds are not enough");
        slot.starting(start);
        slot.report(true, start);
        die(&mut slot, start + STABLE_AFTER);
        assert_eq!(slot.deaths_in_a_row, 1);
    }

    #[test]
    fn a_crash_loop_is_reported_at_five_deaths_and_then_ever_more_rarely() {
        let start = Instant::now();
        let mut slot = Slot::new(start);
        let reports: Vec<u32> = (0..100)
            .filter_map(|_| {
                slot.starting(start);
                die(&mut slot, start).crash_loop
            })
            .collect();
        assert_eq!(reports, [5, 10, 20, 40, 80]);
    }

    #[test]
    fn a_death_that_was_asked_for_does_not_count() {
        let start = Instant::now();
        let mut slot = Slot::new(start);
        slot.starting(start);
        slot.stopping(StopCause::Unwanted, start);
        slot.killed();
        assert_eq!(die(&mut slot, start), Restart { delay: Duration::ZERO, crash_loop: None });
        assert_eq!(slot.deaths_in_a_row, 0);
    }

    #[test]
    fn a_death_counts_once_and_its_wait_begins_with_it() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let mut slot = Slot::new(start);
        slot.starting(start);
        slot.fell(start, &Backoff::default(), &mut random);
        let State::Backoff { until } = slot.state() else { panic!("{:?}", slot.state()) };
        assert_eq!(slot.report(true, start), None, "a late word of the probe revives nobody");
        slot.fell(start, &Backoff::default(), &mut random);
        let later = start + Duration::from_millis(700);
        let restart = slot.cleared(later, &Backoff::default(), &mut random);
        assert_eq!((slot.phase, slot.deaths_in_a_row), (Phase::Waiting { until }, 1));
        assert_eq!(restart.delay, until - start);
    }

    #[test]
    fn only_the_first_readiness_of_a_process_is_news() {
        let start = Instant::now();
        let mut slot = Slot::new(start);
        slot.starting(start);
        assert_eq!(slot.report(false, start), None);
        assert_eq!(slot.state(), State::Starting);
        assert!(slot.report(true, start).is_some());
        assert_eq!(slot.report(false, start), None);
        assert_eq!(slot.state(), State::Unhealthy);
        assert_eq!(slot.report(true, start), None);
        assert_eq!(slot.state(), State::Ready);
    }
}
