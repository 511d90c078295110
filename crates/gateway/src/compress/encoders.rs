//! How many answers are compressed at a time. Each encoder holds a window of what went past, for as long as its answer lasts: without a bound,
//! clients that do not read, or that listen for hours, would take memory by the gigabyte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many encoders there are: of all workers, and of answers that began before a reload.
pub(crate) type Count = Arc<AtomicUsize>;

/// Those that there may be.
#[derive(Clone, Debug)]
pub(super) struct Encoders {
    count: Count,
    max: usize,
}

impl Encoders {
    pub(super) fn at_most(max: usize) -> Self {
        Self { count: Count::default(), max }
    }

    /// Counts on where another plan is.
    pub(super) fn count_with(&mut self, count: &Count) {
        self.count = Arc::clone(count);
    }

    /// Leave for one, for as long as it is held. What lasts leaves half of them to others.
    pub(super) fn admit(&self, lasts: bool) -> Option<Admitted> {
        let max = if lasts { self.max / 2 } else { self.max };
        // Given back if it was one too many.
        let admitted = Admitted(Arc::clone(&self.count));
        (self.count.fetch_add(1, Relaxed) < max).then_some(admitted)
    }
}

/// One encoder's leave to exist.
#[derive(Debug)]
pub(crate) struct Admitted(Count);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(encoders: &Encoders, lasts: bool, tries: usize) -> Vec<Admitted> {
        (0..tries).filter_map(|_| encoders.admit(lasts)).collect()
    }

    #[test]
    fn what_lasts_leaves_half_of_them_and_all_come_back() {
        let encoders = Encoders::at_most(4);
        let lasting = admitted(&encoders, true, 3);
        let brief = admitted(&encoders, false, 3);
        assert_eq!((lasting.len(), brief.len()), (2, 2));
        drop((lasting, brief));
        assert_eq!(admitted(&encoders, false, 5).len(), 4);
        assert!(Encoders::at_most(0).admit(false).is_none());
    }

    #[test]
    fn those_of_another_plan_count() {
        let count = Count::default();
        let [mut before, mut after] = [Encoders::at_most(4), Encoders::at_most(3)];
        before.count_with(&count);
        after.count_with(&count);
        let held = admitted(&before, false, 2);
        assert_eq!(admitted(&after, false, 5).len(), 1);
        drop(held);
        assert_eq!(admitted(&after, false, 5).len(), 3);
    }
}
