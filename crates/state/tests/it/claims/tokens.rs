//! Token buckets.

use std::time::{Duration, Instant};

use plimsoll_state::{Error, TokenBucket};
use plimsoll_testbed::poll;

use super::{CLOCK_STEP, SOON, race};
use crate::Pair;

pub(crate) async fn a_burst_is_paid_and_no_more(Pair { here, there }: Pair) {
    // A token every 100 s: none comes back while this runs.
    let bucket = TokenBucket { per_second: 0.01, burst: 10 };
    for left in (0..10).rev() {
        let state = if left % 2 == 0 { &here } else { &there };
        let tokens = state.take_tokens("burst", bucket, 1).await.unwrap();
        assert_eq!((tokens.taken, tokens.remaining, tokens.retry_after), (true, left, Duration::ZERO));
    }
    let refused = here.take_tokens("burst", bucket, 2).await.unwrap();
    assert_eq!((refused.taken, refused.remaining), (false, 0));
    let wait = refused.retry_after.as_secs();
    assert!((150..=200).contains(&wait), "two tokens take 200 s: {wait} s");
    let refused_once_more = there.take_tokens("burst", bucket, 1).await.unwrap();
    assert!(refused_once_more.retry_after <= Duration::from_secs(100), "a refusal costs nothing: {refused_once_more:?}");

    let never = here.take_tokens("burst", bucket, 11).await;
    assert!(matches!(never, Err(Error::Broken(_))), "{never:?}");
}

pub(crate) async fn tokens_come_back_as_promised(Pair { here, there }: Pair) {
    let bucket = TokenBucket { per_second: 5.0, burst: 2 };
    assert!(here.take_tokens("refill", bucket, 2).await.unwrap().taken);
    let started = Instant::now();
    let refused = there.take_tokens("refill", bucket, 1).await.unwrap();
    assert!(!refused.taken && refused.retry_after <= Duration::from_millis(200), "{refused:?}");
    poll::until(SOON, "a token", async || here.take_tokens("refill", bucket, 1).await.unwrap().taken.then_some(())).await;
    let waited = started.elapsed();
    assert!(waited + CLOCK_STEP >= refused.retry_after, "told {:?}, paid after {waited:?}", refused.retry_after);
}

pub(crate) async fn concurrent_takers_never_get_too_much(pair: Pair) {
    const PER_SECOND: f64 = 100.0;
    const BURST: u32 = 50;
    let bucket = TokenBucket { per_second: PER_SECOND, burst: BURST };
    let started = Instant::now();
    let taken = race(&pair, move |state, _| async move {
        let mut taken = 0;
        for _ in 0..20 {
            taken += u32::from(state.take_tokens("fair", bucket, 1).await.unwrap().taken);
        }
        taken
    });
    let taken: u32 = taken.await.iter().sum();
    let earned = started.elapsed().as_secs_f64() * PER_SECOND;
    assert!(taken >= BURST, "{taken} of a burst of {BURST}");
    assert!(f64::from(taken) <= f64::from(BURST) + earned + 1.0, "{taken} taken, {earned} came back");
}
