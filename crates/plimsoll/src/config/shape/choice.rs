//! One word out of a few.

use std::marker::PhantomData;

use super::{Shape, quote};
use crate::config::raw::{Fault, Raw, Read};
use crate::config::suggest;

/// A type whose values have names.
pub trait Named: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    /// The word it is written as.
    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

/// Declares an enum together with the words its values are written as.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $( $(#[$doc:meta])* $value:ident = $word:literal, )+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$doc])* $value, )+ }

        impl $crate::config::shape::Named for $name {
            const ALL: &'static [(&'static str, Self)] = &[ $( ($word, Self::$value), )+ ];
        }
    };
}
pub(crate) use choice;

/// One of the words of `T`.
pub struct Choice<T>(PhantomData<T>);

impl<T> Choice<T> {
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Named> Choice<T> {
    /// What is no string. Others write `true` for what is `on` here.
    fn no_word(&self, raw: &Raw<'_>) -> Vec<Fault> {
        let word = raw.boolean().map(|is_on| if is_on { "on" } else { "off" });
        let meant = word.filter(|word| T::ALL.iter().any(|(name, _)| name == word));
        let hint = meant.map_or_else(|| format!("write {}", self.accepts()), |word| format!("write \"{word}\""));
        let faults = raw.wrong_type("a string").into_iter();
        faults.map(|fault| Fault { hint: Some(hint.clone()), ..fault }).collect()
    }
}

impl<T: Named> Shape for Choice<T> {
    type Value = T;

    fn read(&self, raw: &Raw<'_>) -> Read<T> {
        let Some(word) = raw.as_str() else { return Err(self.no_word(raw)) };
        let found = T::ALL.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names = T::ALL.iter().map(|(name, _)| *name);
            let hint = suggest::closest(word, names)
                .map_or_else(|| format!("write {}", self.accepts()), |name| format!("did you mean \"{name}\"?"));
            raw.fault(format!("`{word}` is not a choice here"), hint)
        })
    }

    fn print(&self, value: &T) -> String {
        quote(value.as_str())
    }

    fn accepts(&self) -> String {
        let names: Vec<_> = T::ALL.iter().map(|(name, _)| quote(name)).collect();
        names.join(" or ")
    }
}
