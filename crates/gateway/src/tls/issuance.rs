//! What became of orders for certificates (RFC 8555): counted, and what is wrong at the moment, for operators.
//!
//! Written by whoever orders, which is not the gateway; kept here because whoever watches the gateway looks here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll_telemetry::snapshot::{AcmeSnapshot, TroubleSnapshot};

/// What an order, or the attempt to place one, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// There is a certificate.
    Issued,
    /// The authority would not: it could not see what it was shown, or will not vouch for the name.
    Refused,
    /// The authority wants fewer orders for a while.
    Limited,
    /// The authority was not reached, or did not answer as it should.
    Failed,
}

impl Ordered {
    const ALL: [Self; 4] = [Self::Issued, Self::Refused, Self::Limited, Self::Failed];

    const fn slug(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }
}

/// Counts and troubles.
#[derive(Debug, Default)]
pub struct Issuance {
    orders: [AtomicU64; Ordered::ALL.len()],
    troubles: Mutex<BTreeMap<String, Trouble>>,
}

/// Why there is no certificate, or no new one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    problem: String,
    again_at: SystemTime,
}

impl Issuance {
    pub fn count(&self, ordered: Ordered) {
        self.orders[ordered as usize].fetch_add(1, Relaxed);
    }

    /// Says what is wrong with the orders for a name, and when the next one is due. True if that is news: until now all was well, or something
    /// else was wrong.
    pub fn trouble(&self, name: &str, problem: &str, again_at: SystemTime) -> bool {
        let before = self.troubles().insert(name.to_owned(), Trouble { problem: problem.to_owned(), again_at });
        before.is_none_or(|before| before.problem != problem)
    }

    /// Nothing is wrong with a name any more. True if that is news.
    pub fn well(&self, name: &str) -> bool {
        self.troubles().remove(name).is_some()
    }

    /// Goes on from what was counted and known before.
    pub(super) fn continue_from(&self, before: &Self) {
        for (count, before) in self.orders.iter().zip(&before.orders) {
            count.fetch_add(before.load(Relaxed), Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> AcmeSnapshot {
        let trouble = |(name, trouble): (&String, &Trouble)| TroubleSnapshot {
            name: name.clone(),
            problem: trouble.problem.clone(),
            again_at_unix: trouble.again_at.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        };
        AcmeSnapshot {
            orders_total: Ordered::ALL.map(|ordered| (ordered.slug().to_owned(), self.orders[ordered as usize].load(Relaxed))).into(),
            troubles: self.troubles().iter().map(trouble).collect(),
        }
    }

    fn troubles(&self) -> MutexGuard<'_, BTreeMap<String, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_trouble_is_news_once_and_so_is_its_end() {
        let issuance = Issuance::default();
        let at = UNIX_EPOCH + Duration::from_secs(7);
        assert!(!issuance.well("a.example"));
        assert!(issuance.trouble("a.example", "down", at));
        assert!(!issuance.trouble("a.example", "down", at + Duration::from_secs(1)));
        assert!(issuance.trouble("a.example", "refused", at));
        assert_eq!(
            issuance.snapshot().troubles[0],
            TroubleSnapshot { name: "a.example".into(), problem: "refused".into(), again_at_unix: 7 }
        );
        assert!(issuance.well("a.example") && !issuance.well("a.example"));
    }

    #[test]
    fn counts_go_on_after_a_reload() {
        let (before, after) = (Issuance::default(), Issuance::default());
        before.count(Ordered::Issued);
        after.count(Ordered::Issued);
        after.count(Ordered::Limited);
        after.continue_from(&before);
        let counts: Vec<_> = after.snapshot().orders_total.into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 0, 1, 0]);
    }
}
