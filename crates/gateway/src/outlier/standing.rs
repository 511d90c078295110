//! The state machine behind an outlier record: pure transitions on a state that packs into one word.

use std::time::Duration;

use super::{Config, Ejection, Failure};

const NANOS_PER_MS: u64 = 1_000_000;
/// 40 bits of the packed word: 34 years.
const UNTIL_MAX_MS: u64 = (1 << 40) - 1;

/// What an operator sees of a member's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Serving,
    Ejected {
        remaining: Duration,
    },
    /// Its ejection is over, and no attempt has ended since.
    OnTrial,
}

/// What one member's attempts have shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    phase: Phase,
    /// Failures in a row while serving.
    failures: u8,
    /// How often the next ejection's time is doubled.
    doublings: u8,
    /// Until when it is or was last ejected. Attempts that began before are no evidence of what came after.
    until_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Serving,
    /// Ends early when a probe succeeds.
    EjectedRefused,
    EjectedBroken,
}

impl State {
    pub(super) fn unpack(word: u64) -> Self {
        let phase = match word >> 56 {
            0 => Phase::Serving,
            1 => Phase::EjectedRefused,
            _ => Phase::EjectedBroken,
        };
        Self { phase, failures: (word >> 48) as u8, doublings: (word >> 40) as u8, until_ms: word & UNTIL_MAX_MS }
    }

    pub(super) fn pack(self) -> u64 {
        let phase = match self.phase {
            Phase::Serving => 0,
            Phase::EjectedRefused => 1,
            Phase::EjectedBroken => 2,
        };
        phase << 56 | u64::from(self.failures) << 48 | u64::from(self.doublings) << 40 | self.until_ms
    }

    pub(super) fn is_in(self, now_ns: u64) -> bool {
        self.phase == Phase::Serving || now_ns >= self.until_ms * NANOS_PER_MS
    }

    pub(super) fn standing(self, now_ns: u64) -> Standing {
        match self.phase {
            Phase::Serving => Standing::Serving,
            _ if self.is_in(now_ns) => Standing::OnTrial,
            _ => Standing::Ejected { remaining: Duration::from_nanos(self.until_ms * NANOS_PER_MS - now_ns) },
        }
    }

    pub(super) fn after_success(self, now_ns: u64) -> Self {
        // While ejected, this is the answer to an attempt from before: too late to count.
        if self.is_in(now_ns) { Self { phase: Phase::Serving, failures: 0, ..self } } else { self }
    }

    pub(super) fn after_failure(self, failure: Failure, began_ns: u64, now_ns: u64, config: &Config) -> Self {
        if began_ns < self.until_ms * NANOS_PER_MS {
            // A hundred requests break when an instance dies, some of them only at their time-out: all one piece of evidence.
            return self;
        }
        let failures = self.failures.saturating_add(1);
        let on_trial = self.phase != Phase::Serving;
        if on_trial || failure == Failure::Refused || failures >= config.failures {
            self.ejected(failure, now_ns, config)
        } else {
            Self { failures, ..self }
        }
    }

    pub(super) fn after_probe(self, now_ns: u64) -> Self {
        if self.phase == Phase::EjectedRefused && !self.is_in(now_ns) { Self { until_ms: now_ns / NANOS_PER_MS, ..self } } else { self }
    }

    fn ejected(self, failure: Failure, now_ns: u64, config: &Config) -> Self {
        let served_ms = (now_ns / NANOS_PER_MS).saturating_sub(self.until_ms);
        let forgiven = served_ms / (config.forgive_after.as_millis() as u64).max(1);
        let doublings = u64::from(self.doublings).saturating_sub(forgiven) as u8;
        let lasts = config.ejection_base.saturating_mul(1 << doublings.min(31)).min(config.ejection_max);
        let until_ns = now_ns.saturating_add(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX));
        Self {
            phase: if failure == Failure::Refused { Phase::EjectedRefused } else { Phase::EjectedBroken },
            failures: 0,
            // Doublings beyond the maximum would only take longer to forgive.
            doublings: if lasts < config.ejection_max { doublings.saturating_add(1) } else { doublings },
            until_ms: until_ns.div_ceil(NANOS_PER_MS).min(UNTIL_MAX_MS),
        }
    }

    /// What the change from `before` to this state did, if it was an ejection.
    pub(super) fn ejection_since(self, before: Self, now_ns: u64) -> Option<Ejection> {
        let until_ns = self.until_ms * NANOS_PER_MS;
        let ejected = self != before && self.phase != Phase::Serving;
        ejected.then(|| Ejection { until_ns, lasts: Duration::from_nanos(until_ns.saturating_sub(now_ns)) })
    }
}
