//! Several values of one shape, and values that may be absent.

use super::Shape;
use crate::config::raw::{Raw, Read};

/// A list so long is a mistake, and every list is walked somewhere.
const LENGTH_MAX: usize = 1_000;

/// An array; in a variable or a flag, separated by commas.
pub struct List<S>(pub S);

impl<S: Shape> Shape for List<S> {
    type Value = Vec<S::Value>;
    const SECRET: bool = S::SECRET;

    fn read(&self, raw: &Raw<'_>) -> Read<Self::Value> {
        let Some(items) = raw.items() else {
            return Err(raw.fault("expected an array", "put it in brackets: [ … ]"));
        };
        if items.len() > LENGTH_MAX {
            return Err(raw.fault(format!("{} elements are too many", items.len()), format!("at most {LENGTH_MAX} fit")));
        }
        let mut values = Vec::with_capacity(items.len());
        let mut faults = Vec::new();
        for item in &items {
            match self.0.read(item) {
                Ok(value) => values.push(value),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    fn print(&self, value: &Self::Value) -> String {
        brackets(value.iter().map(|item| self.0.print(item)))
    }

    fn show(&self, value: &Self::Value) -> String {
        brackets(value.iter().map(|item| self.0.show(item)))
    }

    fn accepts(&self) -> String {
        format!("an array, each element {}", self.0.accepts())
    }
}

fn brackets(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A value that may be left out.
pub struct Maybe<S>(pub S);

impl<S: Shape> Shape for Maybe<S> {
    type Value = Option<S::Value>;
    const SECRET: bool = S::SECRET;
    const OPTIONAL: bool = true;

    fn read(&self, raw: &Raw<'_>) -> Read<Self::Value> {
        self.0.read(raw).map(Some)
    }

    fn print(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(String::new, |value| self.0.print(value))
    }

    fn show(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(String::new, |value| self.0.show(value))
    }

    fn accepts(&self) -> String {
        self.0.accepts()
    }
}
