//! Passive ejection: a member whose attempts keep failing gets no traffic for a while. Real requests are the evidence, not probes.
//!
//! ```text
//! serving ──(n failures in a row, or one refused connection)──► ejected ──(time is up)──► on trial
//!    ▲                                                             ▲                        │  │
//!    │                                                             └──(its first failure)───┘  │
//!    └───────────────────────────(its first answer)────────────────────────────────────────────┘
//! ```
//! - A failure is an attempt without a usable answer: connection broken, time-out, or a 502, 503 or 504 from the instance.
//! - A refused connection ejects at once: nobody listens there, a second attempt cannot tell more. Only such an ejection ends early when
//!   an active probe succeeds; a member that answers probes and fails requests has not proven anything by one more probe.
//! - Every ejection lasts twice as long as the one before, up to a maximum. Time since the last one forgives: one doubling for each
//!   [`Config::forgive_after`].
//! - The whole state of a member is one atomic word: read on every request, written only when something changes.
//! - When too few members are left, [`Eligibility`] lets everybody in: never is everybody ejected.

mod eligibility;
mod standing;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

pub use eligibility::Eligibility;
pub use standing::Standing;

use standing::State;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Failures in a row that eject a member.
    pub failures: u8,
    /// How long the first ejection lasts.
    pub ejection_base: Duration,
    pub ejection_max: Duration,
    /// Each time this long without an ejection halves the next one.
    pub forgive_after: Duration,
    /// With less than this share of the members left, all of them take traffic.
    pub panic_threshold: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures: 5,
            ejection_base: Duration::from_millis(500),
            ejection_max: Duration::from_secs(30),
            forgive_after: Duration::from_secs(30),
            panic_threshold: 0.25,
        }
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens: connection refused, or the socket's file is gone.
    Refused,
    /// Connection broken, time-out, or an answer that says the instance could not.
    Broken,
}

impl Failure {
    /// Gateway errors count as failures; a plain 500 is an answer: the application's own bug, the same on every instance.
    pub fn of_status(status: StatusCode) -> Option<Self> {
        let says_it_could_not = matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
        says_it_could_not.then_some(Self::Broken)
    }
}

/// A member has just been ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "count it, and restart the member's slow start at its end"]
pub struct Ejection {
    pub until_ns: u64,
    pub lasts: Duration,
}

/// The record of one member, shared by all workers.
#[derive(Debug, Default)]
pub struct Outlier(AtomicU64);

impl Outlier {
    /// Whether the member takes traffic as far as its own record goes: one load and one comparison.
    pub fn is_in(&self, now_ns: u64) -> bool {
        self.state().is_in(now_ns)
    }

    /// For the status page and the logs.
    pub fn standing(&self, now_ns: u64) -> Standing {
        self.state().standing(now_ns)
    }

    /// An attempt got a usable answer. Writes nothing while all is well.
    pub fn succeeded(&self, now_ns: u64) {
        self.change(|state| state.after_success(now_ns));
    }

    /// An attempt that began at `began_ns` failed just now. Tells whether this ejected the member.
    pub fn failed(&self, failure: Failure, began_ns: u64, now_ns: u64, config: &Config) -> Option<Ejection> {
        let (before, after) = self.change(|state| state.after_failure(failure, began_ns, now_ns, config));
        after.ejection_since(before, now_ns)
    }

    /// An active probe found the member ready.
    pub fn probe_succeeded(&self, now_ns: u64) {
        self.change(|state| state.after_probe(now_ns));
    }

    fn state(&self) -> State {
        State::unpack(self.0.load(Relaxed))
    }

    /// Applies a transition; tells the state before and after.
    fn change(&self, transition: impl Fn(State) -> State) -> (State, State) {
        let mut word = self.0.load(Relaxed);
        loop {
            let before = State::unpack(word);
            let after = transition(before);
            if after == before {
                return (before, after);
            }
            match self.0.compare_exchange_weak(word, after.pack(), Relaxed, Relaxed) {
                Ok(_) => return (before, after),
                Err(current) => word = current,
            }
        }
    }
}
