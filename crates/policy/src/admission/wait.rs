//! Waiting for a place: a ticket in the queue, a timer, and a clean exit whenever the client leaves.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time;

use super::place::Place;
use super::queue::{Arrival, Cause, Denial};
use super::{Admission, Permit, clock};

/// What a waiter hears in the end.
pub(super) type Verdict = Result<Place, Denial>;

/// Waits for a verdict, but not for ever.
pub(super) async fn wait(admission: &Arc<Admission>, arrival: Arrival) -> Result<Permit, Denial> {
    let (sender, receiver) = oneshot::channel();
    let Some(ticket) = admission.join(arrival, sender)? else {
        return Ok(Permit::new(Arc::clone(admission), clock::now_ns(), 0));
    };
    let mut standing = Standing { admission, ticket, receiver };
    let patience_ends_ns = admission.patience_ends_ns(&arrival);
    loop {
        let wake_at = clock::to_instant(admission.wake_ns(patience_ends_ns));
        if let Ok(verdict) = time::timeout_at(wake_at, &mut standing.receiver).await {
            let place = verdict.expect("whoever takes a waiter from the queue tells it the verdict")?;
            place.keep();
            let now_ns = clock::now_ns();
            admission.count_waited();
            return Ok(Permit::new(Arc::clone(admission), now_ns, now_ns.saturating_sub(arrival.now_ns)));
        }
        let now_ns = clock::now_ns();
        admission.tick(now_ns);
        if now_ns >= patience_ends_ns && admission.leave(ticket) {
            let cause = if now_ns >= arrival.deadline_ns { Cause::DeadlinePassed } else { Cause::WaitedTooLong };
            return Err(admission.denial(cause));
        }
    }
}

/// A waiter's stand in the queue; dropped when it has its verdict or when its client leaves.
struct Standing<'a> {
    admission: &'a Admission,
    ticket: u64,
    receiver: oneshot::Receiver<Verdict>,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        // A place that is already in the channel goes back when the channel is dropped.
        self.admission.leave(self.ticket);
    }
}
