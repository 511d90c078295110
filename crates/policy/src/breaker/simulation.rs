//! A pool's breaker before upstreams that come and go: what reaches them, and what callers lose.

use super::*;

const SECOND: u64 = 1_000_000_000;
const PER_SECOND: u64 = 1_000;

#[derive(Debug, Default)]
struct Tally {
    /// Calls that reached the upstream while it was down.
    vain: u64,
    /// Calls refused while it was up.
    lost: u64,
    openings: u64,
}

/// A thousand calls a second; a call that fails takes `down_ns` to do so.
fn play(seconds: u64, failure_takes_ns: u64, is_up: impl Fn(u64) -> bool) -> Tally {
    let breaker = Breaker::default();
    let mut tally = Tally::default();
    let mut failing: std::collections::VecDeque<(u64, Call)> = std::collections::VecDeque::new();
    for number in 0..seconds * PER_SECOND {
        let now_ns = number * SECOND / PER_SECOND;
        while let Some((_, mut call)) = failing.pop_front_if(|(due_ns, _)| *due_ns <= now_ns) {
            tally.openings += u64::from(breaker.failed(&mut call, Failure::Ordinary, now_ns).is_some());
        }
        let up = is_up(now_ns);
        match breaker.enter(now_ns) {
            Ok(mut call) if up => {
                let _ = breaker.succeeded(&mut call, Duration::from_millis(1), now_ns);
            }
            Ok(call) => {
                tally.vain += 1;
                failing.push_back((now_ns + failure_takes_ns, call));
            }
            Err(_) => tally.lost += u64::from(up),
        }
    }
    tally
}

#[test]
fn an_upstream_that_stays_down_gets_a_trickle() {
    for failure_takes_ns in [0, SECOND / 10, 2 * SECOND] {
        let tally = play(120, failure_takes_ns, |now_ns| now_ns < 10 * SECOND);
        let attempts_before_it_opened = 10 * PER_SECOND + failure_takes_ns * PER_SECOND / SECOND;
        assert!(tally.vain < attempts_before_it_opened + 200, "{failure_takes_ns}: {tally:?}");
        assert!((3..40).contains(&tally.openings), "{tally:?}");
    }
}

#[test]
fn restarts_of_up_to_five_seconds_never_open_it() {
    for down_seconds in 1..=5 {
        let tally = play(120, 0, |now_ns| now_ns / SECOND % 20 < 20 - down_seconds);
        assert_eq!((tally.openings, tally.lost), (0, 0), "{down_seconds} s down of every 20");
    }
}

#[test]
fn a_flapping_upstream_is_tried_less_and_less_and_found_again() {
    // Down for 15 s, up for 15 s, for five minutes.
    let tally = play(300, 0, |now_ns| now_ns / SECOND % 30 >= 15);
    let (down, up) = (150 * PER_SECOND, 150 * PER_SECOND);
    assert!(tally.vain < down * 3 / 4, "{tally:?}");
    assert!(tally.lost < up / 3, "{tally:?}");
    assert!(tally.openings <= 40, "it does not flap faster than its upstream: {tally:?}");
}

#[test]
fn an_upstream_that_is_back_is_used_again_within_the_longest_opening() {
    let tally = play(200, 0, |now_ns| now_ns >= 100 * SECOND);
    assert!(tally.lost <= 6 * PER_SECOND, "{tally:?}");
}
