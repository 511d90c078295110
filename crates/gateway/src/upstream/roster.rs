//! The members of an upstream as they stand: everybody, and those who may take requests, by priority.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::Member;
use crate::balance::{self, Balancer};
use crate::outlier::Eligibility;

/// Counts how often members of an upstream have become unwell. As long as it stands still, enough of them stay well.
#[derive(Clone, Default)]
pub(crate) struct Setbacks(Arc<AtomicU64>);

impl Setbacks {
    /// One more, which can be seen by now.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Release);
    }

    fn count(&self) -> u64 {
        self.0.load(Acquire)
    }
}

/// Those of one priority.
pub(super) struct Tier {
    pub(super) balancer: Balancer<Arc<Member>>,
    /// The setbacks after which enough of them were found well.
    enough_after: AtomicU64,
}

impl Tier {
    fn new(config: balance::Config, members: &[Arc<Member>]) -> Self {
        Self { balancer: Balancer::new(config, members.to_vec()), enough_after: AtomicU64::new(u64::MAX) }
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        self.balancer.members()
    }

    /// Who may take a request. Counting the well ones costs the more the more members there are, so it is done after setbacks only.
    pub(super) fn eligibility(&self, setbacks: &Setbacks, panic_threshold: f32, now: u64) -> Eligibility {
        let setbacks = setbacks.count();
        if self.enough_after.load(Relaxed) == setbacks {
            return Eligibility::Good;
        }
        let eligibility = self.counted(panic_threshold, now);
        if eligibility == Eligibility::Good {
            self.enough_after.store(setbacks, Relaxed);
        }
        eligibility
    }

    /// The same at this moment.
    pub(super) fn counted(&self, panic_threshold: f32, now: u64) -> Eligibility {
        Eligibility::of(self.members().iter().map(|member| member.is_good(now)), panic_threshold)
    }
}

#[derive(Default)]
pub(super) struct Roster {
    /// Everybody, for probes and the status page.
    pub(super) all: Vec<Arc<Member>>,
    /// Those that have been ready once and are not draining: those of one priority together, the lowest first.
    tiers: Vec<Tier>,
}

impl Roster {
    pub(super) fn new(all: Vec<Arc<Member>>, config: balance::Config) -> Self {
        let mut active: Vec<_> = all.iter().filter(|member| member.is_active()).cloned().collect();
        active.sort_by_key(|member| member.priority());
        let tiers = active.chunk_by(|one, next| one.priority() == next.priority()).map(|tier| Tier::new(config, tier));
        Self { tiers: tiers.collect(), all }
    }

    /// How many may take requests.
    pub(super) fn active(&self) -> usize {
        self.tiers.iter().map(|tier| tier.members().len()).sum()
    }

    /// Whose turn it is: the first in which somebody is well who was not tried before; if nobody is, whoever was not tried at all.
    pub(super) fn tier(&self, tried: &[u64], now: u64) -> Option<&Tier> {
        if let [] | [_] = self.tiers[..] {
            return self.tiers.first();
        }
        let is_new = |member: &Arc<Member>| !tried.contains(&member.slot);
        let well = self.tiers.iter().find(|tier| tier.members().iter().any(|member| is_new(member) && member.is_good(now)));
        let untried = || self.tiers.iter().find(|tier| tier.members().iter().any(is_new));
        well.or_else(untried).or(self.tiers.first())
    }
}
