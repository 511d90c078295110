//! The members of an upstream as they stand: everybody, and those who may take requests, by priority.

use std::sync::Arc;

use super::Member;
use crate::balance::{self, Balancer};

type Tier = Balancer<Arc<Member>>;

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
        let tiers = active.chunk_by(|one, next| one.priority() == next.priority()).map(|tier| Balancer::new(config, tier.to_vec()));
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
