//! How long to wait before a further attempt.
//!
//! *Full jitter*: a random time between nothing and a ceiling that doubles with each attempt. A wait that is the same for everybody brings
//! everybody back in the same moment; a random one spreads them over the whole span, which costs the instance least and the caller no more
//! on average. An instance that says `Retry-After` is believed: not before that, and not at all if that is after the deadline.

use std::time::{Duration, SystemTime};

/// The span of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The ceiling of the first wait. Each further one is twice as high.
    pub base: Duration,
    /// No ceiling is higher.
    pub max: Duration,
}

/// The longest `Retry-After` that is waited for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

impl Default for Config {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_secs(1) }
    }
}

impl Config {
    /// The longest that the wait before a retry may be; `retry` counts from 1.
    pub fn ceiling(&self, retry: u32) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }

    /// A wait for this retry.
    ///
    /// ```
    /// use plimsoll_policy::backoff::Config;
    ///
    /// let mut rng = fastrand::Rng::with_seed(1);
    /// let config = Config::default();
    /// assert!(config.wait(3, &mut rng) <= 4 * config.base);
    /// ```
    pub fn wait(&self, retry: u32, rng: &mut fastrand::Rng) -> Duration {
        self.ceiling(retry).mul_f64(rng.f64())
    }

    /// A wait that keeps to what the instance asked for and ends before the deadline; `None` if that cannot be: then there is no retry.
    ///
    /// What was asked for comes first and the jitter on top, or all that were told the same second would come back in it. Whoever asks for
    /// more than [`RETRY_AFTER_MAX`] gets no retry: nobody keeps a request for as long as a server that may be mistaken says.
    pub fn wait_within(
        &self,
        retry: u32,
        retry_after: Option<Duration>,
        left: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) -> Option<Duration> {
        if retry_after.is_some_and(|asked| asked > RETRY_AFTER_MAX) {
            return None;
        }
        let wait = retry_after.unwrap_or_default().saturating_add(self.wait(retry, rng));
        left.is_none_or(|left| wait < left).then_some(wait)
    }
}

/// Reads a `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3). A date that has passed is no wait at all.
pub fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean longer than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_spread_over_a_span_that_doubles_up_to_the_maximum() {
        let config = Config { base: 100 * MS, max: 500 * MS };
        let mut rng = fastrand::Rng::with_seed(7);
        for (retry, ceiling) in [(1, 100 * MS), (2, 200 * MS), (3, 400 * MS), (4, 500 * MS), (200, 500 * MS)] {
            assert_eq!(config.ceiling(retry), ceiling);
            let waits: Vec<_> = (0..1_000).map(|_| config.wait(retry, &mut rng)).collect();
            let mean = waits.iter().sum::<Duration>() / 1_000;
            assert!(waits.iter().all(|wait| *wait <= ceiling));
            assert!(mean > ceiling.mul_f64(0.45) && mean < ceiling.mul_f64(0.55), "{mean:?} of {ceiling:?}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let cases = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(retry_after(text.as_bytes(), now), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(b"\xff", now), None);
    }

    #[test]
    fn a_retry_after_beyond_the_deadline_means_no_retry() {
        let (config, mut rng) = (Config::default(), fastrand::Rng::with_seed(1));
        let seconds = Duration::from_secs;
        let mut wait = |retry_after, left| config.wait_within(1, retry_after, left, &mut rng);
        assert!(wait(Some(seconds(2)), Some(seconds(3))).is_some_and(|wait| wait >= seconds(2)));
        assert_eq!(wait(Some(seconds(3)), Some(seconds(3))), None);
        assert_eq!(wait(None, Some(Duration::ZERO)), None);
        assert!(wait(Some(seconds(20)), None).is_some());
        assert!(wait(Some(RETRY_AFTER_MAX + seconds(1)), None).is_none(), "nobody waits for as long as a server may say");
    }

    proptest! {
        #[test]
        fn a_wait_never_ends_after_the_deadline_nor_before_it_was_asked_for(
            retry in 1_u32..60, asked_ms in prop::option::of(0_u32..5_000), left_ms in prop::option::of(0_u32..5_000), seed in any::<u64>(),
        ) {
            let (asked, left) = (asked_ms.map(|ms| MS * ms), left_ms.map(|ms| MS * ms));
            let mut rng = fastrand::Rng::with_seed(seed);
            if let Some(wait) = Config::default().wait_within(retry, asked, left, &mut rng) {
                prop_assert!(wait >= asked.unwrap_or_default());
                prop_assert!(left.is_none_or(|left| wait < left));
                prop_assert!(wait <= asked.unwrap_or_default() + Duration::from_secs(1));
            }
        }
    }
}
