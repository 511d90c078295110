//! Whether calls should be made at all: after enough of them have failed, further ones are refused at once, until a few have shown that
//! they work again.
//!
//! ```text
//! closed ──(too many failures or slow calls)──► open ──(time is up)──► half open
//!    ▲                                           ▲                       │   │
//!    │                                           └───(one of them fails)─┘   │
//!    └──────────────────────(enough of them succeed)──────────────────────────┘
//! ```
//! - What opens it: so many failures in a row ([`Config::failures_in_row`]); a share of failures or of slow calls over a sliding window with
//!   enough calls in it; or one failure that tells everything ([`Failure::Conclusive`]), such as a connection refused.
//! - A *steady* breaker wants both halves of its window to be bad. One burst, such as all the requests that die with one instance, lies in
//!   one half, so it never opens for a disturbance shorter than half the window.
//! - Half open, only [`Config::trials`] calls are under way at a time. Trials that do not end do not block it for ever: another is let in
//!   after [`TRIAL_PATIENCE`].
//! - Each opening lasts twice as long as the one before, up to a maximum. Time forgives one doubling for each [`Config::forgive_after`].
//! - Calls that began before it opened say nothing about what came after: a hundred time-outs of one outage are one piece of evidence.
//!
//! The same machine stands before a pool of instances and, as the outlier record, before each instance in it. Whether a call may be made is
//! one load and one comparison; an answer costs one compare-and-swap in the window.

pub mod layer;
mod state;
mod window;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use state::{Evidence, State};
use window::Window;

/// How long the trials of a half-open breaker may take before another one is let in.
pub const TRIAL_PATIENCE: Duration = Duration::from_secs(5);

/// The statuses with which an instance says that it could not. A plain 500 is an answer: the application's own bug, the same everywhere.
pub const COULD_NOT: [StatusCode; 3] = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

/// More trials at a time are not few.
pub const TRIALS_MAX: u8 = 15;

/// When it opens, for how long, and what closes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Failures in a row that open it; `None`: however many.
    pub failures_in_row: Option<u8>,
    /// The span over which shares are counted.
    pub window: Duration,
    /// The share of calls in the window that must fail.
    pub failure_share: f32,
    /// A call that succeeds after this time is slow; `None`: no call is.
    pub slow_after: Option<Duration>,
    /// The share of calls in the window that must be slow.
    pub slow_share: f32,
    /// Fewer calls in the window prove nothing by their share.
    pub calls_min: u32,
    /// Both halves of the window must be bad, each with half of [`Self::calls_min`].
    pub steady: bool,
    /// How long the first opening lasts.
    pub open_base: Duration,
    pub open_max: Duration,
    /// Each time this long without an opening halves the next one.
    pub forgive_after: Duration,
    /// Calls under way at a time while it is half open; at most [`TRIALS_MAX`].
    pub trials: u8,
    /// Trials that must succeed before it closes; at most [`TRIALS_MAX`].
    pub trials_to_close: u8,
}

impl Default for Config {
    /// For a pool: it opens only for what lasts longer than the five seconds in which a restart is a pause and no error.
    fn default() -> Self {
        Self {
            failures_in_row: None,
            window: Duration::from_secs(10),
            failure_share: 0.5,
            slow_after: None,
            slow_share: 0.5,
            calls_min: 20,
            steady: true,
            open_base: Duration::from_secs(1),
            // Few trials cost little; half a minute of refusals after the upstream is back would cost much.
            open_max: Duration::from_secs(5),
            forgive_after: Duration::from_secs(30),
            trials: 3,
            trials_to_close: 3,
        }
    }
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// One such failure opens the breaker, and it ends early when the cause is seen to be gone: [`Breaker::probe_succeeded`].
    Conclusive,
    /// Counts, in a row and as a share.
    Ordinary,
}

/// It has just opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "count it and say so in the log"]
pub struct Opened {
    pub until_ns: u64,
    pub lasts: Duration,
}

/// What an operator sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Closed,
    Open {
        remaining: Duration,
    },
    /// Its time is over, and not enough trials have succeeded since.
    HalfOpen,
}

/// No call may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When to ask again.
    pub retry_after: Duration,
}

/// One call under way. Told to [`Breaker::succeeded`], [`Breaker::failed`] or [`Breaker::abandoned`] when it is over.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "tell the breaker how it ended, or a trial's place stays taken"]
pub struct Call {
    pub began_ns: u64,
    /// Holds one of the few places of a half-open breaker.
    is_trial: bool,
}

/// A breaker that all workers share.
///
/// ```
/// use std::time::Duration;
///
/// use plimsoll_policy::breaker::{Breaker, Config, Failure};
///
/// let breaker = Breaker::new(Config { failures_in_row: Some(2), ..Config::default() });
/// for now_ns in 0..2 {
///     let mut call = breaker.enter(now_ns).expect("closed");
///     let _ = breaker.failed(&mut call, Failure::Ordinary, now_ns);
/// }
/// assert!(breaker.enter(2).is_err(), "two failures in a row were enough");
/// ```
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    /// Read on every request, written only when something changes.
    state: AtomicU64,
    window: Window,
    /// How often it has opened.
    openings: AtomicU64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Breaker {
    pub fn new(config: Config) -> Self {
        let trials = config.trials.clamp(1, TRIALS_MAX);
        let trials_to_close = config.trials_to_close.clamp(1, TRIALS_MAX);
        let config = Config { trials, trials_to_close, ..config };
        Self { config, state: AtomicU64::default(), window: Window::new(config.window), openings: AtomicU64::default() }
    }

    /// Whether a call may be made, without making it.
    pub fn admits(&self, now_ns: u64) -> bool {
        self.state().admits(now_ns, &self.config)
    }

    pub fn standing(&self, now_ns: u64) -> Standing {
        self.state().standing(now_ns)
    }

    /// How often it has opened since it was made, a half-open one that opened again included.
    pub fn openings(&self) -> u64 {
        self.openings.load(Relaxed)
    }

    /// A call is made, if it may be.
    pub fn enter(&self, now_ns: u64) -> Result<Call, Refused> {
        let (before, _) = self.change(|state| if state.admits(now_ns, &self.config) { state.entered(now_ns, &self.config) } else { state });
        if before.admits(now_ns, &self.config) {
            return Ok(Call { began_ns: now_ns, is_trial: before.is_half_open(now_ns) });
        }
        let remaining = match before.standing(now_ns) {
            Standing::Open { remaining } => remaining,
            _ => self.config.open_base,
        };
        Err(Refused { retry_after: remaining })
    }

    /// A call is made whatever the breaker says: there is nobody else who could take it.
    pub fn enter_anyway(&self, now_ns: u64) -> Call {
        self.enter(now_ns).unwrap_or(Call { began_ns: now_ns, is_trial: false })
    }

    /// The call did what it should, within this time. That may still be too slow.
    pub fn succeeded(&self, call: &mut Call, took: Duration, now_ns: u64) -> Option<Opened> {
        if self.state().is_older(call.began_ns) {
            return None;
        }
        let is_slow = self.config.slow_after.is_some_and(|slow| took >= slow);
        self.window.record(now_ns, false, is_slow);
        if is_slow && (call.is_trial || self.is_bad(now_ns)) {
            return self.fail(call, Evidence::Share, now_ns);
        }
        let is_trial = std::mem::take(&mut call.is_trial);
        let (before, after) = self.change(|state| state.after_success(call.began_ns, is_trial, now_ns, &self.config));
        if before.is_half_open(now_ns) && after.standing(now_ns) == Standing::Closed {
            self.window.clear();
        }
        None
    }

    /// The call failed. Tells whether this opened the breaker.
    pub fn failed(&self, call: &mut Call, failure: Failure, now_ns: u64) -> Option<Opened> {
        if self.state().is_older(call.began_ns) {
            return None;
        }
        self.window.record(now_ns, true, false);
        let evidence = match failure {
            Failure::Conclusive => Evidence::Conclusive,
            Failure::Ordinary if self.is_bad(now_ns) => Evidence::Share,
            Failure::Ordinary => Evidence::One,
        };
        self.fail(call, evidence, now_ns)
    }

    /// The call was given up for a reason that says nothing. A second time does nothing.
    pub fn abandoned(&self, call: &mut Call) {
        if std::mem::take(&mut call.is_trial) {
            self.change(|state| state.after_abandoned(call.began_ns));
        }
    }

    /// Somebody has looked and found it well: an opening for a conclusive failure becomes half open at once. Other openings stay, since what
    /// answers a probe and fails calls has not proven anything by one more probe.
    pub fn probe_succeeded(&self, now_ns: u64) {
        self.change(|state| state.after_probe(now_ns));
    }

    /// What was conclusive is gone for certain: such an opening ends at once, without trials.
    pub fn cause_is_gone(&self) {
        let (before, after) = self.change(State::after_cause_is_gone);
        if before != after {
            self.window.clear();
        }
    }

    fn is_bad(&self, now_ns: u64) -> bool {
        let [earlier, later] = self.window.halves(now_ns);
        if self.config.steady {
            let calls_min = self.config.calls_min.div_ceil(2);
            earlier.is_bad(calls_min, &self.config) && later.is_bad(calls_min, &self.config)
        } else {
            (earlier + later).is_bad(self.config.calls_min, &self.config)
        }
    }

    fn fail(&self, call: &mut Call, evidence: Evidence, now_ns: u64) -> Option<Opened> {
        call.is_trial = false;
        let (before, after) = self.change(|state| state.after_failure(call.began_ns, evidence, now_ns, &self.config));
        let opened = after.opened_since(before, now_ns);
        if opened.is_some() {
            self.window.clear();
            self.openings.fetch_add(1, Relaxed);
        }
        opened
    }

    fn state(&self) -> State {
        State::unpack(self.state.load(Relaxed))
    }

    /// Applies a transition; tells the state before and after.
    fn change(&self, transition: impl Fn(State) -> State) -> (State, State) {
        let mut word = self.state.load(Relaxed);
        loop {
            let before = State::unpack(word);
            let after = transition(before);
            if after == before {
                return (before, after);
            }
            match self.state.compare_exchange_weak(word, after.pack(), Relaxed, Relaxed) {
                Ok(_) => return (before, after),
                Err(current) => word = current,
            }
        }
    }
}
