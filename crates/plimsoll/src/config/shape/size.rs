//! Amounts of memory: a number of bytes, or a number and a binary unit, such as `"64KiB"`.

use std::ops::RangeInclusive;

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
pub const TIB: u64 = 1 << 40;

const UNITS: [(&str, u64); 5] = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

/// A number of bytes within bounds.
pub struct Size(pub RangeInclusive<u64>);

impl Shape for Size {
    type Value = u64;

    fn read(&self, raw: &Raw<'_>) -> Read<u64> {
        let bytes = match raw.integer() {
            Some(number) => u64::try_from(number).map_err(|_| raw.fault(format!("{number} is out of range"), self.write()))?,
            None => parse(raw.string("a size such as \"64KiB\"")?).map_err(|(problem, hint)| raw.fault(problem, hint))?,
        };
        if self.0.contains(&bytes) { Ok(bytes) } else { Err(raw.fault("this size is out of range", self.write())) }
    }

    fn print(&self, value: &u64) -> String {
        let text = compact(*value);
        if text.ends_with("iB") { quote(&text) } else { value.to_string() }
    }

    fn accepts(&self) -> String {
        format!("a size from {} to {}", compact(*self.0.start()), compact(*self.0.end()))
    }
}

impl Size {
    fn write(&self) -> String {
        format!("write {}", self.accepts())
    }
}

fn parse(text: &str) -> Result<u64, (String, String)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let example = || "write a whole number and one of B, KiB, MiB, GiB, TiB, such as \"64KiB\"".to_owned();
    let number: u64 = number.parse().map_err(|_| (format!("`{text}` is not a size"), example()))?;
    let unit = unit.trim_start();
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let meant = UNITS.iter().find(|(name, _)| !unit.is_empty() && name.as_bytes()[0].eq_ignore_ascii_case(&unit.as_bytes()[0]));
        let hint = meant.map_or_else(example, |(name, _)| format!("did you mean \"{number}{name}\"?"));
        return Err((format!("`{unit}` is not a unit of size"), hint));
    };
    number.checked_mul(*length).ok_or_else(|| (format!("`{text}` is too large"), example()))
}

/// The size in the largest unit that leaves no rest.
fn compact(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(*unit);
    UNITS.iter().find(fits).map_or_else(|| "0".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}
