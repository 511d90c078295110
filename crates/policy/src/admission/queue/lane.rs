//! The waiters of one class: tenants take turns, each tenant's own come in order.
//!
//! Turns are kept by start-time fair queueing: each waiter is stamped with the round in which it is due, one round later than the one
//! before it of the same tenant. Whoever has the earliest stamp is next. Nothing is kept of a tenant that does not wait, so what the lane
//! knows is bounded by who stands in it.
//!
//! Who comes with nobody of its own waiting is given credit: it may be stamped a few rounds before the one that is being served, so that a
//! light tenant does not wait behind its own requests whenever two or three come together. While credit is used the rounds go on, a little
//! slower, so that whoever is passed by has its turn after all: however many light tenants there are, a heavy one keeps three quarters of
//! its share.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::rate::Rate;
use super::{Arrival, CALM_AFTER_NS};
use crate::priority::Priority;

/// Rounds are counted in these parts.
const ROUND: u64 = 1 << 16;
/// How far before the present round a stamp may lie.
const CREDIT: u64 = 4 * ROUND;

/// Proof of a stand in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Ticket {
    pub priority: Priority,
    pub number: u64,
}

/// Whose turn it is among a tenant's waiters. The simulator knows other orders, to compare with.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) enum Order {
    #[default]
    OldestFirst,
    /// Where there is no room, whoever has waited longest goes instead of whoever came last.
    #[cfg(test)]
    NewestFirst,
    #[cfg(test)]
    NewestFirstWhileOverloaded,
}

/// The round in which a waiter is due; within a round whoever came first.
type Turn = (u64, u64);

#[derive(Debug)]
pub(super) struct Waiter<W> {
    pub joined_ns: u64,
    pub deadline_ns: u64,
    pub start_by_ns: u64,
    pub payload: W,
    tenant: u64,
}

#[derive(Debug)]
pub(super) struct Lane<W> {
    pub order: Order,
    waiters: BTreeMap<Turn, Waiter<W>>,
    /// The rounds of the tickets, oldest ticket first.
    rounds: BTreeMap<u64, u64>,
    tenants: HashMap<u64, BTreeSet<Turn>>,
    /// How many each tenant has waiting, for the longest.
    lengths: BTreeSet<(usize, u64)>,
    /// The round that is being served. Never goes back.
    round: u64,
    called: Rate,
    turned_away: Rate,
    overloaded: bool,
    turned_away_ns: u64,
    /// Since when somebody has been waiting without a break, and who came since.
    busy_since_ns: u64,
    arrivals: u64,
}

impl<W> Default for Lane<W> {
    fn default() -> Self {
        Self {
            order: Order::default(),
            waiters: BTreeMap::new(),
            rounds: BTreeMap::new(),
            tenants: HashMap::new(),
            lengths: BTreeSet::new(),
            round: CREDIT,
            called: Rate::default(),
            turned_away: Rate::default(),
            overloaded: false,
            turned_away_ns: 0,
            busy_since_ns: 0,
            arrivals: 0,
        }
    }
}

impl<W> Lane<W> {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Somebody came, whatever becomes of it.
    pub(super) fn arrived(&mut self, now_ns: u64) {
        if self.waiters.is_empty() {
            self.busy_since_ns = now_ns;
            self.arrivals = 0;
        }
        self.arrivals += 1;
    }

    pub(super) fn busy_since_ns(&self) -> u64 {
        self.busy_since_ns
    }

    /// Arrivals per second since the queue was last empty, if that is long enough ago.
    pub(super) fn arrivals_per_second(&self, now_ns: u64, long_enough_ns: u64) -> Option<f64> {
        let busy_ns = now_ns.saturating_sub(self.busy_since_ns);
        (busy_ns >= long_enough_ns).then(|| self.arrivals as f64 * 1e9 / busy_ns as f64)
    }

    pub(super) fn push(&mut self, number: u64, arrival: &Arrival, payload: W) {
        let Arrival { now_ns, tenant, deadline_ns, start_by_ns, .. } = *arrival;
        let turns = self.tenants.entry(tenant).or_default();
        let earliest = self.round - CREDIT;
        let round = turns.last().map_or(earliest, |(last, _)| (last + ROUND).max(earliest));
        let before = turns.len();
        turns.insert((round, number));
        self.lengths.remove(&(before, tenant));
        self.lengths.insert((before + 1, tenant));
        self.rounds.insert(number, round);
        self.waiters.insert((round, number), Waiter { joined_ns: now_ns, deadline_ns, start_by_ns, payload, tenant });
    }

    /// Whoever is due.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<Waiter<W>> {
        let (&turn, _) = if self.is_newest_first(now_ns) { self.waiters.last_key_value() } else { self.waiters.first_key_value() }?;
        let uses_credit = turn.0 < self.round;
        self.round = if uses_credit { self.round + ROUND * 3 / 4 / self.tenants.len() as u64 } else { turn.0 };
        self.called.add(now_ns);
        self.take(turn)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Waiter<W>> {
        let round = *self.rounds.get(&number)?;
        self.take((round, number))
    }

    /// Of the tenant that has most waiting, whoever would be called last: who floods, pays.
    pub(super) fn pop_last_of_longest(&mut self, now_ns: u64) -> Option<Waiter<W>> {
        let &(_, tenant) = self.lengths.last()?;
        let turns = self.tenants.get(&tenant)?;
        let turn = if self.is_newest_first(now_ns) { turns.first() } else { turns.last() }?;
        self.take(*turn)
    }

    #[cfg_attr(not(test), expect(unused_variables, reason = "the one order is the same at all times"))]
    pub(super) fn is_newest_first(&self, now_ns: u64) -> bool {
        match self.order {
            Order::OldestFirst => false,
            #[cfg(test)]
            Order::NewestFirst => true,
            #[cfg(test)]
            Order::NewestFirstWhileOverloaded => self.is_overloaded(now_ns),
        }
    }

    pub(super) fn longest(&self) -> usize {
        self.lengths.last().map_or(0, |(length, _)| *length)
    }

    pub(super) fn waiting_of(&self, tenant: u64) -> usize {
        self.tenants.get(&tenant).map_or(0, BTreeSet::len)
    }

    /// How long the oldest has been waiting.
    pub(super) fn head_age_ns(&self, now_ns: u64) -> u64 {
        let oldest = self.rounds.first_key_value().and_then(|(&number, &round)| self.waiters.get(&(round, number)));
        oldest.map_or(0, |waiter| now_ns.saturating_sub(waiter.joined_ns))
    }

    pub(super) fn is_overloaded(&self, now_ns: u64) -> bool {
        self.overloaded && now_ns < self.turned_away_ns + CALM_AFTER_NS
    }

    /// Somebody of this class was turned away for want of room.
    pub(super) fn turned_away(&mut self, now_ns: u64) {
        self.overloaded = true;
        self.turned_away_ns = now_ns;
        self.turned_away.add(now_ns);
    }

    /// Calls per second, lately.
    pub(super) fn rate(&self, now_ns: u64) -> f64 {
        self.called.per_second(now_ns)
    }

    pub(super) fn turned_away_rate(&self, now_ns: u64) -> f64 {
        self.turned_away.per_second(now_ns)
    }

    fn take(&mut self, turn: Turn) -> Option<Waiter<W>> {
        let waiter = self.waiters.remove(&turn)?;
        self.rounds.remove(&turn.1);
        let turns = self.tenants.get_mut(&waiter.tenant).expect("whoever waits is among its tenant's");
        let before = turns.len();
        turns.remove(&turn);
        self.lengths.remove(&(before, waiter.tenant));
        if before > 1 {
            self.lengths.insert((before - 1, waiter.tenant));
        } else {
            self.tenants.remove(&waiter.tenant);
        }
        Some(waiter)
    }
}
