//! Until when an answer is of use to whoever asked, and how that travels from hop to hop.
//!
//! A caller says how long it will wait, in [`HEADER`], as whole milliseconds from the moment the request is received. The time is relative,
//! so clocks need not agree. Each hop subtracts what it has used and passes the rest on: nobody works on an answer that nobody waits for.
//! Anybody may send it, because it can only shorten what the server would wait by itself. There is no standard for this; the idea is
//! that of gRPC's `grpc-timeout`.
//!
//! ```
//! use std::time::Duration;
//! use plimsoll_policy::deadline;
//!
//! assert_eq!(deadline::parse(b"250"), Some(Duration::from_millis(250)));
//! assert_eq!(deadline::parse(b"soon"), None);
//! ```

pub mod layer;
pub mod outbound;

use std::time::Duration;

use tokio::time::Instant;

use crate::{Reason, Refusal};

/// Milliseconds that the sender of a request will wait for the whole answer.
pub const HEADER: &str = "x-request-timeout-ms";

/// Longer than anybody waits: a larger value counts as this one.
pub const MAX: Duration = Duration::from_hours(1);

/// The time a caller allows, or `None` if the field does not hold a number of milliseconds: then it is somebody else's field, and ignored.
pub fn parse(value: &[u8]) -> Option<Duration> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Digits that do not fit are a time beyond any bound.
    let millis = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some(Duration::from_millis(millis).min(MAX))
}

/// The earlier of what the caller allows and what the server allows, counted from `received`.
pub fn earliest(received: Instant, caller: Option<Duration>, server: Option<Duration>) -> Option<Instant> {
    let allowed = match (caller, server) {
        (Some(caller), Some(server)) => caller.min(server),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    Some(received + allowed.min(MAX))
}

/// Lets a refusal for want of time name whose time it was: the caller's field, where that allowed less than the server.
pub fn attribute(refusal: &mut Refusal, caller: Option<Duration>, server: Option<Duration>) {
    let is_callers = caller.is_some_and(|caller| server.is_none_or(|server| caller < server));
    if is_callers && matches!(refusal.reason, Reason::DeadlinePassed | Reason::DeadlineUnreachable) {
        refusal.setting = Some(HEADER);
    }
}

/// What is left, in the form the next hop is told. Rounded down: a hop that is told too much would work for nobody.
pub fn remaining_ms(deadline: Instant, now: Instant) -> u64 {
    deadline.saturating_duration_since(now).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_time_is_blamed_on_whoever_allowed_less() {
        let blamed = |reason, caller: Option<u64>, server: Option<u64>| {
            let mut refusal = Refusal::new(reason, "");
            attribute(&mut refusal, caller.map(Duration::from_millis), server.map(Duration::from_millis));
            refusal.setting
        };
        assert_eq!(blamed(Reason::DeadlinePassed, Some(1), Some(2)), Some(HEADER));
        assert_eq!(blamed(Reason::DeadlineUnreachable, Some(1), None), Some(HEADER));
        assert_eq!(blamed(Reason::DeadlinePassed, Some(2), Some(1)), None);
        assert_eq!(blamed(Reason::Overloaded, Some(1), None), None, "it is not about time");
    }

    #[test]
    fn reads_milliseconds_and_nothing_else() {
        assert_eq!(parse(b"0"), Some(Duration::ZERO));
        assert_eq!(parse(b" 1500 "), Some(Duration::from_millis(1_500)));
        assert_eq!(parse(b"99999999999999999999999999"), Some(MAX));
        for other in [&b""[..], b"1.5", b"-1", b"+1", b"1s", b"1 2", b"\xff"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_caller_can_only_shorten_what_the_server_allows() {
        let now = Instant::now();
        let ms = |count| Some(Duration::from_millis(count));
        assert_eq!(earliest(now, ms(100), ms(500)), Some(now + Duration::from_millis(100)));
        assert_eq!(earliest(now, ms(900), ms(500)), Some(now + Duration::from_millis(500)));
        assert_eq!(earliest(now, None, None), None);
    }

    #[test]
    fn the_next_hop_is_never_told_more_than_is_left() {
        let now = Instant::now();
        assert_eq!(remaining_ms(now + Duration::from_micros(2_900), now), 2);
        assert_eq!(remaining_ms(now, now + Duration::from_secs(1)), 0);
    }
}
