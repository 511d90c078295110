//! Who waits for a place, in which order, and who is turned away instead. Pure: time and the drain rate are told.
//!
//! A class of requests is calm or overloaded. While calm, everybody may wait for up to the bound, so a short stall costs nobody anything.
//! A class is overloaded from the moment its waiting time, as predicted or as seen, exceeds the bound. Then only as many wait as are served
//! within a short target, and the rest hears so on arrival: with more arriving than can be served, a long queue serves not one request
//! more than a short one, only each of them later. It is calm again when nobody had to be turned away for a second.

mod lane;
#[cfg(test)]
mod tests;

use self::lane::Lane;
#[cfg(test)]
pub(super) use self::lane::Order;
pub(super) use self::lane::Ticket;
use crate::priority::Priority;

/// How long nobody must have been turned away until a class counts as calm again.
const CALM_AFTER_NS: u64 = 1_000_000_000;
/// In an overloaded class at least this many may wait, however slow the pool: a place that comes free must find somebody.
const WAITERS_MIN: usize = 2;
/// A class becomes overloaded at this part of its bound already, while arrivals exceed what is completed by this factor for so long.
const EARLY_PART: f64 = 0.4;
const GROWTH: f64 = 1.1;
const BURST_NS: u64 = 1_000_000_000;
/// A client is told to come back within half a minute at the most: nobody can see further ahead.
const RETRY_AFTER_MAX_S: f64 = 30.0;

/// Why somebody who asked did not get a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Overloaded,
    WaitedTooLong,
    Displaced,
    DeadlinePassed,
    DeadlineUnreachable,
}

/// A denial, with the time after which it is worth asking again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Denial {
    /// The position of its priority.
    pub class: usize,
    pub cause: Cause,
    pub retry_after_s: f64,
}

/// One request at the door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub now_ns: u64,
    pub priority: Priority,
    pub tenant: u64,
    /// `u64::MAX` if it has none.
    pub deadline_ns: u64,
    /// When its work must begin to be done by then.
    pub start_by_ns: u64,
}

/// What comes out at the head of the queue.
#[derive(Debug, PartialEq)]
pub(super) enum Next<W> {
    Admit(W),
    Deny(W, Denial),
}

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub waiters_max: usize,
    pub wait_max_ns: u64,
    pub wait_overloaded_ns: u64,
}

/// What became of an arrival, and who had to go because of it.
#[derive(Debug)]
pub(super) struct Arrived<W> {
    pub ticket: Result<Ticket, Denial>,
    pub displaced: Vec<(W, Denial)>,
}

/// The waiters of all classes.
#[derive(Debug)]
pub(super) struct Queue<W> {
    lanes: [Lane<W>; 3],
    bounds: Bounds,
    /// Requests the pool completes per second; 0 while unknown.
    drain: f64,
    drain_last: f64,
    /// Requests the pool might complete per second: more than it does while few are asked of it.
    potential: f64,
    /// When the drain rate was seen to be all that the pool can do: the last time and the one before.
    full_at_ns: [u64; 2],
    tickets: u64,
}

impl<W> Queue<W> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            lanes: std::array::from_fn(|_| Lane::default()),
            bounds,
            drain: 0.0,
            drain_last: 0.0,
            potential: 0.0,
            full_at_ns: [0; 2],
            tickets: 0,
        }
    }

    /// Takes the rate of a period. A lower one is believed when a second says the same: the first may have had a stall in it.
    pub(super) fn learn_drain(&mut self, per_second: f64, potential: f64) {
        self.potential = potential;
        self.drain = per_second.max(self.drain_last);
        self.drain_last = per_second;
    }

    /// The drain rate is all that the pool can do: requests waited throughout, and more places would not help.
    pub(super) fn is_full(&mut self, now_ns: u64) {
        self.full_at_ns = [now_ns, self.full_at_ns[0]];
    }

    #[cfg(test)]
    pub(super) fn set_order(&mut self, order: Order) {
        self.lanes.iter_mut().for_each(|lane| lane.order = order);
    }

    pub(super) fn drain(&self) -> f64 {
        self.drain
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(Lane::len).sum()
    }

    pub(super) fn waiting(&self) -> [usize; 3] {
        self.lanes.each_ref().map(Lane::len)
    }

    pub(super) fn is_overloaded(&self, now_ns: u64) -> bool {
        self.lanes.iter().any(|lane| lane.is_overloaded(now_ns))
    }

    /// Lets a request wait, or says why not.
    pub(super) fn arrive(&mut self, arrival: Arrival, waiter: W) -> Arrived<W> {
        let class = arrival.priority as usize;
        self.lanes[class].arrived(arrival.now_ns);
        let mut displaced = Vec::new();
        if self.becomes_overloaded(class, arrival.now_ns) {
            self.trim(class, arrival.now_ns, &mut displaced);
        }
        let made_room = if !self.has_room(class, arrival.now_ns) {
            self.displace_within(class, &arrival).map(Some)
        } else if self.len() >= self.bounds.waiters_max {
            self.displace_lower(class, &arrival).map(Some)
        } else {
            Ok(None)
        };
        let ticket = made_room.map(|gone| {
            displaced.extend(gone);
            self.tickets += 1;
            let ticket = Ticket { priority: arrival.priority, number: self.tickets };
            self.lanes[class].push(ticket.number, &arrival, waiter);
            ticket
        });
        Arrived { ticket, displaced }
    }

    /// A waiter goes away by itself. False if it had been called or turned away before.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        self.lanes[ticket.priority as usize].remove(ticket.number).is_some()
    }

    /// The waiter has waited as long as it may.
    pub(super) fn expire(&mut self, ticket: Ticket, now_ns: u64) -> Option<Denial> {
        let waiter = self.lanes[ticket.priority as usize].remove(ticket.number)?;
        Some(self.too_late(ticket.priority as usize, waiter.deadline_ns, now_ns))
    }

    /// Whoever is next for a free place: the highest class first, its tenants in turn.
    pub(super) fn next(&mut self, now_ns: u64) -> Option<Next<W>> {
        let class = self.lanes.iter().position(|lane| lane.len() > 0)?;
        let waiter = self.lanes[class].pop(now_ns)?;
        if now_ns.saturating_sub(waiter.joined_ns) > self.bounds.wait_max_ns || waiter.deadline_ns <= now_ns {
            let denial = self.too_late(class, waiter.deadline_ns, now_ns);
            return Some(Next::Deny(waiter.payload, denial));
        }
        if now_ns > waiter.start_by_ns {
            return Some(Next::Deny(waiter.payload, self.denial(class, Cause::DeadlineUnreachable, now_ns)));
        }
        Some(Next::Admit(waiter.payload))
    }

    /// A denial as of now, for a request that did not get as far as the queue.
    pub(super) fn denial(&self, class: usize, cause: Cause, now_ns: u64) -> Denial {
        Denial { class, cause, retry_after_s: self.retry_after_s(class, now_ns) }
    }

    fn too_late(&mut self, class: usize, deadline_ns: u64, now_ns: u64) -> Denial {
        if deadline_ns <= now_ns {
            return self.denial(class, Cause::DeadlinePassed, now_ns);
        }
        // Somebody waited in vain: the prediction was too kind, so those who come now hear it at once.
        self.lanes[class].turned_away(now_ns);
        self.denial(class, Cause::WaitedTooLong, now_ns)
    }

    fn has_room(&self, class: usize, now_ns: u64) -> bool {
        let lane = &self.lanes[class];
        !lane.is_overloaded(now_ns) || lane.len() < self.room(class, now_ns)
    }

    /// How many may wait in an overloaded class.
    fn room(&self, class: usize, now_ns: u64) -> usize {
        let target_s = self.bounds.wait_overloaded_ns as f64 / 1e9;
        ((self.available(class, now_ns) * target_s) as usize).max(WAITERS_MIN)
    }

    /// Whether a calm class is overloaded from now on: somebody would wait for longer than the bound, or for a good part of it while more
    /// arrives than is completed, and has for so long that it is no burst.
    fn becomes_overloaded(&self, class: usize, now_ns: u64) -> bool {
        let lane = &self.lanes[class];
        if lane.is_overloaded(now_ns) {
            return false;
        }
        let bound_s = self.bounds.wait_max_ns as f64 / 1e9;
        if lane.head_age_ns(now_ns) > self.bounds.wait_max_ns {
            return true;
        }
        let available = self.available(class, now_ns);
        if available <= 0.0 {
            return false;
        }
        // What a quiet pool completes is not what it can do: a burst would look like overload.
        let wait_s = self.predicted_s(class, available) * (self.drain / self.potential.max(self.drain));
        // Twice: the first period may have had a stall in it.
        let is_known = self.full_at_ns[1] >= lane.busy_since_ns();
        let grows = || is_known && lane.arrivals_per_second(now_ns, BURST_NS).is_some_and(|arrivals| arrivals > GROWTH * available);
        wait_s > bound_s || (wait_s > EARLY_PART * bound_s && grows())
    }

    /// Nobody is left to wait for longer than is worth it: those who came last hear at once what they would hear later.
    fn trim(&mut self, class: usize, now_ns: u64, displaced: &mut Vec<(W, Denial)>) {
        self.lanes[class].turned_away(now_ns);
        let room = self.room(class, now_ns);
        while self.lanes[class].len() > room {
            let waiter = self.lanes[class].pop_last_of_longest(now_ns).expect("a lane with waiters has a longest tenant");
            self.lanes[class].turned_away(now_ns);
            displaced.push((waiter.payload, self.denial(class, Cause::Overloaded, now_ns)));
        }
    }

    /// The wait of one that comes last in its class.
    fn predicted_s(&self, class: usize, available: f64) -> f64 {
        let ahead: usize = self.lanes[..class].iter().map(Lane::len).sum();
        ahead as f64 / self.drain + (self.lanes[class].len() + 1) as f64 / available
    }

    /// The part of the drain rate that more important classes leave to this one. Lower classes count as its own: it goes before them.
    fn available(&self, class: usize, now_ns: u64) -> f64 {
        let rates = self.lanes.each_ref().map(|lane| lane.rate(now_ns));
        let total: f64 = rates.iter().sum();
        let own: f64 = rates[class..].iter().sum();
        // Nobody was called from the queue lately: nothing says that anything is being taken away.
        if total <= 0.0 { self.drain } else { self.drain * (own / total).max(0.01) }
    }

    /// The queue is full, but somebody of a lower class can go.
    fn displace_lower(&mut self, class: usize, arrival: &Arrival) -> Result<(W, Denial), Denial> {
        let lowest = (class + 1..self.lanes.len()).rev().find(|lower| self.lanes[*lower].len() > 0);
        match lowest {
            Some(lower) => {
                let waiter = self.lanes[lower].pop_last_of_longest(arrival.now_ns).expect("a lane with waiters has a longest tenant");
                self.lanes[lower].turned_away(arrival.now_ns);
                Ok((waiter.payload, self.denial(lower, Cause::Displaced, arrival.now_ns)))
            }
            None => self.displace_within(class, arrival),
        }
    }

    /// The class is full, but a tenant that has more waiting than this one can give up its newest.
    fn displace_within(&mut self, class: usize, arrival: &Arrival) -> Result<(W, Denial), Denial> {
        let lane = &mut self.lanes[class];
        lane.turned_away(arrival.now_ns);
        if lane.waiting_of(arrival.tenant) + 1 < lane.longest() || lane.is_newest_first(arrival.now_ns) && lane.len() > 0 {
            let waiter = lane.pop_last_of_longest(arrival.now_ns).expect("the longest tenant has waiters");
            return Ok((waiter.payload, self.denial(class, Cause::Displaced, arrival.now_ns)));
        }
        Err(self.denial(class, Cause::Overloaded, arrival.now_ns))
    }

    /// When those who wait will have been served, stretched so that those who are turned away now come back no faster than they can be
    /// served, each at another moment.
    fn retry_after_s(&self, class: usize, now_ns: u64) -> f64 {
        let available = self.available(class, now_ns);
        if available <= 0.0 {
            return 1.0 + fastrand::f64();
        }
        let ahead = self.predicted_s(class, available).clamp(1.0, RETRY_AFTER_MAX_S / 2.0);
        let spread = (self.lanes[class].turned_away_rate(now_ns) / available).clamp(1.0, RETRY_AFTER_MAX_S / 2.0);
        ahead + spread * fastrand::f64()
    }
}
