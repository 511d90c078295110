//! The state machine of a breaker: pure transitions on a state that packs into one word.

use std::time::Duration;

use super::{Config, Opened, Standing, TRIAL_PATIENCE};

const NANOS_PER_MS: u64 = 1_000_000;
/// 40 bits of the packed word: 34 years.
const UNTIL_MAX_MS: u64 = (1 << 40) - 1;

/// What a failure tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    One,
    /// With it, too large a share of the window is bad.
    Share,
    Conclusive,
}

/// What the calls have shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    phase: Phase,
    /// Closed: failures in a row. Half open: [`Trials`].
    count: u8,
    /// How often the next opening's time is doubled.
    doublings: u8,
    /// Until when it is or was last open. Calls that began before are no evidence of what came after.
    until_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    /// Open or, once the time is up, half open. For a conclusive failure: a probe may end it early.
    OpenConclusive,
    OpenOrdinary,
}

/// The calls of a half-open breaker, four bits each.
#[derive(Clone, Copy)]
struct Trials {
    under_way: u8,
    succeeded: u8,
}

impl Trials {
    fn unpack(count: u8) -> Self {
        Self { under_way: count & 0x0f, succeeded: count >> 4 }
    }

    fn pack(self) -> u8 {
        self.succeeded << 4 | self.under_way
    }
}

impl State {
    pub(super) fn unpack(word: u64) -> Self {
        let phase = match word >> 56 {
            0 => Phase::Closed,
            1 => Phase::OpenConclusive,
            _ => Phase::OpenOrdinary,
        };
        Self { phase, count: (word >> 48) as u8, doublings: (word >> 40) as u8, until_ms: word & UNTIL_MAX_MS }
    }

    pub(super) fn pack(self) -> u64 {
        let phase = match self.phase {
            Phase::Closed => 0,
            Phase::OpenConclusive => 1,
            Phase::OpenOrdinary => 2,
        };
        phase << 56 | u64::from(self.count) << 48 | u64::from(self.doublings) << 40 | self.until_ms
    }

    fn until_ns(self) -> u64 {
        self.until_ms * NANOS_PER_MS
    }

    /// Whether a call began before this state: a hundred requests break when an instance dies, some of them only at their time-out, and all
    /// of them are one piece of evidence.
    pub(super) fn is_older(self, began_ns: u64) -> bool {
        began_ns < self.until_ns()
    }

    pub(super) fn is_half_open(self, now_ns: u64) -> bool {
        self.phase != Phase::Closed && now_ns >= self.until_ns()
    }

    pub(super) fn admits(self, now_ns: u64, config: &Config) -> bool {
        match self.phase {
            Phase::Closed => true,
            _ if now_ns < self.until_ns() => false,
            _ => Trials::unpack(self.count).under_way < config.trials || self.trials_hang(now_ns),
        }
    }

    /// The last trials began long ago, and the breaker has learned nothing from them.
    fn trials_hang(self, now_ns: u64) -> bool {
        now_ns >= self.until_ns().saturating_add(TRIAL_PATIENCE.as_nanos() as u64)
    }

    pub(super) fn standing(self, now_ns: u64) -> Standing {
        match self.phase {
            Phase::Closed => Standing::Closed,
            _ if now_ns >= self.until_ns() => Standing::HalfOpen,
            _ => Standing::Open { remaining: Duration::from_nanos(self.until_ns() - now_ns) },
        }
    }

    /// A call that was admitted begins.
    pub(super) fn entered(self, now_ns: u64, config: &Config) -> Self {
        if !self.is_half_open(now_ns) {
            return self;
        }
        let trials = Trials::unpack(self.count);
        if trials.under_way < config.trials {
            return Self { count: Trials { under_way: trials.under_way + 1, ..trials }.pack(), ..self };
        }
        // From now on those that hang are no evidence any more, so they cannot give back places that are not theirs.
        Self { count: Trials { under_way: 1, ..trials }.pack(), until_ms: now_ns / NANOS_PER_MS, ..self }
    }

    pub(super) fn after_success(self, began_ns: u64, is_trial: bool, now_ns: u64, config: &Config) -> Self {
        if self.phase == Phase::Closed {
            return Self { count: 0, ..self };
        }
        if !self.is_half_open(now_ns) || self.is_older(began_ns) {
            return self;
        }
        let trials = Trials::unpack(self.count);
        let succeeded = trials.succeeded + 1;
        if succeeded >= config.trials_to_close {
            return Self { phase: Phase::Closed, count: 0, ..self };
        }
        Self { count: Trials { under_way: trials.under_way.saturating_sub(u8::from(is_trial)), succeeded }.pack(), ..self }
    }

    pub(super) fn after_failure(self, began_ns: u64, evidence: Evidence, now_ns: u64, config: &Config) -> Self {
        if self.is_older(began_ns) {
            return self;
        }
        if self.phase != Phase::Closed {
            // Also a call that was made although all places were taken: it has seen the same.
            return self.opened(evidence, now_ns, config);
        }
        let failures = self.count.saturating_add(1);
        let too_many = config.failures_in_row.is_some_and(|max| failures >= max);
        if too_many || evidence != Evidence::One { self.opened(evidence, now_ns, config) } else { Self { count: failures, ..self } }
    }

    pub(super) fn after_abandoned(self, began_ns: u64) -> Self {
        if self.phase == Phase::Closed || self.is_older(began_ns) {
            return self;
        }
        let trials = Trials::unpack(self.count);
        Self { count: Trials { under_way: trials.under_way.saturating_sub(1), ..trials }.pack(), ..self }
    }

    pub(super) fn after_probe(self, now_ns: u64) -> Self {
        let ends_early = self.phase == Phase::OpenConclusive && now_ns < self.until_ns();
        if ends_early { Self { until_ms: now_ns / NANOS_PER_MS, ..self } } else { self }
    }

    pub(super) fn after_cause_is_gone(self) -> Self {
        if self.phase == Phase::OpenConclusive { Self { phase: Phase::Closed, count: 0, ..self } } else { self }
    }

    fn opened(self, evidence: Evidence, now_ns: u64, config: &Config) -> Self {
        let closed_ms = (now_ns / NANOS_PER_MS).saturating_sub(self.until_ms);
        let forgiven = closed_ms / (config.forgive_after.as_millis() as u64).max(1);
        let doublings = u64::from(self.doublings).saturating_sub(forgiven) as u8;
        let lasts = config.open_base.saturating_mul(1 << doublings.min(31)).min(config.open_max);
        let until_ns = now_ns.saturating_add(u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX));
        Self {
            phase: if evidence == Evidence::Conclusive { Phase::OpenConclusive } else { Phase::OpenOrdinary },
            count: 0,
            // Doublings beyond the maximum would only take longer to forgive.
            doublings: if lasts < config.open_max { doublings.saturating_add(1) } else { doublings },
            until_ms: until_ns.div_ceil(NANOS_PER_MS).min(UNTIL_MAX_MS),
        }
    }

    /// What the change from `before` to this state did, if it was an opening.
    pub(super) fn opened_since(self, before: Self, now_ns: u64) -> Option<Opened> {
        let opened = self != before && self.phase != Phase::Closed && now_ns < self.until_ns();
        opened.then(|| Opened { until_ns: self.until_ns(), lasts: Duration::from_nanos(self.until_ns().saturating_sub(now_ns)) })
    }
}
