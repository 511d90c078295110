//! The token bucket as one number: the moment at which the bucket will be full again (the generic cell rate algorithm).
//!
//! Pure arithmetic on microseconds of the store's clock; `redis/take_tokens.lua` is the same in Lua.
//!
//! A 64-bit float counts microseconds since 1970 in steps of a quarter. The price of a token is rounded to such steps, so all sums
//! are exact and a burst is paid to the last token; rates up to 10,000 a second are off by less than 0.2 %.

use std::time::Duration;

use crate::backend::{TokenBucket, Tokens};

const STEPS_PER_US: f64 = 4.0;

/// What to answer, and when the bucket is full again afterwards.
pub(crate) struct Decision {
    pub tokens: Tokens,
    pub full_at_us: f64,
}

/// Takes `cost` tokens from a bucket that would be full at `full_at_us` (in the past: it is full).
pub(crate) fn take(full_at_us: f64, now_us: f64, bucket: TokenBucket, cost: u32) -> Decision {
    let token_us = (STEPS_PER_US * 1_000_000.0 / bucket.per_second).round().max(1.0) / STEPS_PER_US;
    let burst_us = token_us * f64::from(bucket.burst);
    let full_before_us = full_at_us.max(now_us);
    let full_after_us = full_before_us + token_us * f64::from(cost);
    let wait_us = full_after_us - burst_us - now_us;
    let taken = wait_us <= 0.0;
    let full_at_us = if taken { full_after_us } else { full_before_us };
    let left_us = burst_us - (full_at_us - now_us);
    let retry_after = if taken { Duration::ZERO } else { Duration::from_micros(wait_us.ceil() as u64) };
    Decision { tokens: Tokens { taken, remaining: (left_us / token_us) as u32, retry_after }, full_at_us }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Now, in microseconds since 1970: where floats are coarsest.
    const NOW_US: f64 = 1_790_000_000_000_000.0;

    #[test]
    fn a_full_bucket_pays_its_burst_at_once_and_not_one_token_more() {
        for (per_second, burst) in [(3.0, 10), (1000.0, 1000), (0.1, 1), (7.7, 333)] {
            let bucket = TokenBucket { per_second, burst };
            let mut full_at_us = 0.0;
            for left in (0..burst).rev() {
                let decision = take(full_at_us, NOW_US, bucket, 1);
                assert_eq!((decision.tokens.taken, decision.tokens.remaining), (true, left));
                full_at_us = decision.full_at_us;
            }
            assert!(!take(full_at_us, NOW_US, bucket, 1).tokens.taken);
        }
    }

    #[test]
    fn whoever_waits_as_told_is_paid() {
        let bucket = TokenBucket { per_second: 3.0, burst: 4 };
        let emptied = take(0.0, NOW_US, bucket, 4);
        let refused = take(emptied.full_at_us, NOW_US, bucket, 2);
        assert!(!refused.tokens.taken);
        assert_eq!(refused.tokens.retry_after.as_millis(), 666);
        let later_us = NOW_US + refused.tokens.retry_after.as_micros() as f64;
        assert!(take(refused.full_at_us, later_us, bucket, 2).tokens.taken);
    }
}
