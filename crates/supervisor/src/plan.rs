//! What to do next: a pure function of what is wanted, what is there, and the time.
//!
//! It looks at one slot at a time, since slots do not depend on one another. The fleet carries out the actions, tells the slots,
//! and asks again when something happened or when the plan's `wake_at` has come.

use std::time::Duration;

use tokio::time::Instant;

use crate::slot::{Phase, Slot, StopCause};

/// What is wanted of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Run,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    /// SIGTERM to the group, SIGKILL at `kill_at`.
    Terminate {
        cause: StopCause,
        kill_at: Instant,
    },
    /// SIGKILL to the group.
    Kill,
    /// Nothing runs here and nothing shall.
    Retire,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub startup_timeout: Duration,
    pub stop_timeout: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// At most one per slot, with the slot's index.
    pub actions: Vec<(usize, Action)>,
    /// When to look again if nothing happens before.
    pub wake_at: Option<Instant>,
}

pub(crate) fn plan(limits: &Limits, wants: &[Want], slots: &[Slot], now: Instant) -> Plan {
    let mut plan = Plan { actions: Vec::new(), wake_at: None };
    for (index, (want, slot)) in wants.iter().zip(slots).enumerate() {
        match next(limits, *want, slot.phase, now) {
            Next::Act(action) => plan.actions.push((index, action)),
            Next::Wait { until } => plan.wake_at = Some(plan.wake_at.map_or(until, |earliest| earliest.min(until))),
            Next::Nothing => {}
        }
    }
    plan
}

enum Next {
    Act(Action),
    Wait {
        until: Instant,
    },
    /// Only an event from outside changes anything.
    Nothing,
}

fn next(limits: &Limits, want: Want, phase: Phase, now: Instant) -> Next {
    let terminate = |cause| Action::Terminate { cause, kill_at: now + limits.stop_timeout };
    match (want, phase) {
        (Want::Run, Phase::Stopped) => Next::Act(Action::Start),
        (Want::Run, Phase::Waiting { until }) => due(until, now, Action::Start),
        (Want::Run, Phase::Starting { since }) => due(since + limits.startup_timeout, now, terminate(StopCause::NeverReady)),
        (Want::Stop, Phase::Waiting { .. }) => Next::Act(Action::Retire),
        (Want::Stop, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy) => Next::Act(terminate(StopCause::Unwanted)),
        (_, Phase::Stopping { kill_at, .. }) => due(kill_at, now, Action::Kill),
        (Want::Run, Phase::Ready { .. } | Phase::Unhealthy)
        | (Want::Stop, Phase::Stopped)
        | (_, Phase::Killed { .. } | Phase::Clearing { .. }) => Next::Nothing,
    }
}

fn due(until: Instant, now: Instant, action: Action) -> Next {
    if until <= now { Next::Act(action) } else { Next::Wait { until } }
}

#[cfg(test)]
mod tests;
