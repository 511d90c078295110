//! How calls ended over the last seconds: a ring of slots, each one atomic word, so that recording is one compare-and-swap.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Config;

const SLOTS: u64 = 10;
const HALF: u64 = SLOTS / 2;

/// On its own cache lines: it is written on every answer, and the state beside it is read on every request.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Window {
    slots: [AtomicU64; SLOTS as usize],
    slot_ns: u64,
}

/// Calls of one slot or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    calls: u32,
    failures: u32,
    slow: u32,
}

impl Counts {
    pub(super) fn is_bad(self, calls_min: u32, config: &Config) -> bool {
        let reaches = |count: u32, share: f32| count > 0 && count as f32 >= self.calls as f32 * share;
        self.calls >= calls_min.max(1) && (reaches(self.failures, config.failure_share) || reaches(self.slow, config.slow_share))
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, failures: self.failures + other.failures, slow: self.slow + other.slow }
    }
}

/// One slot, with the number of the span it stands for, modulo 2^16: 18 hours at a second each.
#[derive(Clone, Copy)]
struct Slot {
    number: u16,
    counts: [u16; 3],
}

impl Slot {
    fn unpack(word: u64) -> Self {
        Self { number: (word >> 48) as u16, counts: [(word >> 32) as u16, (word >> 16) as u16, word as u16] }
    }

    fn pack(self) -> u64 {
        let [calls, failures, slow] = self.counts.map(u64::from);
        u64::from(self.number) << 48 | calls << 32 | failures << 16 | slow
    }
}

impl Window {
    pub(super) fn new(span: Duration) -> Self {
        let slot_ns = (span.as_nanos() as u64 / SLOTS).max(1);
        Self { slots: Default::default(), slot_ns }
    }

    pub(super) fn record(&self, now_ns: u64, failed: bool, slow: bool) {
        let number = now_ns / self.slot_ns;
        let slot = &self.slots[(number % SLOTS) as usize];
        let mut word = slot.load(Relaxed);
        loop {
            let old = Slot::unpack(word);
            let mut counts = if old.number == number as u16 { old.counts } else { [0; 3] };
            if counts[0] == u16::MAX {
                // Full: from here on each call counts double, and the shares stay.
                counts = counts.map(|count| count / 2);
            }
            counts = [counts[0] + 1, counts[1] + u16::from(failed), counts[2] + u16::from(slow)];
            let new = Slot { number: number as u16, counts }.pack();
            match slot.compare_exchange_weak(word, new, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }

    /// The earlier and the later half.
    pub(super) fn halves(&self, now_ns: u64) -> [Counts; 2] {
        let last = now_ns / self.slot_ns;
        let mut halves = [Counts::default(); 2];
        for back in 0..SLOTS.min(last + 1) {
            let number = last - back;
            let slot = Slot::unpack(self.slots[(number % SLOTS) as usize].load(Relaxed));
            if slot.number == number as u16 {
                let [calls, failures, slow] = slot.counts.map(u32::from);
                let half = &mut halves[usize::from(back < HALF)];
                *half = *half + Counts { calls, failures, slow };
            }
        }
        halves
    }

    /// What was is no evidence of what comes.
    pub(super) fn clear(&self) {
        for slot in &self.slots {
            slot.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn counts(calls: u32, failures: u32, slow: u32) -> Counts {
        Counts { calls, failures, slow }
    }

    #[test]
    fn calls_move_from_the_later_half_to_the_earlier_and_out() {
        let window = Window::new(Duration::from_secs(10));
        window.record(SECOND, true, false);
        window.record(SECOND, false, true);
        for (second, halves) in [
            (1, [counts(0, 0, 0), counts(2, 1, 1)]),
            (5, [counts(0, 0, 0), counts(2, 1, 1)]),
            (6, [counts(2, 1, 1), counts(0, 0, 0)]),
            (10, [counts(2, 1, 1), counts(0, 0, 0)]),
            (11, [counts(0, 0, 0), counts(0, 0, 0)]),
        ] {
            assert_eq!(window.halves(second * SECOND), halves, "after {second} s");
        }
        window.record(11 * SECOND, false, false);
        assert_eq!(window.halves(11 * SECOND), [counts(0, 0, 0), counts(1, 0, 0)], "its slot was used before");
    }

    #[test]
    fn more_calls_than_a_slot_can_count_keep_their_share() {
        let window = Window::new(Duration::from_secs(10));
        for number in 0..300_000 {
            window.record(0, number % 4 == 0, false);
        }
        let [_, later] = window.halves(0);
        let share = f64::from(later.failures) / f64::from(later.calls);
        assert!((0.24..0.26).contains(&share), "{share}");
    }

    #[test]
    fn threads_lose_no_call() {
        let window = Window::new(Duration::from_secs(10));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| window.record(0, true, false)));
            }
        });
        assert_eq!(window.halves(0)[1], counts(40_000, 40_000, 0));
    }
}
