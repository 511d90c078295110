//! Durations: a whole number and a unit, such as `"250ms"`, `"10s"`, `"5m"`, `"1h"`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_mins(1);
pub const HOUR: Duration = Duration::from_hours(1);
pub const DAY: Duration = Duration::from_hours(24);

/// Units from the largest to the smallest, as printing wants them.
const UNITS: [(&str, Duration); 5] = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MS)];

/// A duration within bounds.
pub struct Time(pub RangeInclusive<Duration>);

impl Shape for Time {
    type Value = Duration;

    fn read(&self, raw: &Raw<'_>) -> Read<Duration> {
        if let Some(number) = raw.integer() {
            return Err(raw.fault("a duration needs a unit", format!("write \"{number}s\" for seconds, \"{number}ms\" for milliseconds")));
        }
        let text = raw.string("a duration such as \"10s\"")?;
        let duration =
            parse(text).map_err(|problem| raw.fault(problem, "write a whole number and one of ms, s, m, h, d, such as \"10s\""))?;
        if self.0.contains(&duration) {
            return Ok(duration);
        }
        let message = if duration.is_zero() { "a duration of zero would end everything at once" } else { "this duration is out of range" };
        Err(raw.fault(message, format!("write {}", self.accepts())))
    }

    fn print(&self, value: &Duration) -> String {
        quote(&compact(*value))
    }

    fn accepts(&self) -> String {
        format!("a duration from {} to {}", compact(*self.0.start()), compact(*self.0.end()))
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = match number.parse() {
        Ok(number) => number,
        Err(_) if number.is_empty() => return Err(format!("`{text}` does not begin with a whole number")),
        Err(_) => return Err(format!("`{text}` is too long a time")),
    };
    let unit = unit.trim_start();
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() { format!("`{text}` has no unit") } else { format!("`{unit}` is not a unit of time") });
    };
    let millis = number.checked_mul(length.as_millis() as u64);
    millis.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is too long a time"))
}

/// The duration in the largest unit that leaves no rest.
pub(super) fn compact(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fits = |(_, unit): &&(&str, Duration)| millis != 0 && millis.is_multiple_of(unit.as_millis());
    UNITS.iter().find(fits).map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", millis / unit.as_millis()))
}
