//! The `Date` of answers that come without one (RFC 9110, section 6.6.1), written once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static NOW: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Lends the date of this second.
pub(crate) fn with_now<T>(reader: impl FnOnce(&[u8]) -> T) -> T {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    NOW.with_borrow_mut(|(written, text)| {
        if *written != second || text.is_empty() {
            *text = httpdate::fmt_http_date(now);
            *written = second;
        }
        reader(text.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_date_of_this_moment() {
        let text = with_now(|now| String::from_utf8(now.to_vec()).unwrap());
        let age = SystemTime::now().duration_since(httpdate::parse_http_date(&text).unwrap()).unwrap();
        assert!(age.as_secs() <= 2, "{text}");
    }
}
