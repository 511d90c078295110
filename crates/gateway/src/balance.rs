//! Which member takes the request: pure decisions over live atomics, shared by all workers, without a lock or an allocation.
//!
//! | policy | chooses | cost of a pick |
//! |---|---|---|
//! | round robin | the next in an exact, interleaved weighted order | constant; one shared cursor |
//! | least connections | the fewest requests in flight per weight | reads every eligible member |
//! | P2C on peak-EWMA | the cheaper of two drawn by weight | constant |
//! | consistent hash | the key's owner | one short row per member |
//!
//! *Slow start.* A member that has just become available takes a growing share for [`Config::slow_start`]: its weight counts for its age
//! over the age of the oldest member, at least a tenth. Being relative, it holds nobody back when the whole fleet is fresh. Consistent
//! hash ignores it, because keys would move twice.

mod load;
mod rendezvous;
mod schedule;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

pub use load::{InFlight, Load};
pub use rendezvous::hash_key;
pub use schedule::{Weight, WeightError};

use rendezvous::Place;
use schedule::Schedule;

/// Draws of a random member before all of them are looked at: enough while most are eligible.
const QUICK_DRAWS: usize = 4;

/// Estimates this close count as equal, so that weights and load decide between them and not the noise of the last answers.
const ALIKE: f32 = 1.25;

/// The share that a member starts with.
const SLOW_START_FLOOR: f32 = 0.1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    RoundRobin,
    LeastConnections,
    #[default]
    P2cEwma,
    /// Requests without a key are balanced by [`Policy::P2cEwma`].
    ConsistentHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub policy: Policy,
    /// The time constant of the latency estimate. Longer remembers a slow answer longer and tries a slow member less often.
    pub decay: Duration,
    pub slow_start: Duration,
}

impl Default for Config {
    fn default() -> Self {
        // One second: an answer that took thirty times as long as others, as the first one of a new process may, is forgiven within five.
        Self { policy: Policy::default(), decay: Duration::from_secs(1), slow_start: Duration::from_secs(10) }
    }
}

/// What the balancer must know of a member.
pub trait Member {
    /// Its name: what consistent hashing tells it by, in this process and the next.
    fn id(&self) -> &str;
    fn weight(&self) -> Weight;
    fn load(&self) -> &Load;
}

impl<M: Member + ?Sized> Member for Arc<M> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn weight(&self) -> Weight {
        (**self).weight()
    }

    fn load(&self) -> &Load {
        (**self).load()
    }
}

/// The members of one upstream and the rule that chooses among them. A change of membership makes a new one; loads live in the members.
#[derive(Debug)]
pub struct Balancer<M> {
    config: Config,
    members: Box<[M]>,
    schedule: Schedule,
    places: Box<[Place]>,
    equal_weights: bool,
    cursor: Cursor,
    oldest: Oldest,
}

/// Since when the oldest member is available, looked up anew from time to time: for as long as members are fresh, every pick asks.
#[derive(Debug, Default)]
struct Oldest {
    from_ns: AtomicU64,
    looked_at_ns: AtomicU64,
}

impl Oldest {
    /// How old the age of the oldest member may be: nothing to a slow start of seconds.
    const STALE_AFTER_NS: u64 = 10_000_000;

    /// Its age. Two workers that look at the same time find the same.
    fn age_ns<M: Member>(&self, members: &[M], now_ns: u64) -> u64 {
        let looked_at_ns = self.looked_at_ns.load(Relaxed);
        if looked_at_ns == 0 || now_ns.abs_diff(looked_at_ns) > Self::STALE_AFTER_NS {
            let oldest_ns = members.iter().map(|member| member.load().age_ns(now_ns)).fold(0, u64::max);
            self.from_ns.store(now_ns - oldest_ns, Relaxed);
            self.looked_at_ns.store(now_ns, Relaxed);
        }
        now_ns.saturating_sub(self.from_ns.load(Relaxed))
    }
}

/// On its own cache line: every round-robin pick of every worker writes it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cursor(AtomicUsize);

impl<M: Member> Balancer<M> {
    pub fn new(config: Config, members: Vec<M>) -> Self {
        let weights: Vec<_> = members.iter().map(Member::weight).collect();
        Self {
            config,
            schedule: Schedule::new(&weights),
            places: members.iter().map(|member| Place::new(member.id(), member.weight())).collect(),
            equal_weights: weights.windows(2).all(|pair| pair[0] == pair[1]),
            members: members.into(),
            cursor: Cursor::default(),
            oldest: Oldest::default(),
        }
    }

    pub fn members(&self) -> &[M] {
        &self.members
    }

    /// The member for one attempt, or `None` when nobody is eligible. `eligible` also leaves out the members tried before.
    pub fn pick(&self, eligible: impl Fn(usize) -> bool, key: Option<u64>, now_ns: u64, rng: &mut fastrand::Rng) -> Option<usize> {
        let mut pick = Pick { balancer: self, eligible, now_ns, rng };
        match (self.config.policy, key) {
            (Policy::RoundRobin, _) => pick.in_turn(),
            (Policy::LeastConnections, _) => pick.least_connections(),
            (Policy::ConsistentHash, Some(key)) => rendezvous::choose(&self.places, self.equal_weights, pick.eligible, key),
            (Policy::P2cEwma, _) | (Policy::ConsistentHash, None) => pick.cheaper_of_two(),
        }
    }
}

/// One decision under way.
struct Pick<'a, M, E> {
    balancer: &'a Balancer<M>,
    eligible: E,
    now_ns: u64,
    rng: &'a mut fastrand::Rng,
}

impl<M: Member, E: Fn(usize) -> bool> Pick<'_, M, E> {
    /// Turns of members that cannot take them are discarded, so the others keep their exact proportions.
    fn in_turn(&mut self) -> Option<usize> {
        for _ in 0..2 * self.balancer.members.len() {
            let turn = self.balancer.cursor.0.fetch_add(1, Relaxed);
            let member = self.balancer.schedule.turn(turn)?;
            if (self.eligible)(member) && self.accepts(member) {
                return Some(member);
            }
        }
        self.draw(None)
    }

    fn least_connections(&mut self) -> Option<usize> {
        let mut best: Option<(usize, f32)> = None;
        let mut tied = 0.0;
        for member in 0..self.balancer.members.len() {
            if !(self.eligible)(member) {
                continue;
            }
            let share = self.share(member);
            let connections = self.load(member).in_flight() as f32 / share;
            match best {
                Some((_, fewest)) if connections > fewest => {}
                Some((_, fewest)) if connections >= fewest => {
                    tied += share;
                    if self.rng.f32() * tied < share {
                        best = Some((member, connections));
                    }
                }
                _ => {
                    tied = share;
                    best = Some((member, connections));
                }
            }
        }
        best.map(|(member, _)| member)
    }

    /// Two different members drawn by weight; the first keeps the request unless the second is clearly better.
    ///
    /// Among equals the first draw decides, which makes the shares exactly the weights.
    fn cheaper_of_two(&mut self) -> Option<usize> {
        let first = self.draw(None)?;
        let Some(second) = self.draw(Some(first)) else { return Some(first) };
        let (first_share, second_share) = (self.share(first), self.share(second));
        // Requests in flight count against the weight; an idle member costs its latency, however light it is.
        let mean_share = f32::midpoint(first_share, second_share);
        let first_queue = 1.0 + self.load(first).in_flight() as f32 * mean_share / first_share;
        let second_queue = 1.0 + self.load(second).in_flight() as f32 * mean_share / second_share;
        let (first_latency, second_latency) = (self.expected_latency(first), self.expected_latency(second));
        let alike = first_latency <= second_latency * ALIKE && second_latency <= first_latency * ALIKE;
        let second_is_better = if alike { second_queue < first_queue } else { second_latency * second_queue < first_latency * first_queue };
        Some(if second_is_better { second } else { first })
    }

    /// A random eligible member in proportion to the weights.
    fn draw(&mut self, except: Option<usize>) -> Option<usize> {
        for _ in 0..QUICK_DRAWS {
            let member = self.balancer.schedule.draw(self.rng)?;
            if except != Some(member) && (self.eligible)(member) && self.accepts(member) {
                return Some(member);
            }
        }
        let mut chosen = None;
        let mut total = 0.0;
        for member in 0..self.balancer.members.len() {
            if except == Some(member) || !(self.eligible)(member) {
                continue;
            }
            let share = self.share(member);
            total += share;
            if self.rng.f32() * total < share {
                chosen = Some(member);
            }
        }
        chosen
    }

    /// Whether a member that was drawn by its full weight takes the request: always, unless it is in its slow start.
    fn accepts(&mut self, member: usize) -> bool {
        let maturity = self.maturity(member);
        maturity >= 1.0 || self.rng.f32() < maturity
    }

    fn share(&self, member: usize) -> f32 {
        self.balancer.members[member].weight().get() as f32 * self.maturity(member)
    }

    /// How far a member is through its slow start: from a tenth to one.
    fn maturity(&self, member: usize) -> f32 {
        let window_ns = self.balancer.config.slow_start.as_nanos() as u64;
        let age_ns = self.load(member).age_ns(self.now_ns);
        if age_ns >= window_ns {
            return 1.0;
        }
        let oldest_ns = self.balancer.oldest.age_ns(&self.balancer.members, self.now_ns).min(window_ns);
        if age_ns >= oldest_ns { 1.0 } else { (age_ns as f32 / oldest_ns as f32).max(SLOW_START_FLOOR) }
    }

    fn expected_latency(&self, member: usize) -> f32 {
        self.load(member).expected_latency(self.now_ns, self.balancer.config.decay)
    }

    fn load(&self, member: usize) -> &Load {
        self.balancer.members[member].load()
    }
}
