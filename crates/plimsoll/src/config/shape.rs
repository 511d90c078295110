//! What the value of a setting looks like: how it is read, bounded, printed and described.
//!
//! A shape is a value, not a type, so that two settings of one type can have different bounds, and the bounds stand next to the default.

mod choice;
mod limit;
mod list;
mod network;
mod none;
mod number;
mod routing;
mod secret;
mod size;
mod text;
mod time;

pub(super) use choice::choice;
pub use choice::{Choice, Named};
pub use limit::{Limit, LimitUpTo};
pub use list::{List, Maybe};
pub use network::{Address, HostName, Network, is_host};
pub use none::OrNone;
pub use number::{Share, Whole};
pub use routing::{FieldName, FieldValue, Fields, HeaderIs, HostPattern, MethodName, ParameterIs, PathPattern, halves};
pub use secret::{Secret, SecretText, StateUrl};
pub use size::{KIB, MIB, Size, TIB};
pub use text::{Directory, File, HashKey, HashOn, Name, Text, UrlPath};
pub use time::{DAY, HOUR, MINUTE, MS, SECOND, Time};

use super::raw::{Raw, Read};

/// How one kind of value is written.
pub trait Shape {
    type Value;

    /// Values that must not reach a screen or a log.
    const SECRET: bool = false;
    /// May be left out of an entry that has no defaults.
    const OPTIONAL: bool = false;

    fn read(&self, raw: &Raw<'_>) -> Read<Self::Value>;

    /// The value as TOML. Reading it back gives the same value.
    fn print(&self, value: &Self::Value) -> String;

    /// The value for eyes: as printed, but for secrets.
    fn show(&self, value: &Self::Value) -> String {
        self.print(value)
    }

    /// What may be written, in a few words.
    fn accepts(&self) -> String;
}

pub const fn is_secret<S: Shape>(_: &S) -> bool {
    S::SECRET
}

pub const fn is_optional<S: Shape>(_: &S) -> bool {
    S::OPTIONAL
}

/// A string in TOML's quotes.
fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
