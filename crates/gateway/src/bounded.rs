//! How many there are of something, with a bound: of all workers, and of plans before and after a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Shared by all who count on it.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicUsize);

/// One of those that are counted, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Count>);

impl Count {
    /// One more, if there are fewer than `max`.
    pub(crate) fn enter(self: &Arc<Self>, max: usize) -> Option<Counted> {
        // Given back if it was one too many: at the bound somebody who comes meanwhile may be turned away, too. Never are there more.
        let one = Counted(Arc::clone(self));
        (self.0.fetch_add(1, Relaxed) < max).then_some(one)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(count: &Arc<Count>, max: usize, tries: usize) -> Vec<Counted> {
        (0..tries).filter_map(|_| count.enter(max)).collect()
    }

    #[test]
    fn no_more_than_there_may_be_and_all_come_back() {
        let count = Arc::<Count>::default();
        let held = entered(&count, 4, 9);
        assert_eq!(held.len(), 4);
        drop(held);
        assert_eq!(entered(&count, 4, 9).len(), 4);
        assert!(count.enter(0).is_none());
    }

    #[test]
    fn those_who_share_it_may_have_different_bounds() {
        let count = Arc::<Count>::default();
        let held = entered(&Arc::clone(&count), 4, 2);
        assert_eq!(entered(&count, 3, 5).len(), 1);
        drop(held);
        assert_eq!(entered(&count, 3, 5).len(), 3);
    }
}
