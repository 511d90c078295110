//! A named set of instances: who is in it, who may take a request, and how each one is doing.

mod member;
mod resilience;
mod roster;
mod snapshot;
mod watched;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use plimsoll_policy::admission::{self, Admission, Ask};
use plimsoll_policy::breaker::Standing;
use plimsoll_policy::clock::now_ns;
use plimsoll_policy::{Reason, Refusal};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) use member::{Health, Member, MemberStats, Permit, with_rng};
pub(crate) use resilience::Resilience;
pub(crate) use watched::Watched;

use crate::balance;
use crate::config::UpstreamConfig;
use crate::endpoint::Endpoint;
use crate::message::Request;
use crate::outlier::Eligibility;
use roster::{Roster, Setbacks};

/// How long a request waits when there is no instance at all: long enough for a restart, short enough for a person.
const WAIT_FOR_INSTANCE: Duration = Duration::from_secs(5);

/// How long before an attempt at an instance that has just failed: time enough to learn that it is gone.
const PAUSE_BEFORE_SAME: Duration = Duration::from_millis(100);

/// No number is used twice, so a connection to a member that is gone can never be taken for one to its successor.
static NEXT_SLOT: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Upstream {
    pub(crate) config: UpstreamConfig,
    roster: ArcSwap<Roster>,
    setbacks: Setbacks,
    /// Totals by instance name: they outlive restarts.
    stats: Mutex<HashMap<Arc<str>, Arc<MemberStats>>>,
    changed: Notify,
    /// The load line; `None` lets everything through.
    pub(crate) admission: Option<Arc<Admission>>,
    pub(crate) resilience: Resilience,
}

impl Upstream {
    pub(crate) fn new(config: UpstreamConfig) -> Self {
        let roster = Roster::default();
        let admission = config.admission.clone().map(Admission::new);
        let resilience = Resilience::new(&config);
        let (roster, setbacks) = (ArcSwap::from_pointee(roster), Setbacks::default());
        Self { config, roster, setbacks, stats: Mutex::default(), changed: Notify::new(), admission, resilience }
    }

    /// Takes over a new list of endpoints. Members that are in both keep their connections, health and record.
    pub(crate) fn update(&self, endpoints: &[Endpoint]) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.retain(|id, _| endpoints.iter().any(|endpoint| endpoint.id == *id));
        let known = self.roster.load();
        let member = |endpoint: &Endpoint| {
            if let Some(same) = known.all.iter().find(|member| member.endpoint.is_same_process(endpoint)) {
                same.adopt(endpoint);
                return Arc::clone(same);
            }
            let stats = Arc::clone(stats.entry(endpoint.id.clone()).or_default());
            let (slot, setbacks) = (NEXT_SLOT.fetch_add(1, Relaxed), self.setbacks.clone());
            Arc::new(Member::new(slot, endpoint.clone(), stats, setbacks, &self.config))
        };
        self.rebuild(endpoints.iter().map(member).collect::<Vec<_>>());
    }

    /// Until other members take traffic, or might: from now on, whenever it is waited for.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Lets members that have just become ready take traffic.
    pub(crate) fn refresh(&self) {
        let _one_at_a_time = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.rebuild(self.roster.load().all.clone());
    }

    fn rebuild(&self, all: Vec<Arc<Member>>) {
        let roster = Roster::new(all, self.config.balancer());
        let active = roster.active();
        if let Some(admission) = &self.admission {
            admission.set_instances(active.max(1));
        }
        if active > 0 {
            self.resilience.somebody_is_there();
        }
        self.roster.store(Arc::new(roster));
        self.changed.notify_waiters();
    }

    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        self.roster.load().all.clone()
    }

    pub(crate) fn has_member(&self, slot: u64) -> bool {
        self.roster.load().all.iter().any(|member| member.slot == slot)
    }

    /// A place below the load line. Whoever waits for an instance to come at all waits outside: those who wait do not hold up each other.
    pub(crate) async fn enter(&self, ask: &Ask, wait_ends: Option<Instant>) -> Result<Option<admission::Permit>, Refusal> {
        let Some(admission) = &self.admission else { return Ok(None) };
        if self.roster.load().active() == 0 {
            self.wait(wait_ends, || (self.roster.load().active() > 0).then_some(())).await?;
        }
        admission.enter(ask).await.map(Some)
    }

    /// The best instance that was not tried before; waits a little when there is none at all.
    pub(crate) async fn acquire(
        &self,
        tried: &[u64],
        key: Option<u64>,
        place: Option<admission::Permit>,
        wait_ends: Option<Instant>,
    ) -> Result<Permit, Refusal> {
        let permit = |(member, now)| Permit::new(member, now, place);
        if let Some(picked) = self.pick(tried, key) {
            return Ok(permit(picked));
        }
        if !tried.is_empty() {
            // Everybody was tried a moment ago. A little later they may be well again, or be known to be gone.
            let _ = timeout(PAUSE_BEFORE_SAME, self.changed.notified()).await;
        }
        self.wait(wait_ends, || self.pick(tried, key).or_else(|| self.pick(&[], key))).await.map(permit)
    }

    /// Another instance than these, if there is one at once.
    pub(crate) fn other(&self, tried: &[u64], key: Option<u64>, place: Option<admission::Permit>) -> Result<Permit, Refusal> {
        let (member, now) = self.pick(tried, key).ok_or_else(|| self.nobody())?;
        Ok(Permit::new(member, now, place))
    }

    pub(crate) fn has_other(&self, tried: &[u64]) -> bool {
        self.pick(tried, None).is_some()
    }

    /// Another instance for an attempt that nobody misses: below the load line only where a place is free and nobody waits for it.
    pub(crate) fn spare(&self, tried: &[u64], key: Option<u64>, ask: Option<&Ask>) -> Option<Permit> {
        let place = match self.admission.as_ref().zip(ask) {
            Some((admission, ask)) => Some(admission.try_enter(ask)?),
            None => None,
        };
        self.other(tried, key, place).ok()
    }

    /// Whether requests wait for their turn, or some are refused.
    pub(crate) fn is_strained(&self) -> bool {
        let load = self.admission.as_ref().map(|admission| admission.load());
        let queues = load.is_some_and(|load| load.is_overloaded || load.waiting.iter().any(|waiting| *waiting > 0));
        queues || self.resilience.breaker.as_ref().is_some_and(|breaker| breaker.standing(now_ns()) != Standing::Closed)
    }

    /// Until somebody is there, for as long as a restart may take.
    async fn wait<T>(&self, wait_ends: Option<Instant>, found: impl Fn() -> Option<T>) -> Result<T, Refusal> {
        let patience_ends = Instant::now() + WAIT_FOR_INSTANCE;
        let wait_ends = wait_ends.map_or(patience_ends, |end| end.min(patience_ends));
        loop {
            let changed = self.changed.notified();
            if let Some(found) = found() {
                return Ok(found);
            }
            if timeout_at(wait_ends, changed).await.is_err() {
                return Err(self.nobody());
            }
        }
    }

    fn nobody(&self) -> Refusal {
        let what = if self.roster.load().all.is_empty() { "server: no name of it resolves" } else { "instance that is ready" };
        let detail = format!("upstream `{}` has no {what}", self.config.name);
        Refusal::new(Reason::NoInstance, detail).with_retry_after(Duration::from_secs(1))
    }

    /// One that has its share of the load line already is passed over while another has not: a member that answers nothing must not swallow
    /// all places.
    fn pick(&self, tried: &[u64], key: Option<u64>) -> Option<(Arc<Member>, u64)> {
        let roster = self.roster.load();
        let now = now_ns();
        let tier = roster.tier(tried, now)?;
        let (members, balancer) = (tier.members(), &tier.balancer);
        let share = self.admission.as_ref().map_or(u32::MAX, |admission| share(admission.limit(), members.len()));
        let choose = |eligibility: Eligibility| {
            let may = |index: usize| eligibility.admits(members[index].is_good(now)) && !tried.contains(&members[index].slot);
            // Whoever is kept on one instance stays there, however full it is.
            let has_room = |index: usize| may(index) && (key.is_some() || members[index].in_flight() < share);
            with_rng(|rng| balancer.pick(has_room, key, now, rng).or_else(|| balancer.pick(may, key, now, rng)))
        };
        let threshold = self.config.ejection.panic_threshold;
        // Who is tried out after an ejection takes only so many, without having had a setback since they were counted.
        let chosen = choose(tier.eligibility(&self.setbacks, threshold, now)).or_else(|| choose(tier.counted(threshold, now)))?;
        Some((Arc::clone(&members[chosen]), now))
    }

    /// What consistent hashing keeps together; `None` under other policies.
    pub(crate) fn hash_key(&self, request: &Request, client: IpAddr) -> Option<u64> {
        let hashes = self.config.balance == balance::Policy::ConsistentHash;
        if hashes { self.config.hash_on.key(request, client) } else { None }
    }
}

/// How much of the load line one of so many members may take: twice its part, since members differ.
fn share(limit: usize, members: usize) -> u32 {
    u32::try_from(limit.div_ceil(members.max(1)).saturating_mul(2)).unwrap_or(u32::MAX)
}

impl UpstreamConfig {
    fn balancer(&self) -> balance::Config {
        balance::Config { policy: self.balance, ..balance::Config::default() }
    }
}
