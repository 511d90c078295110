//! How many lines of one kind the log may get: under overload thousands of requests a second are refused for the same reason, and the
//! thousandth line says nothing that the tenth did not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const LINES_PER_SECOND: u64 = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// So many lines in each second, and the count of those that were left out.
#[derive(Debug, Default)]
pub struct Allowance {
    /// The second under way, and the lines in it: `second * 2^20 + lines`.
    used: AtomicU64,
    left_out: AtomicU64,
}

const LINES_BITS: u32 = 20;
const LINES_MAX: u64 = (1 << LINES_BITS) - 1;

impl Allowance {
    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub fn take(&self, now_ns: u64) -> Option<u64> {
        let second = now_ns / SECOND_NS;
        let next = |used: u64| {
            let lines = if used >> LINES_BITS == second { used & LINES_MAX } else { 0 };
            second << LINES_BITS | (lines + 1).min(LINES_MAX)
        };
        let before = self.used.fetch_update(Relaxed, Relaxed, |used| Some(next(used))).unwrap_or_default();
        let written = if before >> LINES_BITS == second { before & LINES_MAX } else { 0 };
        if written < LINES_PER_SECOND {
            return Some(self.left_out.swap(0, Relaxed));
        }
        self.left_out.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_ten_lines_a_second_and_says_how_many_are_missing() {
        let allowance = Allowance::default();
        let first: Vec<_> = (0..1_000).filter_map(|number| allowance.take(5 * SECOND_NS + number)).collect();
        assert_eq!(first, [0; 10]);
        assert_eq!(allowance.take(6 * SECOND_NS), Some(990));
        assert_eq!(allowance.take(6 * SECOND_NS), Some(0));
    }
}
