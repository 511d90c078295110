//! Places of requests whose clients have left. Most application servers do not notice and work on, so the place stays taken until the work
//! is estimated to be over. There is no timer: whoever comes by clears what is over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Work is believed to last this many times the mean, or what it has taken already, in halves: latencies have tails.
pub(super) const HALVES: u64 = 3;
/// Nobody's work is waited for longer than this after the client left.
const REST_MAX_NS: u64 = 10_000_000_000;

#[derive(Debug)]
pub(super) struct Lingering {
    /// When the next one is over; `u64::MAX` if there is none. Readable without the lock.
    next_ns: AtomicU64,
    ends_ns: Mutex<BinaryHeap<Reverse<u64>>>,
}

impl Default for Lingering {
    fn default() -> Self {
        Self { next_ns: AtomicU64::new(u64::MAX), ends_ns: Mutex::default() }
    }
}

impl Lingering {
    pub(super) fn add(&self, end_ns: u64) {
        let mut ends_ns = self.lock();
        ends_ns.push(Reverse(end_ns));
        self.note_next(&ends_ns);
    }

    /// How many are over by now: their places are the caller's to give back.
    pub(super) fn clear(&self, now_ns: u64) -> usize {
        if now_ns < self.next_ns() {
            return 0;
        }
        let mut ends_ns = self.lock();
        let mut over = 0;
        while ends_ns.peek().is_some_and(|Reverse(end_ns)| *end_ns <= now_ns) {
            ends_ns.pop();
            over += 1;
        }
        self.note_next(&ends_ns);
        over
    }

    pub(super) fn next_ns(&self) -> u64 {
        self.next_ns.load(SeqCst)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn note_next(&self, ends_ns: &BinaryHeap<Reverse<u64>>) {
        self.next_ns.store(ends_ns.peek().map_or(u64::MAX, |Reverse(end_ns)| *end_ns), SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<u64>>> {
        self.ends_ns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When work that began then and was abandoned now is over. It has already outlasted `now - began`, so it is likely to go on for a share
/// of that.
pub(super) fn estimated_end_ns(began_ns: u64, now_ns: u64, mean_ns: u64) -> u64 {
    let age_ns = now_ns.saturating_sub(began_ns);
    let end_ns = began_ns + mean_ns / 2 * HALVES;
    end_ns.max(now_ns + age_ns / 2).min(now_ns + REST_MAX_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn work_lasts_its_usual_time_and_longer_if_it_already_has() {
        assert_eq!(estimated_end_ns(0, 10 * MS, 100 * MS), 150 * MS);
        assert_eq!(estimated_end_ns(0, 1_000 * MS, 100 * MS), 1_500 * MS);
        assert_eq!(estimated_end_ns(0, 60_000 * MS, 100 * MS), 70_000 * MS);
    }

    #[test]
    fn places_come_back_when_their_time_is_over_and_only_once() {
        let lingering = Lingering::default();
        for end_ns in [30, 10, 20] {
            lingering.add(end_ns);
        }
        assert_eq!((lingering.next_ns(), lingering.clear(9)), (10, 0));
        assert_eq!((lingering.clear(20), lingering.len(), lingering.next_ns()), (2, 1, 30));
        assert_eq!((lingering.clear(u64::MAX - 1), lingering.clear(u64::MAX - 1), lingering.next_ns()), (1, 0, u64::MAX));
    }
}
