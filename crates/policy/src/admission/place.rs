//! A place on its way from the one who gives it to the one who waits: if nobody takes it, it goes back.

use std::sync::Arc;

use super::Admission;
use crate::clock;

#[derive(Debug)]
pub(super) struct Place(Option<Arc<Admission>>);

impl Place {
    /// The caller has taken the place from the count.
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self(Some(admission))
    }

    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(admission) = self.0.take() {
            admission.gate.give_back(1, clock::now_ns(), &mut admission.delivery());
        }
    }
}
