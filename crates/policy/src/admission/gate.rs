//! Places, queue, meter and limiter, put together. Time is told and verdicts are handed to the caller, so the simulator runs this very code.
//!
//! The count of places and the count of waiters are the two sides of one agreement: whoever joins the queue first raises the count of
//! waiters and then looks for a free place; whoever gives a place back first lowers the count of places and then looks for waiters. All
//! four are sequentially consistent, so one of the two sees the other, and no place lies idle while somebody waits for it.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::config::Config;
use super::limiter::{Bounds, Limit, Limiter};
use super::lingering::{self, Lingering};
use super::load_line::{LoadLine, Refused};
use super::meter::Meter;
use super::queue::{self, Arrival, Arrived, Cause, Denial, Next, Queue, Ticket};
use super::quick::Quickest;
use super::{Outcome, limiter};
use crate::priority::Priority;

/// What somebody who waits hears in the end: a place, which is theirs from now on, or a denial.
pub(super) type Verdict = Result<(), Denial>;

#[derive(Debug)]
pub(super) struct Gate<W, L = Limiter> {
    config: Config,
    limit: AtomicUsize,
    in_flight: AtomicUsize,
    /// The length of the queue, readable without its lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue<W>>,
    meter: Meter,
    quickest: Quickest,
    limiter: Mutex<L>,
    lingering: Lingering,
    admitted: AtomicU64,
    waited: AtomicU64,
    /// By class, then by cause.
    refused: [[AtomicU64; 4]; 3],
}

impl<W> Gate<W> {
    pub(super) fn new(config: Config, now_ns: u64) -> Self {
        let limiter = Limiter::new(limits(&config, 1));
        Self::with(config, limiter, now_ns)
    }
}

impl<W, L: Limit> Gate<W, L> {
    pub(super) fn with(config: Config, limiter: L, now_ns: u64) -> Self {
        let bounds = limits(&config, 1);
        Self {
            limit: AtomicUsize::new(bounds.initial),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(Queue::new(queue_bounds(&config))),
            meter: Meter::new(now_ns),
            quickest: Quickest::default(),
            limiter: Mutex::new(limiter),
            lingering: Lingering::default(),
            admitted: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            refused: Default::default(),
            config,
        }
    }

    /// The hot path: a place, if one is free and nobody waits for it.
    pub(super) fn try_enter(&self, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) -> bool {
        if now_ns >= self.lingering.next_ns() {
            self.tick(now_ns, deliver);
        }
        let is_in = self.waiting.load(SeqCst) == 0 && self.take();
        if is_in {
            self.admitted.fetch_add(1, Relaxed);
        }
        is_in
    }

    /// Until when work of this kind must begin. A deadline that cannot be met is refused before anything is done for it.
    pub(super) fn start_by_ns(&self, kind: u8, priority: Priority, deadline_ns: u64, now_ns: u64) -> Result<u64, Denial> {
        let start_by_ns = deadline_ns.saturating_sub(self.quickest.of(kind));
        if now_ns < deadline_ns && now_ns <= start_by_ns {
            return Ok(start_by_ns);
        }
        let cause = if now_ns >= deadline_ns {
            Cause::DeadlinePassed
        } else {
            self.quickest.doubt(kind);
            Cause::DeadlineUnreachable
        };
        let denial = self.lock_queue().denial(priority as usize, cause, now_ns);
        self.count_refused(&denial);
        Err(denial)
    }

    /// For whom there was no place at once: a place after all (None), a ticket, or a denial.
    pub(super) fn join(&self, arrival: Arrival, waiter: W, deliver: &mut impl FnMut(W, Verdict)) -> Result<Option<Ticket>, Denial> {
        if self.waiting.load(SeqCst) == 0 && self.meter.was_quiet(arrival.now_ns, self.limit()) {
            self.close_period(arrival.now_ns, deliver);
        }
        let mut queue = self.lock_queue();
        if queue.len() == 0 && self.take() {
            self.admitted.fetch_add(1, Relaxed);
            return Ok(None);
        }
        let Arrived { ticket, displaced } = queue.arrive(arrival, waiter);
        self.waiting.store(queue.len(), SeqCst);
        drop(queue);
        for (displaced, denial) in displaced {
            self.count_refused(&denial);
            deliver(displaced, Err(denial));
        }
        let ticket = ticket.inspect_err(|denial| self.count_refused(denial))?;
        // A place may have come free before the count said that somebody waits.
        self.hand_out(arrival.now_ns, deliver);
        Ok(Some(ticket))
    }

    /// A waiter's client has left. False if its verdict was already on the way.
    pub(super) fn leave(&self, ticket: Ticket) -> bool {
        let mut queue = self.lock_queue();
        let left = queue.leave(ticket);
        self.waiting.store(queue.len(), SeqCst);
        left
    }

    /// A waiter has waited as long as it may. None if its verdict was already on the way.
    pub(super) fn expire(&self, ticket: Ticket, now_ns: u64) -> Option<Denial> {
        let mut queue = self.lock_queue();
        let denial = queue.expire(ticket, now_ns)?;
        self.waiting.store(queue.len(), SeqCst);
        drop(queue);
        self.count_refused(&denial);
        Some(denial)
    }

    /// The work is over.
    pub(super) fn complete(&self, kind: u8, began_ns: u64, now_ns: u64, outcome: Outcome, deliver: &mut impl FnMut(W, Verdict)) {
        let is_handed = self.waiting.load(SeqCst) > 0;
        let is_over = match outcome {
            Outcome::Served => {
                let latency_ns = now_ns.saturating_sub(began_ns);
                self.quickest.learn(kind, latency_ns);
                self.meter.served(now_ns, latency_ns, is_handed)
            }
            Outcome::Failed => {
                self.meter.failed(now_ns, is_handed);
                false
            }
        };
        self.give_back(1, now_ns, deliver);
        if is_over {
            self.close_period(now_ns, deliver);
        }
    }

    /// The client has left, and the work goes on.
    pub(super) fn abandon(&self, began_ns: u64, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        let is_over = self.meter.abandoned(now_ns, now_ns.saturating_sub(began_ns), self.waiting.load(SeqCst) > 0);
        self.linger(began_ns, now_ns, deliver);
        if is_over {
            self.close_period(now_ns, deliver);
        }
    }

    /// Nobody waits for the work any more, and it goes on: its place is taken until it must be over.
    pub(super) fn linger(&self, began_ns: u64, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        self.lingering.add(lingering::estimated_end_ns(began_ns, now_ns, self.meter.mean_ns()));
        self.tick(now_ns, deliver);
    }

    /// Clears the places whose work must be over by now.
    pub(super) fn tick(&self, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        let over = self.lingering.clear(now_ns);
        if over > 0 {
            self.give_back(over, now_ns, deliver);
        }
    }

    /// When it is time for [`Gate::tick`], if nothing else happens.
    pub(super) fn next_tick_ns(&self) -> u64 {
        self.lingering.next_ns()
    }

    /// Places come free: whoever waits is next.
    pub(super) fn give_back(&self, places: usize, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        self.in_flight.fetch_sub(places, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.hand_out(now_ns, deliver);
        }
    }

    pub(super) fn set_instances(&self, count: usize, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        let limit = self.lock_limiter().set_bounds(limits(&self.config, count.max(1)));
        self.limit.store(limit, SeqCst);
        self.hand_out(now_ns, deliver);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    pub(super) fn wait_max_ns(&self) -> u64 {
        self.config.queue_wait_max.as_nanos() as u64
    }

    #[cfg(test)]
    pub(super) fn set_order(&self, order: queue::Order) {
        self.lock_queue().set_order(order);
    }

    pub(super) fn load(&self, now_ns: u64) -> LoadLine {
        let queue = self.lock_queue();
        LoadLine {
            limit: self.limit.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            lingering: self.lingering.len(),
            waiting: queue.waiting(),
            drain_per_second: queue.drain(),
            is_overloaded: queue.is_overloaded(now_ns),
            admitted: self.admitted.load(Relaxed),
            waited: self.waited.load(Relaxed),
            refused: self.refused.each_ref().map(refused),
        }
    }

    fn take(&self) -> bool {
        let limit = self.limit.load(SeqCst);
        self.in_flight.fetch_update(SeqCst, SeqCst, |taken| (taken < limit).then_some(taken + 1)).is_ok()
    }

    /// Gives every free place to whoever is next. One at a time, so that verdicts are delivered outside of the lock.
    fn hand_out(&self, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        loop {
            let mut queue = self.lock_queue();
            if queue.len() == 0 || !self.take() {
                return;
            }
            let next = queue.next(now_ns);
            self.waiting.store(queue.len(), SeqCst);
            if !matches!(next, Some(Next::Admit(_))) {
                // Before the lock is given up: whoever joins next must find the place.
                self.in_flight.fetch_sub(1, SeqCst);
            }
            drop(queue);
            match next {
                Some(Next::Admit(waiter)) => {
                    self.admitted.fetch_add(1, Relaxed);
                    self.waited.fetch_add(1, Relaxed);
                    deliver(waiter, Ok(()));
                }
                Some(Next::Deny(waiter, denial)) => {
                    self.count_refused(&denial);
                    deliver(waiter, Err(denial));
                }
                None => return,
            }
        }
    }

    /// Whoever gets the lock closes the period; the others go on.
    fn close_period(&self, now_ns: u64, deliver: &mut impl FnMut(W, Verdict)) {
        let Ok(mut limiter) = self.limiter.try_lock() else { return };
        let Some(period) = self.meter.close(now_ns, self.in_flight.load(Relaxed)) else { return };
        let limiter::Plan { limit, settle_ns, served_min } = limiter.close(&period);
        self.meter.begin(now_ns + settle_ns, served_min);
        let is_raised = self.limit.swap(limit, SeqCst) < limit;
        drop(limiter);
        {
            let mut queue = self.lock_queue();
            if period.is_telling() {
                let potential = if period.is_limited() { period.drain() } else { period.potential(limit) };
                queue.learn_drain(period.drain(), potential);
            }
            if period.is_limited() && !is_raised {
                queue.is_full(now_ns);
            }
        }
        if is_raised {
            self.hand_out(now_ns, deliver);
        }
    }

    fn count_refused(&self, denial: &Denial) {
        let index = match denial.cause {
            Cause::Overloaded => 0,
            Cause::WaitedTooLong => 1,
            Cause::Displaced => 2,
            Cause::DeadlinePassed | Cause::DeadlineUnreachable => 3,
        };
        self.refused[denial.class][index].fetch_add(1, Relaxed);
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue<W>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_limiter(&self) -> MutexGuard<'_, L> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn limits(config: &Config, instances: usize) -> Bounds {
    let max = config.limit_max.max(1);
    let min = (config.limit_min * instances).clamp(1, max);
    Bounds { initial: (config.limit_initial * instances).clamp(min, max), min, max }
}

fn refused(by_cause: &[AtomicU64; 4]) -> Refused {
    let [overloaded, waited_too_long, displaced, deadline] = by_cause.each_ref().map(|count| count.load(Relaxed));
    Refused { overloaded, waited_too_long, displaced, deadline }
}

fn queue_bounds(config: &Config) -> queue::Bounds {
    queue::Bounds {
        waiters_max: config.waiters_max,
        wait_max_ns: config.queue_wait_max.as_nanos() as u64,
        wait_overloaded_ns: config.queue_wait_overloaded.as_nanos() as u64,
    }
}
