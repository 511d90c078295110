//! A limit that is measured unless somebody knows better.

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};
use crate::config::suggest;

/// How many requests may be worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Measured,
    Off,
    Fixed(usize),
}

/// `measured`, `off` or a number up to this one.
pub struct LimitUpTo(pub usize);

const WORDS: [(&str, Limit); 2] = [("measured", Limit::Measured), ("off", Limit::Off)];

impl Shape for LimitUpTo {
    type Value = Limit;

    fn read(&self, raw: &Raw<'_>) -> Read<Limit> {
        if let Some(number) = raw.integer() {
            let fixed = usize::try_from(number).ok().filter(|number| (1..=self.0).contains(number));
            return fixed
                .map(Limit::Fixed)
                .ok_or_else(|| raw.fault(format!("{number} is out of range"), format!("write {}", self.accepts())));
        }
        let word = raw.string(&self.accepts())?;
        let found = WORDS.iter().find(|(name, _)| *name == word).map(|(_, limit)| *limit);
        found.ok_or_else(|| {
            let near = suggest::closest(word, WORDS.iter().map(|(name, _)| *name));
            let hint = near.map_or_else(|| format!("write {}", self.accepts()), |near| format!("did you mean \"{near}\"?"));
            raw.fault(format!("`{word}` is not a limit"), hint)
        })
    }

    fn print(&self, value: &Limit) -> String {
        match value {
            Limit::Measured => quote("measured"),
            Limit::Off => quote("off"),
            Limit::Fixed(number) => number.to_string(),
        }
    }

    fn accepts(&self) -> String {
        format!("\"measured\", \"off\" or a whole number from 1 to {}", self.0)
    }
}
