//! Passive ejection: a member whose attempts keep failing gets no traffic for a while. Real requests are the evidence, not probes.
//!
//! The record of a member is a circuit breaker of its own ([`plimsoll_policy::breaker`]): serving is closed, ejected is open, on trial is half
//! open.
//!
//! - A failure is an attempt without a usable answer: connection broken, time-out, or a 502, 503 or 504 from the instance.
//! - Failures in a row eject, and so does a share of failures (or of slow answers, where a limit is set) over ten seconds.
//! - A refused connection ejects at once: nobody listens there, a second attempt cannot tell more. Only such an ejection ends early when
//!   an active probe succeeds; a member that answers probes and fails requests has not proven anything by one more probe.
//! - On trial a member gets a few requests at a time. Its first answer acquits it, its first failure ejects it for twice as long.
//! - When too few members are left, [`Eligibility`] lets everybody in: never is everybody ejected.

mod eligibility;

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::StatusCode;
use plimsoll_policy::breaker::{self, Breaker, COULD_NOT};

pub use eligibility::Eligibility;
pub use plimsoll_policy::breaker::{Call, Opened as Ejection, Standing};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Failures in a row that eject a member.
    pub failures: u8,
    /// The share of failures over ten seconds that ejects it, however they lie.
    pub failure_share: f32,
    /// An answer that takes this long is slow; `None`: none is.
    pub slow_after: Option<Duration>,
    /// The share of slow answers over ten seconds that ejects it.
    pub slow_share: f32,
    /// Fewer attempts in ten seconds prove nothing by their share.
    pub attempts_min: u32,
    /// How long the first ejection lasts.
    pub ejection_base: Duration,
    pub ejection_max: Duration,
    /// Each time this long without an ejection halves the next one.
    pub forgive_after: Duration,
    /// Requests that a member on trial gets at a time.
    pub trials: u8,
    /// With less than this share of the members left, all of them take traffic.
    pub panic_threshold: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures: 5,
            failure_share: 0.5,
            slow_after: None,
            slow_share: 0.5,
            attempts_min: 20,
            ejection_base: Duration::from_millis(500),
            ejection_max: Duration::from_secs(30),
            forgive_after: Duration::from_secs(30),
            trials: 3,
            panic_threshold: 0.25,
        }
    }
}

impl Config {
    fn breaker(&self) -> breaker::Config {
        breaker::Config {
            failures_in_row: Some(self.failures),
            window: Duration::from_secs(10),
            failure_share: self.failure_share,
            slow_after: self.slow_after,
            slow_share: self.slow_share,
            calls_min: self.attempts_min,
            // Others take its requests meanwhile, so a member may be judged quickly.
            steady: false,
            open_base: self.ejection_base,
            open_max: self.ejection_max,
            forgive_after: self.forgive_after,
            trials: self.trials,
            trials_to_close: 1,
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
    /// Gateway errors count as failures.
    pub fn of_status(status: StatusCode) -> Option<Self> {
        COULD_NOT.contains(&status).then_some(Self::Broken)
    }
}

/// The record of one member, shared by all workers.
#[derive(Debug)]
pub struct Outlier(Breaker);

impl Outlier {
    pub fn new(config: &Config) -> Self {
        Self(Breaker::new(config.breaker()))
    }

    /// Whether the member takes traffic as far as its own record goes: one load and one comparison.
    pub fn is_in(&self, now_ns: u64) -> bool {
        self.0.admits(now_ns)
    }

    /// For the status page and the logs.
    pub fn standing(&self, now_ns: u64) -> Standing {
        self.0.standing(now_ns)
    }

    /// An attempt is made. It may be one at an ejected member: when too few others are left.
    pub fn begin(&self, now_ns: u64) -> Call {
        self.0.enter_anyway(now_ns)
    }

    /// It got a usable answer, which the member took this long for. Tells whether that was too slow, and ejected the member.
    pub fn succeeded(&self, call: &mut Call, took: Duration, now_ns: u64) -> Option<Ejection> {
        self.0.succeeded(call, took, now_ns)
    }

    /// It failed just now. Tells whether this ejected the member.
    pub fn failed(&self, call: &mut Call, failure: Failure, now_ns: u64) -> Option<Ejection> {
        let failure = match failure {
            Failure::Refused => breaker::Failure::Conclusive,
            Failure::Broken => breaker::Failure::Ordinary,
        };
        self.0.failed(call, failure, now_ns)
    }

    /// It was given up, for a reason that says nothing about the member.
    pub fn abandoned(&self, call: &mut Call) {
        self.0.abandoned(call);
    }

    /// An active probe found the member ready.
    pub fn probe_succeeded(&self, now_ns: u64) {
        self.0.probe_succeeded(now_ns);
    }
}
