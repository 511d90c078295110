//! The bounds that every backend keeps, checked before the store is asked: a store that never sees an oversized key needs no defence of its own.

use std::time::Duration;

use crate::backend::{Error, Result, TokenBucket};

pub const KEY_BYTES_MAX: usize = 512;
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Items in one list.
pub const LIST_LENGTH_MAX: usize = 10_000;

/// A century: longer times to live are cut to it, so that no sum of now and a duration overflows.
const TTL_MAX: Duration = Duration::from_hours(100 * 365 * 24);

pub(crate) fn check_key(key: &str) -> Result<()> {
    match key.len() {
        0 => Err(Error::Broken("a key is empty".into())),
        1..=KEY_BYTES_MAX => Ok(()),
        length => Err(Error::Broken(format!("a key has {length} bytes: shorten it to {KEY_BYTES_MAX}"))),
    }
}

pub(crate) fn check_value(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::Broken(format!("a value has {} bytes: shorten it to {VALUE_BYTES_MAX}", bytes.len())))
}

pub(crate) fn check_list_length(length_max: usize) -> Result<()> {
    if length_max <= LIST_LENGTH_MAX {
        return Ok(());
    }
    Err(Error::Broken(format!("a list may keep {LIST_LENGTH_MAX} items, not {length_max}")))
}

/// A bucket that never fills, or a cost that never fits, would make the caller wait for ever.
pub(crate) fn check_bucket(bucket: TokenBucket, cost: u32) -> Result<()> {
    if !(bucket.per_second.is_finite() && bucket.per_second > 0.0) {
        return Err(Error::Broken(format!("a token bucket refills at {} tokens a second: set a rate above zero", bucket.per_second)));
    }
    if cost > bucket.burst {
        return Err(Error::Broken(format!("a cost of {cost} tokens never fits a burst of {}: raise the burst", bucket.burst)));
    }
    Ok(())
}

/// Whole milliseconds, rounded up: stores that count in milliseconds refuse a time to live of zero.
pub(crate) fn ttl_ms(ttl: Duration) -> u64 {
    let ttl = clamp_ttl(ttl);
    (ttl.as_millis() as u64 + u64::from(!ttl.subsec_nanos().is_multiple_of(1_000_000))).max(1)
}

pub(crate) fn clamp_ttl(ttl: Duration) -> Duration {
    ttl.min(TTL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_rounded_up_and_never_overflows() {
        assert_eq!(ttl_ms(Duration::ZERO), 1);
        assert_eq!(ttl_ms(Duration::from_micros(1_001)), 2);
        assert_eq!(ttl_ms(Duration::from_millis(7)), 7);
        assert_eq!(ttl_ms(Duration::MAX), TTL_MAX.as_millis() as u64);
    }

    #[test]
    fn a_bucket_that_could_never_pay_is_refused() {
        let bucket = |per_second, burst| TokenBucket { per_second, burst };
        assert!(check_bucket(bucket(1.0, 5), 5).is_ok());
        assert!(check_bucket(bucket(1.0, 5), 6).is_err());
        assert!(check_bucket(bucket(0.0, 5), 1).is_err());
        assert!(check_bucket(bucket(f64::NAN, 5), 1).is_err());
    }
}
