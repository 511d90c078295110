//! A request's place, from the moment it got it until the instance is done with it.

use std::sync::Arc;
use std::time::Duration;

use super::Admission;
use crate::clock;

/// How the work behind a permit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instance answered.
    Served,
    /// The instance failed: the work is over, but it is no proof of what the pool can do.
    Failed,
}

/// A place at the pool. Say when an instance begins to work with [`Permit::begins`] and how it ended with [`Permit::finish`].
///
/// A permit that is dropped while an instance works means that the client has left. Most application servers do not notice and work on, so
/// the place stays taken for as long as the work is estimated to last. At any other time a drop just gives the place back.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit {
    /// None once the place is given back.
    admission: Option<Arc<Admission>>,
    kind: u8,
    began_ns: u64,
    waited_ns: u64,
    is_at_work: bool,
}

impl Permit {
    pub(super) fn new(admission: Arc<Admission>, kind: u8, began_ns: u64, waited_ns: u64) -> Self {
        Self { admission: Some(admission), kind, began_ns, waited_ns, is_at_work: false }
    }

    /// An instance is about to get the request.
    pub fn begins(&mut self) {
        self.began_ns = clock::now_ns();
        self.is_at_work = true;
    }

    /// The instance is known not to work on it any more, and another one may get it.
    pub fn rests(&mut self) {
        self.is_at_work = false;
    }

    /// The work is known to be over.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    /// Another attempt at the same request has won. The place stays taken as if the client had left, but that says nothing about clients.
    pub fn lost(mut self) {
        if self.is_at_work
            && let Some(admission) = self.admission.take()
        {
            admission.gate.linger(self.began_ns, clock::now_ns(), &mut admission.delivery());
        }
    }

    /// The answer has turned out to be a stream: an event stream, a WebSocket, a body that takes long. Its place is given back now; the
    /// stream goes on.
    pub fn streams(&mut self) {
        self.end(Outcome::Served);
    }

    /// How long the request stood in the queue.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns)
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(admission) = self.admission.take() {
            admission.gate.complete(self.kind, self.began_ns, clock::now_ns(), outcome, &mut admission.delivery());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        if self.is_at_work {
            admission.gate.abandon(self.began_ns, clock::now_ns(), &mut admission.delivery());
        } else {
            admission.gate.give_back(1, clock::now_ns(), &mut admission.delivery());
        }
    }
}
