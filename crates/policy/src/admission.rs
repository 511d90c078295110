//! How many requests the instances work on at once, who waits for a place, and who is turned away.
//!
//! An application that is given more than it can do does not do as much as it can: it does less, and too late. [`Admission`] finds by
//! measurement how many requests at once are enough to keep the instances fully busy, gives out that many places, lets the rest wait a
//! moment, and refuses at once what could not be served in time. `docs/admission.md` has the reasoning and the figures.
//!
//! One `Admission` stands before one pool of instances and is shared by all threads. While nobody waits a request costs a few atomics
//! and two looks at the clock; the lock is taken only when somebody waits. There is no background task and no timer but the waiters' own.

pub(crate) mod config;
mod gate;
pub mod layer;
mod limiter;
mod lingering;
mod load_line;
mod meter;
mod permit;
mod place;
mod queue;
mod quick;
mod rate;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub use config::Config;
pub use load_line::{LoadLine, Refused};
pub use permit::{Outcome, Permit};
pub use quick::kind;

use self::gate::{Gate, Verdict};
use self::place::Place;
use self::queue::{Arrival, Cause, Denial};
use crate::clock;
use crate::priority::Priority;
use crate::refusal::Refusal;
use crate::respond::Reason;

/// Where a waiter expects its place. If the place is not taken out, it goes back by being dropped.
type Waiter = oneshot::Sender<Result<Place, Denial>>;

/// What a request says about itself when it asks for a place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask {
    pub priority: Priority,
    /// A hash of whoever the request is made for; 0 is nobody in particular. Tenants that wait take turns.
    pub tenant: u64,
    /// When its answer is no longer of use to anybody.
    pub deadline: Option<Instant>,
    /// What kind of request it is, as told by [`kind`]: whether a deadline can be met is judged by answers of the same kind.
    pub kind: u8,
}

/// The gate in front of a pool of instances.
///
/// ```
/// use plimsoll_policy::admission::{Admission, Ask, Config, Outcome};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let admission = Admission::new(Config::default());
/// match admission.enter(&Ask::default()).await {
///     Ok(permit) => {
///         // … the instance answers …
///         permit.finish(Outcome::Served);
///     }
///     Err(refusal) => assert_eq!(refusal.status(), 503),
/// }
/// # });
/// ```
#[derive(Debug)]
pub struct Admission {
    gate: Gate<Waiter>,
}

impl Admission {
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(config, clock::now_ns()) })
    }

    /// A place, if one is free and nobody waits for it: for hedges and further attempts, which must never displace a first one.
    pub fn try_enter(self: &Arc<Self>, ask: &Ask) -> Option<Permit> {
        let now_ns = clock::now_ns();
        let is_in = self.gate.try_enter(now_ns, &mut self.delivery());
        is_in.then(|| Permit::new(Arc::clone(self), ask.kind, now_ns, 0))
    }

    /// A place, after a short wait if need be, or the refusal to answer with. Dropping the future leaves the queue at once.
    pub async fn enter(self: &Arc<Self>, ask: &Ask) -> Result<Permit, Refusal> {
        let now_ns = clock::now_ns();
        let (deadline_ns, start_by_ns) = match ask.deadline {
            None => (u64::MAX, u64::MAX),
            Some(deadline) => {
                let deadline_ns = clock::to_ns(deadline);
                let start_by_ns = self.gate.start_by_ns(ask.kind, ask.priority, deadline_ns, now_ns).map_err(|denial| refusal(&denial))?;
                (deadline_ns, start_by_ns)
            }
        };
        if self.gate.try_enter(now_ns, &mut self.delivery()) {
            return Ok(Permit::new(Arc::clone(self), ask.kind, now_ns, 0));
        }
        let arrival = Arrival { now_ns, priority: ask.priority, tenant: ask.tenant, deadline_ns, start_by_ns };
        // Boxed because it is rare: the futures of requests that do not wait stay small.
        Box::pin(wait::wait(self, ask.kind, arrival)).await.map_err(|denial| refusal(&denial))
    }

    /// How many instances there are: the initial limit and its floor are per instance, and what was found scales with them.
    pub fn set_instances(self: &Arc<Self>, count: usize) {
        self.gate.set_instances(count, clock::now_ns(), &mut self.delivery());
    }

    /// How many requests at once the pool is trusted with now.
    pub fn limit(&self) -> usize {
        self.gate.limit()
    }

    /// The picture of this moment.
    pub fn load(&self) -> LoadLine {
        self.gate.load(clock::now_ns())
    }

    /// How verdicts reach those who wait. One that has left meanwhile needs none.
    fn delivery(self: &Arc<Self>) -> impl FnMut(Waiter, Verdict) {
        |waiter, verdict| {
            let _ = waiter.send(verdict.map(|()| Place::new(Arc::clone(self))));
        }
    }
}

fn refusal(denial: &Denial) -> Refusal {
    let (reason, detail) = match denial.cause {
        Cause::Overloaded => (Reason::Overloaded, "more requests arrive than can be served in time"),
        Cause::WaitedTooLong => (Reason::Overloaded, "no instance had room for the request in time"),
        Cause::Displaced => (Reason::Overloaded, "the request made way for others"),
        Cause::DeadlinePassed => (Reason::DeadlinePassed, "the deadline passed before an instance had room for the request"),
        Cause::DeadlineUnreachable => (Reason::DeadlineUnreachable, "the time left is shorter than an answer takes"),
    };
    Refusal::new(reason, detail).with_retry_after(Duration::from_secs_f64(denial.retry_after_s))
}
