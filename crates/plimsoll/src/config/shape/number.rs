//! Counts, ports and shares.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::Shape;
use crate::config::raw::{Raw, Read};

/// A whole number within bounds.
pub struct Whole<T>(pub RangeInclusive<T>);

impl<T: Copy + PartialOrd + Display + TryFrom<i128>> Shape for Whole<T> {
    type Value = T;

    fn read(&self, raw: &Raw<'_>) -> Read<T> {
        let Some(number) = raw.integer() else {
            let unquoted = raw.as_str().filter(|text| text.parse::<i128>().is_ok());
            return Err(match unquoted {
                Some(digits) => raw.fault("expected a whole number, found a string", format!("remove the quotes: {digits}")),
                None => raw.wrong_type(&self.accepts()),
            });
        };
        let value = T::try_from(number).ok().filter(|value| self.0.contains(value));
        value.ok_or_else(|| raw.fault(format!("{number} is out of range"), format!("write {}", self.accepts())))
    }

    fn print(&self, value: &T) -> String {
        value.to_string()
    }

    fn accepts(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }
}

/// A part of the whole, from 0.0 to 1.0.
pub struct Share;

impl Shape for Share {
    type Value = f64;

    fn read(&self, raw: &Raw<'_>) -> Read<f64> {
        let number = raw.number().ok_or_else(|| raw.wrong_type("a number"))?;
        if (0.0..=1.0).contains(&number) {
            return Ok(number);
        }
        let percent = (1.0..=100.0).contains(&number).then(|| format!("{number} percent is {}", number / 100.0));
        Err(raw.fault(format!("{number} is out of range"), percent.unwrap_or_else(|| format!("write {}", self.accepts()))))
    }

    fn print(&self, value: &f64) -> String {
        format!("{value:?}")
    }

    fn accepts(&self) -> String {
        "a number from 0.0 to 1.0".to_owned()
    }
}
