//! Counters.

use std::time::{Duration, Instant};

use plimsoll_state::Error;
use plimsoll_testbed::poll;

use super::{CLOCK_STEP, SOON, TASKS, race};
use crate::Pair;

pub(crate) async fn concurrent_increments_add_up(pair: Pair) {
    const EACH: i64 = 10;
    let sums = race(&pair, |state, _| async move {
        let mut sums = Vec::new();
        for _ in 0..EACH {
            sums.push(state.increment("sum", 3, None).await.unwrap());
        }
        sums
    });
    let mut sums: Vec<i64> = sums.await.into_iter().flatten().collect();
    sums.sort_unstable();
    let expected: Vec<i64> = (1..=TASKS as i64 * EACH).map(|count| count * 3).collect();
    assert_eq!(sums, expected, "every increment was answered with a sum of its own");
    assert_eq!(pair.here.increment("sum", -3, None).await.unwrap(), expected[expected.len() - 2]);
}

pub(crate) async fn a_counter_lives_from_its_first_increment(Pair { here, there }: Pair) {
    let ttl = Duration::from_millis(400);
    let started = Instant::now();
    assert_eq!(here.increment("window", 1, Some(ttl)).await.unwrap(), 1);
    assert_eq!(there.increment("window", 1, Some(ttl)).await.unwrap(), 2);
    // Counting goes on all the time: were the time to live extended, it would never start again.
    poll::until(SOON, "a new window", async || (here.increment("window", 1, Some(ttl)).await.unwrap() == 1).then_some(())).await;
    assert!(started.elapsed() + CLOCK_STEP >= ttl, "it ended after {:?}", started.elapsed());
}

pub(crate) async fn a_counter_never_wraps(Pair { here, there }: Pair) {
    assert_eq!(here.increment("high", i64::MAX - 1, None).await.unwrap(), i64::MAX - 1, "all 64 bits come back");
    assert_eq!(there.increment("high", 1, None).await.unwrap(), i64::MAX);
    let refusal = here.increment("high", 1, None).await;
    assert!(matches!(refusal, Err(Error::Broken(_))), "{refusal:?}");
    assert_eq!(there.increment("high", 0, None).await.unwrap(), i64::MAX, "a refused increment changes nothing");
}
