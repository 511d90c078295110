//! A value that a word can switch off.

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};

/// Nothing if it is this word, or else what the shape reads.
pub struct OrNone<S>(pub &'static str, pub S);

impl<S: Shape> Shape for OrNone<S> {
    type Value = Option<S::Value>;
    const SECRET: bool = S::SECRET;

    fn read(&self, raw: &Raw<'_>) -> Read<Self::Value> {
        if raw.as_str() == Some(self.0) { Ok(None) } else { self.1.read(raw).map(Some) }
    }

    fn print(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(|| quote(self.0), |value| self.1.print(value))
    }

    fn show(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(|| quote(self.0), |value| self.1.show(value))
    }

    fn accepts(&self) -> String {
        let none = if self.0.is_empty() { "nothing".to_owned() } else { quote(self.0) };
        format!("{none} or {}", self.1.accepts())
    }
}
