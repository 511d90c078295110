//! The `Date` of answers that come without one (RFC 9110, section 6.6.1), written once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll_policy::clock;

const SECOND_NS: u64 = 1_000_000_000;

thread_local! {
    /// Until when the text holds, by our own clock: asking it costs nothing.
    static NOW: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Lends the date of this second.
pub(crate) fn with_now<T>(reader: impl FnOnce(&[u8]) -> T) -> T {
    NOW.with_borrow_mut(|(ends_ns, text)| {
        let now_ns = clock::now_ns();
        if now_ns >= *ends_ns || text.is_empty() {
            let now = SystemTime::now();
            let into_second = now.duration_since(UNIX_EPOCH).map_or(0, |age| age.subsec_nanos());
            *ends_ns = now_ns + SECOND_NS - u64::from(into_second);
            *text = httpdate::fmt_http_date(now);
        }
        reader(text.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age() -> u64 {
        let text = with_now(|now| String::from_utf8(now.to_vec()).unwrap());
        SystemTime::now().duration_since(httpdate::parse_http_date(&text).unwrap()).unwrap().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn is_a_date_of_this_moment_and_written_anew_each_second() {
        assert!(age() <= 2);
        NOW.with_borrow_mut(|(_, text)| *text = httpdate::fmt_http_date(UNIX_EPOCH));
        assert!(age() > 2, "what was written a moment ago is taken as it is");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!(age() <= 2);
    }
}
