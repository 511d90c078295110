//! Waiting for a place: a ticket in the queue, a timer, and a clean exit whenever the client leaves.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time;

use super::place::Place;
use super::queue::{Arrival, Denial, Ticket};
use super::{Admission, Permit};
use crate::clock;

/// A waiter looks after the places of clients that left no more often than this, and no more seldom: clients may leave while it waits.
const LOOK_EVERY_NS: RangeInclusive<u64> = 20_000_000..=100_000_000;

/// Waits for a place, but not for ever: the waiter's own timer holds the bound even if no request ever ends.
pub(super) async fn wait(admission: &Arc<Admission>, kind: u8, arrival: Arrival) -> Result<Permit, Denial> {
    let gate = &admission.gate;
    let (sender, receiver) = oneshot::channel();
    let Some(ticket) = gate.join(arrival, sender, &mut admission.delivery())? else {
        return Ok(Permit::new(Arc::clone(admission), kind, arrival.now_ns, 0));
    };
    let mut standing = Standing { admission, ticket, receiver };
    let patience_ends_ns = arrival.deadline_ns.min(arrival.now_ns + gate.wait_max_ns());
    loop {
        let now_ns = clock::now_ns();
        // First: the place of a client that left may be free by now, for this very waiter.
        gate.tick(now_ns, &mut admission.delivery());
        if now_ns >= patience_ends_ns
            && let Some(denial) = gate.expire(ticket, now_ns)
        {
            return Err(denial);
        }
        // Places of clients that left come back when somebody looks: with everybody waiting, that is us. Not all the time, though.
        let look_ns = gate.next_tick_ns().clamp(now_ns + LOOK_EVERY_NS.start(), now_ns + LOOK_EVERY_NS.end());
        // Once patience has ended a verdict is on its way.
        let wake_ns = if now_ns >= patience_ends_ns { u64::MAX / 2 } else { look_ns.min(patience_ends_ns) };
        if let Ok(verdict) = time::timeout_at(clock::to_instant(wake_ns), &mut standing.receiver).await {
            verdict.expect("whoever takes a waiter from the queue tells it the verdict")?.keep();
            let now_ns = clock::now_ns();
            return Ok(Permit::new(Arc::clone(admission), kind, now_ns, now_ns.saturating_sub(arrival.now_ns)));
        }
    }
}

/// A waiter's stand in the queue, left when it has its verdict or when its client goes.
struct Standing<'a> {
    admission: &'a Admission,
    ticket: Ticket,
    /// A place that nobody took out goes back when this is dropped.
    receiver: oneshot::Receiver<Result<Place, Denial>>,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.admission.gate.leave(self.ticket);
    }
}
