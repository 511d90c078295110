//! Who waits for a place, and who is turned away instead.

use std::collections::VecDeque;

use crate::priority::Priority;

/// Why somebody who asked did not get a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Overloaded,
    WaitedTooLong,
    Displaced,
    DeadlinePassed,
    DeadlineUnreachable,
}

/// A denial with the time after which it is worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    pub cause: Cause,
    pub retry_after_ns: u64,
}

/// One request at the door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub now_ns: u64,
    pub priority: Priority,
    pub tenant: u64,
    pub deadline_ns: u64,
}

/// What comes out at the head of the queue.
#[derive(Debug)]
pub(super) enum Next<W> {
    Admit(W),
    Deny(W, Denial),
}

#[derive(Debug)]
pub(super) struct Queue<W> {
    waiters: VecDeque<(u64, Arrival, W)>,
    waiters_max: usize,
    tickets: u64,
}

impl<W> Queue<W> {
    pub(super) fn new(waiters_max: usize) -> Self {
        Self { waiters: VecDeque::new(), waiters_max, tickets: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn waiting(&self) -> [usize; 3] {
        [0, self.waiters.len(), 0]
    }

    /// A ticket, and whoever had to go for it.
    pub(super) fn arrive(&mut self, arrival: Arrival, waiter: W) -> Result<(u64, Option<(W, Denial)>), Denial> {
        if self.waiters.len() >= self.waiters_max {
            return Err(Denial { cause: Cause::Overloaded, retry_after_ns: 1_000_000_000 });
        }
        self.tickets += 1;
        self.waiters.push_back((self.tickets, arrival, waiter));
        Ok((self.tickets, None))
    }

    /// The waiter gives up, or its time is over.
    pub(super) fn leave(&mut self, ticket: u64) -> bool {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.0 != ticket);
        self.waiters.len() < before
    }

    pub(super) fn next(&mut self, now_ns: u64, service_ns: u64) -> Option<Next<W>> {
        let (_, arrival, waiter) = self.waiters.pop_front()?;
        if arrival.deadline_ns < now_ns.saturating_add(service_ns) {
            return Some(Next::Deny(waiter, Denial { cause: Cause::DeadlinePassed, retry_after_ns: 1_000_000_000 }));
        }
        Some(Next::Admit(waiter))
    }
}
