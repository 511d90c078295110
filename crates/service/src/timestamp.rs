//! Points in time as people and programs read them: RFC 3339, UTC, milliseconds. Of fixed width, so text order is time order.
//!
//! The `time` crate does it because the cookie crate brings it along anyway.

use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const FORMAT: StaticFormatDescription = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

pub(crate) fn now() -> String {
    format(OffsetDateTime::now_utc())
}

fn format(moment: OffsetDateTime) -> String {
    moment.format(FORMAT).expect("a moment in UTC has every part of the format")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn is_rfc_3339_with_three_digits_always() {
        assert_eq!(format(datetime!(2026-01-02 03:04:05.006_999 UTC)), "2026-01-02T03:04:05.006Z");
        assert_eq!(format(datetime!(2026-01-02 03:04:05 UTC)), "2026-01-02T03:04:05.000Z");
    }
}
