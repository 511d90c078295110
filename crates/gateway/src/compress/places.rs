//! How many answers are compressed at a time. Each encoder holds a window of what went past, for as long as its answer lasts: without a bound,
//! clients that do not read, or that listen for hours, would take memory by the gigabyte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The places of all workers.
#[derive(Clone, Debug)]
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    max: usize,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// A place for as long as it is held. What lasts leaves half of them to others.
    pub(super) fn take(&self, lasts: bool) -> Option<Place> {
        let max = if lasts { self.max / 2 } else { self.max };
        // Given back if it was one too many.
        let place = Place(Arc::clone(&self.taken));
        (self.taken.fetch_add(1, Relaxed) < max).then_some(place)
    }
}

/// One encoder's leave to exist.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_leaves_half_of_the_places_and_all_of_them_come_back() {
        let places = Places::new(4);
        let lasting: Vec<_> = (0..3).map(|_| places.take(true)).collect();
        assert_eq!(lasting.iter().flatten().count(), 2);
        let brief: Vec<_> = (0..3).map(|_| places.take(false)).collect();
        assert_eq!(brief.iter().flatten().count(), 2);
        drop((lasting, brief));
        assert_eq!((0..5).map(|_| places.take(false)).collect::<Vec<_>>().iter().flatten().count(), 4);
        assert!(Places::new(0).take(false).is_none());
    }
}
