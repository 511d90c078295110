//! Hedging simulated: instances of which each stalls now and then.

use tokio::time::sleep;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

#[derive(Debug)]
struct Outcome {
    p999_ms: u64,
    /// Second attempts, as a share of requests.
    extra: f64,
}

/// Two hundred thousand requests at 1,000/s; `stalls` of the answers take a second, the others 4 to 8 ms.
fn play(stalls: f64, hedged: bool, seed: u64) -> Outcome {
    const REQUESTS: u64 = 200_000;
    let hedge = Hedge::default();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut latency = || if rng.f64() < stalls { SECOND } else { 4 * MS + rng.u64(0..4 * MS) };
    let mut took = Vec::new();
    let mut second_attempts = 0;
    for number in 0..REQUESTS {
        let now_ns = number * MS;
        hedge.request(now_ns);
        let first = latency();
        let delay = hedge.delay().map_or(u64::MAX, |delay| delay.as_nanos() as u64);
        let whole = if hedged && first > delay && hedge.try_start(now_ns) {
            second_attempts += 1;
            first.min(delay + latency())
        } else {
            first
        };
        hedge.answered(Duration::from_nanos(first.min(whole)), now_ns);
        took.push(whole);
    }
    took.sort_unstable();
    Outcome { p999_ms: took[took.len() * 999 / 1_000] / MS, extra: f64::from(second_attempts) / REQUESTS as f64 }
}

#[test]
fn one_percent_of_stalls_disappears_from_the_tail_for_two_percent_of_load() {
    for seed in 0..5 {
        let (plain, hedged) = (play(0.01, false, seed), play(0.01, true, seed));
        assert_eq!(plain.p999_ms, 1_000);
        assert!(hedged.p999_ms * 10 <= plain.p999_ms, "{hedged:?}");
        assert!(hedged.extra <= 0.02, "{hedged:?}");
    }
}

#[test]
fn when_everything_is_slow_hedging_adds_no_more_than_its_budget() {
    for stalls in [0.05, 0.3, 1.0] {
        let hedged = play(stalls, true, 1);
        assert!(hedged.extra <= 0.02, "{stalls}: {hedged:?}");
    }
}

/// How a race ends in which both are under way: `first` after 1 s, `second` after 2 s.
async fn race(first: Worth, second: Worth) -> (Worth, bool) {
    let after = async |seconds, worth| {
        sleep(Duration::from_secs(seconds)).await;
        worth
    };
    better(after(1, first), after(2, second), |worth| *worth).await
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_a_race_and_otherwise_the_better_word_counts() {
    use Worth::{Answer, Declined, Nothing};
    assert_eq!(race(Answer, Answer).await, (Answer, false));
    assert_eq!(race(Declined, Answer).await, (Answer, true));
    assert_eq!(race(Declined, Nothing).await, (Declined, false), "somebody said when to come back");
    assert_eq!(race(Nothing, Declined).await, (Declined, true));
    assert_eq!(race(Declined, Declined).await, (Declined, true), "the fresher word");
}

#[test]
fn without_stalls_it_costs_little() {
    let hedged = play(0.0, true, 1);
    assert!(hedged.extra <= 0.02, "{hedged:?}");
}
