//! A retry storm: an upstream that could carry its load is down for a moment, and what is sent again keeps it down.
//!
//! The upstream answers one attempt after the other, in order. Whoever asked gives up after a second and asks again, while the upstream
//! still works on the attempt that was given up. That is how overload outlives its cause.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
/// 250 attempts a second can be answered, 200 requests a second come.
const WORK_NS: u64 = 4 * MS;
const EVERY_NS: u64 = 5 * MS;
const PATIENCE_NS: u64 = SECOND;
const ATTEMPTS_MAX: u32 = 3;

struct Storm {
    attempts: u64,
    /// Of the requests of the last ten seconds, the share that was answered in time.
    answered_at_last: f64,
}

/// A minute in which the upstream does nothing from the tenth second to the fifteenth.
fn play(may_retry: impl Fn(u64) -> bool, came: impl Fn(u64)) -> Storm {
    let (ends_ns, counts_from_ns) = (60 * SECOND, 50 * SECOND);
    let mut asks: BinaryHeap<_> = (0..ends_ns / EVERY_NS).map(|number| Reverse((number * EVERY_NS, 1))).collect();
    let (mut free_ns, mut attempts, mut answered, mut counted) = (0, 0, 0_u32, 0_u32);
    while let Some(Reverse((now_ns, attempt))) = asks.pop() {
        if attempt == 1 {
            came(now_ns);
            counted += u32::from(now_ns >= counts_from_ns);
        }
        attempts += 1;
        let starts_ns = free_ns.max(now_ns);
        let is_down = (10 * SECOND..15 * SECOND).contains(&starts_ns);
        free_ns = if is_down { 15 * SECOND } else { starts_ns } + WORK_NS;
        if free_ns - now_ns <= PATIENCE_NS {
            answered += u32::from(now_ns >= counts_from_ns);
            continue;
        }
        let again_ns = now_ns + PATIENCE_NS;
        if attempt < ATTEMPTS_MAX && may_retry(again_ns) {
            asks.push(Reverse((again_ns, attempt + 1)));
        }
    }
    Storm { attempts, answered_at_last: f64::from(answered) / f64::from(counted) }
}

#[test]
fn within_a_budget_retries_do_not_keep_an_upstream_down_that_has_come_back() {
    let requests = 60 * SECOND / EVERY_NS;
    let storm = play(|_| true, |_| {});
    assert!(storm.attempts > 2 * requests && storm.answered_at_last < 0.05, "{} attempts: no storm to calm", storm.attempts);

    let budget = Budget::new(Config::RETRY);
    let calmed = play(|now_ns| budget.try_spend(now_ns), |now_ns| budget.request(now_ns));
    let bound = requests as f64 * 1.1 + 100.0 + 60.0;
    assert!((calmed.attempts as f64) < bound, "{} attempts", calmed.attempts);
    assert!(calmed.answered_at_last > 0.99, "{:.3} answered", calmed.answered_at_last);
}
