//! How many requests the instances work on at once, who waits for a place, and who is turned away.
//!
//! An application that is given more than it can do does not do as much as it can: it does less, and too late. [`Admission`] finds by
//! measurement how many requests at once are enough to keep the instances fully busy, gives out that many places, lets the rest wait a
//! moment, and refuses at once what could not be served in time. `docs/admission.md` has the reasoning and the figures.
//!
//! One `Admission` stands before one pool of instances and is shared by all threads. While nobody waits a request costs a few atomics
//! and two looks at the clock; the lock is taken only when somebody waits. There is no background task and no timer but the waiters' own.

mod clock;
mod config;
mod load_line;
mod permit;
mod place;
mod queue;
mod wait;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

pub use config::Config;
pub use load_line::{LoadLine, Refused};
pub use permit::{Outcome, Permit};

use self::place::Place;
use self::queue::{Arrival, Cause, Denial, Next, Queue};
use self::wait::Verdict;
use crate::priority::Priority;
use crate::refusal::Refusal;
use crate::respond::Reason;

/// What a request says about itself when it asks for a place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask {
    pub priority: Priority,
    /// A hash of whoever the request is made for; 0 is nobody in particular. Tenants that wait take turns.
    pub tenant: u64,
    /// When its answer is no longer of use to anybody.
    pub deadline: Option<Instant>,
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
    config: Config,
    limit: AtomicUsize,
    in_flight: AtomicUsize,
    /// The length of the queue, readable without its lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue<oneshot::Sender<Verdict>>>,
}

impl Admission {
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(config.limit_initial),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(Queue::new(config.waiters_max)),
            config,
        })
    }

    /// A place, if one is free and nobody waits for it: for hedges and further attempts, which must never displace a first one.
    pub fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        (self.waiting.load(SeqCst) == 0 && self.take()).then(|| Permit::new(Arc::clone(self), clock::now_ns(), 0))
    }

    /// A place, after a short wait if need be, or the refusal to answer with. Dropping the future leaves the queue at once.
    pub async fn enter(self: &Arc<Self>, ask: &Ask) -> Result<Permit, Refusal> {
        let now_ns = clock::now_ns();
        if self.waiting.load(SeqCst) == 0 && self.take() {
            return Ok(Permit::new(Arc::clone(self), now_ns, 0));
        }
        let deadline_ns = ask.deadline.map_or(u64::MAX, clock::to_ns);
        let arrival = Arrival { now_ns, priority: ask.priority, tenant: ask.tenant, deadline_ns };
        // Boxed because it is rare: the futures of requests that do not wait stay small.
        Box::pin(wait::wait(self, arrival)).await.map_err(|denial| refusal(&denial))
    }

    /// How many instances there are: the initial limit and its floor are per instance.
    pub fn set_instances(&self, count: usize) {
        self.limit.store(self.config.limit_initial * count.max(1), SeqCst);
    }

    /// The picture of this moment.
    pub fn load(&self) -> LoadLine {
        LoadLine {
            limit: self.limit.load(SeqCst),
            in_flight: self.in_flight.load(SeqCst),
            waiting: self.lock_queue().waiting(),
            ..LoadLine::default()
        }
    }

    fn take(&self) -> bool {
        let limit = self.limit.load(SeqCst);
        self.in_flight.fetch_update(SeqCst, SeqCst, |taken| (taken < limit).then_some(taken + 1)).is_ok()
    }

    fn give_back(self: &Arc<Self>) {
        self.in_flight.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.hand_out(clock::now_ns());
        }
    }

    fn complete(self: &Arc<Self>, _now_ns: u64, _began_ns: u64, _outcome: Outcome) {
        self.give_back();
    }

    fn abandon(self: &Arc<Self>, _now_ns: u64, _began_ns: u64) {
        self.give_back();
    }

    /// A place at once (None), or a ticket.
    fn join(self: &Arc<Self>, arrival: Arrival, sender: oneshot::Sender<Verdict>) -> Result<Option<u64>, Denial> {
        let mut queue = self.lock_queue();
        if queue.len() == 0 && self.take() {
            return Ok(None);
        }
        let (ticket, displaced) = queue.arrive(arrival, sender)?;
        self.waiting.store(queue.len(), SeqCst);
        drop(queue);
        if let Some((displaced, denial)) = displaced {
            // Whoever has left meanwhile needs no answer.
            let _ = displaced.send(Err(denial));
        }
        // A place that came free before the count said that somebody waits.
        self.hand_out(arrival.now_ns);
        Ok(Some(ticket))
    }

    fn leave(&self, ticket: u64) -> bool {
        let mut queue = self.lock_queue();
        let left = queue.leave(ticket);
        self.waiting.store(queue.len(), SeqCst);
        left
    }

    /// Gives every free place to whoever is next. One at a time, so that verdicts are delivered outside of the lock.
    fn hand_out(self: &Arc<Self>, now_ns: u64) {
        loop {
            let mut queue = self.lock_queue();
            if queue.len() == 0 || !self.take() {
                return;
            }
            let next = queue.next(now_ns, 0);
            self.waiting.store(queue.len(), SeqCst);
            match next {
                Some(Next::Admit(sender)) => {
                    drop(queue);
                    // If it has left, the place comes back by being dropped.
                    let _ = sender.send(Ok(Place::new(Arc::clone(self))));
                }
                Some(Next::Deny(sender, denial)) => {
                    self.in_flight.fetch_sub(1, SeqCst);
                    drop(queue);
                    let _ = sender.send(Err(denial));
                }
                None => {
                    self.in_flight.fetch_sub(1, SeqCst);
                    return;
                }
            }
        }
    }

    fn tick(self: &Arc<Self>, now_ns: u64) {
        self.hand_out(now_ns);
    }

    fn patience_ends_ns(&self, arrival: &Arrival) -> u64 {
        arrival.deadline_ns.min(arrival.now_ns + self.config.queue_wait_max.as_nanos() as u64)
    }

    #[expect(clippy::unused_self, reason = "until lingering places wake waiters")]
    fn wake_ns(&self, patience_ends_ns: u64) -> u64 {
        patience_ends_ns
    }

    #[expect(clippy::unused_self, reason = "until it is counted")]
    fn count_waited(&self) {}

    #[expect(clippy::unused_self, reason = "until the drain rate is measured")]
    fn denial(&self, cause: Cause) -> Denial {
        Denial { cause, retry_after_ns: 1_000_000_000 }
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue<oneshot::Sender<Verdict>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
    Refusal::new(reason, detail).with_retry_after(std::time::Duration::from_nanos(denial.retry_after_ns))
}
