//! What the quickest answers take, by kind of request: the least time that a deadline must leave.
//!
//! One pool serves quick and slow requests. A deadline of 100 ms is no use to a report that takes a second and plenty for a look at a cart,
//! so each kind is judged by its own answers. There are as many kinds as a byte can tell apart: two that fall together share an estimate,
//! which then follows whichever is quicker, unless that one is rare.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// An estimate is believed after so many answers.
const KNOWN_AFTER: u64 = 50;
/// An answer that is quicker than the estimate moves it this much further than one that is slower: it settles where nine of ten answers
/// take longer.
const DOWN: u64 = 9;
const STEP_PART: u64 = 160;
/// What a refusal takes from the estimate it rests on.
const DOUBT_PART: u64 = 16;

/// What kind of request it is, by its path: answers to one path take alike.
pub fn kind(path: &[u8]) -> u8 {
    // FNV-1a, folded.
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)).to_le_bytes().into_iter().take(4).fold(0, |kind, byte| kind ^ byte)
}

#[derive(Debug)]
pub(super) struct Quickest([Quick; 256]);

#[derive(Debug, Default)]
struct Quick {
    estimate_ns: AtomicU64,
    /// Answers that it rests on, up to [`KNOWN_AFTER`].
    known: AtomicU64,
}

impl Default for Quickest {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Quick::default()))
    }
}

impl Quickest {
    /// What nine of ten answers of this kind take longer than; nothing while too few were seen.
    pub(super) fn of(&self, kind: u8) -> u64 {
        let quick = self.quick(kind);
        if quick.known.load(Relaxed) < KNOWN_AFTER { 0 } else { quick.estimate_ns.load(Relaxed) }
    }

    /// An answer took this long. Threads may overwrite each other's update: one answer more or less does not matter.
    pub(super) fn learn(&self, kind: u8, latency_ns: u64) {
        let quick = self.quick(kind);
        if quick.known.load(Relaxed) < KNOWN_AFTER {
            quick.known.fetch_add(1, Relaxed);
        }
        let estimate_ns = quick.estimate_ns.load(Relaxed);
        let estimate_ns = if estimate_ns == 0 {
            latency_ns
        } else if latency_ns < estimate_ns {
            estimate_ns - estimate_ns * DOWN / STEP_PART
        } else {
            estimate_ns + estimate_ns / STEP_PART
        };
        quick.estimate_ns.store(estimate_ns, Relaxed);
    }

    /// Somebody was refused by the estimate. Refusals teach nothing, so it gives way to them: a few get through, and prove or correct it.
    pub(super) fn doubt(&self, kind: u8) {
        let quick = self.quick(kind);
        let estimate_ns = quick.estimate_ns.load(Relaxed);
        quick.estimate_ns.store(estimate_ns - estimate_ns / DOUBT_PART, Relaxed);
    }

    fn quick(&self, kind: u8) -> &Quick {
        &self.0[usize::from(kind)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn nine_of_ten_answers_take_longer() {
        let quickest = Quickest::default();
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            quickest.learn(7, rng.u64(0..100) * MS);
        }
        assert!((5..20).contains(&(quickest.of(7) / MS)), "{} ms", quickest.of(7) / MS);
        assert_eq!(quickest.of(8), 0, "nothing is known of other kinds");
    }

    #[test]
    fn one_slow_start_proves_nothing() {
        let quickest = Quickest::default();
        quickest.learn(0, 5_000 * MS);
        assert_eq!(quickest.of(0), 0);
    }

    #[test]
    fn paths_of_an_api_are_told_apart() {
        let paths =
            ["/", "/health", "/v1/users", "/v1/users/1", "/v1/users/2", "/v1/orders", "/v1/reports", "/v2/users", "/feed", "/login"];
        let kinds: std::collections::HashSet<_> = paths.iter().map(|path| kind(path.as_bytes())).collect();
        assert!(kinds.len() >= paths.len() - 1, "{kinds:?}");
    }
}
