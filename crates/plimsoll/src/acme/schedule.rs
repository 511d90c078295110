//! When the next order for a name is due. Pure: the clock and chance come from outside.
//!
//! Authorities count: a client in a loop locks its whole domain out for a week. So failures are followed by longer and longer waits, orders are
//! limited however they end, and both are remembered over restarts and reloads.

use std::time::{Duration, SystemTime};

use plimsoll_gateway::tls::Validity;
use serde::{Deserialize, Serialize};

use super::setback::Setback;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Orders for one name within an hour: what large authorities allow to fail.
pub(super) const ORDERS_PER_NAME_MAX: usize = 5;
/// Orders for all names within an hour.
pub(super) const ORDERS_MAX: usize = 100;

/// Waits after an authority that could not be asked: no order was lost.
const FAILED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));
/// Waits after one that would not: somebody must mend something first.
const REFUSED: (Duration, Duration) = (Duration::from_mins(2), Duration::from_hours(6));
/// Waits after one that wants fewer orders and does not say until when.
const LIMITED: (Duration, Duration) = (HOUR, DAY);
/// What an authority says about waiting is believed within these bounds.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), DAY);

/// When a certificate is renewed: so long before its end, less up to a tenth so that many do not go at once. Whatever is asked for, it is used
/// for a third of its life at least, or it would be renewed all the time.
pub(super) fn renewal(validity: Validity, before: Option<Duration>, jitter: f64) -> SystemTime {
    let life = validity.not_after.duration_since(validity.not_before).unwrap_or_default();
    let before = before.unwrap_or(life / 3).min(life * 2 / 3);
    validity.not_after - before + (before / 10).mul_f64(jitter.clamp(0.0, 1.0))
}

/// When there is room for another order among those of the last hour.
pub(super) fn room(orders: &[SystemTime], now: SystemTime) -> SystemTime {
    limit(orders, ORDERS_MAX, now)
}

fn limit(orders: &[SystemTime], max: usize, now: SystemTime) -> SystemTime {
    // A time to come is a clock that was set back: it must not lock anybody out.
    let mut recent: Vec<_> = orders.iter().filter(|at| **at <= now && **at + HOUR > now).copied().collect();
    recent.sort_unstable();
    recent.len().checked_sub(max).map_or(now, |over| recent[over] + HOUR)
}

/// What is remembered of the orders for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Those of the last hour.
    orders: Vec<SystemTime>,
    /// In a row.
    failures: u32,
    /// When the last one failed, and until when nothing is ordered.
    waits: Option<(SystemTime, SystemTime)>,
}

impl Record {
    pub(super) fn orders(&self) -> impl Iterator<Item = SystemTime> {
        self.orders.iter().copied()
    }

    /// An order is about to be placed.
    pub(super) fn placed(&mut self, now: SystemTime) {
        self.orders.retain(|at| *at <= now && *at + HOUR > now);
        if self.orders.len() >= ORDERS_PER_NAME_MAX {
            self.orders.remove(0);
        }
        self.orders.push(now);
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.waits = None;
    }

    /// Returns when the next order is due.
    pub(super) fn failed(&mut self, setback: &Setback, now: SystemTime, jitter: f64) -> SystemTime {
        let (first, max) = match setback {
            Setback::Failed(_) => FAILED,
            Setback::Refused(_) => REFUSED,
            Setback::Limited(..) => LIMITED,
        };
        let doubled = first.saturating_mul(1 << self.failures.min(16)).min(max);
        // Never sooner than said: others may have been told the same.
        let wait = match setback {
            Setback::Limited(_, Some(until)) => until.duration_since(now).unwrap_or_default().clamp(RETRY_AFTER.0, RETRY_AFTER.1),
            _ => doubled,
        };
        let wait = wait + (wait / 5).mul_f64(jitter.clamp(0.0, 1.0));
        self.failures = self.failures.saturating_add(1);
        self.waits = Some((now, now + wait));
        self.not_before(now)
    }

    /// Until when nothing is ordered for this name.
    pub(super) fn not_before(&self, now: SystemTime) -> SystemTime {
        let waits = match self.waits {
            // A clock that was set back by more than a little: what was noted means nothing.
            Some((since, _)) if since > now + MINUTE => now,
            Some((_, until)) => until.max(now),
            None => now,
        };
        waits.max(limit(&self.orders, ORDERS_PER_NAME_MAX, now))
    }
}

#[cfg(test)]
mod tests;
